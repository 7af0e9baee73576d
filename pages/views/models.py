"""Models: the networks side by side, what each was tested on, how fast it ran here, and how it was trained."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from db import queries
from pages.parts import cache, model_words, shell, words
from thighseg_core.checkpoint import ModelCard
from thighseg_core.labels import CLASSES


def page() -> None:
    """Draw the page."""
    shell.header(
        "Models",
        "The three networks of Kim et al. 2025, trained anew. Their scores on real scans, side by side and one by one.",
    )
    cards = cache.model_cards()
    if not cards:
        st.error(
            "No trained network is installed, so nothing can be segmented. Restore the folder `thighseg_core/weights`.",
            icon=":material/error:",
        )
        return
    _side_by_side(cards)
    _speed()
    for card in sorted(cards, key=lambda card: card.network != cache.settings().default_model):
        _card(card)


def _side_by_side(cards: tuple[ModelCard, ...]) -> None:
    st.subheader("Overlap with the drawn reference", anchor=False)
    level = st.segmented_control(
        "Level of the leg",
        list(model_words.LEVELS),
        default="shaft",
        format_func=lambda name: model_words.LEVELS[name].capitalize(),
        required=True,
        help="Slices near hip and knee are harder, and few were drawn; the shaft is apart for that reason.",
    )
    rows = model_words.comparison(cards, level=level)
    if not rows:
        st.markdown("No network has been tested on real scans.")
        return
    st.table(
        [
            {"Network": f"**{row.title}**" + (" · used for new scans" if row.network == _default() else "")}
            | {words.region_title(name): text for name, text in row.scores.items()}
            for row in rows
        ],
        border="horizontal",
    )
    st.caption(
        "Mean Dice over slices, the worst slice in brackets. 1 is complete overlap, 0 none. "
        + " ".join(dict.fromkeys(row.reference for row in rows))
    )


def _default() -> str:
    return cache.settings().default_model


def _speed() -> None:
    with cache.database().read() as session:
        pace = queries.rows(session, queries.jobs())
    table = model_words.pace(pace)
    if table.empty:
        return
    st.subheader("Time on this installation", anchor=False)
    st.table(_as_text(table), border="horizontal")
    st.caption("From the queue: reading, segmenting, measuring and storing. Median over the latest scans.")


def _as_text(table: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "Network": str(row.model),
            "Ran on": words.device_text(str(row.device)),
            "Scans": str(row.scans),
            "A scan": words.duration(float(row.seconds)),
            "100 slices": words.duration(100 * float(row.seconds_a_slice)),
        }
        for row in table.itertuples()
    ]


def _card(card: ModelCard) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(model_words.title(card), anchor=False)
            if card.network == _default():
                st.badge("used for new scans", icon=":material/check:", color="green")
        st.markdown(f"{model_words.trained_on(card)} {model_words.validated_on(card)}")
        rows = model_words.validation_rows(card)
        if rows:
            with st.expander("Every structure and level", icon=":material/table:"):
                st.table(rows, border="horizontal")
        low, high = card.preprocessing.clip_hu
        st.markdown(
            f"Sees slices at {card.preprocessing.spacing_mm:g} mm per pixel, attenuation cut at {low:g} and {high:g} "
            f"HU; tells {len(CLASSES)} classes apart."
        )
        with st.expander("How it was trained", icon=":material/school:"):
            for name, text in model_words.facts_of(card.training):
                st.markdown(f"- {name}: {words.plain(text)}")
            st.caption(f"Weights sha256 `{card.weights_sha256}`, label scheme {card.label_scheme}")


if __name__ == "__main__":
    page()
