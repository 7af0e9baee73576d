"""Queue: what the worker does now, what waits, what ended and why. Works while the page is closed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from db import jobs, queries
from db.worker_log import log_of_job
from pages.parts import cache, shell, time_left, words
from thighseg_core.errors import DatabaseError

_REFRESH_S = 2.0
_ENDED_SHOWN = 20


def page() -> None:
    """Draw the page."""
    shell.header("Queue", "Scans are segmented one after the other in the background. You may close this page.")
    with cache.database().read() as session:
        live = bool(queries.rows(session, queries.jobs(live_only=True)))
    st.fragment(_board, run_every=_REFRESH_S if live else None)(live)


def _board(live_before: bool) -> None:
    with cache.database().read() as session:
        board = queries.rows(session, queries.jobs())
    live = [job for job in board if job["status"] in ("queued", "running")]
    failed = [job for job in board if job["status"] == "failed"]
    ended = [job for job in board if job["status"] in ("done", "cancelled")]
    if live_before and not live:
        st.rerun()  # the last one ended: draw once more and stop refreshing
    if not board:
        shell.empty(
            "No scan has been queued yet",
            "Every stored scan is queued for segmentation by itself.",
            page="pages/views/upload.py",
            label="Upload a scan",
        )
        return
    _worker(live, board)
    st.subheader("Now", anchor=False)
    if not live:
        st.markdown("Nothing waits and nothing runs.")
    left = time_left.seconds_left(board, now=datetime.now(UTC))
    last = max(left.values(), key=lambda seconds: seconds or 0.0, default=None)
    if len(live) > 1 and last is not None:
        st.markdown(f"**{len(live)} scans to go**, about {words.duration(last)} in all.")
    for job in live:
        _live(job, left=left[job["job_id"]])
    if failed:
        st.subheader("Failed", anchor=False)
        for job in failed:
            _failed(job)
    if ended:
        st.subheader("Finished", anchor=False)
        rows = st.container(border=True, gap="xsmall")
        for job in ended[:_ENDED_SHOWN]:
            with rows.container(horizontal=True, vertical_alignment="center"):
                _ended(job)
        if len(ended) > _ENDED_SHOWN:
            st.caption(f"and {len(ended) - _ENDED_SHOWN} older ones")


def _worker(live: list[dict[str, Any]], board: list[dict[str, Any]]) -> None:
    running = cache.worker_is_running()
    if running:
        device = words.device_text(cache.settings().default_device)
        ran_on = next((job["run_device"] for job in board if job["run_device"]), None)
        before = f" The latest one ran on: {words.device_text(ran_on)}." if ran_on else ""
        st.caption(f":material/memory: The worker runs. New scans run on: {device}.{before}")
    elif live:
        st.warning(
            "The worker process is not running, so nothing moves. What was uploaded is safe.",
            icon=":material/warning:",
        )
        if st.button("Start the worker", icon=":material/play_arrow:"):
            cache.start_worker()
            st.rerun(scope="app")


def _live(job: dict[str, Any], *, left: float | None) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{words.plain(words.scan_name(job))}**")
            shell.state_badge("waiting" if job["status"] == "queued" else "running")
            if job["attempts"] > 1:
                st.caption(f"attempt {job['attempts']} of {job['max_attempts']}")
            st.space("stretch")
            _action("Cancel", "cancel", job, disabled=job["cancel_requested"])
        if job["status"] == "running":
            stage = "stopping" if job["cancel_requested"] else job["stage"] or "starting"
            elapsed = (datetime.now(UTC) - job["started_at"]).total_seconds()
            rest = f" · about {words.duration(left)} left" if left is not None and not job["cancel_requested"] else ""
            st.progress(job["progress"], text=f"{stage} · {job['progress']:.0%} · {words.duration(elapsed)}{rest}")
        facts = [job["model"], words.device_text(job["device"]), f"{job['n_slices']} slices"]
        facts.append(f"queued {words.ago(job['created_at'])}")
        if job["status"] == "queued" and left is not None:
            facts.append(f"done in about {words.duration(left)}")
        st.caption(" · ".join(facts))


def _failed(job: dict[str, Any]) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{words.plain(words.scan_name(job))}**")
            shell.state_badge("failed")
            st.space("stretch")
            _action("Try again", "refresh", job)
        st.markdown(shell.sentence(job["error"] or "The reason was not recorded"))
        when = words.ago(job["finished_at"] or job["created_at"])
        st.caption(f"{job['model']} · {words.device_text(job['device'])} · {when}")
        log = log_of_job(cache.settings(), job["job_id"])
        if log:
            with st.expander("The worker's log of this job", icon=":material/notes:"):
                st.code(log, language=None, wrap_lines=True)


def _ended(job: dict[str, Any]) -> None:
    label = f"**{words.plain(job['subject'])}**, visit {job['visit']}"
    if job["status"] == "done":
        link = {"scan": str(job["scan_id"])}
        st.page_link("pages/views/viewer.py", label=label, icon=":material/visibility:", query_params=link)
        took = (job["finished_at"] - job["started_at"]).total_seconds()
        device = words.device_text(job["run_device"] or job["device"])
        st.caption(f"{job['model']} · {device} · took {words.duration(took)} · {words.ago(job['finished_at'])}")
    else:
        st.markdown(label)
        shell.state_badge("cancelled")
        st.space("stretch")
        _action("Segment after all", "refresh", job)


def _action(label: str, icon: str, job: dict[str, Any], *, disabled: bool = False) -> None:
    """A button that cancels a live job or queues an ended one again."""
    if not st.button(label, icon=f":material/{icon}:", key=f"{label}-{job['job_id']}", disabled=disabled):
        return
    change = jobs.cancel if job["status"] in ("queued", "running") else jobs.retry
    try:
        with cache.database().write() as session:
            change(session, job_id=job["job_id"])
    except DatabaseError as error:
        shell.cannot("That did not work", error)
        return
    cache.start_worker()
    st.rerun(scope="app")


if __name__ == "__main__":
    page()
