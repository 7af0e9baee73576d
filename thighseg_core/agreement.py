"""How well two series of numbers agree: every statistic of a comparison together, for tables and pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.bland_altman import SCALES, BlandAltman, bland_altman
from thighseg_core.cluster_bootstrap import FEWEST_PERSONS, cluster_rows, percentile_interval, resampled_sums
from thighseg_core.errors import InputError
from thighseg_core.reliability import (
    FEWEST_SUBJECTS,
    Interval,
    icc_agreement,
    icc_consistency,
    precision,
    smallest_detectable_change,
    standard_error_of_measurement,
)


@dataclass(frozen=True)
class Agreement:
    """Agreement of `n` pairs from `n_persons` persons, in `unit`. What cannot be had is None.

    icc_a1, icc_c1: absolute agreement and consistency of a single rating. Their intervals are those of McGraw and Wong,
        or come from resampling persons where a person has several pairs (None below six persons).
    absolute, percent, log: Bland-Altman on each scale; percent and log only of values above 0.
    sem, sdc95, within_sd, repeatability: in `unit`. rms_cv_percent: in percent of the mean.
    reason: why there is nothing, in words; else empty.
    """

    unit: str
    n: int
    n_persons: int
    icc_a1: Interval | None = None
    icc_c1: Interval | None = None
    absolute: BlandAltman | None = None
    percent: BlandAltman | None = None
    log: BlandAltman | None = None
    sem: float | None = None
    sdc95: float | None = None
    within_sd: float | None = None
    repeatability: float | None = None
    rms_cv_percent: float | None = None
    reason: str = ""


def agreement(
    reference: Sequence[float] | NDArray[np.float64],
    test: Sequence[float] | NDArray[np.float64],
    *,
    unit: str,
    persons: Sequence[str] | None = None,
) -> Agreement:
    """Agreement of `test` with `reference`, pair by pair; pairs with a gap (NaN) are left out.

    persons: whose each pair is, so that two thighs of one person are not taken as independent.
    Raises InputError when the lists differ in length.
    """
    x, y = np.asarray(reference, dtype=np.float64), np.asarray(test, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or (persons is not None and len(persons) != len(x)):
        raise InputError(f"pairs need two lists of one length, got {x.shape} and {y.shape}, and a person for each")
    kept = np.isfinite(x) & np.isfinite(y)
    names = [str(name) for name, keep in zip(persons or map(str, range(len(x))), kept, strict=True) if keep]
    x, y = x[kept], y[kept]
    n, n_persons = len(x), len(set(names))
    if n_persons < FEWEST_SUBJECTS:
        reason = f"{n} pairs of {n_persons} persons; at least {FEWEST_SUBJECTS} persons are needed"
        return Agreement(unit=unit, n=n, n_persons=n_persons, reason=reason)
    table = np.column_stack([x, y])
    rows = cluster_rows(names)
    sem = standard_error_of_measurement(table)
    errors = precision(table)
    positive = bool((table > 0).all())
    scales = {
        scale: bland_altman(x, y, unit=unit, scale=scale, clusters=names) if positive or scale == "absolute" else None
        for scale in SCALES
    }
    icc_a1, icc_c1 = _coefficients(table, rows if len(rows) < n else None)
    return Agreement(
        unit=unit,
        n=n,
        n_persons=n_persons,
        icc_a1=icc_a1,
        icc_c1=icc_c1,
        absolute=scales["absolute"],
        percent=scales["percent"],
        log=scales["log"],
        sem=sem,
        sdc95=smallest_detectable_change(sem),
        within_sd=errors.within_sd,
        repeatability=errors.repeatability,
        rms_cv_percent=errors.rms_cv_percent,
    )


def _coefficients(
    table: NDArray[np.float64], rows: list[NDArray[np.intp]] | None
) -> tuple[Interval | None, Interval | None]:
    """ICC(A,1) and ICC(C,1); `rows` of each person where persons have several pairs."""
    try:
        found = icc_agreement(table), icc_consistency(table)
    except InputError:  # all the same: there is no ICC
        return None, None
    if rows is None:
        return found

    if len(rows) < FEWEST_PERSONS:
        first, second = (Interval(one.value, None, None) for one in found)
        return first, second
    draws = np.column_stack(_from_sums(resampled_sums(_pair_sums(table, rows))))
    low, high = percentile_interval(draws)
    first, second = (Interval(one.value, float(low[n]), float(high[n])) for n, one in enumerate(found))
    return first, second


def _pair_sums(table: NDArray[np.float64], rows: list[NDArray[np.intp]]) -> NDArray[np.float64]:
    """One row a person: pairs, sum of s, sum of s^2, sum of d, sum of d^2, with s sum and d difference of a pair."""
    added, apart = table.sum(axis=1) - table.sum(axis=1).mean(), table[:, 1] - table[:, 0]
    columns = np.column_stack([np.ones(len(table)), added, added**2, apart, apart**2])
    return np.array([columns[own].sum(axis=0) for own in rows])


def _from_sums(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(draws, 5) sums of `_pair_sums` -> ICC(A,1) and ICC(C,1) of each draw: those of `reliability` for two ratings."""
    n, total_s, squares_s, total_d, squares_d = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        subjects = (squares_s - total_s**2 / n) / 2 / (n - 1)
        error = (squares_d - total_d**2 / n) / 2 / (n - 1)
        ratings = total_d**2 / n / 2
        agreed = (subjects - error) / (subjects + error + 2 / n * (ratings - error))
        consistent = (subjects - error) / (subjects + error)
    return agreed, consistent
