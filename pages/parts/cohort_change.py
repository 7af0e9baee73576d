"""The change section of the cohort page: trajectories, change against its smallest detectable change, and the table."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.parts import cache, cohort, trajectories
from pages.parts.cohort_sections import Cohort, draw_trajectories
from pages.parts.figure_card import card
from thighseg_core.cohort_statistics.change import SDC95

_MOST_ROWS = 500  # of the table on the page; the CSV has all
_SHOWN = (
    "subject", "visits", "days", "from_value", "to_value", "change", "change_percent", "exceeds_sdc95", "same_coverage",
)  # fmt: skip


def change(selection: Cohort, values: pd.DataFrame) -> None:
    """Draw the section."""
    measure, said = selection.measure, selection.filters.words()
    visits = values.groupby("subject_id")["visit"].nunique()
    if not (visits >= 2).any():
        with st.container(border=True):
            st.markdown("##### No change to show")
            st.markdown("No subject has two visits with this value, so there is no change to show.")
        return
    limit = _ask_sdc95(selection)
    limits = () if limit is None else (limit,)
    pairs = cache.table(
        (*selection.key("change"), limits), lambda: cohort.change_table(selection.for_statistics(values), sdc95=limits)
    )
    _coverage_warning(pairs)
    left, right = st.columns(2, gap="small", wrap=True)
    with left:
        draw_trajectories(selection, values)
    with right:
        drawing = trajectories.change_since_first(
            pairs,
            measure,
            sdc95_percent=None if limit is None else limit.value,
            source="" if limit is None else limit.source,
            filters=said,
        )
        card(drawing, key="change")
    _table(pairs, measure.unit)


def _ask_sdc95(selection: Cohort) -> SDC95 | None:
    """Smallest detectable change in percent, and where it comes from; both are needed before anything is judged."""
    first, second = st.columns([1, 3], wrap=True, vertical_alignment="bottom")
    percent = first.number_input(
        "SDC95 (%)",
        min_value=0.1,
        max_value=100.0,
        value=None,
        step=0.5,
        placeholder="not known",
        help="Smallest detectable change: 1.96 × √2 × the standard error of measurement, from repeated scans or "
        "readings of your own, in percent of the mean. Smaller changes cannot be told from error.",
        bind="query-params",
        key="sdc",
    )
    source = second.text_input(
        "Where the SDC95 comes from",
        placeholder="such as: 20 repeated scans, our scanner, 2026",
        max_chars=120,
        bind="query-params",
        key="sdc-source",
    )
    if percent is None:
        return None
    if not source.strip():
        st.info("Say where the SDC95 comes from; then changes are judged by it.")
        return None
    return SDC95(metric=selection.measure.metric, value=float(percent), unit="%", source=" ".join(source.split()))


def _coverage_warning(pairs: pd.DataFrame) -> None:
    different = int((~pairs["same_coverage"]).sum())
    if different:
        st.warning(
            f"{different} of these changes compare scans of different lengths of the leg. They are not a change of the "
            "muscle alone. Choose an extent that both scans cover, or narrow the filter *Length scanned*.",
            icon=":material/warning:",
        )


def _table(pairs: pd.DataFrame, unit: str) -> None:
    with st.container(border=True):
        st.markdown(f"**Changes**, {unit}: each visit against the subject's first")
        n, percent = pairs["subject_id"].nunique(), pairs["change_percent"].dropna()
        median = f"; median change {percent.median():+.1f} %" if len(percent) else ""
        st.caption(f"{n} subject{'s' if n != 1 else ''}{median}. Choose a row to open the subject.")
        most = pairs.reindex(pairs["change_percent"].abs().sort_values(ascending=False).index).head(_MOST_ROWS)
        rows = pairs if len(pairs) <= _MOST_ROWS else most
        rows = rows.assign(
            visits=[f"{one} → {two}" for one, two in zip(rows["from_visit"], rows["to_visit"], strict=True)],
            same_coverage=rows["same_coverage"].map({True: "same", False: "DIFFERENT"}),
            exceeds_sdc95=rows["exceeds_sdc95"].map({True: "yes", False: "no"}).fillna("–"),
        )
        chosen = st.dataframe(
            rows[list(_SHOWN)],
            hide_index=True,
            column_config=_columns(),
            on_select="rerun",
            selection_mode="single-row",
            key="changes",
        )
        if len(pairs) > _MOST_ROWS:
            st.caption(f"The {_MOST_ROWS} largest of {len(pairs)}; the figure's CSV has all.")
        picked = chosen.selection.rows
        if picked:
            subject_id = int(rows["subject_id"].iloc[picked[0]])
            st.switch_page("pages/views/subject.py", query_params={"subject": str(subject_id)})


def _columns() -> dict[str, object]:
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
        "exceeds_sdc95": st.column_config.TextColumn(
            "> SDC95", width="small", help="Whether the change is larger than the SDC95 given above."
        ),
        "same_coverage": st.column_config.TextColumn(
            "Length", help=f"Whether both scans cover the same length of leg, within {tolerance}."
        ),
    }
