"""What every page stands in: window title, logo, sidebar, headings, and the message when nothing can work."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from pages.parts import cache, navigation
from thighseg_core import __version__
from thighseg_core.errors import DatabaseError, ThighSegError

ASSETS = Path(__file__).resolve().parent.parent / "assets"
RESEARCH_USE = "Research use only. Not a medical device; not for diagnosis or treatment decisions."

# Streamlit leaves much empty room above the first line and stretches text over the whole window.
_STYLE = """
<style>
.stMainBlockContainer { padding: 3.4rem 2.5rem 4rem; max-width: 1680px; }
.stMainBlockContainer [data-testid="stMarkdownContainer"] p { max-width: 84ch; }
.stMainBlockContainer [data-testid="stAlert"] p { max-width: none; }
/* Streamlit's small print is too faint to read (WCAG asks for 4.5 : 1). */
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p { color: inherit; opacity: 1; }
[data-testid="stCaptionContainer"] p { opacity: 0.78; }
[data-testid="stMetricValue"] { font-variant-numeric: tabular-nums; }
/* A chosen word is in the primary colour, which in the dark theme is dark enough for white words on it, so too dark. */
button[data-variant][data-selected="true"] p, [data-testid="stTab"][data-selected="true"] p {
  color: light-dark(#4653B8, #A9B2FF);
}
@media (max-width: 640px) {
  .stMainBlockContainer { padding-left: 1rem; padding-right: 1rem; }
  [data-testid="stTable"] :is(th, td) { font-size: 0.8rem; }  /* wider ones move sideways under the finger */
  [data-testid="stTable"] td { overflow-wrap: anywhere; }
}
</style>
"""


def configure() -> None:
    """Window title, icon, width and style. The first call of a script run."""
    st.set_page_config(page_title="ThighSeg", page_icon=str(ASSETS / "mark.svg"), layout="wide")
    st.html(_STYLE)


def sidebar(pages: dict[str, list[StreamlitPage]]) -> None:
    """Logo above the page list, the notice below it."""
    st.logo(str(ASSETS / "logo.svg"), icon_image=str(ASSETS / "mark.svg"), size="large")
    with st.sidebar:
        navigation.draw(pages)
        st.divider()
        st.caption(f"{RESEARCH_USE}  \nThighSeg {__version__}")


def header(title: str, lead: str) -> None:
    """Title of a page and one sentence that says what it is for."""
    st.title(title, anchor=False)
    st.markdown(lead)


def data_folder_is_ready() -> bool:
    """Open the database; when that fails, say why instead of showing a page."""
    try:
        cache.database()
    except DatabaseError as error:
        cannot("ThighSeg cannot open its data", error)
        st.caption(f"Data folder: `{cache.settings().data_dir}`")
        return False
    return True


def cannot(what: str, error: ThighSegError) -> None:
    """A failure in words: what did not work, and the error's own sentence with its remedy."""
    st.error(f"**{what}.** {sentence(str(error))}", icon=":material/error:")


def sentence(text: str) -> str:
    """First letter large, full stop at the end."""
    text = text.strip()
    if not text:
        return text
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def empty(title: str, text: str, *, page: str | None = None, label: str = "") -> None:
    """An empty state: what would stand here, and the way to fill it."""
    with st.container(border=True):
        st.markdown(f"##### {title}")
        st.markdown(text)
        if page:
            st.page_link(page, label=label, icon=":material/arrow_forward:")


def state_badge(state: str) -> None:
    """The state of a scan (`words.scan_state`) as a badge; the word carries the meaning, not the colour."""
    icon, colour = _STATES[state]
    st.badge(state, icon=f":material/{icon}:", color=colour)


_STATES: dict[str, tuple[str, Literal["gray", "blue", "orange", "green", "red", "violet"]]] = {
    "waiting": ("hourglass_empty", "gray"),
    "running": ("progress_activity", "blue"),
    "to review": ("rate_review", "violet"),
    "approved": ("check_circle", "green"),
    "rejected": ("cancel", "red"),
    "needs correction": ("edit", "orange"),
    "failed": ("error", "red"),
    "cancelled": ("block", "gray"),
    "not segmented": ("help", "gray"),
}
