"""Bland-Altman: arithmetic by hand, pingouin's plot as an independent implementation, simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from test_reliability import ratings

from thighseg_core.bland_altman import bland_altman, spread
from thighseg_core.cluster_bootstrap import cluster_rows, percentile_interval, resampled_sums
from thighseg_core.errors import InputError

REFERENCE = np.array([100.0, 200, 300, 400, 500])
TEST = np.array([102.0, 200, 304, 402, 512])  # differences 2, 0, 4, 2, 12: mean 4, SD sqrt(88 / 4)


def test_bias_and_limits_by_hand() -> None:
    found = bland_altman(REFERENCE, TEST, unit="cm3")
    sd = np.sqrt(22.0)
    assert found.bias.value == pytest.approx(4.0)
    assert found.sd == pytest.approx(sd)
    assert found.lower.value == pytest.approx(4 - 1.96 * sd)
    assert found.upper.value == pytest.approx(4 + 1.96 * sd)
    half = stats.t.ppf(0.975, 4) * sd / np.sqrt(5)
    assert (found.bias.low, found.bias.high) == pytest.approx((4 - half, 4 + half))
    assert (found.unit, found.n, found.n_clusters) == ("cm3", 5, None)


def test_percent_and_log_scales_by_hand() -> None:
    """Test is always 10 % more than the reference."""
    percent = bland_altman(REFERENCE, 1.1 * REFERENCE, unit="cm3", scale="percent")
    assert percent.bias.value == pytest.approx(100 * 0.1 / 1.05)
    log = bland_altman(REFERENCE, 1.1 * REFERENCE, unit="cm3", scale="log")
    assert log.bias.value == pytest.approx(10.0)
    assert (log.lower.value, log.upper.value) == pytest.approx((10.0, 10.0))
    assert log.unit == percent.unit == "%"


def test_a_difference_that_grows_with_size_is_a_proportional_bias() -> None:
    noise = np.random.default_rng(2).normal(0, 1, 40)
    size = np.linspace(50, 500, 40)
    growing = bland_altman(size, 1.05 * size + noise, unit="cm3")
    assert growing.slope is not None
    assert growing.slope.value == pytest.approx(0.05 / 1.025, abs=0.004)
    assert growing.slope.low is not None
    assert growing.slope.low > 0
    constant = bland_altman(size, size + 5 + noise, unit="cm3")
    assert constant.slope is not None
    assert constant.slope.low is not None
    assert constant.slope.high is not None
    assert constant.slope.low < 0 < constant.slope.high


def test_exact_limits_hold_the_true_limit_in_95_percent_of_small_samples() -> None:
    """Differences of SD 1 around 0: the true upper limit is 1.96. 10 pairs, 600 samples."""
    draw = np.random.default_rng(7)
    held = 0
    for _ in range(600):
        difference = draw.normal(0, 1, 10)
        upper = bland_altman(np.full(10, 100.0), 100 + difference, unit="").upper
        held += (upper.low or 0) <= 1.96 <= (upper.high or 0)
    assert held / 600 == pytest.approx(0.95, abs=0.025)


def test_with_many_pairs_the_exact_interval_is_the_classical_one() -> None:
    table = ratings(4, n=400)
    found = bland_altman(table[:, 0], table[:, 1], unit="cm3")
    classical = 1.96 * found.sd * np.sqrt(1 / 400 + 1.96**2 / (2 * 399))
    assert found.upper.high is not None
    assert found.upper.low is not None
    assert (found.upper.high - found.upper.low) / 2 == pytest.approx(classical, rel=0.02)


def test_spread_of_clustered_differences_by_hand() -> None:
    """Persons with differences (1, 3), (5, 7), (9, 11): within 2, between 2 * 16 = 32; 32 is 2 s2 + 2, so s2 = 15."""
    difference = np.array([1.0, 3, 5, 7, 9, 11])
    rows = cluster_rows(["a", "a", "b", "b", "c", "c"])
    assert spread(difference, rows) == pytest.approx(np.sqrt(15 + 2))


def test_two_thighs_that_share_their_error_widen_the_intervals() -> None:
    draw = np.random.default_rng(5)
    shared = np.repeat(draw.normal(0, 3, 30), 2)  # the same for both thighs of a person
    reference = draw.normal(300, 50, 60)
    persons = [f"P{n // 2}" for n in range(60)]
    alone = bland_altman(reference, reference + shared, unit="cm3")
    clustered = bland_altman(reference, reference + shared, unit="cm3", clusters=persons)
    assert clustered.n_clusters == 30
    assert clustered.bias.value == pytest.approx(alone.bias.value)

    def width(interval: object) -> float:
        return interval.high - interval.low  # type: ignore[attr-defined, no-any-return]

    # 30 independent errors, not 60: the interval of the bias is sqrt(2) as wide
    assert width(clustered.bias) / width(alone.bias) == pytest.approx(np.sqrt(2), rel=0.1)
    assert width(clustered.upper) > 1.2 * width(alone.upper)


def test_one_thigh_a_person_is_no_cluster() -> None:
    with_names = bland_altman(REFERENCE, TEST, unit="cm3", clusters=list("abcde"))
    without = bland_altman(REFERENCE, TEST, unit="cm3")
    assert with_names.upper == without.upper
    assert with_names.n_clusters == 5


def test_intervals_are_the_same_every_time() -> None:
    per_person = np.array([[2.0, 1.0], [1.0, 2.0], [2.0, 7.0], [1.0, 5.0]])  # pairs, sum
    first, second = (resampled_sums(per_person, repeats=50) for _ in range(2))
    assert (first == second).all()
    low, high = percentile_interval(first[:, 1:] / first[:, :1])
    assert low[0] < 15 / 6 < high[0]


def test_sums_over_drawn_persons_are_those_of_drawing_them_one_by_one() -> None:
    """The quick way against the plain one, on the same population of draws: interval of the upper limit."""
    draw = np.random.default_rng(8)
    persons = [f"P{n // 2}" for n in range(24)]
    reference = draw.normal(300, 50, 24)
    test = reference + np.repeat(draw.normal(0, 2, 12), 2) + draw.normal(0, 1, 24)
    found = bland_altman(reference, test, unit="cm3", clusters=persons)
    difference = test - reference
    plain = []
    for _ in range(1000):
        chosen = draw.integers(0, 12, 12)
        values = np.concatenate([difference[2 * one : 2 * one + 2] for one in chosen])
        own = cluster_rows([str(n // 2) for n in range(24)])
        plain.append(values.mean() + 1.96 * spread(values, own))
    assert found.upper.low == pytest.approx(np.percentile(plain, 2.5), abs=0.25)
    assert found.upper.high == pytest.approx(np.percentile(plain, 97.5), abs=0.25)


def test_what_cannot_be_compared_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="at least 3 pairs"):
        bland_altman(REFERENCE[:2], TEST[:2], unit="cm3")
    with pytest.raises(InputError, match="values above 0"):
        bland_altman(np.array([-5.0, 10, 20]), np.array([1.0, 11, 20]), unit="HU", scale="log")
    with pytest.raises(InputError, match="gaps"):
        bland_altman(np.array([np.nan, 10, 20]), np.array([1.0, 11, 20]), unit="HU")
