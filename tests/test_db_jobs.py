"""The queue: who holds a job, and that nobody else can change it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from db_rows import queued_jobs
from sqlalchemy import update

from db import jobs
from db.engine import Database, open_database
from db.jobs import LeaseLostError
from db.models import Job
from thighseg_core.errors import DatabaseError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "thighseg.sqlite")
    with opened.write() as session:
        queued_jobs(session, 2)
    yield opened
    opened.close()


def job(database: Database, job_id: int = 1) -> Job:
    with database.read() as session:
        return session.get_one(Job, job_id)


def claim(database: Database, owner: str = "w1") -> jobs.Claim:
    with database.write() as session:
        claimed = jobs.claim(session, owner=owner)
    assert claimed is not None
    return claimed


def test_four_processes_claim_two_hundred_jobs_and_none_twice(tmp_path: Path) -> None:
    path = tmp_path / "many.sqlite"
    database = open_database(path)
    with database.write() as session:
        ids = queued_jobs(session, 200)
    database.close()
    code = f"""
import json, os
from pathlib import Path
from db import jobs
from db.engine import connect_database
database, got = connect_database(Path({str(path)!r})), []
while True:
    with database.write() as session:
        claimed = jobs.claim(session, owner=str(os.getpid()))
    if claimed is None:
        break
    got.append(claimed.job_id)
    with database.write() as session:
        jobs.finish(session, job_id=claimed.job_id, owner=claimed.owner)
print(json.dumps(got))
"""
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    claimed = [json.loads(process.communicate()[0]) for process in started]
    assert Counter(i for one in claimed for i in one) == dict.fromkeys(ids, 1)
    assert sum(len(one) > 0 for one in claimed) > 1  # they did work at the same time


def test_the_oldest_job_is_claimed_first_and_an_empty_queue_gives_none(database: Database) -> None:
    assert [claim(database).job_id, claim(database).job_id] == [1, 2]
    with database.write() as session:
        assert jobs.claim(session, owner="w1") is None


def test_a_claim_marks_owner_lease_and_attempt(database: Database) -> None:
    before = datetime.now(UTC)
    claimed = claim(database)
    row = job(database)
    assert (row.status, row.owner, row.attempts, claimed.attempt) == ("running", "w1", 1, 1)
    assert row.lease_until is not None
    assert timedelta(seconds=59) < row.lease_until - before < timedelta(seconds=62)


def test_a_heartbeat_extends_the_lease_and_tells_progress_and_the_wish_to_cancel(database: Database) -> None:
    claim(database)
    lease = job(database).lease_until
    with database.write() as session:
        assert jobs.heartbeat(session, job_id=1, owner="w1", stage="segment", progress=1.7, lease_s=90) is False
    row = job(database)
    assert (row.stage, row.progress) == ("segment", 1.0)
    assert row.lease_until is not None
    assert lease is not None
    assert row.lease_until > lease
    with database.write() as session:
        assert jobs.cancel(session, job_id=1) == "running"
        assert jobs.heartbeat(session, job_id=1, owner="w1", stage="segment", progress=0.5) is True


@pytest.mark.parametrize(
    "act",
    [
        partial(jobs.heartbeat, stage="x", progress=0),
        jobs.finish,
        partial(jobs.fail, error="x", retry=False),
        jobs.mark_cancelled,
    ],
    ids=["heartbeat", "finish", "fail", "cancelled"],
)
def test_who_does_not_hold_the_job_can_change_nothing(database: Database, act: Callable[..., object]) -> None:
    claim(database)
    with pytest.raises(LeaseLostError), database.write() as session:
        act(session, job_id=1, owner="w2")
    assert (job(database).status, job(database).owner) == ("running", "w1")


def test_a_failure_worth_repeating_is_repeated_until_the_attempts_are_used_up(database: Database) -> None:
    seen = []
    for _ in range(3):
        claimed = claim(database)
        with database.write() as session:
            seen.append(jobs.fail(session, job_id=claimed.job_id, owner="w1", error="the process ended", retry=True))
    assert seen == ["queued", "queued", "failed"]
    row = job(database)
    assert (row.status, row.owner, row.error) == ("failed", None, "the process ended (tried 3 times)")
    assert row.finished_at is not None


def test_a_failure_that_would_repeat_itself_fails_at_once(database: Database) -> None:
    claim(database)
    with database.write() as session:
        assert jobs.fail(session, job_id=1, owner="w1", error="not a CT", retry=False) == "failed"
    assert job(database).error == "not a CT"


def test_a_failed_or_cancelled_job_can_be_queued_again_with_fresh_attempts(database: Database) -> None:
    claim(database)
    with database.write() as session:
        jobs.fail(session, job_id=1, owner="w1", error="x", retry=False)
        jobs.cancel(session, job_id=2)
    with database.write() as session:
        assert [jobs.retry(session, job_id=1), jobs.retry(session, job_id=2)] == [1, 2]
    assert [(job(database, n).status, job(database, n).attempts, job(database, n).error) for n in (1, 2)] == [
        ("queued", 0, "")
    ] * 2


def test_a_job_given_back_by_a_stopping_worker_loses_no_attempt(database: Database) -> None:
    claim(database)
    with database.write() as session:
        jobs.release(session, job_id=1, owner="w1")
    assert (job(database).status, job(database).attempts, job(database).owner) == ("queued", 0, None)


def test_cancelling_a_queued_job_is_immediate_and_an_ended_job_stays_ended(database: Database) -> None:
    claimed = claim(database)
    with database.write() as session:
        assert jobs.cancel(session, job_id=2) == "cancelled"
        jobs.finish(session, job_id=claimed.job_id, owner="w1")
        assert jobs.cancel(session, job_id=1) == "done"
    with pytest.raises(DatabaseError, match="reload"), database.write() as session:
        jobs.cancel(session, job_id=99)


def test_a_lost_lease_puts_the_job_back_and_a_living_one_does_not(database: Database) -> None:
    claim(database), claim(database, "w2")
    with database.write() as session:
        session.execute(update(Job).where(Job.id == 1).values(lease_until=datetime.now(UTC) - timedelta(seconds=1)))
    with database.write() as session:
        assert jobs.requeue_lost(session) == 1
    assert [job(database, n).status for n in (1, 2)] == ["queued", "running"]
    with pytest.raises(LeaseLostError), database.write() as session:
        jobs.finish(session, job_id=1, owner="w1")


def test_lost_jobs_without_attempts_fail_in_words_and_those_to_be_cancelled_are(database: Database) -> None:
    claim(database), claim(database)
    with database.write() as session:
        session.execute(update(Job).where(Job.id == 1).values(attempts=3))
        jobs.cancel(session, job_id=2)
        assert jobs.requeue_lost(session, everyone=True) == 2
    assert (job(database, 1).status, job(database, 2).status) == ("failed", "cancelled")
    assert "worker process was lost" in job(database, 1).error


def test_pressing_the_button_twice_queues_once(database: Database) -> None:
    with database.write() as session:
        again = jobs.enqueue(session, scan_id=job(database).scan_id, model="segformer")
        other_model = jobs.enqueue(session, scan_id=job(database).scan_id, model="manet")
    assert again.id == 1
    assert other_model.id == 3


def test_a_done_job_is_repeated_as_a_new_job(database: Database) -> None:
    claim(database)
    with database.write() as session:
        jobs.finish(session, job_id=1, owner="w1")
        assert jobs.retry(session, job_id=1) == 3
