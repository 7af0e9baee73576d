"""Agreement: networks against readers, readers against each other, networks on drawn slices; bring in readings."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

import pandas as pd
import streamlit as st

from db import agreement as database_agreement
from db import queries
from db.readings import Pair, compare_pairs, missing_comparisons
from pages.parts import agreement_tables, cache, figure_card, reading_form, shell, words
from thighseg_core import export
from thighseg_core.bland_altman import Scale
from thighseg_core.comparison import DESCRIPTIONS, QUANTITY_METRICS
from thighseg_core.errors import ThighSegError

_LEVELS = {"shaft": "Shaft of the thigh", "all": "All levels", "female": "Women", "male": "Men"}
_POLL_S = 2.0


def page() -> None:
    """Draw the page."""
    shell.header("Agreement", "How well the networks agree with readers, and readers with each other.")
    readers, networks, bring_in = st.tabs(["Against readers", "Networks on drawn slices", "Bring in a reading"])
    with cache.database().read() as session:
        studies = {row["study_id"]: row["study"] for row in queries.rows(session, queries.studies()) if row["scans"]}
        scans = queries.rows(session, queries.scans())
        readings = queries.rows(session, database_agreement.readings())
    with networks:
        _networks()
    with bring_in:
        if scans:
            reading_form.form(scans)
            reading_form.stored(readings)
        else:
            shell.empty(
                "No scan is stored yet", "Upload one first.", page="pages/views/upload.py", label="Upload a scan"
            )
    with readers:
        if not readings:
            shell.empty(
                "No reading is stored yet",
                "Bring in what a reader drew on a stored scan (tab *Bring in a reading*): each network's result is "
                "then compared with it, and readers with each other.",
            )
            return
        _against_readers(studies)


def _against_readers(studies: dict[int, str]) -> None:
    study_id = st.selectbox("Study", list(studies), format_func=studies.__getitem__, width=320)
    with cache.database().read() as session:
        waiting = missing_comparisons(session, study_id=study_id)
        frame = queries.frame(session, database_agreement.compared_values(study_id=study_id))
    if waiting:
        _comparing(study_id, waiting)
    if frame.empty:
        if not waiting:
            shell.empty(
                "Nothing to compare in this study", "A reading needs a segmented scan, or a second reading of it."
            )
        return
    pairs = agreement_tables.pairs_of_raters(frame)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        who = st.selectbox(
            "Compared", pairs, format_func=lambda pair: f"{pair[1]} against {pair[0]}", width=320, key="who"
        )
        sexes = ["all", *sorted(set(frame["sex"]))]
        sex = st.segmented_control("Sex", sexes, default="all", required=True, key="sex")
        _download(frame, study=studies[study_id])
    chosen = frame[(frame["reference"] == who[0]) & (frame["test"] == who[1])]
    chosen = chosen if sex == "all" else chosen[chosen["sex"] == sex]
    if chosen.empty:
        shell.empty("No scan of this sex", "Choose another, or all.")
        return
    st.subheader("Overlap and surfaces", anchor=False)
    _table(agreement_tables.overlap_rows(chosen))
    st.caption(
        "Means over thighs. Specificity and accuracy are near 1 for every small structure: do not judge by them. "
        f"HD95: {DESCRIPTIONS['hd95']} ASSD: {DESCRIPTIONS['assd']}"
    )
    _quantities(chosen, who)


def _quantities(chosen: pd.DataFrame, who: tuple[str, str]) -> None:
    st.subheader("Quantities", anchor=False)
    present = [name for name in QUANTITY_METRICS if (chosen["metric"] == name).any()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = st.selectbox("Quantity", present, format_func=words.metric_title, width=260, key="quantity")
        regions = agreement_tables.regions_in_order(list(chosen.loc[chosen["metric"] == metric, "region"].unique()))
        region = st.selectbox("Region of the figure", regions, format_func=words.region_title, width=220, key="region")
        scale = st.segmented_control(
            "Difference",
            get_args(Scale),
            default="absolute",
            required=True,
            format_func=lambda name: agreement_tables.SCALE_TITLES[name],
            key="scale",
        )
    _table(agreement_tables.agreement_rows(chosen, metric))
    st.caption(
        f"{words.metric_title(metric)} in {words.unit_text(QUANTITY_METRICS[metric])}, {who[1]} minus {who[0]}, with "
        "95 % intervals. Thighs and visits of one subject are not independent: where there are several, intervals come "
        "from resampling subjects. ICC(A,1) is lowered by a constant difference, ICC(C,1) is not; both depend on how "
        "different the subjects are. SDC95: a smaller change of one subject may be measurement error. Proportional "
        "bias: slope of the difference on the mean, and whether its interval leaves out 0."
    )
    figure_card.card(agreement_tables.limits_drawing(chosen, metric, region, scale=scale, who=who), key="limits")


def _comparing(study_id: int, waiting: list[Pair]) -> None:
    """Comparisons that are not stored yet are worked out in a thread; the page looks again until they are."""
    work = partial(compare_pairs, cache.database(), cache.settings(), waiting)
    begun = cache.comparisons().get(study_id)
    failed = begun is not None and begun.done() and begun.exception() is not None
    if not failed:
        cache.compare_in_background(study_id, work)

    @st.fragment(run_every=_POLL_S)
    def poll() -> None:
        running = cache.comparisons()[study_id]
        if not running.done():
            st.info(f"{len(waiting)} comparisons are being worked out.", icon=":material/hourglass_top:")
            return
        error = running.exception()
        if error is None:
            st.rerun()
        elif not isinstance(error, ThighSegError):
            raise error
        shell.cannot("Some comparisons could not be made", error)
        if st.button("Try again"):
            cache.compare_in_background(study_id, work)
            st.rerun()

    poll()


def _networks() -> None:
    cards = {card.network: card.validation.get("real", {}) for card in cache.model_cards()}
    cards = {name: real for name, real in cards.items() if real}
    if not cards:
        shell.empty("No figures on real scans", "The networks' cards hold no validation on drawn slices yet.")
        return
    levels = [level for level in _LEVELS if any(level in real for real in cards.values())]
    level = st.segmented_control(
        "Slices", levels, default=levels[0], required=True, format_func=_LEVELS.__getitem__, key="level"
    )
    _table(agreement_tables.card_rows(cards, level=level))
    first = next(iter(cards.values()))
    st.caption(
        f"From the model cards: {first['slices']} slices of {first['scans']} scans; reference: {first['reference']}. "
        "Areas: predicted minus drawn, in percent of the mean of both; intervals from resampling patients."
    )


def _table(rows: list[dict[str, str]]) -> None:
    st.dataframe(rows, hide_index=True, width="stretch")


def _download(frame: pd.DataFrame, *, study: str) -> None:
    stem = "".join(letter if letter.isalnum() else "_" for letter in study)
    st.download_button(
        "agreement.csv",
        data=partial(_csv, frame),
        file_name=f"{stem}_agreement.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _csv(frame: pd.DataFrame) -> bytes:
    columns = tuple(database_agreement.AGREEMENT_COLUMNS)
    table = frame[list(columns)].astype(object)
    rows: list[dict[str, Any]] = table.where(table.notna(), None).to_dict("records")
    return export.csv_text(rows, columns=columns).encode()


if __name__ == "__main__":
    page()
