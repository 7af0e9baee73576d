"""Real scans with the shipped network: two real legs side by side get their sides, and what is no thigh is refused."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from thighseg_core.body import body_mask
from thighseg_core.checkpoint import DEFAULT_MODEL, load_checkpoint
from thighseg_core.geometry import Geometry
from thighseg_core.labels import label_value
from thighseg_core.preprocess import canonical_axes, canonical_geometry
from thighseg_core.reading import find_series, load_series
from thighseg_core.segment import segment_with
from thighseg_core.volume import CTVolume, SeriesInfo

SERIES = Path(__file__).parents[2] / "shared" / "data" / "ct_sarcoma"
pytestmark = pytest.mark.skipif(not SERIES.is_dir(), reason="the real series (../shared/data/ct_sarcoma) are not here")
SIDED = ("extensor", "flexor", "adductor", "sartorius", "other_muscle", "femur", "intermuscular", "subcutaneous")
GROUPS = SIDED[:4]
N_SLICES = 20
AIR_HU = -1000
# Patient, on which side the leg lies (from where the series lies in the scanner) and the first slice used. One used on
# the other side is mirrored. Legs that touch are whole on their inner side: no muscle is cut there by the crop.
LEFT_006 = ("STS_006", "left", 0)
RIGHT_009, RIGHT_009_HIGHER = ("STS_009", "right", 0), ("STS_009", "right", 25)
LEFT_016, LEFT_024, LEFT_033 = ("STS_016", "left", 30), ("STS_024", "left", 15), ("STS_033", "left", 10)


@lru_cache(maxsize=8)
def _read(patient: str) -> tuple[np.ndarray, tuple[float, float, float]]:
    volume = load_series(find_series(SERIES / patient / "CT", work_dir=SERIES).series[0])
    axes = canonical_axes(volume.geometry)
    return axes.apply(volume.attenuation_hu), canonical_geometry(volume.geometry, axes).spacing_mm


def _leg(which: tuple[str, str, int], side: str) -> tuple[np.ndarray, np.ndarray]:
    """Attenuation and body of one leg, as a leg of `side`, cut to the columns it takes; all else is air."""
    patient, own_side, first = which
    hu, spacing_mm = _read(patient)
    hu = hu[first : first + N_SLICES].astype(np.int16)
    if side != own_side:
        hu = hu[:, :, ::-1]
    pieces, _ = ndimage.label(body_mask(hu, spacing_mm))
    body = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    columns = np.flatnonzero(body.any(axis=(0, 1)))
    cut = np.s_[:, :, columns[0] : columns[-1] + 1]
    return np.where(body, hu, AIR_HU)[cut], body[cut]


def _side_by_side(
    right: tuple[str, str, int], left: tuple[str, str, int], gap_mm: float
) -> tuple[CTVolume, np.ndarray, np.ndarray]:
    """A scan with `gap_mm` between the legs where they are nearest, and the voxels of the right and the left one."""
    spacing_mm = _read(right[0])[1]
    parts = [_leg(right, "right"), _leg(left, "left")]
    rows = max(hu.shape[1] for hu, _ in parts)
    below = [((0, 0), (0, rows - hu.shape[1]), (0, 0)) for hu, _ in parts]
    padded = [
        (np.pad(hu, more, constant_values=AIR_HU), np.pad(body, more))
        for (hu, body), more in zip(parts, below, strict=True)
    ]
    width = padded[0][0].shape[2]
    right_edge = np.where(padded[0][1], np.arange(width), -9999).max(axis=2)
    left_edge = np.where(padded[1][1], np.arange(padded[1][0].shape[2]), 9999).min(axis=2)
    offset = int((right_edge - left_edge).max()) + 1 + round(gap_mm / spacing_mm[2])  # column of the left leg's array
    hu = np.full((N_SLICES, rows + 20, offset + padded[1][0].shape[2] + 20), AIR_HU, dtype=np.int16)
    masks = []
    for (own, body), start in zip(padded, (10, 10 + offset), strict=True):
        place = np.s_[:, 10 : 10 + rows, start : start + own.shape[2]]
        hu[place] = np.maximum(hu[place], own)
        mask = np.zeros(hu.shape, dtype=bool)
        mask[place] = body
        masks.append(mask)
    assert not (masks[0] & masks[1]).any()
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, spacing_mm[2]], [0, spacing_mm[1], 0], [spacing_mm[0], 0, 0]]
    affine[0, 3] = -spacing_mm[2] * hu.shape[2] / 2
    info = SeriesInfo(series_uid="1.2.3", source_format="DICOM", digest_sha256="0" * 64)
    return CTVolume(hu, Geometry(hu.shape, affine), info), masks[0], masks[1]


@pytest.mark.parametrize(
    ("right", "left", "gap_mm"),
    [
        (RIGHT_009, LEFT_006, 15.0),
        (RIGHT_009_HIGHER, LEFT_016, 0.0),
        (LEFT_033, LEFT_024, 0.0),
        (LEFT_006, LEFT_006, 4.0),
    ],
    ids=["apart", "touching", "touching, one of them mirrored", "a leg and its mirror image"],
)
def test_two_real_legs_side_by_side_get_no_wrong_and_no_mixed_side(
    right: tuple[str, str, int], left: tuple[str, str, int], gap_mm: float
) -> None:
    volume, is_right, is_left = _side_by_side(right, left, gap_mm)
    result = segment_with(volume, load_checkpoint(DEFAULT_MODEL, device="cpu"), device="cpu")
    labels = result.label_map.labels
    sided = {side: [label_value(name, side) for name in SIDED] for side in ("left", "right")}
    for side, mine, other in (("right", is_right, is_left), ("left", is_left, is_right)):
        muscle = np.isin(labels, [label_value(name, side) for name in GROUPS])
        assert (muscle & mine).sum() > 0.25 * mine.sum(), f"no {side} leg was found"
        assert not (muscle & other).any(), f"muscle of the {side} side on the other leg"
        wrong = np.isin(labels, sided[side]) & other
        assert wrong.sum() <= 0.001 * other.sum(), f"{wrong.sum()} voxels of the other leg have the side {side}"


def _fatless_muscle_and_mixed(hu: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """Voxels of muscle groups on parts of a slice that air surrounds and that hold less than a tenth of fat (scrotum,
    penis; every leg holds more), and voxels of the rarer side on parts that hold both sides."""
    values = {side: [label_value(name, side) for name in GROUPS] for side in ("left", "right")}
    fatless = mixed = 0
    for plane, named in zip(hu, labels, strict=True):
        parts, n_parts = ndimage.label(plane > -300)
        n_left, n_right = (
            np.bincount(parts[np.isin(named, values[side])], minlength=n_parts + 1)[1:] for side in ("left", "right")
        )
        size = np.bincount(parts.ravel(), minlength=n_parts + 1)[1:]
        fat = np.bincount(parts[(plane > -190) & (plane < -30)], minlength=n_parts + 1)[1:]
        fatless += int((n_left + n_right)[fat < 0.1 * size].sum())
        mixed += int(np.minimum(n_left, n_right).sum())
    return fatless, mixed


@pytest.mark.parametrize(("patient", "first"), [("STS_009", 50), ("STS_014", 22)], ids=["STS_009", "STS_014"])
def test_genitals_between_real_legs_are_of_no_leg_and_mix_no_sides(patient: str, first: int) -> None:
    source = load_series(find_series(SERIES / patient / "CT", work_dir=SERIES).series[0])
    hu = _read(patient)[0]
    hu = np.ascontiguousarray(hu[first : first + 14])  # the last ones show genitals beside the legs
    axes = canonical_axes(source.geometry)
    affine = canonical_geometry(source.geometry, axes).affine.copy()
    volume = CTVolume(hu, Geometry(hu.shape, affine), source.info)
    result = segment_with(volume, load_checkpoint(DEFAULT_MODEL, device="cpu"), device="cpu")
    fatless, mixed = _fatless_muscle_and_mixed(hu, result.label_map.labels)
    assert fatless <= 100  # of some 10,000 voxels of genitals
    assert mixed == 0


@pytest.mark.parametrize("patient", ["STS_005", "STS_010", "STS_018", "STS_037"])
def test_arm_calf_buttock_and_chest_are_flagged_and_get_less_than_2_cm3_of_muscle(patient: str) -> None:
    volume = load_series(find_series(SERIES / patient / "CT", work_dir=SERIES).series[0])
    result = segment_with(volume, load_checkpoint(DEFAULT_MODEL, device="cpu"), device="cpu")
    groups = np.isin(
        result.label_map.labels, [label_value(name, side) for name in GROUPS for side in ("left", "right")]
    )
    assert groups.sum() * np.prod(volume.geometry.spacing_mm) / 1000 < 2
    assert [flag.code for flag in result.flags] == ["not_a_thigh"]


@lru_cache(maxsize=2)
def _whole(patient: str) -> np.ndarray:
    """Labels of a whole series in canonical axes."""
    volume = load_series(find_series(SERIES / patient / "CT", work_dir=SERIES).series[0])
    result = segment_with(volume, load_checkpoint(DEFAULT_MODEL, device="cpu"), device="cpu")
    return canonical_axes(volume.geometry).apply(result.label_map.labels)


def test_bladder_and_bowel_between_real_hip_bones_are_no_muscle_and_mix_no_sides() -> None:
    """STS_036 shows a left leg up to the iliac crest; its bladder and bowel fill the right half of the picture."""
    right = [label_value(name, "right") for name in GROUPS]
    assert np.isin(_whole("STS_036")[30:], right).sum() < 500  # voxels; of bladder and bowel 30,000 once were


def test_fat_of_a_second_real_leg_pressed_against_the_first_has_its_own_side() -> None:
    """STS_029 is a left leg; its right edge shows fat of the right one, skin on skin, up to column 20 or so."""
    fat = _whole("STS_029")[:24, :, :15]
    left, right = ((fat == label_value("subcutaneous", side)).sum() for side in ("left", "right"))
    assert left < 0.02 * right
