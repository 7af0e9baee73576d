"""Drawings in DICOM: segmentations (SEG, binary, fractional and label map) and contours (RTSTRUCT)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from thighseg_core.contours import fill_contours
from thighseg_core.errors import GeometryMismatchError, InputError, ThighSegError, UnreadableFileError
from thighseg_core.geometry import Geometry
from thighseg_core.nifti import MAX_VOXELS
from thighseg_core.segments import Segments, part_of_grid

# DICOM PS3.4 B.5
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
MOST_SEGMENTS = 255


def read_dicom_segments(path: Path, *, like: Geometry) -> Segments:
    """A SEG or RTSTRUCT file on the grid `like`. Raises as `segments_reading.read_segments`."""
    try:
        dataset = pydicom.dcmread(path)
        kind = str(dataset.get("SOPClassUID", ""))
        if kind == STRUCTURE_SET:
            return _structure_set(dataset, like=like, name=path.name)
        if kind in (SEGMENTATION, LABEL_MAP_SEGMENTATION):
            return _segmentation(dataset, like=like, name=path.name)
    except ThighSegError:
        raise
    except Exception as error:  # pydicom and its decoders raise nearly anything on damaged files
        raise UnreadableFileError(
            f"{path.name} cannot be read as DICOM SEG or RTSTRUCT: truncated or damaged ({type(error).__name__}); "
            "export it again"
        ) from error
    raise InputError(f"{path.name} holds {dataset.get('Modality', 'no modality')}, expected DICOM SEG or RTSTRUCT")


def _segmentation(dataset: Any, *, like: Geometry, name: str) -> Segments:
    n_frames, rows, columns = int(dataset.get("NumberOfFrames", 1)), int(dataset.Rows), int(dataset.Columns)
    if not 0 < n_frames * rows * columns <= MAX_VOXELS:
        raise UnreadableFileError(f"{name} claims {n_frames} frames of {rows} x {columns}; damaged or too large")
    names = {int(one.SegmentNumber): str(one.get("SegmentLabel", "")) for one in dataset.SegmentSequence}
    if max(names, default=0) > MOST_SEGMENTS:
        raise InputError(f"{name} has segments numbered up to {max(names)}, at most {MOST_SEGMENTS} are read")
    frames = dataset.pixel_array.reshape(n_frames, rows, columns)
    is_label_map = str(dataset.get("SegmentationType", "BINARY")) == "LABELMAP"
    threshold = 1
    if str(dataset.get("SegmentationType", "BINARY")) == "FRACTIONAL":
        threshold = -(-int(dataset.MaximumFractionalValue) // 2)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    values = np.zeros(like.shape, dtype=np.uint8)
    overlap = 0
    for frame, groups in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        affine = _frame_affine(groups, shared, like=like)
        if is_label_map:
            drawn = frame.astype(np.uint8)
        else:
            identification = groups if "SegmentIdentificationSequence" in groups else shared
            number = int(identification.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
            drawn = np.where(frame >= threshold, number, 0).astype(np.uint8)
        part, into = part_of_grid(drawn[None], affine, like=like, name=name)
        box, where = values[into], part > 0
        overlap += int(np.count_nonzero(box[where]))
        box[where] = part[where]
    return Segments(values, like, names, "DICOM SEG", overlap)


def _frame_affine(groups: Any, shared: Any, *, like: Geometry) -> NDArray[np.float64]:
    """Index (0, row, column) of a frame -> LPS mm; across the frame it steps by the scan's own spacing there."""

    def group(keyword: str) -> Any:
        return getattr(groups if keyword in groups else shared, keyword)[0]

    along_row, along_column = np.array(
        group("PlaneOrientationSequence").ImageOrientationPatient, dtype=np.float64
    ).reshape(2, 3)
    row_mm, column_mm = (float(mm) for mm in group("PixelMeasuresSequence").PixelSpacing)
    normal = np.cross(along_row, along_column)
    across_mm = like.spacing_mm[int(np.abs(like.directions.T @ normal).argmax())]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = normal * across_mm, along_column * row_mm, along_row * column_mm
    affine[:3, 3] = np.array(group("PlanePositionSequence").ImagePositionPatient, dtype=np.float64)
    return affine


def _structure_set(dataset: Any, *, like: Geometry, name: str) -> Segments:
    names = {int(roi.ROINumber): str(roi.get("ROIName", "")) for roi in dataset.StructureSetROISequence}
    values = np.zeros(like.shape, dtype=np.uint8)
    drawn: dict[int, str] = {}
    overlap = 0
    for roi in dataset.get("ROIContourSequence", []):
        contours = [
            np.array(contour.ContourData, dtype=np.float64).reshape(-1, 3)
            for contour in roi.get("ContourSequence", [])
            if str(contour.get("ContourGeometricType", "")) == "CLOSED_PLANAR"
        ]
        if not contours:
            continue  # points and open lines enclose nothing
        if len(drawn) == MOST_SEGMENTS:
            raise InputError(f"{name} has more than {MOST_SEGMENTS} structures; export the muscle groups only")
        drawn[len(drawn) + 1] = names.get(int(roi.ReferencedROINumber), "")
        mask = fill_contours(contours, like=like, name=name)
        overlap += int(np.count_nonzero(values[mask]))
        values[mask] = len(drawn)
    if not drawn:
        raise GeometryMismatchError(f"{name} has no closed contour; export the structures as closed planar contours")
    return Segments(values, like, drawn, "RTSTRUCT", overlap)
