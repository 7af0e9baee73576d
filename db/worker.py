"""`python -m db.worker`: takes jobs from the queue one by one, each in a child process that can be killed.

The worker itself only looks: it extends the lease, passes progress on, stops a cancelled job, repeats a
crashed one. SIGTERM or Ctrl-C give the job in hand back to the queue. Logs carry ids, never names.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from db import jobs
from db.child import DEFAULT_ANALYSIS, Done, Failed, Progress, child_main
from db.engine import Database, open_database
from db.settings import Settings, read_settings
from db.storage import make_data_folders
from db.supervisor import WorkerRunningError, worker_lock
from db.sweep import sweep
from thighseg_core.errors import DatabaseError

BEAT_S = 1.0  # how often the lease is extended and a wish to cancel seen
POLL_S = 0.25
EXIT_ANOTHER_RUNS = 3

log = logging.getLogger("db.worker")


@dataclass(frozen=True)
class Child:
    process: SpawnProcess
    connection: Connection

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def start_child(settings: Settings, *, analysis: str) -> Child:
    """A fresh child process that waits for its first claim."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, settings, analysis, os.getpid(), logging.getLogger().level)
    process = context.Process(target=child_main, args=arguments, daemon=True, name="thighseg-child")
    process.start()
    theirs.close()
    return Child(process=process, connection=ours)


def serve(
    database: Database,
    settings: Settings,
    *,
    stop: threading.Event,
    once: bool = False,
    idle_exit_s: float | None = None,
    analysis: str = DEFAULT_ANALYSIS,
) -> None:
    """Work until `stop` is set; `once`: until the queue is empty; `idle_exit_s`: until idle for so long.

    The caller holds the worker lock, so a job that is marked running belongs to a worker that is gone.
    """
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    with database.write() as session:
        if lost := jobs.requeue_lost(session, everyone=True):
            log.info("%d jobs of a lost worker were taken back", lost)
    child: Child | None = None
    idle_since = time.monotonic()
    try:
        while not stop.is_set():
            claim = _next(database, owner=owner)
            if claim is None:
                if once or (idle_exit_s is not None and time.monotonic() - idle_since > idle_exit_s):
                    return
                stop.wait(POLL_S)
                continue
            if child is None or not child.process.is_alive():
                child = start_child(settings, analysis=analysis)
            child = _supervise(database, child, claim, stop=stop)
            idle_since = time.monotonic()
    finally:
        if child is not None:
            child.kill()


def _next(database: Database, *, owner: str) -> jobs.Claim | None:
    """Claim a job; looks without the write lock first."""
    try:
        with database.read() as session:
            if not jobs.count_queued(session):
                return None
        with database.write() as session:
            return jobs.claim(session, owner=owner)
    except DatabaseError as error:
        log.warning("the queue could not be read: %s", error)
        return None


def _supervise(database: Database, child: Child, claim: jobs.Claim, *, stop: threading.Event) -> Child | None:
    """See one job to its end. Returns the child when it can take the next job."""
    log.info("job %d: scan %d, attempt %d", claim.job_id, claim.scan_id, claim.attempt)
    stage, progress, beat_at = "starting", 0.0, 0.0
    try:
        child.connection.send(claim)
        while True:
            if child.connection.poll(POLL_S):
                message = child.connection.recv()
                if isinstance(message, Progress):
                    stage, progress = message.stage, message.fraction
                elif isinstance(message, Done):
                    log.info("job %d: done, run %d", claim.job_id, message.run_id)
                    return child
                elif isinstance(message, Failed):
                    _record_failure(database, claim, message)
                    return child
            if stop.is_set():
                child.kill()
                with database.write() as session:
                    jobs.release(session, job_id=claim.job_id, owner=claim.owner)
                log.info("job %d: given back, the worker stops", claim.job_id)
                return None
            if time.monotonic() - beat_at >= BEAT_S:
                beat_at = time.monotonic()
                if _wants_cancel(database, claim, stage=stage, progress=progress):
                    child.kill()
                    with database.write() as session:
                        jobs.mark_cancelled(session, job_id=claim.job_id, owner=claim.owner)
                    log.info("job %d: cancelled", claim.job_id)
                    return None
    except (EOFError, BrokenPipeError, ConnectionResetError):
        child.kill()
        _record_failure(database, claim, Failed(_death(child.process.exitcode), retry=True))
        return None
    except jobs.LeaseLostError as error:
        if child.connection.poll(5) and isinstance(child.connection.recv(), Done):
            return child
        log.warning("job %d: %s", claim.job_id, error)
        child.kill()
        return None


def _wants_cancel(database: Database, claim: jobs.Claim, *, stage: str, progress: float) -> bool:
    try:
        with database.write() as session:
            return jobs.heartbeat(session, job_id=claim.job_id, owner=claim.owner, stage=stage, progress=progress)
    except jobs.LeaseLostError:
        raise
    except DatabaseError as error:  # busy: the lease is long enough to try again
        log.warning("job %d: heartbeat failed: %s", claim.job_id, error)
        return False


def _record_failure(database: Database, claim: jobs.Claim, failed: Failed) -> None:
    try:
        with database.write() as session:
            status = jobs.fail(session, job_id=claim.job_id, owner=claim.owner, error=failed.error, retry=failed.retry)
    except jobs.LeaseLostError:  # it had finished, or was cancelled or deleted
        return
    log.warning("job %d: %s: %s", claim.job_id, status, failed.error)


def _death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        cause = signal.Signals(-exit_code).name
        hint = "; the usual cause is too little memory" if cause == "SIGKILL" else ""
        return f"the analysis process was ended by the system ({cause}{hint})"
    return f"the analysis process ended unexpectedly (exit code {exit_code})"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m db.worker", description="Work on the queue of a data folder.")
    parser.add_argument("--data", type=Path, help="data folder (default: THIGHSEG_DATA, else ./data of the project)")
    parser.add_argument("--once", action="store_true", help="end when the queue is empty")
    parser.add_argument("--idle-exit", type=float, metavar="SECONDS", help="end after so long without work")
    parser.add_argument("--analysis", default=DEFAULT_ANALYSIS, help=argparse.SUPPRESS)  # tests put another one in
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = read_settings()
    if arguments.data is not None:
        settings = replace(settings, data_dir=arguments.data.resolve())
    make_data_folders(settings)

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        while not stop.is_set():
            with worker_lock(settings):
                database = open_database(settings.database_path)
                sweep(database, settings)
                serve(
                    database,
                    settings,
                    stop=stop,
                    once=arguments.once,
                    idle_exit_s=arguments.idle_exit,
                    analysis=arguments.analysis,
                )
            with database.read() as session:  # queued between the last look and giving the lock back?
                left = jobs.count_queued(session)
            database.close()
            if not left:
                break
    except WorkerRunningError as error:
        log.info("%s", error)
        return EXIT_ANOTHER_RUNS
    except DatabaseError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
