"""Bumps along a line: SciPy's peaks and their prominences."""

import numpy as np
from scipy import signal

from thighseg_core.bony_points import _bumps


def test_bumps_are_scipys_peaks_and_stand_out_as_far() -> None:
    random = np.random.default_rng(4)
    for _ in range(50):
        line = random.normal(size=random.integers(5, 60)).cumsum()
        wanted, found = signal.find_peaks(line, prominence=0)
        peaks, heights = _bumps(line)
        assert peaks.tolist() == wanted.tolist()
        np.testing.assert_allclose(heights, found["prominences"])


def test_a_bump_stands_out_from_the_higher_of_the_two_valleys_beside_it() -> None:
    peaks, heights = _bumps(np.array([0.0, 5.0, 2.0, 4.0, 3.0, 6.0, 1.0]))
    assert peaks.tolist() == [1, 3, 5]
    assert heights.tolist() == [3.0, 1.0, 5.0]  # 5 over 2 towards the higher 6, 4 over 3, 6 over 1
