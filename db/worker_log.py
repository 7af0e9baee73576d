"""What the worker's log says of one job: for whoever is asked why it failed. The log holds ids, never names."""

from __future__ import annotations

import re

from db.settings import Settings

_TAIL_BYTES = 1 << 20
_ENTRY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def log_of_job(settings: Settings, job_id: int, *, max_lines: int = 200) -> str:
    """The latest entries that name the job, each with its traceback; empty when the log has none (any more)."""
    try:
        with settings.worker_log_path.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - _TAIL_BYTES))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    named = re.compile(rf"\bjob {job_id}\b")
    wanted: list[str] = []
    inside = False
    for line in lines:
        if _ENTRY.match(line):
            inside = named.search(line) is not None
        if inside:
            wanted.append(line)
    return "\n".join(wanted[-max_lines:])
