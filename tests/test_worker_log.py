"""The part of the worker's log that belongs to one job."""

from __future__ import annotations

from pathlib import Path

from db.settings import Settings
from db.worker_log import log_of_job

LOG = """2026-11-22 21:00:00,000 INFO db.worker: job 1: scan 1, attempt 1
2026-11-22 21:00:01,000 ERROR db.child: job 1 on scan 1 failed
Traceback (most recent call last):
MemoryError
2026-11-22 21:00:02,000 INFO db.worker: job 11: scan 3, attempt 1
Traceback of another
"""


def test_a_job_has_its_entries_with_their_tracebacks_and_no_other_job_s(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert log_of_job(settings, 1) == ""
    settings.worker_log_path.write_text(LOG)
    assert log_of_job(settings, 1).splitlines() == LOG.splitlines()[:4]
    assert log_of_job(settings, 11).splitlines() == LOG.splitlines()[4:]
    assert log_of_job(settings, 3) == ""
    assert log_of_job(settings, 1, max_lines=1) == "MemoryError"
