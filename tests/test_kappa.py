"""Cohen's kappa on tables worked out by hand."""

from __future__ import annotations

import pytest

from thighseg_core.kappa import cohen_kappa


def test_the_textbook_table_gives_its_textbook_value() -> None:
    # 20 both yes, 5 yes/no, 10 no/yes, 15 both no: observed 0.70, expected 0.5 x 0.6 + 0.5 x 0.4 = 0.50
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    found = cohen_kappa(pairs)
    assert (found.n, found.agreed) == (50, 35)
    assert found.kappa == pytest.approx(0.4)


def test_full_agreement_is_one_and_opposite_decisions_are_below_zero() -> None:
    assert cohen_kappa([("a", "a"), ("b", "b")]).kappa == 1.0
    assert cohen_kappa([("a", "b"), ("b", "a")]).kappa == -1.0


def test_with_nothing_to_tell_apart_there_is_no_kappa() -> None:
    assert cohen_kappa([]).kappa is None
    assert cohen_kappa([("a", "a")] * 5).kappa is None
