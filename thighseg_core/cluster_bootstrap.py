"""Confidence intervals where values come in clusters: persons are drawn again, not their thighs or slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

REPEATS = 2000
SEED = 20261122  # the same data give the same interval


def cluster_rows(clusters: Sequence[str] | NDArray[np.object_]) -> list[NDArray[np.intp]]:
    """Row numbers of each person, in the order of first appearance."""
    found: dict[str, list[int]] = {}
    for row, person in enumerate(clusters):
        found.setdefault(str(person), []).append(row)
    return [np.array(rows, dtype=np.intp) for rows in found.values()]


def cluster_intervals(
    rows: list[NDArray[np.intp]],
    statistic: Callable[[list[NDArray[np.intp]]], NDArray[np.float64]],
    *,
    confidence: float = 0.95,
    repeats: int = REPEATS,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile intervals (low, high) of every number that `statistic` gives.

    rows: row numbers of each person. statistic: takes such a list, of persons drawn with replacement, and gives (m,)
    numbers; a draw for which a number cannot be had (NaN) is left out of that number's interval.
    """
    generator = np.random.default_rng(SEED)
    drawn = []
    for _ in range(repeats):
        sample = [rows[index] for index in generator.integers(0, len(rows), len(rows))]
        drawn.append(statistic(sample))
    tail = 100 * (1 - confidence) / 2
    low, high = np.nanpercentile(np.array(drawn), (tail, 100 - tail), axis=0)
    return np.asarray(low), np.asarray(high)
