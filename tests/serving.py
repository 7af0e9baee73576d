"""The real application on a free port, for browser tests and benchmarks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from db.settings import Settings
from db.supervisor import stop_worker

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_S = 400.0  # a busy machine is slow; nothing here waits longer than it has to
ENDING_S = 60.0


@dataclass(frozen=True)
class Serving:
    """A server that answers: its address and its process."""

    address: str
    process: subprocess.Popen[bytes]


@contextmanager
def serving(settings: Settings) -> Iterator[Serving]:
    """Start the dashboard on a data folder; ends it and its worker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    environment = os.environ | {"THIGHSEG_DATA": str(settings.data_dir)}
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        give_up_at = time.monotonic() + PATIENCE_S
        while not _answers(f"{address}/_stcore/health"):
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < give_up_at, "the server does not answer"
            time.sleep(0.2)
        yield Serving(address=address, process=server)
    finally:
        _end(server)
        stop_worker(settings)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Stop a server. One that does not stop is killed and named: that it stops is what tests/test_ending.py is for."""
    server.terminate()
    try:
        server.wait(timeout=ENDING_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
        warnings.warn(f"the server had not ended {ENDING_S:.0f} s after SIGTERM and was killed", stacklevel=2)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
