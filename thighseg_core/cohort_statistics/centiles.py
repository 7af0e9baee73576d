"""Centile curves by age and sex: quantile regression on a natural cubic spline of age, exact, by scipy's HiGHS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linprog

from thighseg_core.cohort_statistics.change import one_value_a_visit
from thighseg_core.errors import InputError

Array = NDArray[np.float64]

CENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)
MIN_SUBJECTS = 30  # of one sex before a curve is drawn at all; our convention
MIN_BEYOND = 5  # expected subjects beyond the outermost centile drawn; our convention
MAX_SUBJECTS = 4000  # of one sex that a curve is fitted to; more do not move it, but take seconds
# Where the knots lie, as quantiles of age: Harrell, Regression Modeling Strategies, 2nd edition 2015, table 2.3.
_KNOTS_OF_3 = (0.10, 0.50, 0.90)
_KNOTS_OF_4 = (0.05, 0.35, 0.65, 0.95)
_MANY = 200  # subjects from which four knots are used instead of three; our convention
_POINTS = 41


@dataclass(frozen=True)
class CentileCurves:
    """`curves`: sex, age_years, centile, value; `subjects`: sex -> number fitted; `notes`: what is missing and why."""

    curves: pd.DataFrame
    subjects: dict[str, int]
    method: str  # for the caption
    notes: tuple[str, ...]


def centile_curves(frame: pd.DataFrame, *, centiles: Sequence[float] = CENTILES) -> CentileCurves:
    """Curves over age for each sex, from the frame of `db.queries.measurements` of one measure.

    One value a subject: the first visit that has value and age, so that nobody counts twice. A curve covers the ages
    between the 2.5th and the 97.5th percentile of those seen. A sex with fewer than `MIN_SUBJECTS`, or a centile beyond
    which fewer than `MIN_BEYOND` subjects are to be expected, gets no curve, and a note says so. Curves that would
    cross are put in order at each age (Chernozhukov, Fernández-Val and Galichon 2010, doi 10.3982/ECTA7880).
    """
    wrong = [c for c in centiles if not 0 < c < 100]
    if wrong:
        raise ValueError(f"centiles lie between 0 and 100, got {wrong}")
    known = one_value_a_visit(frame).dropna(subset=["age_years"])
    known = known.sort_values(["subject_id", "visit"]).drop_duplicates("subject_id", keep="first")
    parts, subjects, notes = [], {}, []
    for sex in ("female", "male"):
        rows = known[known["sex"] == sex]
        if rows.empty:
            continue
        if len(rows) < MIN_SUBJECTS or rows["age_years"].nunique() < MIN_SUBJECTS // 3:
            notes.append(
                f"No curve for {sex}: {len(rows)} subjects with an age, {MIN_SUBJECTS} of different ages are needed."
            )
            continue
        drawn = [c for c in sorted(centiles) if len(rows) * min(c, 100 - c) / 100 >= MIN_BEYOND]
        left_out = [f"{c:g}" for c in sorted(centiles) if c not in drawn]
        if left_out:
            notes.append(f"No centile {' or '.join(left_out)} for {sex}: {len(rows)} subjects are too few for it.")
        if len(rows) > MAX_SUBJECTS:
            notes.append(f"Fitted to {MAX_SUBJECTS} of the {len(rows)} {sex} subjects, drawn at random.")
            rows = rows.sample(MAX_SUBJECTS, random_state=0)
        subjects[sex] = len(rows)
        table = _curves(rows["age_years"].to_numpy(float), rows["value"].to_numpy(float), drawn)
        parts.append(table.assign(sex=sex))
    columns = ["sex", "age_years", "centile", "value"]
    return CentileCurves(
        curves=pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns),
        subjects=subjects,
        method="Quantile regression on a natural cubic spline of age, by sex; one visit a subject (the first); "
        + ", ".join(f"{n} {sex}" for sex, n in subjects.items()),
        notes=tuple(notes),
    )


def _curves(age: Array, value: Array, centiles: Sequence[float]) -> pd.DataFrame:
    knots = np.unique(np.quantile(age, _KNOTS_OF_4 if len(age) >= _MANY else _KNOTS_OF_3))
    low, high = (float(edge) for edge in np.quantile(age, (0.025, 0.975)))
    at = np.linspace(low, high, _POINTS)
    middle, spread = float(np.mean(value)), float(np.std(value)) or 1.0
    basis, scaled = _spline(age, knots), (value - middle) / spread
    fitted = np.array([_quantile_regression(scaled, basis, centile / 100) for centile in centiles])
    lines = np.sort(_spline(at, knots) @ fitted.T, axis=1) * spread + middle
    return pd.DataFrame(
        {"age_years": np.repeat(at, len(centiles)), "centile": np.tile(centiles, len(at)), "value": lines.ravel()}
    )


def _quantile_regression(y: Array, x: Array, quantile: float) -> Array:
    """(p,) coefficients of Koenker and Bassett 1978 as the dual linear program (Koenker 2005, section 6.2)."""
    found = linprog(-y, A_eq=x.T, b_eq=(1 - quantile) * x.sum(axis=0), bounds=(0, 1), method="highs")
    if found.status != 0:
        raise InputError(f"the centile {100 * quantile:g} could not be fitted: {found.message}")
    return -np.asarray(found.eqlin.marginals, dtype=np.float64)


def _spline(age: Array, knots: Array) -> Array:
    """(n, len(knots)) basis: 1, age, restricted cubic terms (Harrell 2015, equation 2.25); straight at the ends."""
    first, *inner, before, last = knots if len(knots) >= 3 else (knots[0], knots[0], knots[-1])
    columns = [np.ones_like(age), (age - first) / max(last - first, 1e-9)]
    if len(knots) < 3:
        return np.column_stack(columns)
    for knot in (first, *inner):
        term = _cube(age - knot)
        term = term - _cube(age - before) * (last - knot) / (last - before)
        term = term + _cube(age - last) * (before - knot) / (last - before)
        columns.append(term / (last - first) ** 2 / (last - first))
    return np.column_stack(columns)


def _cube(distance: Array) -> Array:
    return np.asarray(np.maximum(distance, 0.0) ** 3)
