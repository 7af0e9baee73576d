"""Overlap of masks, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from thighseg_core.errors import GeometryMismatchError
from thighseg_core.overlap import overlap


def _mask(*columns: int) -> np.ndarray:
    """One row of ten pixels."""
    mask = np.zeros((1, 10), dtype=bool)
    mask[0, list(columns)] = True
    return mask


def test_ratios_follow_from_counts_made_by_hand() -> None:
    found = overlap(_mask(0, 1, 2, 3), _mask(2, 3, 4))
    assert (found.both, found.only_reference, found.only_test, found.neither) == (2, 2, 1, 5)
    assert found.dice == pytest.approx(4 / 7)
    assert found.sensitivity == pytest.approx(2 / 4)
    assert found.specificity == pytest.approx(5 / 6)
    assert found.accuracy == pytest.approx(7 / 10)
    assert found.volume_error_percent == pytest.approx(-25)


def test_only_what_lies_within_counts() -> None:
    found = overlap(_mask(0, 1, 2, 3), _mask(2, 3, 4), within=_mask(1, 2, 3, 4, 9))
    assert (found.both, found.only_reference, found.only_test, found.neither) == (2, 1, 1, 1)


def test_nothing_is_said_of_two_empty_masks() -> None:
    found = overlap(_mask(), _mask())
    assert found.dice is None
    assert found.sensitivity is None
    assert found.volume_error_percent is None
    assert found.accuracy == 1


def test_a_mask_that_was_missed_scores_zero() -> None:
    assert overlap(_mask(1, 2), _mask()).dice == 0


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(GeometryMismatchError, match="one shape"):
        overlap(_mask(1), np.zeros((2, 10), dtype=bool))


def test_dice_and_volume_error_of_nested_masks_are_those_of_arithmetic() -> None:
    """clinical.md 4.1: nested masks at Dice 0.96 can be 7.7 % too small."""
    found = overlap(np.arange(1000) < 1000, np.arange(1000) < 923)
    assert found.dice == pytest.approx(2 * 923 / 1923)
    assert found.dice == pytest.approx(0.96, abs=5e-4)
    assert found.volume_error_percent == pytest.approx(-7.7)
