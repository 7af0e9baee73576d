"""Subject: one person's visits side by side, what changed between them, the table, the facts of a visit, the report."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from db import cohort as database_cohort
from db import queries
from db.subject import subject_measurements, subject_scans
from pages.parts import cache, findings, shell, subject_facts, words
from pages.parts import subject_visits as visits_of
from pages.parts.change_picture import GAINED, LOST
from pages.parts.cohort_values import extent_title
from pages.parts.figure_card import card
from pages.parts.picture import Look
from pages.parts.subject_report import Picture, Report, report_pdf
from thighseg_core import __version__
from thighseg_core.axial import axial_view
from thighseg_core.errors import ThighSegError
from thighseg_core.labels import GROUPS
from thighseg_core.manifest import utc_now

_LIST_UP_TO = 2_000  # subjects; above it the code is typed
_ACROSS = 4  # visits beside each other
_MUSCLES = (*GROUPS, "sartorius")
_LOOK = Look(classes=(*_MUSCLES, "femur"))
_FIGURES = ("volume", "lean_attenuation")


def page() -> None:
    """Draw the page."""
    shell.header("Subject", "One person's visits side by side, and what changed between them.")
    with cache.database().read() as session:
        revision = database_cohort.revision(session)
    people = cache.subjects(revision)
    if not people:
        shell.empty("No subject yet", "Upload a scan first.", page="pages/views/upload.py", label="Upload a scan")
        return
    person = _choose(people)
    if person is None:
        return
    with cache.database().read() as session:
        scans = queries.rows(session, subject_scans(person["subject_id"]))
        rows = queries.rows(session, subject_measurements(person["subject_id"]))
    visits = visits_of.one_scan_a_visit(scans)
    if not visits:
        shell.empty("No scan", "This subject has no scan.", page="pages/views/upload.py", label="Upload a scan")
        return
    _Page(person, visits, rows).draw()


def _choose(people: list[queries.Row]) -> queries.Row | None:
    """The subject of the address, or of the chooser, which writes it into the address."""
    by_id = {person["subject_id"]: person for person in people}
    asked = st.query_params.get("subject", "")
    if asked and not (asked.isdigit() and int(asked) in by_id):
        st.warning(f"There is no subject {asked[:20]!r}; choose one below.", icon=":material/warning:")
        asked = ""
    current = int(asked) if asked else None
    shown = people
    if len(people) > _LIST_UP_TO:
        typed = st.text_input("Subject code, or a part of it", key="code").strip().lower()
        shown = [person for person in people if typed in person["subject"].lower()][:_LIST_UP_TO]
    ids = [person["subject_id"] for person in shown]
    if current is None:
        current = ids[0] if ids else None
    if current is None:
        st.info("No subject has such a code.")
        return None
    if current not in ids:
        ids.insert(0, current)
    several = len({person["study"] for person in people}) > 1
    chosen = st.selectbox(
        "Subject",
        ids,
        index=ids.index(current),
        format_func=lambda one: _person_words(by_id[one], with_study=several),
        key=f"subject-{current}",
        width=460,
    )
    if chosen != current:
        st.query_params["subject"] = str(chosen)
        st.rerun()
    return by_id[current]


def _person_words(person: queries.Row, *, with_study: bool) -> str:
    n = person["visits"]
    study = f" · {person['study']}" if with_study else ""
    return f"{person['subject']} · {n} visit{'s' if n != 1 else ''}{study}"


class _Page:
    """The page of one person; holds what several parts need."""

    def __init__(self, person: queries.Row, visits: list[Any], rows: list[queries.Row]) -> None:
        self.person, self.visits, self.rows = person, visits, rows
        self.done = [scan for scan in visits if scan["run_id"] is not None]
        self.side = "both"
        self.extent = "full"

    def draw(self) -> None:
        first = self.visits[0]
        facts = [first["sex"], f"born {first['birth_year']}" if first["birth_year"] else "birth year not recorded"]
        st.markdown(
            f"**{words.plain(self.person['subject'])}** · {' · '.join(facts)} · study {words.plain(first['study'])}"
        )
        self._side_by_side()
        if len(self.done) >= 2:
            self._change()
        if self.done:
            self._numbers()
        subject_facts.panel(self.visits)
        if self.done:
            self._report()

    def _level(self, scan: Any) -> visits_of.LevelChoice | None:
        return visits_of.level_of(self.rows, scan_id=scan["scan_id"])

    def _slice(self, scan: Any) -> bytes | None:
        """The visit's slice with its labels as JPEG; None without a result or a level."""
        level = self._level(scan)
        if level is None or scan["label_map_path"] is None:
            return None
        view = axial_view(cache.volume(scan["storage_path"]).geometry)
        index = int(np.argmin(np.abs(view.z_mm - level.z_mm)))
        return cache.slice_jpeg(scan["storage_path"], scan["label_map_path"], index, _LOOK)

    def _side_by_side(self) -> None:
        shown = self.visits[:1] + self.visits[1:][-(_ACROSS - 1) :]
        if len(shown) < len(self.visits):
            st.caption(f"The first and the last {_ACROSS - 1} of {len(self.visits)} visits; all are in the table.")
        for column, scan in zip(st.columns(len(shown), gap="small", wrap=True), shown, strict=True):
            with column.container(border=True):
                self._visit(scan)

    def _visit(self, scan: Any) -> None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**Visit {scan['visit']}** {words.plain(scan['visit_label'])}".strip(), width="content")
            shell.state_badge(words.scan_state(scan))
            flags = len(findings.serious(scan["flags"]))
            if flags:
                st.badge(f"{flags} flag{'s' if flags != 1 else ''}", icon=":material/flag:", color="orange")
        age = "" if scan["age_years"] is None else f", {scan['age_years']:.0f} years old"
        st.caption(f"{words.day(scan['visit_date'])}{age}")
        try:
            jpeg = self._slice(scan)
        except ThighSegError as error:
            shell.cannot("This scan cannot be shown", error)
            return
        level = self._level(scan)
        if jpeg is None or level is None:
            st.markdown("No result to show." if scan["run_id"] is None else "No level was found to show it at.")
        else:
            st.image(jpeg, alt=f"Visit {scan['visit']}, slice at {level.method}", width="stretch")
            st.caption(f"{level.method.capitalize()}, z {level.z_mm:.0f} mm")
        st.page_link(
            "pages/views/viewer.py",
            label="Open in the viewer",
            icon=":material/radiology:",
            query_params={"scan": str(scan["scan_id"])},
        )

    def _pair(self) -> tuple[Any, Any]:
        return self.done[0], self.done[-1]

    def _overlay(self) -> tuple[np.ndarray, tuple[Any, ...], str] | None:
        """Picture of change from the first to the last visit, the areas, and what to know of it."""
        ends = []
        methods = []
        for scan in self._pair():
            level = self._level(scan)
            if level is None:
                return None
            ends.append((scan["storage_path"], scan["label_map_path"], level.z_mm))
            methods.append(level.method)
        rgb, areas = cache.change_picture(ends[0], ends[1], _MUSCLES)
        doubt = "" if set(methods) == {"mid-thigh"} else (
            " The slices are the middle of each field of view, so they may lie at different levels of the thigh."
        )  # fmt: skip
        return rgb, areas, doubt

    def _change(self) -> None:
        first, last = self._pair()
        with st.container(border=True):
            st.markdown(f"**Change of the muscles from visit {first['visit']} to visit {last['visit']}**")
            try:
                found = self._overlay()
            except ThighSegError as error:
                shell.cannot("The change cannot be shown", error)
                return
            if found is None or not found[1]:
                st.markdown("There is no slice with the femur of the same leg at both visits.")
                return
            rgb, areas, doubt = found
            left, right = st.columns([3, 2], gap="medium", wrap=True)
            left.image(rgb, alt="Later visit with lost and gained muscle in colour", width="stretch")
            right.html(
                f"<span style='color:{LOST}'>&#9632;</span> lost &nbsp; <span style='color:{GAINED}'>&#9632;</span> "
                "gained &nbsp; white: border of the muscles at the later visit"
            )
            right.table(
                [
                    {
                        "Leg": area.side,
                        "Before (cm²)": words.number(area.before_cm2),
                        "After (cm²)": words.number(area.after_cm2),
                        "Lost": words.number(area.lost_cm2),
                        "Gained": words.number(area.gained_cm2),
                    }
                    for area in areas
                ],
                border="horizontal",
            )
            right.caption(
                "All muscle groups on one slice of each visit, each leg laid on its femur, not turned or stretched: a "
                f"leg lying differently also shows as lost and gained.{doubt}"
            )

    def _numbers(self) -> None:
        extents = sorted({row["extent"] for row in self.rows}, key=lambda name: (name != "full", name))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            self.side = str(
                st.segmented_control(
                    "Side", ["both", "left", "right"], default="both", required=True, bind="query-params", key="side"
                )
            )
            self.extent = str(
                st.selectbox(
                    "Extent",
                    extents,
                    format_func=lambda name: extent_title(name).capitalize(),
                    bind="query-params",
                    key="extent",
                    width=280,
                )
            )
        if self.extent == "full" and visits_of.coverage_differs(self.done):
            st.warning(
                "The scans cover different lengths of the leg: volumes of the whole field of view are not comparable.",
                icon=":material/warning:",
            )
        columns = st.columns(len(_FIGURES), gap="small", wrap=True)
        for column, metric in zip(columns, _FIGURES, strict=True):
            with column:
                card(self._drawing(metric), key=f"subject-{metric}")
        table = self._table()
        if table.empty:
            st.markdown("No value of this side in this extent.")
            return
        visits = [f"Visit {scan['visit']}" for scan in self.done]
        st.dataframe(
            _readable(table),
            hide_index=True,
            height="content",
            column_config={
                **{name: st.column_config.NumberColumn(format="%.1f") for name in visits},
                "Change": st.column_config.NumberColumn(format="%+.1f"),
                "%": st.column_config.NumberColumn(format="%+.1f", help="From the first to the last visit."),
            },
        )
        if table["marks"].any():
            st.caption("† A value of this row has a quality flag; the viewer says which and why.")

    def _drawing(self, metric: str) -> Any:
        return visits_of.over_visits(
            self.rows,
            metric=metric,
            side=self.side,
            extent=self.extent,
            visits=self.done,
            subject=self.person["subject"],
        )

    def _table(self) -> Any:
        return visits_of.comparison(self.rows, side=self.side, extent=self.extent, visits=self.done)

    def _report(self) -> None:
        st.download_button(
            "Report (PDF)",
            data=self._report_bytes,
            file_name=f"report_{self.person['subject']}.pdf",
            mime="application/pdf",
            icon=":material/picture_as_pdf:",
            on_click="ignore",
            help="One or two pages: visits, pictures, course, table, doubts. Side and extent as chosen above.",
        )

    def _report_bytes(self) -> bytes:
        first = self.visits[0]
        overlay = self._overlay() if len(self.done) >= 2 else None
        pictures = []
        for scan in self.done[:1] + self.done[1:][-1:]:
            jpeg, level = self._slice(scan), self._level(scan)
            if jpeg is not None and level is not None:
                pictures.append(
                    Picture(np.asarray(Image.open(io.BytesIO(jpeg))), f"visit {scan['visit']}, {level.method}")
                )
        return report_pdf(
            Report(
                title=f"Thigh muscle: {self.person['subject']}",
                facts=[
                    ("study", first["study"]),
                    ("sex", first["sex"]),
                    ("born", str(first["birth_year"] or "not recorded")),
                    ("visits", str(len(self.visits))),
                ],
                visits=[
                    ["visit", "date", "age", "height (cm)", "weight (kg)", "result", "review"],
                    *(_visit_line(scan) for scan in self.visits),
                ],
                pictures=pictures,
                change=Picture(overlay[0], "lost (yellow) and gained (violet)") if overlay and overlay[1] else None,
                drawings=[self._drawing(metric) for metric in _FIGURES],
                table=self._table(),
                table_title=f"Measurements, {self.side}, {extent_title(self.extent)}",
                doubts=_doubts(self.done),
                foot=f"{shell.RESEARCH_USE} ThighSeg {__version__}, {utc_now()[:10]}. † a value has a quality flag.",
            )
        )


def _visit_line(scan: Any) -> list[str]:
    return [
        f"{scan['visit']} {scan['visit_label']}".strip(),
        words.day(scan["visit_date"]),
        "–" if scan["age_years"] is None else f"{scan['age_years']:.0f}",
        words.number(scan["height_cm"]),
        words.number(scan["weight_kg"]),
        "none" if scan["run_id"] is None else f"version {scan['run_version']}, {scan['run_kind']}",
        words.scan_state(scan),
    ]


def _doubts(scans: list[Any]) -> list[str]:
    found = []
    for scan in scans:
        for finding in findings.serious(scan["flags"]):
            consequences = " ".join(shell.sentence(text) for text in finding.consequences)
            found.append(f"Visit {scan['visit']}: {shell.sentence(finding.message)} {consequences}".strip())
    return found[:24]


def _readable(table: Any) -> Any:
    names = {name: name.replace("_", " ").capitalize() for name in table.columns if name.startswith("visit_")}
    shown = table.assign(
        Region=[words.region_title(region) for region in table["region"]],
        Metric=[
            f"{words.metric_title(metric)} ({words.unit_text(unit)}){' †' if mark else ''}"
            for metric, unit, mark in zip(table["metric"], table["unit"], table["marks"], strict=True)
        ],
    ).rename(columns={**names, "change": "Change", "change_percent": "%"})
    return shown[["Region", "Metric", *names.values(), "Change", "%"]]


if __name__ == "__main__":
    page()
