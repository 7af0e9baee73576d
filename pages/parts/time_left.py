"""How long live jobs still take, from how long earlier ones took. An estimate, and None where there is no ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Any

RECENT = 10  # jobs that tell how long a slice takes
_ENOUGH_PROGRESS = 0.25  # of a job, to trust its own pace more than that of others


def seconds_left(board: Sequence[Mapping[str, Any]], *, now: datetime) -> dict[int, float | None]:
    """Seconds until each live job of `db.queries.jobs` ends, by job id; they are done in the order of the board."""
    left: dict[int, float | None] = {}
    before: float | None = 0.0
    for job in board:
        if job["status"] not in ("running", "queued"):
            continue
        own = _running(job, board, now=now) if job["status"] == "running" else _whole(job, board)
        before = None if before is None or own is None else before + own
        left[job["job_id"]] = before
    return left


def _running(job: Mapping[str, Any], board: Sequence[Mapping[str, Any]], *, now: datetime) -> float | None:
    elapsed = (now - job["started_at"]).total_seconds()
    if job["progress"] >= _ENOUGH_PROGRESS:
        return float(elapsed * (1 - job["progress"]) / job["progress"])
    whole = _whole(job, board)
    return None if whole is None else max(whole - elapsed, 0.0)


def _whole(job: Mapping[str, Any], board: Sequence[Mapping[str, Any]]) -> float | None:
    """Slices times the median pace of the latest jobs with the same network on the same kind of device."""
    paces = [
        (done["finished_at"] - done["started_at"]).total_seconds() / done["n_slices"]
        for done in board
        if done["status"] == "done" and (done["model"], done["device"]) == (job["model"], job["device"])
    ]
    return median(paces[:RECENT]) * job["n_slices"] if paces else None
