"""The mixed model against arithmetic and two independent programs: statsmodels here, R in test_export_in_r.py."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import statsmodels.api as sm

from thighseg_core.cohort_statistics.mixed_model import fit_mixed_model, inner_outer_df


def simulated(*, slopes: float, n_subjects: int = 60, seed: int = 5) -> tuple[np.ndarray, ...]:
    """y, x, z, subject: unequal numbers of visits at unequal times; `slopes` is the SD of the subjects' own slopes."""
    draw = np.random.default_rng(seed)
    visits = draw.integers(2, 6, n_subjects)
    subject = np.repeat(np.arange(n_subjects), visits)
    years = np.concatenate([np.sort(draw.uniform(0, 4, n)) for n in visits])
    male = (draw.random(n_subjects) < 0.4).astype(float)[subject]
    own = draw.normal(0, 3, n_subjects)[subject] + draw.normal(0, slopes, n_subjects)[subject] * years
    y = 90 - 2 * years + 25 * male + own + draw.normal(0, 1, len(subject))
    ones = np.ones_like(y)
    return y, np.column_stack([ones, years, male]), np.column_stack([ones, years]), subject


def by_statsmodels(y, x, z, subject):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sm.MixedLM(y, x, groups=subject, exog_re=z).fit(reml=True, method=["lbfgs", "powell"], gtol=1e-9)


@pytest.mark.parametrize("q", [1, 2])
def test_estimates_and_likelihood_are_those_of_statsmodels(q: int) -> None:
    y, x, z, subject = simulated(slopes=1.0)
    ours, theirs = fit_mixed_model(y, x, z[:, :q], subject), by_statsmodels(y, x, z[:, :q], subject)
    assert ours.converged
    assert not ours.at_boundary
    assert ours.log_likelihood == pytest.approx(theirs.llf, abs=1e-4)
    np.testing.assert_allclose(ours.coefficients, theirs.fe_params, rtol=2e-4)
    np.testing.assert_allclose(ours.random_covariance, np.asarray(theirs.cov_re), rtol=5e-3)
    assert ours.residual_variance == pytest.approx(theirs.scale, rel=1e-3)
    # statsmodels takes the errors from a numerical Hessian; R, in the other test, agrees to 1e-4
    np.testing.assert_allclose(np.sqrt(np.diag(ours.covariance)), theirs.bse_fe, rtol=2e-2)


def test_with_two_balanced_visits_the_slope_is_the_mean_change_and_its_error_that_of_a_paired_t_test() -> None:
    change = np.array([-9.0, -4.0, -6.0, 1.0, -2.0])
    first = np.array([800.0, 950.0, 700.0, 1020.0, 880.0])
    y = np.column_stack([first, first + change]).ravel()
    subject = np.repeat(np.arange(5), 2)
    x = np.column_stack([np.ones(10), np.tile([0.0, 1.0], 5)])
    fit = fit_mixed_model(y, x, np.ones((10, 1)), subject)
    assert fit.coefficients[1] == pytest.approx(-4.0, abs=1e-8)  # (-9 - 4 - 6 + 1 - 2) / 5
    assert np.sqrt(fit.covariance[1, 1]) == pytest.approx(np.std(change, ddof=1) / np.sqrt(5), rel=1e-5)
    assert inner_outer_df(10, 5, inner=1, outer=0) == (4, 4)


def test_equal_slopes_in_all_subjects_are_told_as_a_boundary() -> None:
    subject = np.repeat(np.arange(30), 3)
    years = np.tile([0.0, 1.0, 2.0], 30)
    wobble = np.tile([[1.0, -2.0, 1.0], [-1.0, 2.0, -1.0]], (15, 1)).ravel()  # no slope of its own in any subject
    y = 500.0 + 10.0 * subject - 3.0 * years + wobble
    ones = np.ones_like(y)
    fit = fit_mixed_model(y, np.column_stack([ones, years]), np.column_stack([ones, years]), subject)
    assert fit.at_boundary
    assert fit.coefficients[1] == pytest.approx(-3.0, abs=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="shapes do not fit"):
        fit_mixed_model(np.ones(4), np.ones((4, 1)), np.ones((3, 1)), np.zeros(4, dtype=np.int64))
    with pytest.raises(ValueError, match="do not determine"):
        fit_mixed_model(np.ones(2), np.ones((2, 2)), np.ones((2, 1)), np.zeros(2, dtype=np.int64))
