"""Review: the worklist of results, each with its preview and flags, decided one after the other. Linkable: ?show=...

A blind second reading hides what others decided, so that the reliability of decisions can be told.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from db import queries, worklist
from db.worklist import SHOWN, Wanted
from pages.parts import cache, corrections, findings, picture, review, shell, words
from thighseg_core.errors import ThighSegError
from thighseg_core.kappa import cohen_kappa

_LIST_HEIGHT_PX = 300


def page() -> None:
    """Draw the page."""
    shell.header("Review", "Decide on results one after the other: approve, reject, comment, or have them corrected.")
    wanted = _filters()
    if wanted is None:
        return
    with cache.database().read() as session:
        found = queries.rows(session, worklist.worklist(wanted))
    if not found:
        _nothing(wanted)
        return
    scan = _list(found, blind=wanted.second_reader is not None)
    _detail(scan, found, wanted)


def _filters() -> Wanted | None:
    """The filter row; None when there is nothing at all."""
    with cache.database().read() as session:
        studies = queries.rows(session, queries.studies())
        counts = worklist.counts(session)
    if not counts["all"]:
        text = "Results appear here when scans are segmented."
        shell.empty("Nothing to review yet", text, page="pages/views/upload.py", label="Upload a scan")
        return None
    names = {study["study_id"]: study["study"] for study in studies}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        study_id = None
        if len(names) > 1:
            study_id = st.selectbox(
                "Study", [None, *names], format_func=lambda key: "All studies" if key is None else names[key], width=200
            )
        asked = st.query_params.get("show", "to_review")
        shown = st.selectbox(
            "Show",
            list(SHOWN),
            index=list(SHOWN).index(asked) if asked in SHOWN else 0,
            format_func=lambda key: f"{SHOWN[key]} ({counts[key]})" if study_id is None else SHOWN[key],
            width=260,
        )
        text = st.text_input("Subject", placeholder="part of a code", width=180)
        blind = st.toggle(
            "Blind second reading",
            help="Lists what another reader decided on and you did not, and hides what was decided. "
            "Your decision is stored as a blind one; how well readers agree is said below the list.",
        )
    if shown != asked:
        st.query_params["show"] = shown
    second_reader = None
    if blind:
        second_reader = st.text_input(
            "Your name or initials", value=st.session_state.get("reviewer", ""), max_chars=200
        )
        if not second_reader.strip():
            st.info(
                "Give your name or initials to get the results that you have not decided on.", icon=":material/edit:"
            )
            return None
        st.session_state["reviewer"] = second_reader.strip()
    return Wanted(study_id=study_id, shown=shown, text=text, second_reader=second_reader)


def _nothing(wanted: Wanted) -> None:
    if wanted.second_reader is not None:
        shell.empty("No result waits for your second reading", "All that others decided on, you decided on too.")
        _reliability(wanted)
    else:
        shell.empty(f"Nothing under “{SHOWN[wanted.shown]}”", "Choose another list above.")


def _list(found: list[dict[str, Any]], *, blind: bool) -> dict[str, Any]:
    """The table of results; the row chosen there, or the first."""
    ids = [row["scan_id"] for row in found]
    columns: dict[str, list[Any]] = {
        "subject": [row["subject"] for row in found],
        "visit": [row["visit"] for row in found],
        "flags": [len(findings.serious(row["flags"])) for row in found],
        "network": [row["model_name"] for row in found],
        "version": [row["run_version"] for row in found],
        "segmented": [row["run_at"] for row in found],
    }
    if not blind:
        columns["state"] = [words.scan_state(row) for row in found]
        columns["reviewer"] = [row["reviewer"] or "" for row in found]
    chosen = st.dataframe(
        columns,
        hide_index=True,
        height=min(_LIST_HEIGHT_PX, 38 + 35 * len(found)),
        on_select="rerun",
        selection_mode="single-row",
        key=f"worklist-{hash(tuple(ids))}",  # another list begins without a choice
        column_config={
            "flags": st.column_config.NumberColumn(help="Quality flags that ask for a look"),
            "segmented": st.column_config.DatetimeColumn(format="distance"),
        },
    )
    picked = chosen.selection.rows  # type: ignore[union-attr]
    if picked:
        return found[picked[0]]
    following = st.session_state.get("review_next")
    return next((row for row in found if row["scan_id"] == following), found[0])


def _detail(scan: dict[str, Any], found: list[dict[str, Any]], wanted: Wanted) -> None:
    with cache.database().read() as session:
        runs = queries.rows(session, queries.runs(scan_id=scan["scan_id"]))
    run = runs[0]
    blind = wanted.second_reader is not None
    position = [row["scan_id"] for row in found].index(scan["scan_id"])
    following = found[(position + 1) % len(found)]["scan_id"]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"{scan['subject']}, visit {scan['visit']}", anchor=False, width="content")
        if not blind:
            shell.state_badge(words.scan_state(scan))
        st.space("stretch")
        if st.button("Next", icon=":material/skip_next:", disabled=len(found) < 2):
            st.session_state["review_next"] = following
            st.session_state.pop(f"worklist-{hash(tuple(row['scan_id'] for row in found))}", None)
            st.rerun()
    _preview(scan, run)
    remarks, decision = st.columns([2, 3], gap="medium", wrap=True)
    with remarks:
        link = {"scan": str(scan["scan_id"])} | ({"blind": "1"} if blind else {})
        st.page_link(
            "pages/views/viewer.py", label="Look closer or correct by brush", icon=":material/brush:", query_params=link
        )
        st.caption(corrections.version_name(run | ({"author": ""} if blind else {})))
        findings_panel(run)
        if not blind:
            corrections.what_changed(scan, run, runs)
    with decision:
        review.panel(scan, run, blind=blind, reviewer=wanted.second_reader, then=lambda: _go_on(following))
        if not blind:
            with st.expander("Correct elsewhere", icon=":material/build:"):
                review.downloads(scan, run)
                corrections.upload(scan, run)
    _reliability(wanted)


def _go_on(scan_id: int) -> None:
    st.session_state["review_next"] = scan_id


def _preview(scan: dict[str, Any], run: dict[str, Any]) -> None:
    try:
        with st.spinner("Drawing five slices"):
            png = cache.preview_png(scan["storage_path"], run["label_map_path"])
    except ThighSegError as error:
        shell.cannot("This scan cannot be shown", error)
        return
    st.image(picture.data_url(png), alt="Five slices from the feet up, the muscle groups coloured", width="stretch")


def findings_panel(run: dict[str, Any]) -> None:
    """The quality flags of a result that ask for a look, one line each."""
    found = findings.serious(run["flags"])
    if not found:
        st.success("The quality checks found nothing to look at.", icon=":material/verified:")
    for finding in found:
        mark = ":red[:material/error:]" if finding.severity == "error" else ":orange[:material/warning:]"
        where = f" {finding.where}." if finding.where else ""
        st.markdown(f"{mark} **{shell.sentence(finding.message)}**{where}")


def _reliability(wanted: Wanted) -> None:
    """How well blind second decisions agree with the first ones."""
    with cache.database().read() as session:
        agreement = cohen_kappa(worklist.paired_decisions(session, study_id=wanted.study_id))
    if not agreement.n:
        return
    kappa = "not defined: both only ever decided one thing" if agreement.kappa is None else f"{agreement.kappa:.2f}"
    st.caption(
        f"Blind second readings: {agreement.n}; same decision in {agreement.agreed} "
        f"({100 * agreement.agreed / agreement.n:.0f} %); Cohen's kappa {kappa}."
    )


if __name__ == "__main__":
    page()
