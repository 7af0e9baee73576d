"""Home: what waits for whom, the study at a glance, and what the network was validated on."""

from __future__ import annotations

from typing import Any

import streamlit as st

from db import queries
from db.uploads import open_uploads
from pages.parts import cache, findings, model_words, shell, words

_SHOWN = 8  # rows of a list; the rest is a number
_ATTENTION = ("failed", "to review", "needs correction")


def page() -> None:
    """Draw the page."""
    shell.header("Thigh muscle from CT", "Upload a CT, let the network draw the muscle groups, check them, compare.")
    with cache.database().read() as session:
        scans = queries.rows(session, queries.scans())
        studies = queries.rows(session, queries.studies())
    n_uploads = len(open_uploads(cache.settings()))
    if not scans:
        _first_steps(n_uploads)
    else:
        states = [words.scan_state(scan) for scan in scans]
        _waiting(scans, states, n_uploads)
        st.space("small")
        left, right = st.columns([3, 2], gap="large", wrap=True)
        with left:
            _attention(scans, states)
        with right:
            _glance(scans, studies)
    st.space("medium")
    _validated()


def _first_steps(n_uploads: int) -> None:
    with st.container(border=True):
        st.subheader("Nothing here yet", anchor=False)
        st.markdown(
            "1. **Upload** a CT of the thighs: a DICOM folder, a zip of one, or a NIfTI file. "
            "Names and other identifiers are removed on entry.\n"
            "2. The scan is **segmented** in the background; the page may be closed meanwhile.\n"
            "3. **Look** at the result in the viewer, approve it or reject it.\n"
            "4. Compare subjects on the **cohort** page and **export** the numbers as CSV."
        )
        label = "Go on with the upload that waits" if n_uploads else "Upload the first scan"
        st.page_link("pages/views/upload.py", label=label, icon=":material/upload:")


def _waiting(scans: list[dict[str, Any]], states: list[str], n_uploads: int) -> None:
    """What waits for whom: a count each, with the way to what is counted."""
    live = sum(state in ("waiting", "running") for state in states)
    review = sum(state in ("to review", "needs correction") for state in states)
    flagged = sum(
        bool(findings.serious(scan["flags"])) and state in ("to review", "needs correction")
        for scan, state in zip(scans, states, strict=True)
    )
    failed = states.count("failed")
    tiles = (
        (
            "To store",
            n_uploads,
            "for whoever uploaded",
            "upload",
            "Uploads whose scans have no subject yet.",
        ),
        ("To segment", live, "for the computer", "queue", "Scans that wait for the network or are being segmented."),
        (
            "To review",
            review,
            "for a reader",
            "review",
            "Results that nobody approved or rejected yet.",
        ),
        ("Flagged", flagged, "for a reader, first", "review", "Of those to review: a quality check found something."),
        ("Failed", failed, "for whoever uploaded", "queue", "Scans that could not be segmented. The queue says why."),
    )
    grid = st.grid(5, min_column_width=150)
    for label, count, whom, target, definition in tiles:
        with grid.container(border=True, gap="xsmall"):
            st.metric(label, count, help=definition)
            st.caption(whom)
            name, icon = f"Open {target}", ":material/arrow_forward:"
            query = {"show": "flagged"} if label == "Flagged" else None
            if count:
                st.page_link(f"pages/views/{target}.py", label=name, icon=icon, query_params=query)
            else:
                st.caption("nothing waits")


def _attention(scans: list[dict[str, Any]], states: list[str]) -> None:
    st.subheader("Next to look at", anchor=False)
    todo = [(scan, state) for scan, state in zip(scans, states, strict=True) if state in _ATTENTION]
    if not todo:
        st.markdown("Everything is reviewed.")
        return
    rows = st.container(border=True, gap="xsmall")
    for scan, state in sorted(todo, key=lambda pair: _ATTENTION.index(pair[1]))[:_SHOWN]:
        with rows.container(horizontal=True, vertical_alignment="center"):
            st.page_link(
                "pages/views/viewer.py",
                label=f"**{words.plain(scan['subject'])}**, visit {scan['visit']}",
                icon=":material/visibility:",
                query_params={"scan": str(scan["scan_id"])},
            )
            shell.state_badge(state)
            n_flags = len(findings.serious(scan["flags"]))
            if n_flags:
                st.badge(f"{n_flags} flag{'s' if n_flags > 1 else ''}", icon=":material/flag:", color="orange")
            st.caption(f"uploaded {words.ago(scan['uploaded_at'])}")
    if len(todo) > _SHOWN:
        st.caption(f"and {len(todo) - _SHOWN} more, in the viewer's list")


def _glance(scans: list[dict[str, Any]], studies: list[dict[str, Any]]) -> None:
    st.subheader("Study at a glance", anchor=False)
    people = {scan["subject_id"]: scan for scan in scans}.values()
    ages = [scan["age_years"] for scan in scans if scan["age_years"] is not None]
    sexes = [scan["sex"] for scan in people]
    facts = {
        "Subjects": len(people),
        "Women / men": f"{sexes.count('female')} / {sexes.count('male')}",
        "Visits": len({scan["visit_id"] for scan in scans}),
        "Scans": len(scans),
        "Age at the visit": f"{min(ages):.0f} to {max(ages):.0f} years" if ages else "not recorded",
        "Approved": sum(scan["review"] == "approved" for scan in scans),
    }
    used = [study["study"] for study in studies if study["scans"]]
    if len(used) > 1:
        facts["Studies"] = ", ".join(used)
    st.table(
        {"fact": list(facts), "value": [str(value) for value in facts.values()]}, hide_header=True, border="horizontal"
    )
    st.page_link("pages/views/cohort.py", label="Compare on the cohort page", icon=":material/groups:")


def _validated() -> None:
    """What the network of new scans was tested on; nobody should read a number without it."""
    with st.container(border=True):
        st.markdown(f"**{shell.RESEARCH_USE}**")
        cards = cache.model_cards()
        if not cards:
            st.markdown(
                "No trained network is installed, so nothing can be segmented. Restore `thighseg_core/weights`."
            )
        for card in cards:
            if card.network == cache.settings().default_model:
                st.markdown(f"{model_words.validated_on(card)} {model_words.trained_on(card)}")
        with st.container(horizontal=True):
            st.page_link("pages/views/models.py", label="All networks and their scores", icon=":material/compare:")
            st.page_link("pages/views/about.py", label="Definitions and limits", icon=":material/info:")


if __name__ == "__main__":
    page()
