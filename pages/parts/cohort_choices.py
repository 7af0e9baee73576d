"""What the cohort page asks: the measure and the filters. Every answer is in the address, so a state can be linked."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.parts import cache, charts, words
from pages.parts.cohort_filters import QUALITIES, REVIEWS, Filters, flag_codes
from pages.parts.cohort_values import NORMALISERS, Measure, extent_title
from thighseg_core.metrics import FEMUR_20_80, METRICS
from thighseg_core.normalise import SIZE_UNITS

_POSITION = "_z"  # metrics that are positions in a scan's own coordinates: not comparable between scans
_FULL = "full"


def ask_measure(revision: int) -> Measure:
    """Region, side, metric, extent and what it is divided by."""
    measured = cache.measured_extents(revision)
    columns = st.columns([4, 2, 4, 3, 3], wrap=True)
    regions = charts.regions_in_order([region for metric in METRICS.values() for region in metric.regions])
    region = columns[0].selectbox(
        "Region",
        regions,
        index=regions.index("extensor"),
        format_func=words.region_title,
        bind="query-params",
        key="region",
    )
    side = columns[1].selectbox("Side", ["both", "left", "right"], bind="query-params", key="side")
    metrics = [name for name, metric in METRICS.items() if region in metric.regions and not name.endswith(_POSITION)]
    metric = columns[2].selectbox(
        "Metric",
        metrics,
        format_func=words.metric_title,
        help="\n\n".join(f"**{words.metric_title(name)}**: {words.metric_definition(name)}" for name in metrics),
        bind="query-params",
        key="metric",
    )
    found = sorted(extent for one, name, extent in measured if (one, name) == (region, metric))
    extents = [_FULL, *(extent for extent in found if extent != _FULL)] if _FULL in found or not found else found
    extent = columns[3].selectbox(
        "Extent",
        extents,
        format_func=lambda name: extent_title(name).capitalize(),
        help="Which part of the thigh is measured. Values of scans that cover different lengths of the leg can only be "
        "compared over the same part.",
        bind="query-params",
        key="extent",
    )
    normaliser = "none"
    if METRICS[str(metric)].unit in SIZE_UNITS:
        # As in normalise.py: a femur that is cut off is no measure of size.
        femur = extent == FEMUR_20_80 and ("femur", "volume", FEMUR_20_80) in measured
        choices = [name for name in NORMALISERS if name != "femur_volume" or femur]
        normaliser = columns[4].selectbox(
            "Divided by",
            choices,
            format_func=lambda name: NORMALISERS[name][0],
            help="Muscle grows with the body. Height² is customary for areas; it corrects volumes too little, for "
            "which femur volume is the closer measure (PubMed 23934008). Scans without the divisor are left out.",
            bind="query-params",
            key="divided",
        )
    return Measure(
        region=str(region), side=str(side), metric=str(metric), extent=str(extent), normaliser=str(normaliser)
    )


def ask_filters(scans: pd.DataFrame) -> Filters:
    """The filters; one with nothing to choose is not shown. scans: all of them, as `cache.cohort_scans` gives them."""
    with st.expander("Filters", icon=":material/filter_alt:", expanded=False):
        first, second, third = st.columns(3, wrap=True)
        names = sorted(scans["study"].cat.categories)
        studies = None
        if len(names) > 1:
            studies = tuple(first.multiselect("Study", names, default=names[:1], bind="query-params", key="study"))
        review = first.segmented_control(
            "Review",
            list(REVIEWS),
            format_func=REVIEWS.__getitem__,
            default="all",
            required=True,
            bind="query-params",
            key="review",
        )
        quality = first.segmented_control(
            "Quality flags",
            list(QUALITIES),
            format_func=QUALITIES.__getitem__,
            default="all",
            required=True,
            bind="query-params",
            key="quality",
        )
        sexes = second.pills(
            "Sex",
            charts.SEX_ORDER,
            selection_mode="multi",
            default=charts.SEX_ORDER,
            bind="query-params",
            key="sex",
        )
        numbers = sorted(int(number) for number in scans["visit"].unique())
        visits = None
        if len(numbers) > 1:
            chosen = second.pills(
                "Visit", numbers, selection_mode="multi", default=numbers, bind="query-params", key="visit"
            )
            visits = None if set(chosen) == set(numbers) else tuple(chosen)
        codes = flag_codes(scans)
        without: list[str] = []
        if codes and quality == "all":
            without = second.multiselect(
                "Leave out scans with", codes, format_func=_flag_words, bind="query-params", key="without"
            )
        return Filters(
            studies=studies,
            sexes=tuple(sexes),
            visits=visits,
            age_years=_span(third, "Age at the visit (years)", scans["age_years"], step=10, key="age"),
            coverage_cm=_span(third, "Length scanned (cm)", scans["coverage_mm"] / 10, step=1, key="length"),
            review=str(review),
            quality=str(quality),
            without_flags=tuple(without),
        )


def _span(
    place: st.delta_generator.DeltaGenerator, label: str, facts: pd.Series, *, step: int, key: str
) -> tuple[float, float] | None:
    """A range over the facts at hand, its ends rounded to `step`; at its full width it filters nothing."""
    known = facts.dropna()
    if known.empty or known.max() - known.min() < 1:
        return None
    lowest = int(known.min() // step * step)
    highest = int(-(-known.max() // step) * step)
    low, high = place.slider(label, lowest, highest, (lowest, highest), bind="query-params", key=key)
    return None if (low, high) == (lowest, highest) else (float(low), float(high))


def _flag_words(code: str) -> str:
    return code.replace("_", " ")
