"""Labels out as DICOM SEG and in again: nothing changes, and other libraries see them at the same place."""

from __future__ import annotations

import io
from pathlib import Path

import highdicom
import numpy as np
import pytest
from numpy.typing import NDArray

from pages.parts.corrections import read_corrected
from thighseg_core.errors import GeometryMismatchError, InputError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LABELS, LabelMap, label_value
from thighseg_core.reading import find_series, load_series
from thighseg_core.segments_writing import dicom_segmentation
from thighseg_core.volume import CTVolume
from training.dicom_factory import axial_affine, write_ct_series

SHAPE = (6, 40, 50)
SPACING_MM = (5.0, 0.9, 0.8)
ORIGIN_MM = (-18.4, -20.0, -500.0)  # x, y, z of the first voxel


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Path, ...], CTVolume]:
    """A small CT as DICOM files, and as it is read."""
    hu = np.full(SHAPE, -1000, dtype=np.int16)
    hu[1:5, 5:35, 5:45] = 50
    folder = tmp_path_factory.mktemp("ct")
    write_ct_series(folder, hu, axial_affine(spacing_mm=SPACING_MM, origin_mm=ORIGIN_MM))
    (found,) = find_series(folder, work_dir=tmp_path_factory.mktemp("work")).series
    return found.files, load_series(found)


def all_labels() -> NDArray[np.uint8]:
    """Every label of the scheme in a place and of a size of its own, on two to six slices."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for value in list(LABELS)[1:]:
        row, column = divmod(value - 1, 6)
        labels[: 2 + value % 5, 12 * row : 12 * row + 5 + row, 8 * column : 8 * column + 3 + value % 4] = value
    return labels


def test_a_label_map_comes_back_from_dicom_seg_with_no_voxel_changed(scan: tuple[tuple[Path, ...], CTVolume]) -> None:
    files, volume = scan
    labels = LabelMap(all_labels(), volume.geometry)
    assert set(np.unique(labels.labels)) == set(LABELS)
    content = dicom_segmentation(files[::-1], labels, automatic=True)
    back = read_corrected(content, like=volume.geometry)
    assert int(np.count_nonzero(back.labels != labels.labels)) == 0


def test_another_library_finds_a_segment_where_the_patient_has_it(scan: tuple[tuple[Path, ...], CTVolume]) -> None:
    """A box of rows 10 to 19 and columns 5 to 16 on two slices, looked up in millimetres."""
    files, volume = scan
    values = np.zeros(SHAPE, dtype=np.uint8)
    values[1:3, 10:20, 5:17] = label_value("extensor", "left")
    values[4, 30:33, 40:42] = label_value("femur", "right")
    content = dicom_segmentation(files, LabelMap(values, volume.geometry), automatic=False)
    segmentation = highdicom.seg.segread(io.BytesIO(content))
    (first, second) = segmentation.SegmentSequence
    assert (first.SegmentLabel, first.SegmentAlgorithmType) == ("extensor_left", "SEMIAUTOMATIC")
    assert (second.SegmentLabel, second.SegmentedPropertyTypeCodeSequence[0].CodeMeaning) == ("femur_right", "Bone")
    seen = segmentation.get_volume(segment_numbers=[1], combine_segments=True)
    indices = np.argwhere(np.asarray(seen.array) == 1)
    places_mm = indices @ seen.affine[:3, :3].T + seen.affine[:3, 3]
    z_mm = volume.geometry.to_lps_mm(np.array([[1, 10, 5], [2, 19, 16]]))[:, 2]
    assert len(indices) == 2 * 10 * 12
    low, high = places_mm.min(axis=0), places_mm.max(axis=0)
    assert low == pytest.approx([ORIGIN_MM[0] + 5 * 0.8, ORIGIN_MM[1] + 10 * 0.9, min(z_mm)], abs=1e-3)
    assert high == pytest.approx([ORIGIN_MM[0] + 16 * 0.8, ORIGIN_MM[1] + 19 * 0.9, max(z_mm)], abs=1e-3)


def test_labels_of_another_grid_and_empty_ones_are_refused(scan: tuple[tuple[Path, ...], CTVolume]) -> None:
    files, volume = scan
    moved = volume.geometry.affine.copy()
    moved[0, 3] += 1.0
    with pytest.raises(GeometryMismatchError, match="take the NIfTI file"):
        dicom_segmentation(files, LabelMap(all_labels(), Geometry(SHAPE, moved)), automatic=True)
    with pytest.raises(InputError, match="empty"):
        dicom_segmentation(files, LabelMap(np.zeros(SHAPE, dtype=np.uint8), volume.geometry), automatic=True)
