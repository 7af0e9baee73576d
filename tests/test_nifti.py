"""NIfTI in RAS, everything else in LPS; expected values by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
from thigh_array import thigh_hu

from thighseg_core.errors import GeometryMismatchError, InputError, UnreadableFileError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.nifti import read_ct_nifti, read_labels, write_ct, write_labels
from thighseg_core.reading import find_series, load_series
from training.dicom_factory import axial_affine, oblique_affine, write_ct_series


def _save(path: Path, ijk: np.ndarray, affine_ras: np.ndarray, *, unit: str = "mm") -> Path:
    image = nibabel.Nifti1Image(ijk, affine_ras)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


def _labels(geometry: Geometry) -> LabelMap:
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    labels[1, 2, 3], labels[2:5, 7, 9], labels[-1, -1, -1] = 1, 2, 17
    return LabelMap(labels=labels, geometry=geometry)


def test_ras_becomes_lps_and_ijk_becomes_kji(tmp_path: Path) -> None:
    """Index (i, j, k) = (3, 5, 2) lies at RAS (100 - 3*0.8, -50 + 5*0.9, 10 + 2*4) = (97.6, -45.5, 18)."""
    affine_ras = np.array([[-0.8, 0, 0, 100], [0, 0.9, 0, -50], [0, 0, 4, 10], [0, 0, 0, 1.0]])
    volume = read_ct_nifti(_save(tmp_path / "a.nii.gz", thigh_hu().transpose(2, 1, 0), affine_ras))
    assert volume.attenuation_hu.dtype == np.int16
    assert np.array_equal(volume.attenuation_hu, thigh_hu())
    assert volume.geometry.to_lps_mm(np.array([2.0, 5.0, 3.0])) == pytest.approx((-97.6, 45.5, 18.0), abs=1e-5)
    assert volume.geometry.spacing_mm == pytest.approx((4, 0.9, 0.8), abs=1e-6)
    assert volume.info.notes == ()


def test_a_file_packed_in_parts_is_read_and_one_that_fails_its_checksum_is_not(tmp_path: Path) -> None:
    plain = _save(tmp_path / "a.nii", thigh_hu().transpose(2, 1, 0), np.eye(4)).read_bytes()
    packed = gzip.compress(plain[:5000]) + gzip.compress(plain[5000:])
    (tmp_path / "parts.nii.gz").write_bytes(packed + b"something that follows")
    assert np.array_equal(read_ct_nifti(tmp_path / "parts.nii.gz").attenuation_hu, thigh_hu())
    (tmp_path / "bad.nii.gz").write_bytes(packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:])  # of the CRC-32
    with pytest.raises(UnreadableFileError, match="damaged"):
        read_ct_nifti(tmp_path / "bad.nii.gz")


def test_the_same_scan_has_one_digest_as_dicom_and_as_nifti(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "dicom", thigh_hu(), oblique_affine(), shuffle_seed=1)
    (candidate,) = find_series(tmp_path / "dicom", work_dir=tmp_path).series
    scan = load_series(candidate)
    write_ct(tmp_path / "scan.nii.gz", scan)
    again = read_ct_nifti(tmp_path / "scan.nii.gz")
    assert again.info.digest_sha256 == scan.info.digest_sha256
    assert again.info.series_uid == f"sha256:{scan.info.digest_sha256}"
    image = nibabel.as_closest_canonical(nibabel.load(tmp_path / "scan.nii.gz"))
    nibabel.save(image, tmp_path / "canonical.nii.gz")
    assert read_ct_nifti(tmp_path / "canonical.nii.gz").info.digest_sha256 == scan.info.digest_sha256


def test_scaled_integers_floats_and_a_fourth_axis_of_one_are_read(tmp_path: Path) -> None:
    ijk = (thigh_hu() // 2 * 2).transpose(2, 1, 0)
    scaled = nibabel.Nifti1Image((ijk // 2).astype(np.int16), np.eye(4))
    scaled.header.set_slope_inter(2, 0)
    nibabel.save(scaled, tmp_path / "scaled.nii")
    _save(tmp_path / "double.nii.gz", ijk.astype(np.float64)[..., None], np.eye(4))
    for name in ("scaled.nii", "double.nii.gz"):
        volume = read_ct_nifti(tmp_path / name)
        assert volume.attenuation_hu.dtype == np.int16, name
        assert np.array_equal(volume.attenuation_hu, thigh_hu() // 2 * 2), name


def test_fractions_stay_float32_and_padding_is_replaced(tmp_path: Path) -> None:
    ijk = thigh_hu().transpose(2, 1, 0).astype(np.float32) + np.float32(0.25)
    ijk[:2, 0, 0] = -3024
    volume = read_ct_nifti(_save(tmp_path / "a.nii.gz", ijk, np.eye(4)))
    assert volume.attenuation_hu.dtype == np.float32
    assert volume.attenuation_hu[0, 0, :3].tolist() == [-1024, -1024, -999.75]
    assert volume.info.notes == ("2 padding voxels outside the reconstructed field were set to -1024 HU.",)


def test_an_unknown_unit_and_disagreeing_forms_are_said(tmp_path: Path) -> None:
    ijk = thigh_hu().transpose(2, 1, 0)
    image = nibabel.Nifti1Image(ijk, None)
    image.set_sform(np.diag([1, 1, 4, 1.0]), code=1)
    image.set_qform(np.diag([1, 1, 5, 1.0]), code=1)
    nibabel.save(image, tmp_path / "a.nii")
    (candidate,) = find_series(tmp_path / "a.nii", work_dir=tmp_path).series
    volume = load_series(candidate)
    assert [note[:40] for note in volume.info.notes] == [
        "The NIfTI header states no unit of lengt",
        "The NIfTI header's sform and qform diffe",
    ]
    assert volume.geometry.spacing_mm[0] == pytest.approx(4)


@pytest.mark.parametrize("affine", [axial_affine(), oblique_affine(), axial_affine(flip="kij")])
def test_labels_come_back_as_they_were_written(tmp_path: Path, affine: np.ndarray) -> None:
    label_map = _labels(Geometry((8, 10, 12), affine))
    write_labels(tmp_path / "out" / "labels.nii.gz", label_map)
    image = nibabel.load(tmp_path / "out" / "labels.nii.gz")
    assert image.get_data_dtype() == np.uint8
    assert image.header.get_xyzt_units()[0] == "mm"
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
    assert np.allclose(image.get_qform(), image.get_sform(), atol=1e-4)
    again = read_labels(tmp_path / "out" / "labels.nii.gz", like=label_map.geometry)
    assert np.array_equal(again.labels, label_map.labels)
    assert again.geometry == label_map.geometry


@pytest.mark.parametrize("axes", ["SLP", "RAI", "AIR"])
def test_labels_with_turned_and_flipped_axes_are_put_in_order(tmp_path: Path, axes: str) -> None:
    label_map = _labels(Geometry((8, 10, 12), oblique_affine()))
    write_labels(tmp_path / "a.nii.gz", label_map)
    image = nibabel.load(tmp_path / "a.nii.gz")
    turn = nibabel.orientations.axcodes2ornt(tuple(axes))
    turned = image.as_reoriented(nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), turn))
    nibabel.save(turned, tmp_path / "b.nii.gz")
    assert np.array_equal(read_labels(tmp_path / "b.nii.gz", like=label_map.geometry).labels, label_map.labels)


@pytest.mark.parametrize("change", ["shape", "shift", "spacing", "mirror"])
def test_labels_of_another_grid_are_refused(tmp_path: Path, change: str) -> None:
    own = axial_affine()
    other = own.copy()
    if change == "shift":
        other[0, 3] += 0.4  # half a voxel
    if change == "spacing":
        other[:3, 2] *= 1.02
    if change == "mirror":  # the same box seen from the other side of x = 0
        other[0, 3] = -other[0, 3] - 11 * 0.8
    write_labels(tmp_path / "a.nii.gz", _labels(Geometry((8, 10, 13 if change == "shape" else 12), other)))
    with pytest.raises(GeometryMismatchError, match=r"not on the grid of the scan: expected .* got"):
        read_labels(tmp_path / "a.nii.gz", like=Geometry((8, 10, 12), own))


@pytest.mark.parametrize("value", [18, 0.5, -1])
def test_values_outside_the_scheme_are_refused(tmp_path: Path, value: float) -> None:
    ijk = np.zeros((12, 10, 8), dtype=np.float32)
    ijk[1, 1, 1] = value
    _save(tmp_path / "a.nii.gz", ijk, np.eye(4))
    with pytest.raises(InputError, match="no label map"):
        read_labels(tmp_path / "a.nii.gz", like=Geometry((8, 10, 12), axial_affine()))


def test_an_8_bit_mask_beside_the_scan_is_a_harmless_rejection(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "scan", thigh_hu(), axial_affine())
    _save(tmp_path / "scan" / "mask.nii.gz", np.ones((64, 40, 8), dtype=np.uint8), np.eye(4))
    found = find_series(tmp_path / "scan", work_dir=tmp_path / "work")
    assert len(found.series) == 1
    assert [(one.name, one.harmless) for one in found.rejected] == [("mask.nii.gz", True)]
