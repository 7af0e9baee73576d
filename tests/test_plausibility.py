"""Values that can be a CT of the thighs in HU, and values that cannot."""

from __future__ import annotations

import numpy as np
import pytest
from thigh_array import thigh_hu

from thighseg_core.errors import NotCTError
from thighseg_core.plausibility import refuse_unless_hu, replace_padding


def test_a_thigh_passes_whole_cropped_into_tissue_and_clipped_to_a_wide_window() -> None:
    refuse_unless_hu(thigh_hu())
    refuse_unless_hu(thigh_hu()[:, 10:30, 5:27])
    refuse_unless_hu(thigh_hu().clip(-200, 250))
    refuse_unless_hu(thigh_hu().astype(np.float32))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (thigh_hu() * 1000.0, "beyond any CT scale"),
        (thigh_hu() / 1200.0, "normalised"),
        ((thigh_hu() + 1000) / 5, "one window"),
        (thigh_hu() + 1024, "no fat and no air"),
        (thigh_hu() / 40.0, "too little"),
        (np.full((4, 40, 64), 50) - (np.arange(64) == 3) * 60, "next to no fat or air"),
        (np.full((4, 40, 64), -1000) - (np.arange(64) == 3) * 60, "next to nothing between"),
    ],
)
def test_other_scales_are_named(values: np.ndarray, words: str) -> None:
    with pytest.raises(NotCTError, match=words) as caught:
        refuse_unless_hu(values)
    assert "Convert the original CT" in str(caught.value)


def test_only_impossible_values_are_padding() -> None:
    values = np.array([-3024, -2000, -1501, -1500, -1100, -1024, 50], dtype=np.int16)
    replaced, n = replace_padding(values)
    assert replaced.tolist() == [-1024, -1024, -1024, -1500, -1100, -1024, 50]
    assert n == 3
    assert values[0] == -3024
