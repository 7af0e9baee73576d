"""The parts of the subject page: visits side by side, the picture of change, course and table. Each draws itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from db import queries
from pages.parts import cache, findings, shell, words
from pages.parts import subject_visits as visits_of
from pages.parts.change_picture import GAINED, LOST, AreaChange
from pages.parts.cohort_values import extent_title
from pages.parts.drawing import Drawing
from pages.parts.figure_card import card
from pages.parts.measurement_table import side_to_show
from pages.parts.picture import Look, data_url
from thighseg_core.axial import axial_view
from thighseg_core.errors import ThighSegError
from thighseg_core.labels import GROUPS

_ACROSS = 4  # visits beside each other
_MUSCLES = (*GROUPS, "sartorius")
_LOOK = Look(classes=(*_MUSCLES, "femur"))
FIGURES = ("volume", "lean_attenuation")


@dataclass(frozen=True, eq=False)
class Person:
    """One subject: `visits` has one scan a visit (`subject_visits.one_scan_a_visit`), `rows` all measurements."""

    code: str
    visits: Sequence[visits_of.Row]
    rows: Sequence[queries.Row]

    @property
    def done(self) -> list[visits_of.Row]:
        """The visits that have a result."""
        return [scan for scan in self.visits if scan["run_id"] is not None]

    def level(self, scan: visits_of.Row) -> visits_of.LevelChoice | None:
        """Where a visit is shown."""
        return visits_of.level_of(self.rows, scan_id=scan["scan_id"])


@dataclass(frozen=True)
class Part:
    """Side and extent that course and table are of."""

    side: str
    extent: str


def side_by_side(person: Person) -> None:
    """A slice of each visit with its state; of many visits the first and the last ones."""
    shown = [*person.visits[:1], *person.visits[1:][-(_ACROSS - 1) :]]
    if len(shown) < len(person.visits):
        st.caption(f"The first and the last {_ACROSS - 1} of {len(person.visits)} visits; all are in the table.")
    columns = st.columns(max(2, len(shown)), gap="small", wrap=True)  # a single picture need not fill the window
    for column, scan in zip(columns, shown, strict=False):
        with column.container(border=True):
            _visit(person, scan)


def _visit(person: Person, scan: visits_of.Row) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Visit {scan['visit']}** {words.plain(scan['visit_label'])}".strip(), width="content")
        shell.state_badge(words.scan_state(scan))
        flags = len(findings.serious(scan["flags"]))
        if flags:
            st.badge(f"{flags} flag{'s' if flags != 1 else ''}", icon=":material/flag:", color="orange")
    age = "" if scan["age_years"] is None else f", {scan['age_years']:.0f} years old"
    st.caption(f"{words.day(scan['visit_date'])}{age}")
    try:
        jpeg = slice_jpeg(person, scan)
    except ThighSegError as error:
        shell.cannot("This scan cannot be shown", error)
        return
    level = person.level(scan)
    if jpeg is None or level is None:
        st.markdown("No result to show." if scan["run_id"] is None else "No level was found to show it at.")
    else:
        st.image(data_url(jpeg), alt=f"Visit {scan['visit']}, slice at {level.method}", width="stretch")
        st.caption(f"{level.method.capitalize()}, z {level.z_mm:.0f} mm")
    st.page_link(
        "pages/views/viewer.py",
        label="Open in the viewer",
        icon=":material/radiology:",
        query_params={"scan": str(scan["scan_id"])},
    )


def slice_jpeg(person: Person, scan: visits_of.Row) -> bytes | None:
    """The visit's slice with its labels; None without a result or a level. Raises ThighSegError for a damaged scan."""
    level = person.level(scan)
    if level is None or scan["label_map_path"] is None:
        return None
    view = axial_view(cache.volume(scan["storage_path"]).geometry)
    index = int(np.argmin(np.abs(view.z_mm - level.z_mm)))
    return cache.slice_jpeg(scan["storage_path"], scan["label_map_path"], index, _LOOK)


def overlay(person: Person) -> tuple[NDArray[np.uint8], tuple[AreaChange, ...], str] | None:
    """Picture of change from the first to the last visit, the areas, and what to know of it; None without both."""
    if len(person.done) < 2:
        return None
    ends, methods = [], []
    for scan in (person.done[0], person.done[-1]):
        level = person.level(scan)
        if level is None:
            return None
        ends.append((scan["storage_path"], scan["label_map_path"], level.z_mm))
        methods.append(level.method)
    rgb, areas = cache.change_picture(ends[0], ends[1], _MUSCLES)
    doubt = " The slices are the middle of each field of view, so they may lie at different levels of the thigh."
    return (rgb, areas, "" if set(methods) == {"mid-thigh"} else doubt) if areas else None


def change(person: Person) -> None:
    """The picture of change with its areas."""
    first, last = person.done[0], person.done[-1]
    with st.container(border=True):
        st.markdown(f"**Change of the muscles from visit {first['visit']} to visit {last['visit']}**")
        try:
            found = overlay(person)
        except ThighSegError as error:
            shell.cannot("The change cannot be shown", error)
            return
        if found is None:
            st.markdown("There is no slice with the femur of the same leg at both visits.")
            return
        rgb, areas, doubt = found
        left, right = st.columns([3, 2], gap="medium", wrap=True)
        left.image(data_url(rgb), alt="Later visit with lost and gained muscle in colour", width="stretch")
        right.html(
            f"<span style='color:{LOST}'>&#9632;</span> lost &nbsp; <span style='color:{GAINED}'>&#9632;</span> "
            "gained &nbsp; white: border of the muscles at the later visit"
        )
        right.table([_area_line(area) for area in areas], border="horizontal")
        right.caption(
            "All muscle groups on one slice of each visit, each leg laid on its femur, not turned or stretched: a "
            f"leg lying differently also shows as lost and gained.{doubt}"
        )


def _area_line(area: AreaChange) -> dict[str, str]:
    return {
        "Leg": area.side,
        "Before (cm²)": words.number(area.before_cm2),
        "After (cm²)": words.number(area.after_cm2),
        "Lost": words.number(area.lost_cm2),
        "Gained": words.number(area.gained_cm2),
    }


def ask_part(person: Person) -> Part:
    """Side and extent, with a warning where the scans' lengths forbid comparing."""
    extents = sorted({row["extent"] for row in person.rows}, key=lambda name: (name != "full", name))
    valued = {row["side"] for row in person.rows if row["value"] is not None}
    sides = [side for side in ("both", "left", "right") if side in valued] or ["both"]
    shown = side_to_show(person.rows)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        side = st.segmented_control(
            "Side",
            sides,
            default=shown if shown in sides else sides[0],
            required=True,
            bind="query-params",
            key="side",
        )
        extent = st.selectbox(
            "Extent",
            extents,
            format_func=lambda name: extent_title(name).capitalize(),
            bind="query-params",
            key="extent",
            width=280,
        )
    if extent == "full" and visits_of.coverage_differs(person.done):
        st.warning(
            "The scans cover different lengths of the leg: volumes of the whole field of view are not comparable.",
            icon=":material/warning:",
        )
    return Part(side=str(side), extent=str(extent))


def numbers(person: Person, part: Part) -> None:
    """Course of the groups, and the table of all visits."""
    for column, metric in zip(st.columns(len(FIGURES), gap="small", wrap=True), FIGURES, strict=True):
        with column:
            card(course(person, part, metric), key=f"subject-{metric}")
    table = comparison(person, part)
    if table.empty:
        st.markdown("No value of this side in this extent.")
        return
    signed = st.column_config.NumberColumn
    st.dataframe(
        _readable(table),
        hide_index=True,
        height="content",
        column_config={
            **{f"Visit {scan['visit']}": signed(format="%.1f") for scan in person.done},
            "Change": signed(format="%+.1f"),
            "%": signed(format="%+.1f", help="From the first to the last visit."),
        },
    )
    if table["marks"].any():
        st.caption("† A value of this row has a quality flag; the viewer says which and why.")


def course(person: Person, part: Part, metric: str) -> Drawing:
    """One metric of each group over the visits."""
    return visits_of.over_visits(
        person.rows, metric=metric, side=part.side, extent=part.extent, visits=person.done, subject=person.code
    )


def comparison(person: Person, part: Part) -> pd.DataFrame:
    """The table of all visits."""
    return visits_of.comparison(person.rows, side=part.side, extent=part.extent, visits=person.done)


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    names: dict[str, Any] = {
        name: name.replace("_", " ").capitalize() for name in table.columns if name.startswith("visit_")
    }
    shown = table.assign(
        Region=[words.region_title(region) for region in table["region"]],
        Metric=[
            f"{words.metric_title(metric)} ({words.unit_text(unit)}){' †' if mark else ''}"
            for metric, unit, mark in zip(table["metric"], table["unit"], table["marks"], strict=True)
        ],
    ).rename(columns={**names, "change": "Change", "change_percent": "%"})
    return shown[["Region", "Metric", *names.values(), "Change", "%"]]
