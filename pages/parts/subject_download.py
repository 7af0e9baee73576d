"""The report of the subject page put together: what the page shows, as a PDF to take away."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import streamlit as st
from PIL import Image

from pages.parts import findings, shell, words
from pages.parts.cohort_values import extent_title
from pages.parts.subject_report import Picture, Report, report_pdf
from pages.parts.subject_sections import FIGURES, Part, Person, comparison, course, overlay, slice_jpeg
from pages.parts.subject_visits import Row
from thighseg_core import __version__
from thighseg_core.manifest import utc_now

_MOST_DOUBTS = 24  # on the second page
_VISIT_HEAD = ("visit", "date", "age", "height (cm)", "weight (kg)", "result", "review")


def button(person: Person, part: Part) -> None:
    """The download; the file is made on the click."""
    st.download_button(
        "Report (PDF)",
        data=partial(report_bytes, person, part),
        file_name=f"report_{person.code}.pdf",
        mime="application/pdf",
        icon=":material/picture_as_pdf:",
        on_click="ignore",
        help="One or two pages: visits, pictures, course, table, doubts. Side and extent as chosen above.",
    )


def report_bytes(person: Person, part: Part) -> bytes:
    """The PDF of one subject. Raises ThighSegError when a scan cannot be read."""
    first, done = person.visits[0], person.done
    pictures = []
    for scan in (*done[:1], *done[1:][-1:]):
        jpeg, level = slice_jpeg(person, scan), person.level(scan)
        if jpeg is not None and level is not None:
            rgb = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))
            pictures.append(Picture(rgb, f"visit {scan['visit']}, {level.method}"))
    found = overlay(person)
    return report_pdf(
        Report(
            title=f"Thigh muscle: {person.code}",
            facts=[
                ("study", first["study"]),
                ("sex", first["sex"]),
                ("born", str(first["birth_year"] or "not recorded")),
                ("visits", str(len(person.visits))),
            ],
            visits=[_VISIT_HEAD, *(_visit_line(scan) for scan in person.visits)],
            pictures=pictures,
            change=Picture(found[0], "lost (yellow) and gained (violet)") if found else None,
            drawings=[course(person, part, metric) for metric in FIGURES],
            table=comparison(person, part),
            table_title=f"Measurements, {part.side}, {extent_title(part.extent)}",
            doubts=_doubts(done),
            foot=f"{shell.RESEARCH_USE} ThighSeg {__version__}, {utc_now()[:10]}. † a value has a quality flag.",
        )
    )


def _visit_line(scan: Row) -> list[str]:
    return [
        f"{scan['visit']} {scan['visit_label']}".strip(),
        words.day(scan["visit_date"]),
        "–" if scan["age_years"] is None else f"{scan['age_years']:.0f}",
        words.number(scan["height_cm"]),
        words.number(scan["weight_kg"]),
        "none" if scan["run_id"] is None else f"version {scan['run_version']}, {scan['run_kind']}",
        words.scan_state(scan),
    ]


def _doubts(scans: list[Row]) -> list[str]:
    found = []
    for scan in scans:
        for finding in findings.serious(scan["flags"]):
            consequences = " ".join(shell.sentence(text) for text in finding.consequences)
            found.append(f"Visit {scan['visit']}: {shell.sentence(finding.message)} {consequences}".strip())
    return found[:_MOST_DOUBTS]
