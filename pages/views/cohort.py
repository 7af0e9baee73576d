"""Cohort: one measure across subjects, by sex, age, composition, strength and visit; doubts said aloud."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from db import cohort as database_cohort
from pages.parts import cache, cohort, cohort_change, cohort_scores, cohort_sections, shell, words
from pages.parts.cohort_choices import ask_filters, ask_measure
from pages.parts.cohort_sections import Cohort
from thighseg_core.metrics import METRICS, REGION_DESCRIPTIONS

_SECTIONS: dict[str, tuple[str, Callable[[Cohort, pd.DataFrame], None]]] = {
    "distribution": ("Sex and age", cohort_sections.by_sex_and_age),
    "size": ("Size and attenuation", cohort_sections.size_and_attenuation),
    "scores": ("z- and T-scores", cohort_scores.scores),
    "composition": ("Composition and balance", cohort_sections.composition_and_balance),
    "function": ("Strength and gait", cohort_sections.strength_and_gait),
    "change": ("Change", cohort_change.change),
}


def page() -> None:
    """Draw the page."""
    shell.header("Cohort", "One measurement across all subjects. Click a point to open its scan.")
    with cache.database().read() as session:
        newest = database_cohort.revision(session)
    revision, scans = cache.cohort_scans(newest)
    if revision != newest:
        _follow(newest)
    if scans.empty:
        shell.empty(
            "Nothing to compare yet",
            "Results appear here as soon as the first scan is segmented.",
            page="pages/views/upload.py",
            label="Upload a scan",
        )
        return
    measure = ask_measure(revision)
    filters = ask_filters(scans)
    selection = Cohort(revision=revision, scans=filters.apply(scans), measure=measure, filters=filters)
    everything = selection.of(measure)
    values = everything[everything["value"].notna()]
    st.caption(
        f"**{words.metric_title(measure.metric)}**: {words.metric_definition(measure.metric)} "
        f"**{words.region_title(measure.region)}**: {REGION_DESCRIPTIONS[measure.region]}"
    )
    if values.empty:
        shell.empty("No value fits these filters", "Widen a filter, or choose another region, metric or extent.")
        return
    for warning in cohort.warnings(values.assign(unit=METRICS[measure.metric].unit)):
        st.warning(warning, icon=":material/warning:")
    _counts(values, missing=len(everything) - len(values), said=filters.words())
    section = st.segmented_control(
        "Show",
        list(_SECTIONS),
        format_func=lambda name: _SECTIONS[name][0],
        default="distribution",
        required=True,
        bind="query-params",
        key="show",
        label_visibility="collapsed",
    )
    _SECTIONS[str(section)][1](selection, values)
    st.caption("The address of this page holds measure, filters and section: copy it to come back to this state.")


@st.fragment(run_every="1s")
def _follow(newest: int) -> None:
    """Say that a moment ago something changed, and draw the page again once that is read."""
    if cache.cohort_scans(newest)[0] == newest:
        st.rerun()
    st.caption(":material/sync: Something changed in the study; this page follows in a moment.")


def _counts(values: pd.DataFrame, *, missing: int, said: str) -> None:
    subjects, scans = values["subject_id"].nunique(), len(values)
    flagged = int(values["flagged"].sum())
    parts = [f"**{subjects}** subject{'s' if subjects != 1 else ''}", f"**{scans}** scan{'s' if scans != 1 else ''}"]
    if flagged:
        parts.append(f"{flagged} value{'s' if flagged != 1 else ''} with a quality flag, shown all the same")
    if missing:
        parts.append(f"{missing} missing and left out")
    st.markdown(" · ".join(parts) + (f" · {words.plain(said.strip())}" if said else ""))


if __name__ == "__main__":
    page()
