"""What the export page asks: which results, which numbers, which files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import streamlit as st

from db.export import Choice
from pages.parts import charts, words
from pages.parts.cohort_values import extent_title
from thighseg_core.export_bundle import CSV, REDCAP
from thighseg_core.metrics import EXTENT_DESCRIPTIONS, METRICS, REGIONS

FORMAT_TITLES = {REDCAP: "REDCap", "parquet": "Parquet", "dta": "Stata", "sav": "SPSS"}


def ask(*, study_id: int, visits: Sequence[int]) -> Choice:
    """The choice made with the widgets drawn here. Nothing chosen in a list means all of it."""
    first, second = st.columns(2, gap="medium", wrap=True)
    with first:
        approved = st.toggle("Only approved results", help="Leaves out what nobody has approved in the viewer.")
        regions = _some("Regions", charts.regions_in_order(list(REGIONS)), words.region_title)
        extents = _some("Extents", list(EXTENT_DESCRIPTIONS), lambda name: extent_title(name).capitalize())
        metrics = _some("Metrics", list(METRICS), words.metric_title)
        chosen_visits = (
            st.pills("Visits", visits, selection_mode="multi", help="None chosen: all.") if len(visits) > 1 else []
        )
    with second:
        formats = st.pills(
            "Files beside CSV",
            list(FORMAT_TITLES),
            format_func=FORMAT_TITLES.__getitem__,
            selection_mode="multi",
            help="REDCap: data dictionary and import file of the wide table. The others hold the same tables as CSV.",
        )
        shift = st.toggle(
            "Shift dates",
            help="Moves each subject's dates into the past by an amount of the subject's own, 1 to 365 days, always "
            "the same on this installation. Intervals stay true; the year of birth is left out.",
        )
        histograms = st.toggle(
            "Histograms",
            value=True,
            help="How many voxels of each structure have which attenuation: any Hounsfield band "
            "can be counted from it. About 10,000 rows a scan.",
        )
        normalised = st.toggle(
            "Normalised sizes",
            value=True,
            help="Volumes and areas over height, height², weight, BMI, femur length and volume, the raw beside it.",
        )
        mark = st.toggle(
            "CSV for Excel", help="Puts a byte order mark in front, so that Excel reads the files as UTF-8."
        )
    return Choice(
        study_id=study_id,
        only_approved=approved,
        regions=regions,
        metrics=metrics,
        extents=extents,
        visits=tuple(chosen_visits),
        shift_dates=shift,
        histograms=histograms,
        normalised=normalised,
        formats=(CSV, *formats),
        byte_order_mark=mark,
    )


def _some(label: str, options: Iterable[str], title: Callable[[str], str]) -> tuple[str, ...]:
    return tuple(st.multiselect(label, list(options), format_func=title, placeholder="all"))
