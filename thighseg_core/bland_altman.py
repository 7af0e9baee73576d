"""Bland-Altman agreement of two methods: bias, limits of agreement and how well both are known.

Bland and Altman 1999, Stat Methods Med Res 8:135-160. Intervals of the limits are the exact ones of Carkeet 2015, Optom
Vis Sci 92:e71-e80 (non-central t). Two thighs of one person are not independent: with `clusters` the variance of
the differences is that of repeated measurements (Bland and Altman 2007, J Biopharm Stat 17:571-582) and all
intervals come from resampling persons (none below six persons).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from thighseg_core.cluster_bootstrap import FEWEST_PERSONS, cluster_rows, percentile_interval, resampled_sums
from thighseg_core.errors import InputError
from thighseg_core.reliability import FEWEST_SUBJECTS, Interval

Scale = Literal["absolute", "percent", "log"]
SCALES: tuple[Scale, ...] = ("absolute", "percent", "log")
LIMIT_SD = 1.96  # the limits hold 95 % of normal differences


@dataclass(frozen=True)
class BlandAltman:
    """Differences test - reference on one scale, in `unit`.

    scale: "absolute"; "percent", 100 (test - reference) / mean of both; "log", ratio test / reference as a percentage
        away from equal, worked out on logarithms and given back on the natural scale.
    bias, lower, upper: mean difference and limits of agreement, each with its confidence interval.
    sd: of the differences (of their logarithms for "log").
    slope: of the difference on the mean of both methods, a proportional bias when its interval leaves out 0.
    normality_p: Shapiro-Wilk test of the differences; small means that the limits do not hold 95 %. None below 3 or
        when all differences are the same.
    n, n_clusters: pairs, and persons they come from (None: pairs were taken as independent).
    """

    scale: Scale
    unit: str
    bias: Interval
    lower: Interval
    upper: Interval
    sd: float
    slope: Interval | None
    normality_p: float | None
    n: int
    n_clusters: int | None


def bland_altman(
    reference: NDArray[np.float64],
    test: NDArray[np.float64],
    *,
    unit: str,
    scale: Scale = "absolute",
    clusters: NDArray[np.object_] | list[str] | None = None,
    confidence: float = 0.95,
) -> BlandAltman:
    """Agreement of `test` with `reference`, (n,) each, pair by pair; `clusters` names the person of each pair.

    Raises InputError for fewer than 3 pairs, gaps, or values not above 0 on the percent and log scales.
    """
    x, y = np.asarray(reference, dtype=np.float64), np.asarray(test, dtype=np.float64)
    _check(x, y, scale)
    difference, middle = on_scale(x, y, scale=scale), (x + y) / 2
    n = len(difference)
    rows = None if clusters is None else cluster_rows(clusters)
    if rows is not None and len(rows) == n:
        rows = None  # nobody comes twice
    mean, sd = float(difference.mean()), spread(difference, rows)
    limits = (mean - LIMIT_SD * sd, mean + LIMIT_SD * sd)
    if rows is None:
        bias, lower, upper, slope = _independent(difference, middle, mean, sd, confidence)
    else:
        bias, lower, upper, slope = _clustered(difference, middle, rows, (mean, *limits), confidence)
    return BlandAltman(
        scale=scale,
        unit=unit if scale == "absolute" else "%",
        bias=_shown(bias, scale),
        lower=_shown(lower, scale),
        upper=_shown(upper, scale),
        sd=sd,
        slope=slope,
        normality_p=float(stats.shapiro(difference).pvalue) if np.ptp(difference) > 0 else None,
        n=n,
        n_clusters=None if clusters is None else len(set(clusters)),
    )


def on_scale(reference: NDArray[np.float64], test: NDArray[np.float64], *, scale: Scale) -> NDArray[np.float64]:
    """The differences as they are averaged: in the unit, in percent of the mean, or of natural logarithms."""
    if scale == "log":
        return np.asarray(np.log(test) - np.log(reference))
    difference = test - reference
    return np.asarray(200 * difference / (test + reference) if scale == "percent" else difference)


def spread(difference: NDArray[np.float64], rows: list[NDArray[np.intp]] | None) -> float:
    """SD of a single difference. With clusters: from the variances between and within persons (2007, section 3)."""
    if rows is None:
        return float(difference.std(ddof=1))
    centred = difference - difference.mean()
    return float(_clustered_sd(_person_sums(centred, centred, rows).sum(axis=0)[None, :])[0])


def _person_sums(d: NDArray[np.float64], x: NDArray[np.float64], rows: list[NDArray[np.intp]]) -> NDArray[np.float64]:
    """One row a person: 1, n, n^2, sum d, (sum d)^2 / n, sum of squares within, sum x, sum x^2, sum x d."""
    return np.array(
        [
            (
                1.0,
                len(own),
                len(own) ** 2,
                d[own].sum(),
                d[own].sum() ** 2 / len(own),
                ((d[own] - d[own].mean()) ** 2).sum(),
                x[own].sum(),
                (x[own] ** 2).sum(),
                (x[own] * d[own]).sum(),
            )
            for own in rows
        ]
    )


def _clustered_sd(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(draws, 9) sums of `_person_sums` -> (draws,) SD of a single difference; NaN where nobody has two pairs."""
    persons, n, n_squared, total, between_squares, within_squares = sums.T[:6]
    with np.errstate(divide="ignore", invalid="ignore"):
        within = within_squares / (n - persons)
        between = (between_squares - total**2 / n) / (persons - 1)
        pairs_each = (n - n_squared / n) / (persons - 1)
        return np.asarray(np.sqrt(np.maximum((between - within) / pairs_each, 0.0) + within))


def _check(x: NDArray[np.float64], y: NDArray[np.float64], scale: Scale) -> None:
    if scale not in SCALES:
        raise InputError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
    if x.shape != y.shape or x.ndim != 1 or len(x) < FEWEST_SUBJECTS:
        raise InputError(
            f"Bland-Altman needs two lists of one length with at least {FEWEST_SUBJECTS} pairs, "
            f"got {x.shape} and {y.shape}; add readings"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("the pairs have gaps; leave out pairs that lack a value")
    if scale != "absolute" and not ((x > 0).all() and (y > 0).all()):
        raise InputError(f"the {scale} scale needs values above 0; use the absolute scale for attenuation")


def _independent(
    difference: NDArray[np.float64], middle: NDArray[np.float64], mean: float, sd: float, confidence: float
) -> tuple[Interval, Interval, Interval, Interval | None]:
    n, tail = len(difference), (1 - confidence) / 2
    half = float(stats.t.ppf(1 - tail, n - 1) * sd / np.sqrt(n))
    inner, outer = _limit_factors(n, confidence)
    slope = None
    if np.ptp(middle) > 0:
        fit = stats.linregress(middle, difference)
        half_slope = float(stats.t.ppf(1 - tail, n - 2)) * float(fit.stderr)
        slope = Interval(float(fit.slope), float(fit.slope) - half_slope, float(fit.slope) + half_slope)
    return (
        Interval(mean, mean - half, mean + half),
        Interval(mean - LIMIT_SD * sd, mean - outer * sd, mean - inner * sd),
        Interval(mean + LIMIT_SD * sd, mean + inner * sd, mean + outer * sd),
        slope,
    )


@cache
def _limit_factors(n: int, confidence: float) -> tuple[float, float]:
    """How many SDs from the mean the interval of a limit begins and ends.

    mean + 1.96 SD is a percentile of a normal population, for which the non-central t gives exact bounds.
    """
    tail, centre = (1 - confidence) / 2, LIMIT_SD * np.sqrt(n)
    inner, outer = (float(stats.nct.ppf(p, n - 1, centre) / np.sqrt(n)) for p in (tail, 1 - tail))
    return inner, outer


def _clustered(
    difference: NDArray[np.float64],
    middle: NDArray[np.float64],
    rows: list[NDArray[np.intp]],
    values: tuple[float, float, float],
    confidence: float,
) -> tuple[Interval, Interval, Interval, Interval | None]:
    centred, centred_x = difference - difference.mean(), middle - middle.mean()
    per_person = _person_sums(centred, centred_x, rows)
    slope = float(_slope(per_person.sum(axis=0)[None, :])[0])
    sloped = bool(np.ptp(middle) > 0)
    if len(rows) < FEWEST_PERSONS:
        bias, lower, upper = (Interval(value, None, None) for value in values)
        return bias, lower, upper, Interval(slope, None, None) if sloped else None
    draws = resampled_sums(per_person)
    mean, sd = draws[:, 3] / draws[:, 1] + difference.mean(), _clustered_sd(draws)
    found = np.column_stack([mean, mean - LIMIT_SD * sd, mean + LIMIT_SD * sd, _slope(draws)])
    low, high = percentile_interval(found, confidence=confidence)
    bias, lower, upper = (Interval(value, float(low[n]), float(high[n])) for n, value in enumerate(values))
    return bias, lower, upper, Interval(slope, float(low[3]), float(high[3])) if sloped else None


def _slope(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(draws, 9) sums of `_person_sums` -> (draws,) slope of d on x; NaN where x does not vary."""
    n, total_d, total_x, squares_x, products = sums.T[[1, 3, 6, 7, 8]]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((products - total_x * total_d / n) / (squares_x - total_x**2 / n))


def _shown(interval: Interval, scale: Scale) -> Interval:
    """Logarithms back to percent away from equal; the other scales as they are."""
    if scale != "log":
        return interval
    value, low, high = (
        None if x is None else float(100 * np.expm1(x)) for x in (interval.value, interval.low, interval.high)
    )
    return Interval(value if value is not None else float("nan"), low, high)
