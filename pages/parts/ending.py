"""The server ends when it is asked to, also when a browser does not.

On SIGTERM or SIGINT uvicorn waits until every answer begun has been taken, without limit: a browser that stopped
reading in the middle of a file (a laptop that went to sleep, a page that hangs) would hold the server for ever.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType

PATIENCE_S = 10.0

log = logging.getLogger(__name__)


def in_time() -> None:
    """From the first SIGTERM or SIGINT on, the process has `PATIENCE_S` to end by itself."""
    for number in (signal.SIGTERM, signal.SIGINT):
        _limit(number)


def _limit(number: signal.Signals) -> None:
    """Start the clock at this signal, then do what was done at it before."""
    before = signal.getsignal(number)

    def asked_to_end(received: int, frame: FrameType | None) -> None:
        clock = threading.Timer(PATIENCE_S, _end)
        clock.daemon = True
        clock.start()
        if callable(before):
            before(received, frame)

    signal.signal(number, asked_to_end)


def _end() -> None:
    """What is being stored is safe: it happens in a process of its own, or is one transaction."""
    log.warning("browsers held the server %.0f s after it was asked to end; ended without them", PATIENCE_S)
    os._exit(0)
