"""Versions of a result: which one is shown, what a correction changed, and corrected labels handed in as a file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from db.record import record_correction
from pages.parts import cache, shell, words
from thighseg_core.errors import InputError, ThighSegError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.segments import IGNORE, as_label_map, suggested
from thighseg_core.segments_reading import read_segments

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


def upload(scan: Row, run: Row) -> None:
    """Take a label map corrected in another program, as a new version by the person named."""
    with st.form(f"upload-{run['run_id']}", border=False):
        file = st.file_uploader(
            "Corrected labels",
            help="NIfTI, NRRD (3D Slicer's .seg.nrrd) or DICOM SEG, drawn on this very scan. Segments are known by "
            "their names (Extensor left) or, in NIfTI, by the label values of docs/numbers.md.",
        )
        author = st.text_input("Corrected by", value=st.session_state.get("reviewer", ""), max_chars=200)
        if not st.form_submit_button("Store as a new version", icon=":material/upload:"):
            return
    if file is None:
        st.warning("Choose a file first.", icon=":material/warning:")
        return
    try:
        with st.spinner("Measuring the corrected labels"):
            label_map = read_corrected(file.getvalue(), like=cache.volume(scan["storage_path"]).geometry)
            record_correction(cache.database(), cache.settings(), label_map, parent_id=run["run_id"], author=author)
    except ThighSegError as error:
        shell.cannot("The correction was not stored", error)
        return
    st.session_state["reviewer"] = author.strip()
    st.toast("The correction is stored as a new version and measured.", icon=":material/check:")
    st.rerun()


def read_corrected(content: bytes, *, like: Geometry) -> LabelMap:
    """The label map in a file of another program, on the grid of its scan.

    Raises InputError subclasses when it is damaged, lies on another grid, or has a segment that is none of ours.
    """
    with tempfile.TemporaryDirectory() as folder:
        suffix = ".nii.gz" if content[:2] == b"\x1f\x8b" else ".nii" if content[344:347] == b"n+1" else ".nrrd"
        path = Path(folder) / f"corrected{suffix}"
        path.write_bytes(content)
        segments = read_segments(path, like=like)
    assigned = suggested(segments)
    unknown = [segments.names.get(value) or str(value) for value, label in assigned.items() if label == IGNORE]
    if unknown:
        raise InputError(
            f"the file has segments that are none of ThighSeg's: {', '.join(unknown[:8])}; name them like "
            "'Extensor left', or export the labels with the values of docs/numbers.md"
        )
    return as_label_map(segments, assigned)
