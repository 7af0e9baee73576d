"""Reliability: Shrout and Fleiss' example, pingouin as an independent implementation, arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pingouin
import pytest
from numpy.typing import NDArray

from thighseg_core.errors import InputError
from thighseg_core.reliability import (
    icc_agreement,
    icc_consistency,
    precision,
    smallest_detectable_change,
    standard_error_of_measurement,
)

# Shrout and Fleiss 1979, Psychol Bull 86:420, table 2: six targets, four judges
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7.0]])


def ratings(seed: int, *, n: int = 25, k: int = 2, bias: float = 2.0, noise: float = 3.0) -> NDArray[np.float64]:
    """n subjects of 100 +- 20, k ratings each; rater number r is off by r times `bias`."""
    draw = np.random.default_rng(seed)
    truth = draw.normal(100, 20, (n, 1))
    return truth + bias * np.arange(k) + draw.normal(0, noise, (n, k))


def pingouins(table: NDArray[np.float64]) -> pd.DataFrame:
    n, k = table.shape
    long = pd.DataFrame(
        {"target": np.repeat(np.arange(n), k), "rater": np.tile(np.arange(k), n), "score": table.ravel()}
    )
    return pingouin.intraclass_corr(long, targets="target", raters="rater", ratings="score").set_index("Type")


def test_the_published_example_gives_the_published_coefficients() -> None:
    assert icc_agreement(SHROUT_FLEISS).value == pytest.approx(0.29, abs=0.005)
    assert icc_consistency(SHROUT_FLEISS).value == pytest.approx(0.71, abs=0.006)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("k", "bias", "noise"), [(2, 0.0, 3.0), (2, 15.0, 3.0), (3, 2.0, 25.0), (4, 1.0, 0.5)])
def test_coefficients_and_intervals_are_those_of_an_independent_implementation(
    seed: int, k: int, bias: float, noise: float
) -> None:
    table = ratings(seed, n=12 + 7 * seed, k=k, bias=bias, noise=noise)
    theirs = pingouins(table)
    for kind, ours in (("ICC(A,1)", icc_agreement(table)), ("ICC(C,1)", icc_consistency(table))):
        assert ours.value == pytest.approx(theirs.loc[kind, "ICC"], abs=1e-9)
        low, high = theirs.loc[kind, "CI95"]  # rounded to two digits there
        assert ours.low == pytest.approx(low, abs=0.0051)
        assert ours.high == pytest.approx(high, abs=0.0051)


def test_a_constant_difference_lowers_agreement_and_not_consistency() -> None:
    table = ratings(1, bias=0.0)
    shifted = table + np.array([0.0, 20.0])
    assert icc_consistency(shifted).value == pytest.approx(icc_consistency(table).value)
    assert icc_agreement(shifted).value < icc_agreement(table).value - 0.1


def test_equal_ratings_agree_fully() -> None:
    table = np.repeat(np.array([[10.0], [20.0], [40.0]]), 2, axis=1)
    assert icc_agreement(table).value == 1
    assert icc_consistency(table).value == 1


def test_precision_by_hand() -> None:
    """Pairs (10, 12), (20, 20), (30, 34): variances 2, 0, 8; means 11, 20, 32."""
    found = precision(np.array([[10, 12], [20, 20], [30, 34.0]]))
    assert found.within_sd == pytest.approx(np.sqrt(10 / 3))
    assert found.rms_cv_percent == pytest.approx(100 * np.sqrt((2 / 121 + 0 + 8 / 1024) / 3))
    assert found.repeatability == pytest.approx(1.959964 * np.sqrt(2) * np.sqrt(10 / 3))
    assert found.degrees_of_freedom == 3


def test_a_coefficient_of_variation_needs_means_above_zero() -> None:
    """Attenuation may be 0 HU or below."""
    assert precision(np.array([[-1, 1], [20, 20], [30, 34.0]])).rms_cv_percent is None


def test_sem_is_the_spread_that_the_icc_leaves_unexplained() -> None:
    """SEM squared = variances of raters and error; ICC(A,1) = subjects / (subjects + raters + error)."""
    table = ratings(3, n=40, k=3)
    sem = standard_error_of_measurement(table)
    icc = icc_agreement(table).value
    n = table.shape[0]
    ms_subjects = 3 * table.mean(axis=1).var(ddof=1)
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    ms_error = (residual**2).sum() / ((n - 1) * 2)
    total_sd = np.sqrt((ms_subjects - ms_error) / 3 + sem**2)
    assert sem == pytest.approx(total_sd * np.sqrt(1 - icc))


def test_smallest_detectable_change_is_2_77_sem() -> None:
    assert smallest_detectable_change(1.0) == pytest.approx(2.772, abs=5e-4)


@pytest.mark.parametrize("table", [np.ones((2, 2)), np.ones((5, 1)), np.ones(5)])
def test_too_few_subjects_or_ratings_are_refused_in_words(table: NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match="at least 3 subjects with 2 ratings"):
        icc_agreement(table)


def test_gaps_and_equal_subjects_are_refused_in_words() -> None:
    with pytest.raises(InputError, match="gaps"):
        icc_agreement(np.array([[1, 2], [3, np.nan], [4, 5.0]]))
    with pytest.raises(InputError, match="no ICC"):
        icc_agreement(np.ones((4, 2)))
