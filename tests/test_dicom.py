"""Real DICOM series, written and read back: pixels, padding, slopes, packing, geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from thigh_array import thigh_hu

from thighseg_core.errors import NotCTError, UnreadableFileError
from thighseg_core.reading import find_series, load_series
from thighseg_core.volume import CTVolume
from training.dicom_factory import axial_affine, oblique_affine, tilted_affine, write_ct_series, write_enhanced_ct


def _read(source: Path) -> CTVolume:
    (candidate,) = find_series(source, work_dir=source.parent / "work").usable_series()
    return load_series(candidate)


def _noisy() -> np.ndarray:
    return thigh_hu() + np.random.default_rng(2).integers(-20, 20, (8, 40, 64)).astype(np.int16)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_lossless_packing_decodes_bit_equal(tmp_path: Path, syntax: str, signed: bool) -> None:
    paths = write_ct_series(tmp_path / "scan", _noisy(), axial_affine(), transfer_syntax=syntax, signed=signed)
    assert pydicom.dcmread(paths[0]).file_meta.TransferSyntaxUID == syntax
    volume = _read(tmp_path / "scan")
    assert volume.attenuation_hu.dtype == np.int16
    assert np.array_equal(volume.attenuation_hu, _noisy())
    assert volume.info.notes == ()


def test_high_throughput_jpeg_2000_has_a_decoder() -> None:
    """No encoder for it at hand, so no file; the decoder must be there."""
    assert pydicom.pixels.get_decoder(HTJ2KLossless).is_available


def test_big_endian_implicit_and_headless_files_are_read(tmp_path: Path) -> None:
    for name, syntax in (("implicit", ImplicitVRLittleEndian), ("big", ExplicitVRBigEndian), ("headless", None)):
        for path in write_ct_series(tmp_path / name, _noisy(), axial_affine()):
            ds = pydicom.dcmread(path)
            if syntax is None:  # the bare data set, as old software stored it
                path.write_bytes(path.read_bytes()[128 + 4 + 12 + ds.file_meta.FileMetaInformationGroupLength :])
                continue
            if syntax == ExplicitVRBigEndian:
                pixels, ds = ds.pixel_array, Dataset({element.tag: element for element in ds})
                ds.file_meta = pydicom.dcmread(path).file_meta
                ds.PixelData = pixels.astype(">u2").tobytes()
            ds.file_meta.TransferSyntaxUID = syntax
            ds.save_as(path, enforce_file_format=True)
        assert np.array_equal(_read(tmp_path / name).attenuation_hu, _noisy()), name


def test_each_slice_has_its_own_slope_and_intercept(tmp_path: Path) -> None:
    slopes = [1.0, 2.0, 0.5, 1.0, 4.0, 1.0, 1.0, 0.25]
    even = (_noisy() // 4 * 4).astype(np.int16)  # divisible by every slope
    intercepts = [-1024.0, -2000.0, -1024.0, -1100.0, -1024.0, -1200.0, -1024.0, -1024.0]
    write_ct_series(
        tmp_path / "scan", even, axial_affine(), rescale_slope=slopes, rescale_intercept=intercepts, shuffle_seed=5
    )
    volume = _read(tmp_path / "scan")
    assert volume.attenuation_hu.dtype == np.int16
    assert np.array_equal(volume.attenuation_hu, even)


def test_a_slope_that_gives_fractions_gives_float32(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path / "scan", _noisy(), axial_affine(), rescale_slope=0.3, rescale_intercept=-1024)
    volume = _read(tmp_path / "scan")
    assert volume.attenuation_hu.dtype == np.float32
    stored = pydicom.dcmread(paths[3]).pixel_array
    assert np.allclose(volume.attenuation_hu[3], stored * 0.3 - 1024, atol=1e-3)


@pytest.mark.parametrize(("declared", "stored"), [(True, -2000), (False, -2000), (True, -76)])
def test_padding_becomes_minus_1024_with_a_note(tmp_path: Path, declared: bool, stored: int) -> None:
    """-2000 stored is -3024 HU, which nothing has; -76 is -1100 HU, which only the declaration tells from air."""
    padding = np.zeros((8, 40, 64), dtype=bool)
    padding[:, :2, :5] = True
    write_ct_series(
        tmp_path / "scan", _noisy(), axial_affine(), padding=padding, padding_stored=stored, declare_padding=declared
    )
    volume = _read(tmp_path / "scan")
    assert (volume.attenuation_hu[padding] == -1024).all()
    assert np.array_equal(volume.attenuation_hu[~padding], _noisy()[~padding])
    assert volume.info.notes == ("80 padding voxels outside the reconstructed field were set to -1024 HU.",)


def test_a_padding_value_that_tissue_can_have_is_left_alone_and_said(tmp_path: Path) -> None:
    def change(ds: Dataset, _: int) -> None:
        ds.add_new("PixelPaddingValue", "US", 1024 + 55)  # 55 HU: muscle

    write_ct_series(tmp_path / "scan", _noisy(), axial_affine(), change=change)
    volume = _read(tmp_path / "scan")
    assert np.array_equal(volume.attenuation_hu, _noisy())
    assert "declares 55 HU as padding" in volume.info.notes[0]


def test_a_padding_value_declared_with_the_wrong_sign_still_counts(tmp_path: Path) -> None:
    padding = np.zeros((8, 40, 64), dtype=bool)
    padding[0, 0, 0] = True

    def change(ds: Dataset, _: int) -> None:
        ds.add_new("PixelPaddingValue", "US", 65536 - 76)  # -76 in signed pixels, -1100 HU

    write_ct_series(tmp_path / "scan", _noisy(), axial_affine(), padding=padding, padding_stored=-76, change=change)
    assert _read(tmp_path / "scan").attenuation_hu[0, 0, 0] == -1024


@pytest.mark.parametrize("affine", [axial_affine(), oblique_affine()], ids=["axial", "oblique"])
@pytest.mark.parametrize("per_frame", [False, True])
def test_an_enhanced_multi_frame_file_equals_the_series(tmp_path: Path, affine: np.ndarray, per_frame: bool) -> None:
    path = write_enhanced_ct(tmp_path / "enhanced.dcm", _noisy(), affine, per_frame_rescale=per_frame)
    write_ct_series(tmp_path / "scan", _noisy(), affine)
    enhanced, single = _read(path), _read(tmp_path / "scan")
    assert np.array_equal(enhanced.attenuation_hu, _noisy())
    assert enhanced.geometry.matches(single.geometry, tolerance_mm=1e-6)
    assert enhanced.info.digest_sha256 == single.info.digest_sha256


def test_frames_in_another_order_are_sorted(tmp_path: Path) -> None:
    path = write_enhanced_ct(tmp_path / "e.dcm", _noisy()[::-1], axial_affine(flip="k", origin_mm=(-120, -110, -665)))
    volume = _read(path)
    assert np.array_equal(volume.attenuation_hu, _noisy())
    assert np.allclose(volume.geometry.affine, axial_affine())


CASES = {
    "head first": (axial_affine(), "HFS"),
    "feet first": (axial_affine(), "FFS"),
    "rows towards the right": (axial_affine(flip="i"), "FFS"),
    "rows towards the front": (axial_affine(flip="j"), "HFP"),
    "turned within the plane": (axial_affine(flip="ij"), "HFP"),
    "numbered from the head down": (axial_affine(flip="k"), "HFS"),
    "oblique": (oblique_affine(), "HFS"),
    "sagittal": (axial_affine()[:, [2, 0, 1, 3]], "HFS"),
}


@pytest.mark.parametrize("case", CASES)
def test_geometry_equals_that_of_an_independent_reader(tmp_path: Path, case: str) -> None:
    """SimpleITK reads single slices by itself: each of its voxels must lie where ours says it does."""
    affine, position = CASES[case]
    hu = _noisy()
    paths = write_ct_series(tmp_path / "scan", hu, affine, patient_position=position, shuffle_seed=3)
    volume = _read(tmp_path / "scan")
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "scan")))
    image = reader.Execute()
    seen = SimpleITK.GetArrayFromImage(image)
    assert np.array_equal(volume.attenuation_hu, seen)
    for index in ((0, 0, 0), (7, 0, 0), (0, 39, 0), (0, 0, 63), (7, 39, 63), (3, 11, 17)):
        theirs = image.TransformIndexToPhysicalPoint([int(n) for n in index[::-1]])
        assert np.allclose(volume.geometry.to_lps_mm(np.array(index, dtype=np.float64)), theirs, atol=1e-4)
    # and the value written at a place is found at that place
    k, j, i = 2, 11, 17
    place = affine @ np.array([k, j, i, 1.0])
    index = np.rint(np.linalg.solve(volume.geometry.affine, place)).astype(int)[:3]
    assert volume.attenuation_hu[tuple(index)] == hu[k, j, i]
    assert len(paths) == 8


def test_simpleitk_takes_a_tilt_for_straight_and_we_do_not(tmp_path: Path) -> None:
    """Why geometry is ours: the independent reader drops the shear without an error."""
    write_ct_series(tmp_path / "scan", thigh_hu(), tilted_affine(tilt_degrees=15))
    found = find_series(tmp_path / "scan", work_dir=tmp_path)
    assert found.series == ()
    assert "tilted by 15.0 degrees" in found.rejected[0].reason
    assert not found.rejected[0].harmless


def test_a_file_swapped_after_the_look_is_refused_on_loading(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path / "scan", thigh_hu(), axial_affine())
    (candidate,) = find_series(tmp_path / "scan", work_dir=tmp_path).series
    (replacement,) = write_ct_series(tmp_path / "mr", thigh_hu(1), axial_affine(), modality="MR")
    paths[2].write_bytes(replacement.read_bytes())
    with pytest.raises(NotCTError, match="modality is MR"):
        load_series(candidate)
    paths[2].unlink()
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        load_series(candidate)
