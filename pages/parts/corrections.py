"""Versions of a result: which one is shown, what a correction changed, and corrected labels handed in as a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.parts import cache, shell, words
from thighseg_core.errors import ThighSegError

Row = dict[str, Any]


def version_name(run: Row) -> str:
    """Version of a result with how and by whom it was made."""
    by = f" by {run['author']}" if run["author"] else ""
    made = {"automatic": f"automatic ({run['model_name']})"}.get(run["kind"], run["kind"])
    return f"Version {run['version']}, {made}{by}"


def choose_version(scan: Row, runs: Sequence[Row]) -> Row | None:
    """The result to show: the newest, or an earlier one where the reader wants to see it."""
    if len(runs) < 2:
        return runs[0] if runs else None
    by_id = {run["run_id"]: run for run in runs}
    chosen = st.segmented_control(
        "Result",
        list(by_id),
        default=runs[0]["run_id"],
        required=True,
        format_func=lambda run_id: version_name(by_id[run_id]),
        # another key when a version is added, so that the newest is chosen again
        key=f"version-{scan['scan_id']}-{len(runs)}",
    )
    if chosen != runs[0]["run_id"]:
        st.caption("An earlier version. Only the newest can be corrected; it is the one that counts in the study.")
    return by_id[chosen]


def what_changed(scan: Row, run: Row, runs: Sequence[Row]) -> None:
    """Voxels, Dice and volume of every structure that differs from the version it was made from."""
    parent = next((one for one in runs if one["run_id"] == run["parent_id"]), None)
    if parent is None:
        return
    try:
        changes = cache.changes(scan["storage_path"], parent["label_map_path"], run["label_map_path"])
    except ThighSegError as error:
        shell.cannot("The two versions cannot be compared", error)
        return
    with st.expander(
        f"What version {run['version']} changed in version {parent['version']}",
        icon=":material/compare:",
        expanded=True,
    ):
        st.caption(f"By {words.plain(run['author'] or 'nobody named')}, {words.ago(run['created_at'])}.")
        if not changes:
            st.markdown("Nothing: both label maps are the same.")
            return
        st.dataframe(
            {
                "structure": [f"{words.region_title(one.region)}, {one.side}" for one in changes],
                "voxels added": [one.added_voxels for one in changes],
                "voxels removed": [one.removed_voxels for one in changes],
                "cm³ before": [one.before_cm3 for one in changes],
                "cm³ after": [one.after_cm3 for one in changes],
                "Dice": [one.dice for one in changes],
            },
            hide_index=True,
            column_config={
                "cm³ before": st.column_config.NumberColumn(format="%.1f"),
                "cm³ after": st.column_config.NumberColumn(format="%.1f"),
                "Dice": st.column_config.NumberColumn(
                    format="%.4f", help="2 |before and after| / (|before| + |after|); 1 means unchanged."
                ),
            },
        )
