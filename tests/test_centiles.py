"""Centile curves: against a population whose centiles are known, and against what must not be drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohort_frames import MEASURE
from scipy.stats import norm
from statsmodels.regression.quantile_regression import QuantReg

from thighseg_core.cohort_statistics.centiles import _quantile_regression, _spline, centile_curves


def population(*, women: int = 1500, men: int = 0, seed: int = 1) -> pd.DataFrame:
    """Value = 1000 - 5 (age - 60) with an SD that grows with age: 40 + (age - 40)."""
    draw = np.random.default_rng(seed)
    n = women + men
    age = draw.uniform(40, 90, n)
    value = 1000 - 5 * (age - 60) + draw.normal(0, 1, n) * (40 + (age - 40))
    sex = np.where(np.arange(n) < women, "female", "male")
    facts = {"subject_id": range(n), "subject": "S", "scan_id": range(n), "visit": 1, "sex": sex}
    return pd.DataFrame(facts | {"age_years": age, "value": value}).assign(**MEASURE)


def test_the_curves_are_the_centiles_of_the_population_where_the_spread_grows_with_age() -> None:
    curves = centile_curves(population()).curves
    inner = curves[curves["age_years"].between(48, 82)]
    assert len(inner) > 100
    for row in inner.itertuples():
        spread = 40 + (row.age_years - 40)
        truth = 1000 - 5 * (row.age_years - 60) + norm.ppf(row.centile / 100) * spread
        assert abs(row.value - truth) < 0.35 * spread  # of 1500 people; a standard error is 0.05 to 0.15


def test_about_the_right_share_of_the_people_lies_below_each_curve() -> None:
    people = population(women=3000)
    curves = centile_curves(people).curves
    for centile, rows in curves.groupby("centile"):
        inside = people[people["age_years"].between(rows["age_years"].min(), rows["age_years"].max())]
        below = inside["value"] < np.interp(inside["age_years"], rows["age_years"], rows["value"])
        assert 100 * below.mean() == pytest.approx(centile, abs=1.0)


def test_the_curves_never_cross() -> None:
    wide = centile_curves(population(women=120)).curves.pivot(index="age_years", columns="centile", values="value")
    assert (wide.diff(axis=1).dropna(axis=1) >= 0).all(axis=None)


def test_too_few_people_get_no_curve_and_no_outer_centile_and_are_told_so() -> None:
    found = centile_curves(population(women=60, men=29))
    assert set(found.curves["sex"]) == {"female"}
    assert set(found.curves["centile"]) == {25.0, 50.0, 75.0}  # 5 % of 60 are 3 people
    assert found.subjects == {"female": 60}
    assert any("No curve for male: 29" in note for note in found.notes)
    assert any("No centile 5 or 95 for female" in note for note in found.notes)


def test_nobody_counts_twice() -> None:
    once = population(women=100)
    again = once.assign(visit=2, scan_id=once["scan_id"] + 1000, value=once["value"] + 500)
    pd.testing.assert_frame_equal(centile_curves(pd.concat([again, once])).curves, centile_curves(once).curves)


def test_an_empty_cohort_has_no_curve() -> None:
    found = centile_curves(population(women=0))
    assert found.curves.empty
    assert list(found.curves.columns) == ["sex", "age_years", "centile", "value"]


def test_the_spline_is_straight_beyond_its_outer_knots() -> None:
    basis = _spline(np.array([90.0, 95.0, 100.0, 105.0]), np.array([40.0, 55.0, 70.0, 85.0]))
    np.testing.assert_allclose(np.diff(basis, n=2, axis=0), 0, atol=1e-9)
    inside = _spline(np.array([50.0, 55.0, 60.0, 65.0]), np.array([40.0, 55.0, 70.0, 85.0]))
    assert np.abs(np.diff(inside, n=2, axis=0)).max() > 1e-4


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
def test_the_coefficients_are_those_of_statsmodels(quantile: float) -> None:
    people = population(women=300)
    x = _spline(people["age_years"].to_numpy(), np.array([42.0, 65.0, 88.0]))
    y = people["value"].to_numpy() / 100
    theirs = QuantReg(y, x).fit(q=quantile, max_iter=5000, p_tol=1e-9).params
    np.testing.assert_allclose(_quantile_regression(y, x, quantile), theirs, atol=1e-3)
