"""Beside the numbers: what people said of a result, the form to add to it, and the files to take away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from db import export_rows, queries
from db.record import add_review
from db.storage import segmentation_file
from pages.parts import apart, cache, shell, words
from thighseg_core import export
from thighseg_core.errors import ThighSegError

_DECISIONS = {
    "approved": "Approve",
    "rejected": "Reject",
    "needs_correction": "Needs correction",
    "comment": "Comment only",
}


def panel(
    scan: dict[str, Any],
    run: dict[str, Any],
    *,
    blind: bool = False,
    reviewer: str | None = None,
    then: Callable[[], None] | None = None,
) -> None:
    """Past reviews of the scan and the form for a new one.

    blind: hide what others said. reviewer: who reviews, where the page has asked already. then: called when a review
    was stored, before the page is drawn again.
    """
    st.subheader("Review", anchor=False)
    if not blind:
        _past(scan)
    with st.form(f"review-{run['run_id']}", clear_on_submit=False, border=True):
        decision = st.segmented_control(
            "Decision", list(_DECISIONS), format_func=_DECISIONS.__getitem__, default="approved", required=True
        )
        name = reviewer
        if name is None:
            left, right = st.columns([1, 2])
            name = left.text_input("Your name or initials", value=st.session_state.get("reviewer", ""), max_chars=200)
        else:
            right = st.container()
        comment = right.text_input("Comment", placeholder="optional", max_chars=2000)
        label = "Save the review" if then is None else "Save and next"
        if st.form_submit_button(label, icon=":material/check:"):
            _save(run["run_id"], decision=decision, reviewer=name, comment=comment, blind=blind, then=then)


def _past(scan: dict[str, Any]) -> None:
    with cache.database().read() as session:
        past = queries.rows(session, queries.reviews(scan_id=scan["scan_id"]))
    for entry in past:
        comment = f": {entry['comment']}" if entry["comment"] else ""
        decision = "comment" if entry["decision"] == "comment" else entry["decision"].replace("_", " ")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{decision}**{words.plain(comment)}")
            st.caption(
                f"{words.plain(entry['reviewer'])}, {words.ago(entry['created_at'])}, version {entry['version']}"
            )


def _save(
    run_id: int, *, decision: str, reviewer: str, comment: str, blind: bool, then: Callable[[], None] | None
) -> None:
    try:
        with cache.database().write() as session:
            add_review(session, run_id=run_id, decision=decision, reviewer=reviewer, comment=comment, blind=blind)
    except ThighSegError as error:
        shell.cannot("The review was not saved", error)
        return
    st.session_state["reviewer"] = reviewer.strip()
    st.toast("The review is saved.", icon=":material/check:")
    if then is not None:
        then()
    st.rerun()


def downloads(scan: dict[str, Any], run: dict[str, Any]) -> None:
    """Label map, numbers and a preview picture of this result."""
    name = f"{scan['subject']}_visit{scan['visit']}_{scan['scan'][:9]}"
    name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
    with st.container(horizontal=True):
        st.download_button(
            "Measurements (CSV)",
            data=lambda: _csv(run["run_id"]),
            file_name=f"{name}_measurements.csv",
            mime="text/csv",
            icon=":material/table:",
            on_click="ignore",
        )
        st.download_button(
            "Labels (NIfTI)",
            data=lambda: (cache.settings().data_dir / run["label_map_path"]).read_bytes(),
            file_name=f"{name}_labels.nii.gz",
            mime="application/gzip",
            icon=":material/layers:",
            on_click="ignore",
        )
        st.download_button(
            "Labels (DICOM SEG)",
            data=lambda: _segmentation(scan, run),
            file_name=f"{name}_labels.dcm",
            mime="application/dicom",
            icon=":material/stacks:",
            on_click="ignore",
            disabled=scan["source_format"] != "DICOM",
            help="For 3D Slicer or a PACS; a segment for each label."
            if scan["source_format"] == "DICOM"
            else "Not for this scan: it came as NIfTI, and DICOM SEG refers to DICOM slices.",
        )
        st.download_button(
            "Preview (PNG)",
            data=lambda: cache.preview_png(scan["storage_path"], run["label_map_path"]),
            file_name=f"{name}_preview.png",
            mime="image/png",
            icon=":material/image:",
            on_click="ignore",
        )


def _segmentation(scan: dict[str, Any], run: dict[str, Any]) -> bytes:
    """Written in a process of its own: it takes seconds, and memory for every label of every slice."""
    work = partial(
        segmentation_file, storage_path=scan["storage_path"], label_map_path=run["label_map_path"],
        automatic=run["kind"] == "automatic",
    )  # fmt: skip
    with apart.process() as call:
        return call(work, cache.settings())


def _csv(run_id: int) -> bytes:
    with cache.database().read() as session:
        rows = queries.rows(session, queries.measurements(run_id=run_id))
    return export.csv_text(export_rows.long_rows(rows)).encode()
