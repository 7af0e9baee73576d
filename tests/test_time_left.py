"""How long the queue still takes, by arithmetic done by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pages.parts.time_left import seconds_left

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def job(number: int, status: str, *, slices: int = 100, began_s: float = 0, took_s: float = 0, **more: Any) -> Any:
    began = NOW - timedelta(seconds=began_s)
    return {
        "job_id": number, "status": status, "model": "manet", "device": "auto", "n_slices": slices, "progress": 0.0,
        "started_at": began, "finished_at": began + timedelta(seconds=took_s), **more,
    }  # fmt: skip


def test_waiting_scans_take_as_long_by_slice_as_the_median_of_earlier_ones_and_one_after_the_other() -> None:
    done = [job(number, "done", slices=100, took_s=took) for number, took in ((1, 50), (2, 60), (3, 900))]
    board = [job(4, "queued", slices=50), job(5, "queued", slices=200), *done]
    assert seconds_left(board, now=NOW) == {4: pytest.approx(30), 5: pytest.approx(30 + 120)}


def test_a_running_scan_goes_by_its_own_pace_once_it_is_far_enough() -> None:
    done = job(1, "done", slices=100, took_s=60)
    early = job(2, "running", began_s=20, progress=0.1)
    late = job(2, "running", began_s=90, progress=0.75)
    assert seconds_left([early, done], now=NOW) == {2: pytest.approx(40)}
    assert seconds_left([late, done], now=NOW) == {2: pytest.approx(30)}


def test_a_job_that_is_slower_than_all_before_is_never_owed_time() -> None:
    assert seconds_left([job(2, "running", began_s=500), job(1, "done", took_s=60)], now=NOW) == {2: 0.0}


def test_without_ground_nothing_is_promised_nor_for_those_behind() -> None:
    other = job(1, "done", took_s=60, model="segformer")
    board = [job(2, "running", began_s=5), job(3, "queued"), other]
    assert seconds_left(board, now=NOW) == {2: None, 3: None}
