"""Export: the tables that leave ThighSeg, with a look at their first rows and their dictionary."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from db import export_rows, queries
from pages.parts import cache, shell, words
from thighseg_core import export, export_scans
from thighseg_core.errors import InputError

_PREVIEW_ROWS = 8


def page() -> None:
    """Draw the page."""
    shell.header(
        "Export",
        "Plain CSV: UTF-8, a dot for the decimal, ISO dates, NA for a missing value with its reason. "
        "No name, no birth date; subjects appear under their codes.",
    )
    with cache.database().read() as session:
        studies = {row["study_id"]: row for row in queries.rows(session, queries.studies())}
    if not any(study["scans"] for study in studies.values()):
        shell.empty(
            "Nothing to export yet",
            "The tables fill as scans are stored and segmented.",
            page="pages/views/upload.py",
            label="Upload a scan",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        study_id = st.selectbox("Study", list(studies), format_func=lambda key: studies[key]["study"], width=320)
        approved = st.toggle("Only approved results", help="Leaves out what nobody has approved in the viewer.")
    study = studies[study_id]["study"]
    with cache.database().read() as session:
        values = queries.rows(session, queries.measurements(study_id=study_id, include_rejected=False))
        scans = queries.rows(session, queries.scans(study_id=study_id))
    rows = export_rows.long_rows(values)
    if approved:
        rows = [row for row in rows if row["review_status"] == "approved"]
        scans = [scan for scan in scans if scan["review"] == "approved"]
    stem = "".join(letter if letter.isalnum() else "_" for letter in study)
    long, wide, per_scan, dictionary = st.tabs(["Long", "Wide", "Scans", "Data dictionary"])
    with long:
        st.markdown("One row a number: for R, SAS, Stata, pandas. Holds everything, with the reason for each doubt.")
        _table(rows, export.LONG_COLUMNS, file_name=f"{stem}_long.csv")
    with wide:
        st.markdown("One row a scan, one column a number: for a spreadsheet.")
        try:
            _table(export.wide_rows(rows), export.wide_columns(), file_name=f"{stem}_wide.csv")
        except InputError as error:
            shell.cannot("The wide table cannot be made", error)
    with per_scan:
        st.markdown("One row a scan: subject, visit, acquisition, quality flags, review.")
        _table(export_rows.scan_rows(scans), export_scans.SCAN_COLUMNS, file_name=f"{stem}_scans.csv")
    with dictionary:
        st.markdown("What every column of the three tables, every metric and every region means.")
        _table(export_scans.dictionary_rows(), export_scans.DICTIONARY_COLUMNS, file_name="data_dictionary.csv")


def _table(rows: Sequence[export.Row], columns: Sequence[str], *, file_name: str) -> None:
    """Number of rows, download, and the first rows as they will stand in the file."""
    if not rows:
        st.info("No row fits. Approve a result in the viewer, or switch off *Only approved results*.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            f"Download {file_name}",
            data=_deferred(rows, columns),
            file_name=file_name,
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            type="primary",
        )
        st.caption(f"{words.number(len(rows)) if len(rows) >= 1000 else len(rows)} rows, {len(columns)} columns")
    head = pd.DataFrame(list(rows[:_PREVIEW_ROWS]), columns=list(columns)).astype(object)
    st.dataframe(head.where(head.notna(), export.NA).astype(str), hide_index=True)
    if len(rows) > _PREVIEW_ROWS:
        st.caption(f"The first {_PREVIEW_ROWS} rows.")


def _deferred(rows: Sequence[export.Row], columns: Sequence[str]) -> Callable[[], bytes]:
    """Writes the file only when it is asked for."""
    return lambda: export.csv_text(rows, columns=columns).encode()


if __name__ == "__main__":
    page()
