"""The list of pages: what the sidebar shows and which addresses there are."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.navigation.page import StreamlitPage


@dataclass(frozen=True)
class Entry:
    """One page: its file in pages/views (which is also its address), its title, a Material icon, where it is listed."""

    view: str
    title: str
    icon: str
    section: str


HOME = "home"
ENTRIES = (
    Entry("home", "Home", "home", "Scans"),
    Entry("upload", "Upload", "upload", "Scans"),
    Entry("queue", "Queue", "pending_actions", "Scans"),
    Entry("viewer", "Viewer", "radiology", "Scans"),
    Entry("review", "Review", "rate_review", "Scans"),
    Entry("cohort", "Cohort", "groups", "Study"),
    Entry("subject", "Subject", "person", "Study"),
    Entry("agreement", "Agreement", "compare_arrows", "Study"),
    Entry("export", "Export", "download", "Study"),
    Entry("models", "Models", "model_training", "ThighSeg"),
    Entry("about", "About", "info", "ThighSeg"),
)


def sections() -> dict[str, list[StreamlitPage]]:
    """The pages by section, for st.navigation. Call it in a script run."""
    found: dict[str, list[StreamlitPage]] = {}
    for entry in ENTRIES:
        found.setdefault(entry.section, []).append(_page(entry))
    # The default page lives at "/"; people type its name all the same.
    by_name = st.Page(_go_home, title="Home", url_path=HOME, visibility="hidden")
    found[ENTRIES[0].section].append(by_name)
    return found


def draw(pages: dict[str, list[StreamlitPage]]) -> None:
    """The list of pages. Ours and not st.navigation's own, whose sections are no proper list for a screen reader."""
    for section, links in pages.items():
        with st.container(gap="xxsmall"):
            st.caption(f"**{section}**")
            for page in links:
                if page.visibility == "visible":
                    st.page_link(page)


def _page(entry: Entry) -> StreamlitPage:
    return st.Page(
        f"pages/views/{entry.view}.py",
        title=entry.title,
        icon=f":material/{entry.icon}:",
        url_path="" if entry.view == HOME else entry.view,
        default=entry.view == HOME,
    )


def _go_home() -> None:
    st.switch_page(f"pages/views/{HOME}.py")
