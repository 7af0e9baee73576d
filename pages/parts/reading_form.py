"""Bringing in what a reader drew: file, reader, and which label each drawn segment is."""

from __future__ import annotations

from typing import Any

import streamlit as st

from db import queries, storage
from db.readings import record_reading
from pages.parts import cache, shell, words
from thighseg_core.errors import ThighSegError
from thighseg_core.labels import LABELS, SIDES
from thighseg_core.segments import Segments, as_label_map, suggested
from thighseg_core.segments_reading import FORMATS, read_segments, suffix_of

_DRAWN = "drawn-segments"


def form(scans: list[dict[str, Any]]) -> None:
    """The form. scans: rows of `db.queries.scans` that a reading may belong to."""
    st.markdown(
        f"Draw the muscle groups on the stored scan in any program, and bring the drawing in: {FORMATS}. It is kept "
        "apart from the results: no number of the cohort changes. Slices without a drawing are not compared."
    )
    by_id = {scan["scan_id"]: scan for scan in scans}
    left, right = st.columns(2)
    scan_id = left.selectbox(
        "Scan", list(by_id), format_func=lambda key: words.scan_name(by_id[key]), key="reading-scan"
    )
    reader = right.text_input("Reader", max_chars=200, placeholder="name or initials", key="reading-reader")
    uploaded = st.file_uploader("Drawing", key=f"reading-file-{st.session_state.get('reading-number', 0)}")
    if uploaded is None:
        st.session_state.pop(_DRAWN, None)
        return
    key = (uploaded.file_id, scan_id)
    if st.session_state.get(_DRAWN, (None,))[0] != key:
        try:
            with st.spinner("Reading the drawing"):
                st.session_state[_DRAWN] = (key, _read(uploaded.getvalue(), by_id[scan_id]))
        except ThighSegError as error:
            shell.cannot("This drawing cannot be used", error)
            return
    segments: Segments = st.session_state[_DRAWN][1]
    assigned = _assign(segments)
    if st.button("Store the reading", type="primary", icon=":material/save:"):
        _store(segments, assigned, scan_id=scan_id, reader=reader)


def _read(content: bytes, scan: dict[str, Any]) -> Segments:
    """The drawing on the scan's grid. The file itself, which may hold names, is not kept."""
    folder = storage.new_staging_folder(cache.settings())
    try:
        path = folder / f"drawing{suffix_of(content[:352])}"
        path.write_bytes(content)
        return read_segments(path, like=cache.volume(scan["storage_path"]).geometry)
    finally:
        storage.remove_folder(folder)


def _assign(segments: Segments) -> dict[int, int]:
    """One chooser a segment, filled in where its name says what it is."""
    side = None
    named = segments.names
    if named:
        side = st.segmented_control("Side of segments whose name says none", SIDES, key="reading-side")
    found = suggested(segments, side=side)
    if segments.n_overlap:
        st.warning(
            f"{segments.n_overlap} voxels are in more than one segment; the later segment counts there.",
            icon=":material/layers:",
        )
    choices = {0: "leave out", **{value: name.replace("_", " ") for value, name in LABELS.items() if value}}
    st.markdown(f"**{len(found)} segments** in this {segments.source_format}. Which label is each?")
    assigned = {}
    columns = st.columns(3)
    for place, (value, label) in enumerate(found.items()):
        title = named.get(value) or f"value {value}"
        assigned[value] = columns[place % 3].selectbox(
            words.plain(title),
            list(choices),
            index=list(choices).index(label),
            format_func=choices.__getitem__,
            key=f"segment-{value}-{side}-{st.session_state.get('reading-number', 0)}",
        )
    return assigned


def _store(segments: Segments, assigned: dict[int, int], *, scan_id: int, reader: str) -> None:
    try:
        record_reading(
            cache.database(),
            cache.settings(),
            as_label_map(segments, assigned),
            scan_id=scan_id,
            reader=reader,
            source_format=segments.source_format,
        )
    except ThighSegError as error:
        shell.cannot("The reading was not stored", error)
        return
    st.session_state.pop(_DRAWN, None)
    st.session_state["reading-number"] = st.session_state.get("reading-number", 0) + 1
    st.toast("The reading is stored.", icon=":material/check:")
    st.rerun()


def stored(readings: list[queries.Row]) -> None:
    """What has been brought in."""
    if not readings:
        return
    st.markdown("**Stored readings**")
    st.dataframe(
        [
            {
                "Reader": row["reader"],
                "Session": row["session"],
                "Subject": row["subject"],
                "Visit": row["visit"],
                "Scan": row["scan"],
                "Drawn": ", ".join(row["regions"]).replace("_", " "),
                "Format": row["source_format"],
                "Stored": row["created_at"].strftime("%Y-%m-%d %H:%M"),
            }
            for row in readings
        ],
        hide_index=True,
    )
