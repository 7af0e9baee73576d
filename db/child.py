"""The killable process that reads, segments, measures and stores one job after the other.

It lives as long as the worker wants: torch and the network are loaded once. It dies with the worker.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Protocol, cast

from sqlalchemy import select

from db import storage
from db.engine import Database, connect_database
from db.jobs import Claim, LeaseLostError, finish
from db.models import Scan
from db.record import record_analysis
from db.settings import Settings
from thighseg_core.errors import DatabaseError, InputError, ModelError, ThighSegError

if TYPE_CHECKING:
    from thighseg_core.analyse import Analysis
    from thighseg_core.volume import CTVolume

DEFAULT_ANALYSIS = "thighseg_core.analyse:analyse"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_NICENESS = 5  # pages stay responsive while a scan is segmented

# Share of the whole job that each stage takes, from and to; about what was seen with a CPU and 200 slices.
STAGES: dict[str, tuple[float, float]] = {
    "reading": (0.0, 0.05),
    "find body": (0.05, 0.1),
    "segment": (0.1, 0.85),
    "refine": (0.85, 0.92),
    "measure": (0.92, 0.98),
    "storing": (0.98, 1.0),
}

log = logging.getLogger(__name__)


class AnalyseFunction(Protocol):
    def __call__(
        self, volume: CTVolume, *, model: str, device: str, progress: Callable[[str, float], None] | None
    ) -> Analysis: ...


@dataclass(frozen=True)
class Progress:
    """How far the job is; `fraction` is of the whole job and never goes back."""

    stage: str
    fraction: float


@dataclass(frozen=True)
class Done:
    run_id: int


@dataclass(frozen=True)
class Failed:
    error: str
    retry: bool


Message = Progress | Done | Failed


def child_main(connection: Connection, settings: Settings, analysis: str, worker_pid: int, log_level: int) -> None:
    """Work on claims that come through `connection` until it closes."""
    _die_with(worker_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's to handle
    os.nice(_NICENESS)
    # Before torch loads OpenMP: threads that spin while they wait starve one another as soon as others compute too.
    os.putenv("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    analyse = load_function(analysis)
    database = connect_database(settings.database_path)
    while True:
        try:
            claim: Claim = connection.recv()
        except EOFError:
            return
        connection.send(_outcome(connection, database, settings, claim, analyse=analyse))


def load_function(path: str) -> AnalyseFunction:
    """The function at "package.module:name"."""
    module, _, name = path.partition(":")
    return cast(AnalyseFunction, getattr(importlib.import_module(module), name))


def overall(stage: str, share: float) -> float:
    """Share of the whole job when `share` of a stage is done; 0 for a stage that is not in `STAGES`."""
    start, end = STAGES.get(stage, (0.0, 0.0))
    return start + (end - start) * min(max(share, 0.0), 1.0)


def run_job(
    database: Database,
    settings: Settings,
    claim: Claim,
    *,
    analyse: AnalyseFunction,
    report: Callable[[str, float], None],
) -> int:
    """The way of one scan. The result and the job's end are one transaction: a lost lease takes both back."""
    report("reading", 0.0)
    with database.read() as session:
        storage_path = session.scalar(select(Scan.storage_path).where(Scan.id == claim.scan_id))
    if storage_path is None:
        raise LeaseLostError(f"scan {claim.scan_id} was deleted")
    volume = storage.load_volume(settings, storage_path)
    analysis = analyse(volume, model=claim.model, device=claim.device, progress=report)
    report("storing", 0.0)
    with database.write() as session:
        run = record_analysis(session, settings, analysis, scan_id=claim.scan_id, job_id=claim.job_id)
        finish(session, job_id=claim.job_id, owner=claim.owner)
        return run.id


def _outcome(
    connection: Connection, database: Database, settings: Settings, claim: Claim, *, analyse: AnalyseFunction
) -> Message:
    fraction = 0.0

    def report(stage: str, share: float) -> None:
        nonlocal fraction
        fraction = max(fraction, overall(stage, share))
        connection.send(Progress(stage, fraction))

    try:
        return Done(run_job(database, settings, claim, analyse=analyse, report=report))
    except (InputError, ModelError) as error:  # the same at every attempt
        return Failed(str(error), retry=False)
    except LeaseLostError as error:
        return Failed(str(error), retry=False)
    except (DatabaseError, ThighSegError) as error:
        return Failed(str(error), retry=True)
    except Exception as error:
        log.exception("job %d on scan %d failed", claim.job_id, claim.scan_id)
        return Failed(f"an unexpected error ({type(error).__name__}); the worker's log has the details", retry=True)


def _die_with(worker_pid: int) -> None:
    """End this process when the worker ends, however it ends: by the kernel on Linux, by a watching thread anywhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != worker_pid:  # it ended before the line above
        os._exit(1)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True, name="watch-worker").start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
