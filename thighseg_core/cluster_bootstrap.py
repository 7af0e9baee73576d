"""Confidence intervals where values come in clusters: persons are drawn again, not their thighs or slices.

Statistics are worked out from sums over persons, so that all draws are done at once as one product of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

REPEATS = 2000
SEED = 20261122  # the same data give the same interval
FEWEST_PERSONS = 6  # our convention: fewer cannot be drawn again in enough ways, so there is no interval


def cluster_rows(clusters: Sequence[str] | NDArray[np.object_]) -> list[NDArray[np.intp]]:
    """Row numbers of each person, in the order of first appearance."""
    found: dict[str, list[int]] = {}
    for row, person in enumerate(clusters):
        found.setdefault(str(person), []).append(row)
    return [np.array(rows, dtype=np.intp) for rows in found.values()]


def resampled_sums(per_person: NDArray[np.float64], *, repeats: int = REPEATS) -> NDArray[np.float64]:
    """(persons, m) -> (repeats, m): sums over as many persons as there are, drawn with replacement each time."""
    persons = len(per_person)
    drawn = np.random.default_rng(SEED).multinomial(persons, np.full(persons, 1 / persons), size=repeats)
    return np.asarray(drawn @ per_person, dtype=np.float64)


def percentile_interval(
    draws: NDArray[np.float64], *, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(low, high) of each column of (repeats, m); draws without a number (NaN) are left out."""
    tail = 100 * (1 - confidence) / 2
    low, high = np.nanpercentile(draws, (tail, 100 - tail), axis=0)
    return np.asarray(low), np.asarray(high)
