"""Words and numbers as pages print them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pages.parts import words
from thighseg_core.metrics import METRICS


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_a_title_of_its_own_and_a_definition(metric: str) -> None:
    assert "_" not in words.metric_title(metric)
    assert words.metric_definition(metric)
    assert [words.metric_title(name) for name in METRICS].count(words.metric_title(metric)) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (0.0, "0.00"), (3.14159, "3.14"), (-12.345, "-12.3"), (1234.56, "1\u202f235")],
)
def test_numbers_keep_three_digits_and_a_missing_one_is_a_dash(value: float | None, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("job", "run", "review", "state"),
    [
        ("queued", None, None, "waiting"),
        ("running", 4, "approved", "running"),
        ("failed", None, None, "failed"),
        ("cancelled", None, None, "cancelled"),
        (None, None, None, "not segmented"),
        ("done", 4, None, "to review"),
        ("failed", 4, None, "to review"),
        ("done", 4, "approved", "approved"),
        ("done", float("nan"), None, "not segmented"),
    ],
)
def test_the_state_of_a_scan_is_its_live_job_then_its_review(
    job: str | None, run: float | None, review: str | None, state: str
) -> None:
    assert words.scan_state({"job_status": job, "run_id": run, "review": review}) == state


def test_time_is_told_in_the_largest_unit_that_fits() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    assert words.ago(now - timedelta(seconds=20), now=now) == "just now"
    assert words.ago(now - timedelta(minutes=119), now=now) == "1 hour ago"
    assert words.ago(now - timedelta(days=3), now=now) == "3 days ago"
    assert words.duration(125.4) == "2 min 05 s"
