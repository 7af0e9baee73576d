"""Reliability of a measurement: intraclass correlation, precision errors and the smallest detectable change.

All from tables without gaps: (n subjects, k ratings). Formulas: McGraw and Wong 1996, Psychol Methods 1:30-46 (ICC and
its intervals, with the correction on page 390); Glueer et al. 1995, Osteoporos Int 5:262-270 (RMS errors).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from thighseg_core.errors import InputError

FEWEST_SUBJECTS = 3  # our convention: below, an interval says nothing


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; the limits are None where none can be given."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class MeanSquares:
    """Two-way analysis of variance of a table of n subjects and k ratings without repeats."""

    n: int
    k: int
    subjects: float
    ratings: float
    error: float
    within: float


def mean_squares(table: NDArray[np.float64]) -> MeanSquares:
    """Mean squares of a (n, k) table. Raises InputError for gaps, or fewer than 3 subjects or 2 ratings."""
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < FEWEST_SUBJECTS or values.shape[1] < 2:
        raise InputError(
            f"reliability needs at least {FEWEST_SUBJECTS} subjects with 2 ratings each, got a table of "
            f"{values.shape}; add readings"
        )
    if not np.isfinite(values).all():
        raise InputError("the table of ratings has gaps; leave out subjects that lack a rating")
    n, k = values.shape
    grand = values.mean()
    of_subjects = k * ((values.mean(axis=1) - grand) ** 2).sum()
    of_ratings = n * ((values.mean(axis=0) - grand) ** 2).sum()
    residual = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0, keepdims=True) + grand
    of_error = (residual**2).sum()
    return MeanSquares(
        n=n,
        k=k,
        subjects=float(of_subjects / (n - 1)),
        ratings=float(of_ratings / (k - 1)),
        error=float(of_error / ((n - 1) * (k - 1))),
        within=float((of_ratings + of_error) / (n * (k - 1))),
    )


def icc_agreement(table: NDArray[np.float64], *, confidence: float = 0.95) -> Interval:
    """ICC(A,1): two-way, absolute agreement, a single rating. A constant difference between raters lowers it."""
    ms = mean_squares(table)
    n, k = ms.n, ms.k
    below = ms.subjects + (k - 1) * ms.error + k / n * (ms.ratings - ms.error)
    if below <= 0:
        raise InputError("all ratings are the same, so subjects cannot be told apart and there is no ICC")
    value = (ms.subjects - ms.error) / below
    if ms.error == 0 and ms.ratings == 0:
        return Interval(1.0, 1.0, 1.0)
    if value >= 1:
        return Interval(float(value), None, None)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    freedom = (a * ms.ratings + b * ms.error) ** 2 / (
        (a * ms.ratings) ** 2 / (k - 1) + (b * ms.error) ** 2 / ((n - 1) * (k - 1))
    )
    tail = 1 - (1 - confidence) / 2
    f_low, f_high = stats.f.ppf(tail, n - 1, freedom), stats.f.ppf(tail, freedom, n - 1)
    spread = k * ms.ratings + (k * n - k - n) * ms.error
    low = n * (ms.subjects - f_low * ms.error) / (f_low * spread + n * ms.subjects)
    high = n * (f_high * ms.subjects - ms.error) / (spread + n * f_high * ms.subjects)
    return Interval(float(value), float(low), float(high))


def icc_consistency(table: NDArray[np.float64], *, confidence: float = 0.95) -> Interval:
    """ICC(C,1): two-way, consistency, a single rating. A constant difference between raters does not lower it."""
    ms = mean_squares(table)
    below = ms.subjects + (ms.k - 1) * ms.error
    if below <= 0:
        raise InputError("all subjects have the same mean rating, so they cannot be told apart and there is no ICC")
    value = (ms.subjects - ms.error) / below
    if ms.error == 0:
        return Interval(1.0, 1.0, 1.0)
    tail = 1 - (1 - confidence) / 2
    free_subjects, free_error = ms.n - 1, (ms.n - 1) * (ms.k - 1)
    ratio = ms.subjects / ms.error
    f_low = ratio / stats.f.ppf(tail, free_subjects, free_error)
    f_high = ratio * stats.f.ppf(tail, free_error, free_subjects)
    k = ms.k
    return Interval(float(value), float((f_low - 1) / (f_low + k - 1)), float((f_high - 1) / (f_high + k - 1)))


@dataclass(frozen=True)
class Precision:
    """Precision errors of repeated measurement; `degrees_of_freedom` should be 27 or more (Glueer 1995).

    within_sd: root mean square of the subjects' SDs, in the unit of the measurement.
    rms_cv_percent: root mean square of the subjects' coefficients of variation; None when a mean is not above 0.
    repeatability: 1.96 sqrt(2) within_sd; two measurements of one subject differ by less in 95 %.
    """

    within_sd: float
    rms_cv_percent: float | None
    repeatability: float
    degrees_of_freedom: int


def precision(table: NDArray[np.float64]) -> Precision:
    """Precision errors of a (n, k) table of repeats. Differences between repeats count whether by chance or not."""
    mean_squares(table)  # says what is wrong with the table
    values = np.asarray(table, dtype=np.float64)
    variances, means = values.var(axis=1, ddof=1), values.mean(axis=1)
    within_sd = float(np.sqrt(variances.mean()))
    positive = bool((means > 0).all())
    return Precision(
        within_sd=within_sd,
        rms_cv_percent=float(100 * np.sqrt((variances / means**2).mean())) if positive else None,
        repeatability=smallest_detectable_change(within_sd),
        degrees_of_freedom=values.shape[0] * (values.shape[1] - 1),
    )


def standard_error_of_measurement(table: NDArray[np.float64]) -> float:
    """SEM for absolute agreement: square root of the variances of ratings and of error, in the measurement's unit.

    Equal to SD sqrt(1 - ICC(A,1)) with the SD of a single rating over subjects and raters (de Vet et al. 2006, J Clin
    Epidemiol 59:1033-1039).
    """
    ms = mean_squares(table)
    return float(np.sqrt(max(ms.ratings - ms.error, 0.0) / ms.n + ms.error))


def smallest_detectable_change(sem: float) -> float:
    """SDC95 = 1.96 sqrt(2) SEM: a smaller change of one subject may be measurement error."""
    return float(stats.norm.ppf(0.975) * np.sqrt(2) * sem)
