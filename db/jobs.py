"""The queue: rows of `job`. Every change of a state is one UPDATE that names the state it expects.

Queued -> running (claim) -> done | failed | cancelled, or back to queued (a retry, a stopped or lost worker).
A worker holds a job by `owner` and an unexpired lease; whoever lost it can change nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from sqlalchemy import CursorResult, case, literal, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import Update

from db.models import LIVE_STATUSES, Job
from db.types import utc_now
from thighseg_core.errors import DatabaseError

LEASE_S = 60.0
KIND = "segment"


class LeaseLostError(DatabaseError):
    """The job is no longer this worker's: cancelled, taken over after a lost lease, or deleted."""


@dataclass(frozen=True)
class Claim:
    """What a worker needs to know of the job it got."""

    job_id: int
    scan_id: int
    model: str
    device: str
    attempt: int
    owner: str


def enqueue(session: Session, *, scan_id: int, model: str, device: str = "auto", max_attempts: int = 3) -> Job:
    """Queue a segmentation of a scan; when one with this model is queued or running already, that one."""
    live = _live_job(session, scan_id=scan_id, model=model)
    if live is not None:
        return live
    job = Job(scan_id=scan_id, kind=KIND, model=model, device=device, max_attempts=max_attempts)
    session.add(job)
    session.flush()
    return job


def claim(session: Session, *, owner: str, lease_s: float = LEASE_S) -> Claim | None:
    """Take the oldest queued job, None when there is none. Needs a writing session (BEGIN IMMEDIATE)."""
    now = utc_now()
    oldest = select(Job.id).where(Job.status == "queued").order_by(Job.id).limit(1).scalar_subquery()
    statement = (
        update(Job)
        .where(Job.id == oldest, Job.status == "queued")
        .values(
            status="running",
            owner=owner,
            lease_until=now + timedelta(seconds=lease_s),
            attempts=Job.attempts + 1,
            cancel_requested=False,
            stage="starting",
            progress=0.0,
            started_at=now,
            finished_at=None,
        )
        .returning(Job.id, Job.scan_id, Job.model, Job.device, Job.attempts)
    )
    taken = session.execute(statement, execution_options={"synchronize_session": False}).one_or_none()
    if taken is None:
        return None
    job_id, scan_id, model, device, attempt = taken
    return Claim(job_id=job_id, scan_id=scan_id, model=model, device=device, attempt=attempt, owner=owner)


def heartbeat(
    session: Session, *, job_id: int, owner: str, stage: str, progress: float, lease_s: float = LEASE_S
) -> bool:
    """Extend the lease and say how far the job is. True when a cancel was asked for; LeaseLostError when not ours."""
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.status == "running", Job.owner == owner)
        .values(lease_until=utc_now() + timedelta(seconds=lease_s), stage=stage, progress=min(max(progress, 0.0), 1.0))
        .returning(Job.cancel_requested)
    )
    asked = session.execute(statement, execution_options={"synchronize_session": False}).scalar_one_or_none()
    if asked is None:
        raise LeaseLostError(f"job {job_id} is no longer held by this worker")
    return asked


def finish(session: Session, *, job_id: int, owner: str) -> None:
    """Mark done; in the same transaction as the result, so that a lost lease takes the result back too."""
    _end(session, job_id=job_id, owner=owner, status="done", stage="done", progress=1.0, error="")


def fail(session: Session, *, job_id: int, owner: str, error: str, retry: bool) -> str:
    """Back to the queue when `retry` and attempts are left, else failed with `error` in words. Returns the status."""
    job = session.get(Job, job_id, populate_existing=True)
    if job is None or job.owner != owner:
        raise LeaseLostError(f"job {job_id} is no longer held by this worker")
    if retry and job.attempts < job.max_attempts:
        _end(session, job_id=job_id, owner=owner, status="queued", stage="waiting to be repeated", error=error)
        return "queued"
    if retry:
        error = f"{error} (tried {job.attempts} times)"
    _end(session, job_id=job_id, owner=owner, status="failed", stage="failed", error=error)
    return "failed"


def release(session: Session, *, job_id: int, owner: str) -> None:
    """Give a job back unharmed: the worker stops, the attempt does not count."""
    values = {"status": "queued", "owner": None, "lease_until": None, "attempts": Job.attempts - 1, "stage": ""}
    mine = update(Job).where(Job.id == job_id, Job.status == "running", Job.owner == owner)
    _execute(session, mine.values(**values, progress=0.0))


def mark_cancelled(session: Session, *, job_id: int, owner: str) -> None:
    """The worker has stopped the work that a user asked to cancel."""
    _end(session, job_id=job_id, owner=owner, status="cancelled", stage="cancelled")


def cancel(session: Session, *, job_id: int) -> str:
    """Ask to cancel: a queued job is cancelled at once, a running one as soon as its worker looks. Returns the status.

    A job that has ended stays as it is.
    """
    queued = update(Job).where(Job.id == job_id, Job.status == "queued")
    _execute(session, queued.values(status="cancelled", stage="cancelled", finished_at=utc_now()))
    running = update(Job).where(Job.id == job_id, Job.status == "running")
    _execute(session, running.values(cancel_requested=True))
    return _status(session, job_id)


def retry(session: Session, *, job_id: int) -> int:
    """Queue a failed or cancelled job again with fresh attempts. Returns the id of the live job.

    When the same scan and model is queued or running already, that job's id.
    """
    job = session.get(Job, job_id, populate_existing=True)
    if job is None:
        raise DatabaseError(f"job {job_id} does not exist any more; reload the page")
    live = _live_job(session, scan_id=job.scan_id, model=job.model)
    if live is not None:
        return live.id
    if job.status == "done":
        return enqueue(session, scan_id=job.scan_id, model=job.model, device=job.device).id
    job.status, job.attempts, job.error, job.stage = "queued", 0, "", ""
    job.progress, job.cancel_requested, job.started_at, job.finished_at = 0.0, False, None, None
    session.flush()
    return job.id


def requeue_lost(session: Session, *, everyone: bool = False) -> int:
    """Put running jobs whose lease ran out back into the queue; those out of attempts fail. Returns how many.

    `everyone` takes all running jobs: for a worker that has just got the only worker lock, so nobody else lives.
    A job whose cancellation was asked for becomes cancelled.
    """
    lost = update(Job).where(Job.status == "running")
    if not everyone:
        lost = lost.where(Job.lease_until < utc_now())
    exhausted = Job.attempts >= Job.max_attempts
    status = case((Job.cancel_requested, "cancelled"), (exhausted, "failed"), else_="queued")
    words = literal("the worker process was lost while it worked on this scan, ")
    ended = case((Job.cancel_requested, utc_now()), (exhausted, utc_now()), else_=None)
    statement = lost.values(
        status=status,
        owner=None,
        lease_until=None,
        stage=case((Job.cancel_requested, "cancelled"), (exhausted, "failed"), else_="waiting to be repeated"),
        progress=0.0,
        finished_at=ended,
        error=case(
            (exhausted, words + "as often as it may be tried; check memory and the worker's log"), else_=Job.error
        ),
    )
    return _execute(session, statement)


def count_queued(session: Session) -> int:
    """How many jobs wait."""
    return len(session.scalars(select(Job.id).where(Job.status == "queued")).all())


def _end(session: Session, *, job_id: int, owner: str, status: str, **values: object) -> None:
    mine = update(Job).where(Job.id == job_id, Job.status == "running", Job.owner == owner)
    finished_at = None if status in LIVE_STATUSES else utc_now()
    statement = mine.values(status=status, owner=None, lease_until=None, finished_at=finished_at, **values)
    if _execute(session, statement) != 1:
        raise LeaseLostError(f"job {job_id} is no longer held by this worker")


def _execute(session: Session, statement: Update) -> int:
    """Rows changed; objects already in the session are read afresh at their next use."""
    result = session.execute(statement, execution_options={"synchronize_session": False})
    session.expire_all()
    return cast("CursorResult[object]", result).rowcount


def _live_job(session: Session, *, scan_id: int, model: str) -> Job | None:
    live = select(Job).where(
        Job.scan_id == scan_id, Job.kind == KIND, Job.model == model, Job.status.in_(LIVE_STATUSES)
    )
    return session.scalars(live).one_or_none()


def _status(session: Session, job_id: int) -> str:
    status = session.scalar(select(Job.status).where(Job.id == job_id))
    if status is None:
        raise DatabaseError(f"job {job_id} does not exist any more; reload the page")
    return status
