"""Readers' drawings from each format, on the scan's grid; files are written by other libraries where there are any."""

from __future__ import annotations

from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from thighseg_core.contours import fill_polygon
from thighseg_core.errors import GeometryMismatchError, InputError, UnreadableFileError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import label_value
from thighseg_core.nifti import RAS_LPS
from thighseg_core.reading import find_series, load_series
from thighseg_core.segments import IGNORE, Segments, as_label_map, match_label, suggested
from thighseg_core.segments_reading import read_segments
from thighseg_core.volume import CTVolume
from training.dicom_factory import axial_affine, write_ct_series

SHAPE = (6, 40, 50)
BOX = (slice(1, 4), slice(10, 20), slice(5, 17))
OTHER = (slice(2, 5), slice(22, 30), slice(30, 45))


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small CT as DICOM files: 5.0 x 0.9 x 0.8 mm."""
    affine = axial_affine(spacing_mm=(5.0, 0.9, 0.8), origin_mm=(-18.4, -20.0, -500.0))
    hu = np.full(SHAPE, -1000, dtype=np.int16)
    hu[1:5, 5:35, 5:45] = 50
    return write_ct_series(tmp_path_factory.mktemp("ct"), hu, affine)


@pytest.fixture(scope="module")
def volume(series: list[Path], tmp_path_factory: pytest.TempPathFactory) -> CTVolume:
    return load_series(find_series(series[0].parent, work_dir=tmp_path_factory.mktemp("work")).series[0])


def _drawn() -> NDArray[np.uint8]:
    values = np.zeros(SHAPE, dtype=np.uint8)
    values[BOX] = 1
    values[OTHER] = 3
    return values


def _write_nifti(path: Path, values: NDArray[np.uint8], affine: NDArray[np.float64]) -> Path:
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), (RAS_LPS @ affine)[:, [2, 1, 0, 3]]), path)
    return path


def test_a_nifti_that_is_flipped_and_permuted_lands_where_it_was_drawn(volume: CTVolume, tmp_path: Path) -> None:
    geometry = volume.geometry
    flipped = geometry.affine.copy()
    flipped[:3, 3] += (SHAPE[1] - 1) * flipped[:3, 1]
    flipped[:3, 1] *= -1
    permuted = flipped[:, [2, 0, 1, 3]]
    values = np.flip(_drawn(), axis=1).transpose(2, 0, 1)
    found = read_segments(_write_nifti(tmp_path / "r.nii.gz", values, permuted), like=geometry)
    assert (found.values == _drawn()).all()
    assert found.source_format == "NIfTI"
    assert suggested(found) == {1: 1, 3: 3}  # our own label values


def test_a_nifti_of_another_grid_is_refused(volume: CTVolume, tmp_path: Path) -> None:
    moved = volume.geometry.affine.copy()
    moved[0, 3] += 0.4  # half a pixel
    with pytest.raises(GeometryMismatchError, match=r"0\.50 voxels beside"):
        read_segments(_write_nifti(tmp_path / "r.nii", _drawn(), moved), like=volume.geometry)
    moved[0, 3] += 0.4 + 30 * 0.8  # whole pixels, but outside
    with pytest.raises(GeometryMismatchError, match="outside the scan"):
        read_segments(_write_nifti(tmp_path / "r.nii", _drawn(), moved), like=volume.geometry)


def test_a_3d_slicer_file_is_read_by_its_names_layers_and_smaller_extent(volume: CTVolume, tmp_path: Path) -> None:
    """Slicer crops to what is drawn, and puts overlapping segments into layers."""
    k, j, i = slice(1, 6), slice(8, 32), slice(4, 48)
    layers = np.zeros((5, 24, 44, 2), dtype=np.uint8)
    drawn = _drawn()[k, j, i]
    layers[..., 0] = (drawn == 1) * 1
    layers[..., 1] = (drawn == 3) * 2
    image = sitk.GetImageFromArray(layers, isVector=True)
    affine = volume.geometry.affine
    image.SetSpacing((0.8, 0.9, 5.0))
    image.SetDirection((affine[:3, [2, 1, 0]] / (0.8, 0.9, 5.0)).ravel().tolist())
    image.SetOrigin((affine @ (1, 8, 4, 1))[:3].tolist())
    for number, (name, layer, label) in enumerate([("Quadriceps L", 0, 1), ("right hamstrings", 1, 2)]):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_Layer", str(layer))
        image.SetMetaData(f"Segment{number}_LabelValue", str(label))
    path = tmp_path / "r.seg.nrrd"
    sitk.WriteImage(image, str(path), useCompression=True)
    found = read_segments(path, like=volume.geometry)
    assert found.names == {1: "Quadriceps L", 2: "right hamstrings"}
    assert (found.values == np.where(_drawn() == 3, 2, _drawn())).all()
    labels = as_label_map(found, suggested(found)).labels
    assert (labels[BOX] == label_value("extensor", "left")).all()
    assert (labels[OTHER] == label_value("flexor", "right")).all()


def test_a_nrrd_that_points_to_another_file_is_refused(volume: CTVolume, tmp_path: Path) -> None:
    path = tmp_path / "r.nrrd"
    path.write_bytes(b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 5 5 5\ndata file: /etc/passwd\nencoding: raw\n\n")
    with pytest.raises(UnreadableFileError, match="another file"):
        read_segments(path, like=volume.geometry)


def _segment(number: int, label: str) -> highdicom.seg.SegmentDescription:
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Muscle,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
    )


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_a_dicom_segmentation_of_another_library_is_read(
    kind: str, series: list[Path], volume: CTVolume, tmp_path: Path
) -> None:
    sources = [pydicom.dcmread(path) for path in series]
    sources.sort(key=lambda d: float(d.ImagePositionPatient[2]), reverse=True)  # another order than ours
    slices = volume.geometry.to_lps_mm(np.array([[k, 0, 0] for k in range(6)]))
    at_z = {round(float(z), 2): k for k, z in enumerate(slices[:, 2])}
    values = np.stack([_drawn()[at_z[round(float(d.ImagePositionPatient[2]), 2)]] for d in sources])
    pixels = np.where(values == 3, 2, values).astype(np.uint8)
    if kind == "FRACTIONAL":
        pixels = np.stack([pixels == 1, pixels == 2], axis=-1).astype(np.float32)
    seg = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=highdicom.seg.SegmentationTypeValues[kind],
        segment_descriptions=[_segment(1, "extensor_left"), _segment(2, "Flexor R")],
        series_instance_uid=highdicom.UID(),
        series_number=100,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=kind != "LABELMAP",
    )
    path = tmp_path / "seg.dcm"
    seg.save_as(path)
    found = read_segments(path, like=volume.geometry)
    assert found.source_format == "DICOM SEG"
    assert (found.values == np.where(_drawn() == 3, 2, _drawn())).all()
    assert suggested(found) == {1: label_value("extensor", "left"), 2: label_value("flexor", "right")}


def _structure_set(geometry: Geometry, path: Path, *, off_mm: float = 0.0) -> Path:
    """A ring of 10 x 12 pixels with a hole of 4 x 4 pixels, on slices 1 to 3."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    dataset.Modality = "RTSTRUCT"
    roi = pydicom.Dataset()
    roi.ROINumber, roi.ROIName = 7, "Left_Sartorius"
    dataset.StructureSetROISequence = [roi]
    contours = []
    for k in (1, 2, 3):
        for j0, j1, i0, i1 in ((9.5, 19.5, 4.5, 16.5), (12.5, 16.5, 8.5, 12.5)):
            corners = np.array([(k, j0, i0), (k, j0, i1), (k, j1, i1), (k, j1, i0)])
            item = pydicom.Dataset()
            item.ContourGeometricType = "CLOSED_PLANAR"
            item.NumberOfContourPoints = 4
            points = geometry.to_lps_mm(corners) + np.array([0, 0, off_mm])
            item.ContourData = [f"{value:.4f}" for value in points.ravel()]
            contours.append(item)
    drawn = pydicom.Dataset()
    drawn.ReferencedROINumber, drawn.ContourSequence = 7, contours
    dataset.ROIContourSequence = [drawn]
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_contours_of_a_structure_set_fill_the_pixels_whose_centres_they_hold(volume: CTVolume, tmp_path: Path) -> None:
    found = read_segments(_structure_set(volume.geometry, tmp_path / "rt.dcm"), like=volume.geometry)
    expected = np.zeros(SHAPE, dtype=bool)
    expected[BOX] = True
    expected[1:4, 13:17, 9:13] = False  # the hole
    assert ((found.values == 1) == expected).all()
    assert suggested(found) == {1: label_value("sartorius", "left")}


def test_contours_between_slices_are_refused(volume: CTVolume, tmp_path: Path) -> None:
    path = _structure_set(volume.geometry, tmp_path / "rt.dcm", off_mm=2.5)  # half the slice spacing
    with pytest.raises(GeometryMismatchError, match="does not lie in a slice"):
        read_segments(path, like=volume.geometry)


def test_a_slanted_polygon_holds_half_of_its_square() -> None:
    triangle = np.array([(-0.5, -0.5), (99.5, 99.5), (99.5, -0.5)])
    assert fill_polygon(triangle, shape=(120, 120)).sum() == pytest.approx(5000, abs=51)


def test_damaged_and_other_files_are_refused_in_words(volume: CTVolume, series: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds CT, expected DICOM SEG"):
        read_segments(series[0], like=volume.geometry)
    text = tmp_path / "r.txt"
    text.write_text("extensor " * 100)
    with pytest.raises(UnreadableFileError, match="none of the formats"):
        read_segments(text, like=volume.geometry)
    path = _structure_set(volume.geometry, tmp_path / "rt.dcm")
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError):
        read_segments(path, like=volume.geometry)
    image = _write_nifti(tmp_path / "ct.nii", np.full(SHAPE, 1, dtype=np.uint8), volume.geometry.affine)
    nibabel.save(nibabel.Nifti1Image(np.full((50, 40, 6), -100, dtype=np.int16), nibabel.load(image).affine), image)
    with pytest.raises(InputError, match="save the labels, not the image"):
        read_segments(image, like=volume.geometry)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("extensor_left", ("extensor", "left")),
        ("Quadriceps R", ("extensor", "right")),
        ("thigh_posterior_compartment_left", ("flexor", "left")),
        ("LeftAdductors", ("adductor", "left")),
        ("sartorius", ("sartorius", None)),
        ("other bone", ("other_bone", None)),
        ("gluteus maximus right", None),
        ("left and right flexor", None),
        ("", None),
    ],
)
def test_names_are_matched_by_their_words(name: str, expected: tuple[str, str | None] | None) -> None:
    assert match_label(name) == expected


def test_what_is_not_recognised_is_left_to_a_person() -> None:
    values = np.zeros(SHAPE, dtype=np.uint8)
    values[BOX], values[OTHER] = 1, 2
    segments = Segments(values, Geometry(SHAPE, np.eye(4)), {1: "flexor", 2: "gluteus"}, "NRRD")
    assert suggested(segments) == {1: IGNORE, 2: IGNORE}
    assert suggested(segments, side="right") == {1: label_value("flexor", "right"), 2: IGNORE}
    with pytest.raises(InputError, match="no drawn segment"):
        as_label_map(segments, suggested(segments))
    with pytest.raises(InputError, match="does not exist"):
        as_label_map(segments, {1: 77})
