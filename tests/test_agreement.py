"""All statistics of a comparison together."""

from __future__ import annotations

import numpy as np
import pytest
from test_reliability import pingouins, ratings

from thighseg_core.agreement import _from_sums, _pair_sums, agreement
from thighseg_core.cluster_bootstrap import cluster_rows
from thighseg_core.errors import InputError
from thighseg_core.reliability import icc_agreement, icc_consistency


def test_one_pair_a_person_gives_the_textbook_statistics() -> None:
    table = ratings(1)
    found = agreement(table[:, 0], table[:, 1], unit="cm3", persons=[f"P{n}" for n in range(25)])
    theirs = pingouins(table)
    assert found.icc_a1 is not None
    assert found.icc_c1 is not None
    assert found.icc_a1.value == pytest.approx(theirs.loc["ICC(A,1)", "ICC"])
    assert found.icc_a1.low == pytest.approx(theirs.loc["ICC(A,1)", "CI95"][0], abs=0.0051)
    assert found.icc_c1.value == pytest.approx(theirs.loc["ICC(C,1)", "ICC"])
    assert found.absolute is not None
    assert found.absolute.bias.value == pytest.approx((table[:, 1] - table[:, 0]).mean())
    assert found.sdc95 == pytest.approx(2.7718 * found.sem, rel=1e-4)
    assert (found.n, found.n_persons) == (25, 25)


def test_two_thighs_a_person_widen_the_interval_of_the_icc() -> None:
    """30 persons whose two thighs are the same: the interval must be that of 30 pairs, not of 60."""
    table = ratings(2, n=30)
    twice = np.repeat(table, 2, axis=0)
    persons = [f"P{n // 2}" for n in range(60)]
    alone = agreement(table[:, 0], table[:, 1], unit="cm3")
    clustered = agreement(twice[:, 0], twice[:, 1], unit="cm3", persons=persons)
    naive = agreement(twice[:, 0], twice[:, 1], unit="cm3")

    def width(found: object) -> float:
        return found.icc_c1.high - found.icc_c1.low  # type: ignore[attr-defined, no-any-return]

    assert clustered.n_persons == 30
    assert width(clustered) == pytest.approx(width(alone), rel=0.3)
    assert width(naive) < 0.8 * width(alone)


def test_coefficients_from_sums_are_those_from_the_table() -> None:
    table = ratings(6, n=20, bias=7.0)
    sums = _pair_sums(table, cluster_rows([str(n // 2) for n in range(20)])).sum(axis=0)
    agreed, consistent = _from_sums(sums[None, :])
    assert agreed[0] == pytest.approx(icc_agreement(table).value)
    assert consistent[0] == pytest.approx(icc_consistency(table).value)


def test_pairs_with_a_gap_are_left_out() -> None:
    table = ratings(3, n=10)
    table[4, 1] = np.nan
    found = agreement(table[:, 0], table[:, 1], unit="cm3")
    assert found.n == 9


def test_attenuation_below_zero_has_no_percentage() -> None:
    found = agreement([-5.0, 10, 20, 30], [-4.0, 11, 20, 33], unit="HU")
    assert found.percent is None
    assert found.log is None
    assert found.rms_cv_percent is None
    assert found.absolute is not None


def test_too_few_persons_say_so_and_give_no_number() -> None:
    found = agreement([1.0, 2, 3, 4], [1.0, 2, 3, 5], unit="cm3", persons=["a", "a", "b", "b"])
    assert found.icc_a1 is None
    assert "4 pairs of 2 persons" in found.reason


def test_two_thighs_of_five_persons_have_numbers_and_no_interval() -> None:
    table = ratings(7, n=10)
    found = agreement(table[:, 0], table[:, 1], unit="cm3", persons=[str(n // 2) for n in range(10)])
    assert found.icc_a1 is not None
    assert found.icc_a1.low is None
    assert found.absolute is not None
    assert found.absolute.upper.high is None


def test_equal_values_of_all_persons_have_no_icc() -> None:
    found = agreement([5.0] * 4, [5.0] * 4, unit="cm3")
    assert found.icc_a1 is None
    assert found.absolute is not None
    assert found.absolute.sd == 0


def test_lists_of_two_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="one length"):
        agreement([1.0, 2], [1.0], unit="cm3")
