"""Cohort: one metric across subjects, by sex, by age and between visits, with what forbids comparing said aloud."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from db import queries
from pages.parts import cache, charts, cohort, shell, words
from thighseg_core.metrics import METRICS, REGION_DESCRIPTIONS

_NOT_COMPARABLE = ("csa_max_z", "csa_mid_z")  # positions in a scan's own coordinates
_REVIEWS = {"all": "All but rejected", "approved": "Only approved"}


@dataclass(frozen=True)
class _Measure:
    """What is plotted."""

    region: str
    side: str
    metric: str

    @property
    def unit(self) -> str:
        return METRICS[self.metric].unit

    @property
    def axis(self) -> str:
        return f"{words.region_title(self.region)}, {self.side}: {words.axis_title(self.metric, self.unit)}"


def page() -> None:
    """Draw the page."""
    shell.header("Cohort", "One measurement across all subjects: by sex, by age, and from visit to visit.")
    with cache.database().read() as session:
        scans = queries.frame(session, queries.scans())
    if scans["run_id"].notna().sum() == 0:
        shell.empty(
            "Nothing to compare yet",
            "Results appear here as soon as the first scan is segmented.",
            page="pages/views/upload.py",
            label="Upload a scan",
        )
        return
    measure = _measure()
    scans = _filters(scans)
    with cache.database().read() as session:
        values = queries.frame(
            session,
            queries.measurements(region=measure.region, metric=measure.metric, extent="full", include_rejected=False),
        )
    values = values[(values["side"] == measure.side) & values["scan_id"].isin(scans["scan_id"])]
    missing = int(values["value"].isna().sum())
    values = cohort.with_scan_facts(values.dropna(subset=["value"]), scans)
    st.caption(
        f"**{words.metric_title(measure.metric)}**: {words.metric_definition(measure.metric)} "
        f"**{words.region_title(measure.region)}**: {REGION_DESCRIPTIONS[measure.region]}"
    )
    if values.empty:
        shell.empty("No value fits these filters", "Widen a filter, or choose another region or metric.")
        return
    for warning in cohort.warnings(values):
        st.warning(warning, icon=":material/warning:")
    _counts(values, missing)
    _plots(values, measure)
    _changes(values, measure)


def _measure() -> _Measure:
    first, second, third = st.columns([4, 2, 3], wrap=True)
    regions = charts.regions_in_order([region for metric in METRICS.values() for region in metric.regions])
    region = first.selectbox(
        "Region",
        regions,
        index=regions.index("extensor"),
        format_func=words.region_title,
        bind="query-params",
        key="region",
    )
    side = second.selectbox("Side", ["both", "left", "right"], bind="query-params", key="side")
    metrics = [name for name, metric in METRICS.items() if region in metric.regions and name not in _NOT_COMPARABLE]
    metric = third.selectbox("Metric", metrics, format_func=words.metric_title, bind="query-params", key="metric")
    return _Measure(region=str(region), side=str(side), metric=str(metric))


def _filters(scans: pd.DataFrame) -> pd.DataFrame:
    """The scans that stay. A filter with nothing to choose is not shown."""
    with st.expander("Filters", icon=":material/filter_alt:"):
        columns = st.columns(3, wrap=True)
        studies = sorted(scans["study"].unique())
        if len(studies) > 1:
            chosen = columns[0].multiselect("Study", studies, default=studies[:1])
            scans = scans[scans["study"].isin(chosen)]
        review = columns[0].segmented_control(
            "Review", list(_REVIEWS), format_func=_REVIEWS.__getitem__, default="all", required=True
        )
        if review == "approved":
            scans = scans[scans["review"] == "approved"]
        sexes = columns[1].pills("Sex", charts.SEX_ORDER, selection_mode="multi", default=charts.SEX_ORDER)
        visits = sorted(int(number) for number in scans["visit"].unique())
        if len(visits) > 1:
            chosen_visits = columns[1].pills("Visit", visits, selection_mode="multi", default=visits)
            scans = scans[scans["visit"].isin(chosen_visits)]
        scans = scans[scans["sex"].isin(sexes)]
        scans = _between(columns[2], "Age at the visit (years)", scans, scans["age_years"])
        return _between(columns[2], "Length scanned (cm)", scans, scans["n_slices"] * scans["slice_spacing_mm"] / 10)


def _between(
    place: st.delta_generator.DeltaGenerator, label: str, scans: pd.DataFrame, facts: pd.Series
) -> pd.DataFrame:
    """A range slider over the facts at hand; at its full width it also keeps scans without the fact."""
    known = facts.dropna().astype(float)
    if known.empty or known.max() - known.min() < 1:
        return scans
    lowest, highest = int(known.min()), int(known.max()) + 1
    low, high = place.slider(label, lowest, highest, (lowest, highest), key=f"{label}-{lowest}-{highest}")
    if (low, high) == (lowest, highest):
        return scans
    return scans[facts.between(low, high)]


def _counts(values: pd.DataFrame, missing: int) -> None:
    subjects, scans = values["subject_id"].nunique(), values["scan_id"].nunique()
    flagged = int((values["status"] == "flagged").sum())
    parts = [f"**{subjects}** subject{'s' if subjects != 1 else ''}", f"**{scans}** scan{'s' if scans != 1 else ''}"]
    if flagged:
        parts.append(f"{flagged} value{'s' if flagged != 1 else ''} with a quality flag, shown all the same")
    if missing:
        parts.append(f"{missing} missing and left out")
    st.markdown(" · ".join(parts))


def _plots(values: pd.DataFrame, measure: _Measure) -> None:
    colour = charts.region_colour(measure.region)
    left, right = st.columns(2, gap="small", wrap=True)
    with left, st.container(border=True):
        st.markdown("**By sex**: box with median and quartiles, every scan a point")
        figure = charts.distribution_by_sex(values, axis_title=measure.axis, colour=colour)
        st.plotly_chart(figure, config=_CHART, key="by-sex", alt=f"{measure.axis} by sex, every scan a point")
    with right, st.container(border=True):
        unaged = int(values["age_years"].isna().sum())
        st.markdown("**By age**" + (f": {unaged} without an age are not drawn" if unaged else ""))
        if unaged == len(values):
            st.markdown("No age is recorded for these scans, so there is nothing to draw.")
        else:
            figure = charts.value_by_age(values, axis_title=measure.axis, colour=colour)
            st.plotly_chart(figure, config=_CHART, key="by-age", alt=f"{measure.axis} against age at the visit")
    with st.container(border=True):
        st.markdown(f"**Summary**, {words.unit_text(measure.unit)}")
        st.table(_summary(values), border="horizontal")


def _summary(values: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "Sex": str(row.sex),
            "Subjects": str(row.subjects),
            "Scans": str(row.values_),
            "Median": words.number(row.median),
            "Quartiles": f"{words.number(row.quartile_1)} to {words.number(row.quartile_3)}",
        }
        for row in cohort.summary_by_sex(values).rename(columns={"values": "values_"}).itertuples()
    ]


def _changes(values: pd.DataFrame, measure: _Measure) -> None:
    with st.container(border=True):
        st.markdown(f"**Change between visits**, {words.unit_text(measure.unit)}")
        table = cohort.change_table(values)
        if table.empty:
            st.markdown("No subject has two visits with this value, so there is no change to show.")
            return
        colour = charts.region_colour(measure.region)
        left, right = st.columns([2, 3], gap="medium", wrap=True)
        figure = charts.change_between_visits(values, axis_title=measure.axis, colour=colour)
        left.plotly_chart(figure, config=_CHART, key="change", alt=f"{measure.axis} by visit, one line a subject")
        shown = table.assign(
            visits=[f"{first} → {last}" for first, last in zip(table["from_visit"], table["to_visit"], strict=True)],
            same_coverage=table["same_coverage"].map({True: "same", False: "DIFFERENT"}),
        )
        right.dataframe(shown[list(_CHANGE_COLUMNS)], hide_index=True, column_config=_change_columns())
        n, percent = table["subject_id"].nunique(), table["change_percent"].dropna()
        median = f"; median change {percent.median():+.1f} %" if len(percent) else ""
        right.caption(f"{n} subject{'s' if n != 1 else ''}{median}; each visit against the subject's first.")
        if not table["same_coverage"].all():
            right.warning(
                f"{int((~table['same_coverage']).sum())} of these changes compare scans of different lengths of the "
                "leg. They are not a change of the muscle alone.",
                icon=":material/warning:",
            )


_CHART = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
_CHANGE_COLUMNS = ("subject", "visits", "days", "from_value", "to_value", "change", "change_percent", "same_coverage")


def _change_columns() -> dict[str, object]:
    number = st.column_config.NumberColumn
    tolerance = f"{cohort.COVERAGE_TOLERANCE:.0%}"
    return {
        "subject": "Subject",
        "visits": st.column_config.TextColumn("Visits", width="small"),
        "days": number("Days", width="small", help="Between the two visits; empty without both dates."),
        "from_value": number("Before", format="%.1f", width="small"),
        "to_value": number("After", format="%.1f", width="small"),
        "change": number("Change", format="%+.1f", width="small"),
        "change_percent": number("%", format="%+.1f", width="small", help="Change in percent of the value before."),
        "same_coverage": st.column_config.TextColumn(
            "Length", help=f"Whether both scans cover the same length of leg, within {tolerance}."
        ),
    }


if __name__ == "__main__":
    page()
