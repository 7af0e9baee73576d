"""The score section of the cohort page: a reference is chosen or brought along, and values are placed in it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.parts import score_figures, shell, words
from pages.parts.cohort_sections import Cohort
from pages.parts.figure_card import card
from thighseg_core.cohort_statistics.reference import (
    ReferenceTable,
    load_reference,
    shipped_references,
    young_reference,
)
from thighseg_core.cohort_statistics.scores import reference_scores
from thighseg_core.errors import InputError

_YOUNG = "young of this cohort"
_OWN = "a table of my own (CSV)"
_OWN_KEPT = "own-reference"  # session state: name and text of the file, so that it outlives the uploader


def scores(selection: Cohort, values: pd.DataFrame) -> None:
    """Draw the section."""
    if selection.measure.normaliser != "none":
        st.info("References hold values as measured: choose *As measured* under *Divided by*.")
        return
    table_frame = selection.for_statistics(values)
    shipped = {table.name: table for table in shipped_references()}
    left, right = st.columns([2, 3], vertical_alignment="bottom", wrap=True)
    chosen = left.selectbox(
        "Reference", [_YOUNG, *shipped, _OWN], bind="query-params", key="reference", format_func=_title
    )
    accept = right.toggle(
        "Accept what the reference does not state",
        help="A reference that does not say its Hounsfield range, or whether it is of one thigh or both, is refused "
        "unless you accept that here.",
        bind="query-params",
        key="accept",
    )
    try:
        table = _reference(str(chosen), shipped, table_frame)
    except InputError as error:
        if chosen == _YOUNG:  # nobody's mistake: what a small study begins with
            st.info(shell.sentence(str(error)), icon=":material/info:")
        else:
            shell.cannot("This reference cannot be used", error)
        return
    if table is None:
        return
    found = reference_scores(table_frame, table, accept_not_stated=accept)
    scored = values.assign(**{column: found[column] for column in found.columns})
    kinds = [kind for kind in score_figures.KINDS if found[f"{kind}_score"].notna().any()]
    for kind in kinds:
        drawing = score_figures.scores_by_age(
            scored, selection.measure, kind=kind, reference=table.name, filters=selection.filters.words()
        )
        card(drawing, key=f"score-{kind}")
    if not kinds:
        st.markdown("##### No value can be placed in this reference")
    for kind in kinds or score_figures.KINDS:
        for reason in score_figures.refusals(found, kind=kind):
            st.caption(words.plain(reason))


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _reference(chosen: str, shipped: dict[str, ReferenceTable], frame: pd.DataFrame) -> ReferenceTable | None:
    """The table that was chosen; None while a file is still asked for."""
    if chosen in shipped:
        return shipped[chosen]
    if chosen == _YOUNG:
        return young_reference(frame)
    file = st.file_uploader("Reference table (CSV with a citation on every line)", type=["csv"], key="reference-file")
    if file is not None:
        st.session_state[_OWN_KEPT] = (file.name, file.getvalue())
    if _OWN_KEPT not in st.session_state:
        st.caption("The columns are described in the documentation, docs/statistics.md.")
        return None
    name, content = st.session_state[_OWN_KEPT]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text; save it as CSV UTF-8") from None
    return load_reference(text, name=name)
