"""Export: choose what of a study leaves, look at the first rows, and take it away as one zip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import streamlit as st

from db import queries
from db.engine import Database
from db.export import Choice, chosen_scans, export_dates, long_by_scan, scan_table, write_export
from db.settings import deidentification_secret
from pages.parts import cache, export_choices, shell, words
from thighseg_core import export, export_scans
from thighseg_core.errors import ThighSegError

_PREVIEW_ROWS = 8
_FOUND = "Search a column, metric or region"


def page() -> None:
    """Draw the page."""
    shell.header(
        "Export",
        "Tables for statistics, each number with its reason for doubt and what made it. "
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
    study_id = st.selectbox("Study", list(studies), format_func=lambda key: studies[key]["study"], width=320)
    with cache.database().read() as session:
        every = chosen_scans(session, Choice(study_id=study_id))
    with st.container(border=True):
        choice = export_choices.ask(study_id=study_id, visits=sorted({scan["visit"] for scan in every}))
    try:
        _tables(choice, name=studies[study_id]["study"])
    except ThighSegError as error:
        shell.cannot("The export cannot be made", error)


def _tables(choice: Choice, *, name: str) -> None:
    """How much fits, the download, and the first rows of each table as they will stand in the files."""
    key = deidentification_secret(cache.settings()) if choice.shift_dates else None
    with cache.database().read() as session:
        scans = chosen_scans(session, choice)
        dates = export_dates(session, choice, shift_key=key)
        long = _first_rows(long_by_scan(session, scans, choice, dates=dates))
        rows = scan_table(session, scans, choice, dates=dates)
    if not long:
        st.info("No result fits. Choose more regions, extents or metrics, approve results in the viewer, or switch off "
                "*Only approved results*.")  # fmt: skip
        return
    stem = "".join(letter if letter.isalnum() else "_" for letter in name)
    subjects = len({scan["subject_id"] for scan in scans})
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            f"Download {stem}.zip",
            data=_written(cache.database(), choice, key),
            file_name=f"{stem}.zip",
            mime="application/zip",
            icon=":material/download:",
            on_click="ignore",
            type="primary",
        )
        st.markdown(
            f"**{len(scans)}** scan{'s' if len(scans) != 1 else ''} of **{subjects}** "
            f"subject{'s' if subjects != 1 else ''}. {words.plain(' '.join(choice.in_words()))}"
        )
    _preview(long, rows)


def _first_rows(by_scan: Iterator[list[export.Row]]) -> list[export.Row]:
    """The rows of the first few scans that have any."""
    rows: list[export.Row] = []
    for number, of_scan in enumerate(by_scan, start=1):
        rows += of_scan
        if number >= _PREVIEW_ROWS:
            break
    return rows


def _preview(long: list[export.Row], scans: list[export.Row]) -> None:
    tabs = st.tabs(["Long", "Wide", "Scans", "Data dictionary"])
    with tabs[0]:
        st.markdown(
            "`long.csv`: one row a number, for R, SAS, Stata, pandas. Holds everything, with each doubt's reason."
        )
        _table(long, export.LONG_COLUMNS)
    with tabs[1]:
        st.markdown("`wide.csv`: one row a scan, one column a number, for a spreadsheet or REDCap.")
        _table(export.wide_rows(long), export.wide_columns())
    with tabs[2]:
        st.markdown("`scans.csv`: one row a scan: subject, visit, acquisition, quality flags, review.")
        _table(scans, export_scans.SCAN_COLUMNS)
    with tabs[3]:
        st.markdown("`data_dictionary.csv`: what every column, metric and region means.")
        _dictionary()
    with st.expander("What else is in the zip", icon=":material/folder_zip:"):
        st.markdown(
            "- `normalised.csv`: sizes over height, weight, BMI, femur length and femur volume\n"
            "- `histograms.csv`: voxels at each attenuation; `agreement.csv`: comparisons with readers, if any\n"
            "- `read.R`, `read.py`, `read.do`: read the tables; `read.R` fits the trend that the cohort page shows\n"
            "- `README.txt` and `manifest.json`: what was chosen, versions, rows and SHA-256 of every file\n\n"
            "CSV files are UTF-8 with a dot for the decimal, ISO dates, and `NA` for a missing value, with its reason "
            "beside it."
        )


def _dictionary() -> None:
    rows = export_scans.dictionary_rows()
    wanted = st.text_input(_FOUND, placeholder=_FOUND, label_visibility="collapsed").strip().lower()
    found = [row for row in rows if wanted in " ".join(map(str, row.values())).lower()]
    st.caption(f"{len(found)} of {len(rows)} entries")
    st.dataframe(_as_text(found, export_scans.DICTIONARY_COLUMNS), hide_index=True, height=420)


def _table(rows: Sequence[export.Row], columns: Sequence[str]) -> None:
    st.dataframe(_as_text(rows[:_PREVIEW_ROWS], columns), hide_index=True)
    st.caption(
        f"The first {min(len(rows), _PREVIEW_ROWS)} rows, {len(columns)} columns. Numbers are shortened here, not in "
        "the file."
    )


def _as_text(rows: Sequence[export.Row], columns: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(columns)).astype(object)
    frame = frame.where(frame.notna(), export.NA)
    return frame.map(lambda value: f"{value:.6g}" if isinstance(value, float) else str(value))


def _written(database: Database, choice: Choice, key: bytes | None) -> Callable[[], bytes]:
    """Writes the zip only when it is asked for, outside the rerun."""

    def zipped() -> bytes:
        with TemporaryDirectory() as folder, database.read() as session:
            target = Path(folder) / "export.zip"
            write_export(session, target, choice, shift_key=key)
            return target.read_bytes()

    return zipped


if __name__ == "__main__":
    page()
