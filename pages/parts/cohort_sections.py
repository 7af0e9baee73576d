"""The parts of the cohort page: each computes what it draws from the same filtered scans, and draws it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillFitting
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from pages.parts import balance, cache, cohort, distributions, strength, trajectories, words
from pages.parts.cohort_filters import Filters
from pages.parts.cohort_values import Measure, divisor, joined
from pages.parts.figure_card import card
from thighseg_core.cohort_statistics.centiles import CentileCurves, centile_curves
from thighseg_core.cohort_statistics.trend import Trend, fit_trend
from thighseg_core.errors import InputError
from thighseg_core.metrics import METRICS

_PATIENCE_S = 0.6  # for a model before the page is shown without it
_ATTENUATION = "lean_attenuation"


@dataclass(frozen=True, eq=False)
class Cohort:
    """The filtered scans at one revision, and the measure asked for. Frames are shared: nothing writes into them."""

    revision: int
    scans: pd.DataFrame
    measure: Measure
    filters: Filters

    def of(self, measure: Measure) -> pd.DataFrame:
        """One row a scan with `value` and `flagged` of a measure, nan where it was not measured."""
        if measure.normaliser == "femur_volume":
            femur = measure.of(region="femur", metric="volume")
            by = joined(self.scans, cache.cohort_values(self.revision, femur.quantity))["value"]
        else:
            by = divisor(self.scans, normaliser=measure.normaliser)
        return joined(self.scans, cache.cohort_values(self.revision, measure.quantity), divisor=by)

    def key(self, name: str) -> tuple[object, ...]:
        """Names a model of this measure over these scans, for `cache.fitted`."""
        return (name, self.revision, self.measure, self.filters)

    def for_statistics(self, values: pd.DataFrame) -> pd.DataFrame:
        """The frame as `thighseg_core.cohort_statistics` takes it: one measure, its names on every row."""
        measure = self.measure
        text = {name: values[name].astype(str) for name in ("study", "sex", "hu_preset")}
        return values.assign(
            **text, region=measure.region, side=measure.side, extent=measure.extent, metric=measure.metric,
            unit=measure.unit,
        )  # fmt: skip


def by_sex_and_age(selection: Cohort, values: pd.DataFrame) -> None:
    """Distribution by sex, value by age, and the summary table."""
    measure, said = selection.measure, selection.filters.words()
    left, right = st.columns(2, gap="small", wrap=True)
    with left:
        card(distributions.by_sex(values, measure, filters=said), key="by-sex")
    with right:
        if values["age_years"].isna().all():
            with st.container(border=True):
                st.markdown("**By age**: no age is recorded for these scans, so there is nothing to draw.")
        else:
            _by_age(selection, values)
    with st.container(border=True):
        st.markdown(f"**Summary**, {measure.unit}")
        st.table(_summary(values), border="horizontal")


def _by_age(selection: Cohort, values: pd.DataFrame) -> None:
    """Value by age with centile curves where there are enough subjects; the curves are fitted apart and kept."""
    future = cache.fitted(selection.key("centiles"), lambda: centile_curves(selection.for_statistics(values)))
    waiting = not _done(future)

    @st.fragment(run_every="1s" if waiting else None)
    def draw() -> None:
        if waiting and future.done():
            st.rerun()
        curves, note = _centiles(future)
        drawing = distributions.by_age(
            values,
            selection.measure,
            centiles=None if curves is None else curves.curves,
            centile_method="" if curves is None else curves.method,
            filters=selection.filters.words(),
        )
        notes = (*(curves.notes if curves else ()), *([note] if note else []))
        card(replace(drawing, notes=tuple(words.plain(note) for note in notes)), key="by-age")

    draw()


def _centiles(future: Future[object]) -> tuple[CentileCurves | None, str]:
    """The fitted curves, or a sentence that says why there are none (yet)."""
    if not future.done():
        return None, "Centile curves are being fitted; they appear by themselves."
    try:
        found = future.result()
    except InputError as error:
        return None, f"No centile curves: {error}."
    assert isinstance(found, CentileCurves)
    return found, ""


def _done(future: Future[object]) -> bool:
    """Whether a model is there, after a moment's patience."""
    try:
        future.exception(timeout=_PATIENCE_S)
    except StillFitting:
        return False
    return True


def _summary(values: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "Sex": str(row.sex),
            "Subjects": str(row.subjects),
            "Scans": str(row.scans),
            "Median": words.number(row.median),
            "Quartiles": f"{words.number(row.quartile_1)} to {words.number(row.quartile_3)}",
            "Range": f"{words.number(row.lowest)} to {words.number(row.highest)}",
        }
        for row in cohort.summary_by_sex(values).rename(columns={"values": "scans"}).itertuples()
    ]


_LIMITS: dict[str, tuple[str, Callable[[pd.DataFrame], list[strength.Limits]]]] = {
    "fifth": ("Lowest fifth of these scans", strength.lowest_fifth),
    "young": ("2 SD below the young of this cohort", strength.below_young),
}


def size_and_attenuation(selection: Cohort, values: pd.DataFrame) -> None:
    """Size against attenuation, with limits that are relative to the cohort."""
    del values  # the figure takes both measures itself
    measure = selection.measure
    if METRICS[measure.metric].unit not in ("cm3", "cm2"):
        st.info("Choose a volume or an area as the metric: it is drawn against the attenuation of the same region.")
        return
    if _ATTENUATION not in METRICS or measure.region not in METRICS[_ATTENUATION].regions:
        st.info("Choose a muscle group: attenuation of lean muscle is not measured in this region.")
        return
    chosen = st.segmented_control(
        "Limits",
        list(_LIMITS),
        format_func=lambda name: _LIMITS[name][0],
        default="fifth",
        required=True,
        bind="query-params",
        key="limits",
        help="No limit for thigh CT is published, so both kinds are relative to this cohort and diagnose nothing.",
    )
    attenuation = Measure(measure.region, measure.side, _ATTENUATION, measure.extent)
    both = selection.of(measure).assign(attenuation_hu=selection.of(attenuation)["value"].to_numpy())
    both = both[both["value"].notna() & both["attenuation_hu"].notna()]
    if both.empty:
        st.info("No scan has both the size and the attenuation of this region in this extent.")
        return
    title, rule = _LIMITS[str(chosen)]
    limits = rule(both)
    low, high = strength.YOUNG_YEARS
    said = (
        title
        if chosen == "fifth"
        else f"2 standard deviations below the mean of this cohort's {low}- to {high - 1}-year-olds"
    )
    if not limits:
        st.info(
            f"Too few young adults: {strength.FEWEST_YOUNG} of one sex, {low} to {high - 1} years old, are needed "
            "before limits are taken from them."
        )
    card(
        strength.size_against_attenuation(
            both, measure, limits=limits, limits_words=said[0].lower() + said[1:], filters=selection.filters.words()
        ),
        key="size-attenuation",
    )


def composition_and_balance(selection: Cohort, values: pd.DataFrame) -> None:
    """What the region is made of, the groups' shares, left against right, extensor against flexor."""
    del values  # each figure takes measures of its own
    measure, said = selection.measure, selection.filters.words()
    volume = Measure(measure.region, measure.side, "volume", measure.extent)
    left, right = st.columns(2, gap="small", wrap=True)
    with left:
        tissues = [name for name in balance.TISSUES if name in METRICS and measure.region in METRICS[name].regions]
        if tissues:
            table = selection.of(volume).rename(columns={"value": "volume"})
            columns = {name: selection.of(volume.of(metric=name))["value"].to_numpy() for name in tissues}
            card(balance.composition(table.assign(**columns), measure, filters=said), key="composition")
        else:
            with st.container(border=True):
                st.markdown("**Composition**: choose a muscle group as the region.")
    with right:
        table = selection.of(volume.of(region="extensor"))
        parts = {name: selection.of(volume.of(region=name))["value"].to_numpy() for name in balance.GROUP_PARTS}
        card(balance.group_shares(table.assign(**parts), measure, filters=said), key="shares")
    left, right = st.columns(2, gap="small", wrap=True)
    one_side = Measure(measure.region, "left", measure.metric, measure.extent)
    with left:
        drawing = balance.left_right(
            selection.of(one_side), selection.of(one_side.of(side="right")), measure, filters=said
        )
        card(drawing, key="left-right")
    with right:
        metric = measure.metric if "flexor" in METRICS[measure.metric].regions else "volume"
        front = Measure("extensor", measure.side, metric, measure.extent)
        drawing = balance.ratio(selection.of(front), selection.of(front.of(region="flexor")), front, filters=said)
        card(drawing, key="ratio")


def strength_and_gait(selection: Cohort, values: pd.DataFrame) -> None:
    """The measure against grip, knee extension and gait, where they were entered."""
    known = [name for name in strength.FUNCTIONS if values[name].notna().any()]
    if not known:
        with st.container(border=True):
            st.markdown("##### No strength or gait is entered yet")
            st.markdown(
                "Grip strength, knee extension torque and gait speed belong to a visit. Enter them on the subject's "
                "page, or import them with the list of scans (columns `grip_strength_kg`, `knee_extension_torque_nm`, "
                "`gait_speed_m_s`)."
            )
            st.page_link("pages/views/subject.py", label="Open a subject", icon=":material/person:")
        return
    columns = st.columns(min(len(known), 2), gap="small", wrap=True)
    for number, function in enumerate(known):
        with columns[number % len(columns)]:
            drawing = strength.against_function(
                values, selection.measure, function=function, filters=selection.filters.words()
            )
            card(drawing, key=f"function-{function}")


def draw_trajectories(selection: Cohort, values: pd.DataFrame) -> None:
    """The lines of subjects with the mixed model's mean; draws again by itself when the model is there."""

    def fit() -> object:
        table = selection.for_statistics(values)
        two = {"female", "male"} <= set(table["sex"])
        return fit_trend(table, covariates=("sex",) if two else ())

    future = cache.fitted(selection.key("trend"), fit)
    waiting = not _done(future)

    @st.fragment(run_every="1s" if waiting else None)
    def draw() -> None:
        if waiting and future.done():
            st.rerun()
        trend, note = _trend(future)
        drawing = trajectories.spaghetti(
            trajectories.with_years(values), selection.measure, trend=trend, filters=selection.filters.words()
        )
        notes = (*(trend.notes if trend else ()), *([note] if note else []))
        card(replace(drawing, notes=tuple(words.plain(text) for text in notes)), key="over-time")

    draw()


def _trend(future: Future[object]) -> tuple[Trend | None, str]:
    """The fitted trend, or a sentence that says why there is none (yet)."""
    if not future.done():
        return None, "The mixed model is being fitted; its line appears by itself."
    try:
        found = future.result()
    except InputError as error:
        return None, f"No trend: {error}."
    assert isinstance(found, Trend)
    return found, ""
