"""Slices to one grid: expected numbers by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from thighseg_core.dicom import SliceHeader
from thighseg_core.errors import SeriesGeometryError
from thighseg_core.stack import stack_slices

AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def _slices(positions: list[tuple[float, float, float]], *, directions: tuple = AXIAL) -> tuple[SliceHeader, ...]:
    return tuple(
        SliceHeader(
            path=Path(f"{n}.dcm"),
            frame=0,
            rows=20,
            columns=30,
            row_direction=directions[0],
            column_direction=directions[1],
            position_mm=position,
            pixel_spacing_mm=(0.9, 0.8),
            slope=1.0,
            intercept=-1024.0,
        )
        for n, position in enumerate(positions)
    )


def _at(*z_mm: float) -> list[tuple[float, float, float]]:
    return [(-10.0, -20.0, z) for z in z_mm]


def test_slices_are_sorted_towards_the_head_and_the_affine_is_right() -> None:
    stack = stack_slices(_slices(_at(107, 100, 103.5)))
    assert [here[0].path.name for here in stack.slices] == ["1.dcm", "2.dcm", "0.dcm"]
    expected = [[0, 0, 0.8, -10], [0, 0.9, 0, -20], [3.5, 0, 0, 100], [0, 0, 0, 1]]
    assert np.allclose(stack.geometry.affine, expected, atol=1e-12)
    assert stack.geometry.spacing_mm == pytest.approx((3.5, 0.9, 0.8))


def test_with_rows_towards_the_right_the_stack_runs_towards_the_feet() -> None:
    """Feet first as some scanners store it: x and z turned, so row x column points down."""
    stack = stack_slices(_slices(_at(100, 105, 110), directions=((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0))))
    assert np.allclose(stack.geometry.affine[:3, 0], (0, 0, -5))
    assert np.allclose(stack.geometry.affine[:3, 3], (-10, -20, 110))
    assert np.allclose(stack.geometry.affine[:3, 2], (-0.8, 0, 0))


def test_the_step_is_the_mean_of_all_steps_not_a_rounded_one() -> None:
    z = [round(100 + n * 1.25, 1) for n in range(41)]  # written with one decimal: steps of 1.2 and 1.3
    assert stack_slices(_slices(_at(*z))).geometry.spacing_mm[0] == pytest.approx(1.25, abs=1e-9)


def test_the_step_counts_along_the_normal_not_along_the_table() -> None:
    """Planes turned by 30 degrees about x, moved along their own normal by 4 mm."""
    s, c = 0.5, np.sqrt(0.75)
    normal = np.array([0.0, -s, c])
    positions = [tuple(np.array([1.0, 2.0, 3.0]) + n * 4 * normal) for n in range(5)]
    stack = stack_slices(_slices(positions, directions=((1.0, 0.0, 0.0), (0.0, c, s))))
    assert stack.geometry.spacing_mm == pytest.approx((4.0, 0.9, 0.8))
    assert np.allclose(stack.geometry.directions[:, 0], normal)


def test_slices_at_one_place_are_kept_together_as_duplicates() -> None:
    stack = stack_slices(_slices(_at(100, 105, 105, 110, 115, 115.001)))
    assert [len(here) for here in stack.slices] == [1, 2, 1, 2]
    assert stack.n_duplicates == 2
    assert stack.geometry.shape == (4, 20, 30)


@pytest.mark.parametrize(
    ("z", "words"),
    [
        ((100,), "only 1 slice: .* at least 3"),
        ((100, 105), "only 2 slices"),
        ((100, 100, 100), "only 1 slice:"),
        ((100, 105, 115, 120), "1 slice is missing: 1 between z = 105.0 mm and z = 115.0 mm .*5 mm apart"),
        ((100, 105, 125, 130), "3 slices are missing: 3 between z = 105.0 mm and z = 125.0 mm"),
        ((100, 110, 115, 125, 130), "2 slices are missing: 1 between z = 100.0 .* 1 between z = 115.0"),
        ((100, 105, 110, 117, 122), "spacing varies: 5 mm in most places, 7 mm at z = 110.0"),
        ((100, 102.5, 105, 107.5, 112.5, 117.5, 122.5), "spacing varies: .* 5 mm at z = 107.5"),
    ],
)
def test_irregular_stacks_are_refused_with_the_place(z: tuple[float, ...], words: str) -> None:
    with pytest.raises(SeriesGeometryError, match=words):
        stack_slices(_slices(_at(*z)))


def test_a_tilt_is_refused_with_its_angle() -> None:
    positions = [(0.0, 0.0, 5.0 * n) for n in range(10)]
    angle = np.deg2rad(12.0)
    with pytest.raises(SeriesGeometryError, match=r"tilted by 12\.0 degrees"):
        stack_slices(_slices(positions, directions=((1.0, 0.0, 0.0), (0.0, np.cos(angle), np.sin(angle)))))


def test_a_tilt_within_the_rounding_of_positions_passes() -> None:
    """0.04 degrees over 45 mm move the last slice by 0.03 mm."""
    positions = [(0.0, 0.0, 5.0 * n) for n in range(10)]
    angle = np.deg2rad(0.04)
    stack = stack_slices(_slices(positions, directions=((1.0, 0.0, 0.0), (0.0, np.cos(angle), np.sin(angle)))))
    assert stack.geometry.spacing_mm[0] == pytest.approx(5.0, rel=1e-5)


def test_a_shifted_slice_is_no_tilt() -> None:
    positions = _at(100, 105, 110, 115, 120)
    positions[2] = (-10.0, -12.0, 110.0)
    with pytest.raises(SeriesGeometryError, match=r"shifted sideways .*8\.0 mm at z = 110\.0"):
        stack_slices(_slices(positions))
