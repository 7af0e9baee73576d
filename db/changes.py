"""Change of a measure between two visits, under the name that the cohort page knows it by."""

from __future__ import annotations

from thighseg_core.cohort_statistics.change import COLUMNS
from thighseg_core.cohort_statistics.change import changes as changes_between_visits

__all__ = ["COLUMNS", "changes_between_visits"]
