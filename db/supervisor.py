"""One worker a data folder: its lock, and starting and stopping it from the app.

The lock is the operating system's (flock): it is gone with its process, however that died.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.settings import PROJECT_ROOT, Settings
from db.storage import make_data_folders
from thighseg_core.errors import ThighSegError

IDLE_EXIT_S = 1800.0
_LOG_LIMIT_BYTES = 5 << 20


class WorkerRunningError(ThighSegError):
    """Another worker holds the lock of this data folder."""


@contextmanager
def worker_lock(settings: Settings, *, patience_s: float = 2.0) -> Iterator[None]:
    """Hold the only worker lock of the data folder; WorkerRunningError when another process holds it.

    patience_s: how long to try, because `worker_pid` of an app holds it for an instant.
    """
    path = settings.worker_lock_path
    path.touch(mode=0o600)
    with path.open("r+") as handle:
        give_up_at = time.monotonic() + patience_s
        while not _try_lock(handle.fileno()):
            if time.monotonic() > give_up_at:
                raise WorkerRunningError(f"a worker for {settings.data_dir} is running already")
            time.sleep(0.05)
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        try:
            yield
        finally:
            handle.seek(0)
            handle.truncate(0)


def worker_pid(settings: Settings) -> int | None:
    """Process id of the running worker, None when there is none."""
    try:
        with settings.worker_lock_path.open("r+") as handle:
            if _try_lock(handle.fileno()):
                return None
            return int(handle.read().strip() or 0) or None
    except FileNotFoundError:
        return None


def ensure_worker_running(settings: Settings, *, idle_exit_s: float = IDLE_EXIT_S) -> bool:
    """Start the worker of this data folder unless it runs; True when one was started.

    It is a process of its own session: it outlives the app and ends by itself after `idle_exit_s` without
    work. Call it after every enqueue; calling it too often is harmless (the lock lets only one live).
    """
    make_data_folders(settings)
    if worker_pid(settings) is not None:
        return False
    _turn_over(settings.worker_log_path)
    command = [sys.executable, "-m", "db.worker", "--data", str(settings.data_dir), "--idle-exit", str(idle_exit_s)]
    with settings.worker_log_path.open("ab") as log:
        subprocess.Popen(
            command, cwd=PROJECT_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    return True


def stop_worker(settings: Settings, *, patience_s: float = 20.0) -> bool:
    """Ask the worker to stop (its job goes back to the queue) and wait for it; True when none runs any more."""
    give_up_at = time.monotonic() + patience_s
    while (pid := worker_pid(settings)) is not None:
        if time.monotonic() > give_up_at:
            return False
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return True
        time.sleep(0.2)
    return True


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _turn_over(log: Path) -> None:
    """Keep one old log, so that the file does not grow for ever."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_name(log.name + ".1"))
