"""Real DICOM CT series made from an array and an affine, for the demo study and for tests.

The file on disk is what the options say, right or wrong: this is also how faulty series are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    generate_uid,
)


def axial_affine(
    *,
    spacing_mm: tuple[float, float, float] = (5.0, 0.9, 0.8),
    origin_mm: tuple[float, float, float] = (-120.0, -110.0, -700.0),
    flip: Collection[str] = (),
) -> NDArray[np.float64]:
    """(k, j, i) -> LPS for an axial series: i to the left, j to posterior, k to superior.

    spacing_mm: (slice, row, column); origin_mm: LPS of voxel (0, 0, 0); flip: any of "k", "j", "i".
    """
    dk, dj, di = (-step if axis in flip else step for axis, step in zip("kji", spacing_mm, strict=True))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, di], [0, dj, 0], [dk, 0, 0]], dtype=np.float64)
    affine[:3, 3] = origin_mm
    return affine


def oblique_affine(
    *,
    degrees: tuple[float, float, float] = (12.0, -7.0, 20.0),
    spacing_mm: tuple[float, float, float] = (5.0, 0.9, 0.8),
    origin_mm: tuple[float, float, float] = (-120.0, -110.0, -700.0),
) -> NDArray[np.float64]:
    """`axial_affine` turned by `degrees` about x, then y, then z: still at right angles."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        c, s = math.cos(angle), math.sin(angle)
        one = np.eye(3)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        one[a, a], one[a, b], one[b, a], one[b, b] = c, -s, s, c
        turn = one @ turn
    affine = axial_affine(spacing_mm=spacing_mm, origin_mm=origin_mm)
    affine[:3, :3] = turn @ affine[:3, :3]
    return affine


def tilted_affine(
    *,
    tilt_degrees: float = 15.0,
    spacing_mm: tuple[float, float, float] = (5.0, 0.9, 0.8),
    origin_mm: tuple[float, float, float] = (-120.0, -110.0, -700.0),
) -> NDArray[np.float64]:
    """A gantry tilt: slices turned about x while the table moves along z, so the grid is sheared."""
    affine = axial_affine(spacing_mm=spacing_mm, origin_mm=origin_mm)
    angle = math.radians(tilt_degrees)
    affine[:3, 1] = spacing_mm[1] * np.array([0.0, math.cos(angle), math.sin(angle)])
    return affine


def write_ct_series(
    folder: Path,
    attenuation_hu: NDArray[np.int16],
    affine_lps: NDArray[np.float64],
    *,
    transfer_syntax: str = ExplicitVRLittleEndian,
    rescale_slope: float | Sequence[float] | None = 1.0,
    rescale_intercept: float | Sequence[float] | None = -1024.0,
    signed: bool = False,
    padding: NDArray[np.bool_] | None = None,
    padding_stored: int = -2000,
    declare_padding: bool = True,
    drop: Collection[int] = (),
    duplicate: Collection[int] = (),
    slice_shift_mm: dict[int, float] | None = None,
    shuffle_seed: int | None = None,
    file_prefix: str = "IM",
    file_suffix: str = ".dcm",
    study_uid: str | None = None,
    series_uid: str | None = None,
    frame_uid: str | None = None,
    series_number: int = 3,
    series_description: str = "THIGH 5mm STD",
    modality: str = "CT",
    sop_class: str = CTImageStorage,
    image_type: Sequence[str] = ("ORIGINAL", "PRIMARY", "AXIAL"),
    patient_position: str = "HFS",
    patient_name: str = "Test^Thigh",
    patient_id: str = "P001",
    patient_birth_date: str = "19500102",
    patient_sex: str = "F",
    patient_age: str = "076Y",
    patient_size_m: str = "1.72",
    patient_weight_kg: str = "70",
    acquisition_date: str = "20260301",
    gantry_tilt_degrees: float | None = None,
    slice_thickness_mm: float | None = None,
    manufacturer: str = "SYNTHETIC",
    tube_voltage_kvp: float = 120,
    convolution_kernel: str = "STANDARD",
    change: Callable[[Dataset, int], None] | None = None,
) -> list[Path]:
    """Write one file a slice into `folder` and return the paths in slice order (duplicates last).

    attenuation_hu: (K, J, I); affine_lps: (k, j, i) -> LPS mm of voxel centres, sheared allowed. Slice k of the
        array is the slice whose position is affine @ (k, 0, 0). When k runs against row x column (a flipped k),
        a reader that sorts along the normal returns the slices in reverse, with the affine that belongs to that.
    rescale_*: one number, one per slice, or None to leave the tag out. Stored values are rounded to integers.
    padding: (K, J, I) mask of pixels stored as `padding_stored` (makes the series signed when it is negative).
    drop, duplicate: slices left out, slices written twice (second file, other SOPInstanceUID).
    slice_shift_mm: extra shift of a slice along the slice axis.
    transfer_syntax: explicit little endian, or one that pydicom can encode (JPEG-LS, JPEG 2000 from 32 x 32 pixels,
        RLE), or JPEG lossless SV1 (through gdcm).
    change: called with (dataset, k) just before a slice is written; sets, deletes or breaks what it likes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    n_slices = attenuation_hu.shape[0]
    signed = signed or (padding is not None and padding_stored < 0)
    uids = {
        "study": study_uid or generate_uid(),
        "series": series_uid or generate_uid(),
        "frame": frame_uid or generate_uid(),
    }
    order = [k for k in range(n_slices) if k not in drop] + sorted(duplicate)
    numbers = np.arange(len(order))
    if shuffle_seed is not None:
        np.random.default_rng(shuffle_seed).shuffle(numbers)
    axis = affine_lps[:3, 0] / np.linalg.norm(affine_lps[:3, 0])
    paths = []
    for number, k in zip(numbers, order, strict=True):
        slope, intercept = _of_slice(rescale_slope, k), _of_slice(rescale_intercept, k)
        stored = np.rint((attenuation_hu[k].astype(np.float64) - (intercept or 0.0)) / (slope or 1.0))
        if padding is not None:
            stored[padding[k]] = padding_stored
        ds = _slice_dataset(stored, signed=signed, sop_class=sop_class)
        position = affine_lps[:3, 3] + k * affine_lps[:3, 0] + (slice_shift_mm or {}).get(k, 0.0) * axis
        _set_geometry(ds, affine_lps, position_mm=position)
        if slope is not None:
            ds.RescaleSlope = f"{slope:.10g}"
        if intercept is not None:
            ds.RescaleIntercept = f"{intercept:.10g}"
            ds.RescaleType = "HU"
        if padding is not None and declare_padding:
            ds.add_new("PixelPaddingValue", "SS" if signed else "US", padding_stored)
        ds.SliceThickness = f"{slice_thickness_mm or np.linalg.norm(affine_lps[:3, 0]):.6g}"
        ds.InstanceNumber = int(number) + 1
        ds.ImageType = list(image_type)
        ds.Modality = modality
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = uids["study"], uids["series"], uids["frame"]
        ds.StudyID, ds.AccessionNumber, ds.SeriesNumber = "1", "A1", series_number
        ds.StudyDescription, ds.SeriesDescription, ds.BodyPartExamined = "CT thigh", series_description, "THIGH"
        ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = acquisition_date
        ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101500"
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = patient_name, patient_id, patient_birth_date
        ds.PatientSex, ds.PatientAge = patient_sex, patient_age
        ds.PatientSize, ds.PatientWeight = patient_size_m, patient_weight_kg
        ds.PatientPosition, ds.PositionReferenceIndicator = patient_position, ""
        ds.ReferringPhysicianName = ""
        ds.Manufacturer, ds.ManufacturerModelName = manufacturer, "Phantom 1"
        ds.KVP, ds.ConvolutionKernel, ds.AcquisitionNumber = f"{tube_voltage_kvp:g}", convolution_kernel, 1
        if gantry_tilt_degrees is not None:
            ds.GantryDetectorTilt = f"{gantry_tilt_degrees:g}"
        if change is not None:
            change(ds, k)
        path = folder / f"{file_prefix}{number:05d}{file_suffix}"
        _save(ds, path, transfer_syntax=transfer_syntax)
        paths.append(path)
    return paths


def write_enhanced_ct(
    path: Path,
    attenuation_hu: NDArray[np.int16],
    affine_lps: NDArray[np.float64],
    *,
    per_frame_rescale: bool = False,
    change: Callable[[Dataset], None] | None = None,
) -> Path:
    """One enhanced multi-frame CT file (PS3.3 A.38.1) with the same pixels and grid as `write_ct_series`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    intercept = -1024
    ds = _slice_dataset(attenuation_hu.astype(np.float64) - intercept, signed=False, sop_class=EnhancedCTImageStorage)
    ds.NumberOfFrames = attenuation_hu.shape[0]
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = generate_uid(), generate_uid(), generate_uid()
    ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Test^Thigh", "P001", "19500102", "F"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20260301"
    ds.StudyTime = ds.ContentTime = "101500"
    ds.SeriesNumber, ds.InstanceNumber, ds.PatientPosition = 4, 1, "HFS"
    header = Dataset()
    _set_geometry(header, affine_lps, position_mm=affine_lps[:3, 3])

    def one(**elements: object) -> list[Dataset]:
        item = Dataset()
        for keyword, value in elements.items():
            setattr(item, keyword, value)
        return [item]

    rescale = one(RescaleSlope="1", RescaleIntercept=str(intercept), RescaleType="HU")
    shared = Dataset()
    shared.PixelMeasuresSequence = one(PixelSpacing=header.PixelSpacing, SliceThickness="5")
    shared.PlaneOrientationSequence = one(ImageOrientationPatient=header.ImageOrientationPatient)
    if not per_frame_rescale:
        shared.PixelValueTransformationSequence = rescale
    frames = []
    for k in range(attenuation_hu.shape[0]):
        frame = Dataset()
        position = affine_lps[:3, 3] + k * affine_lps[:3, 0]
        frame.PlanePositionSequence = one(ImagePositionPatient=[_decimal(x) for x in position])
        if per_frame_rescale:
            frame.PixelValueTransformationSequence = rescale
        frames.append(frame)
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = frames
    if change is not None:
        change(ds)
    _save(ds, path, transfer_syntax=ExplicitVRLittleEndian)
    return path


def _of_slice(value: float | Sequence[float] | None, k: int) -> float | None:
    if value is None or isinstance(value, (int, float)):
        return value
    return float(value[k])


def _decimal(number: float) -> str:
    """A DICOM decimal string: at most 16 characters (PS3.5, table 6.2-1)."""
    return f"{number:.9f}"[:16].rstrip(".") if abs(number) >= 1e-9 else "0"


def _set_geometry(ds: Dataset, affine_lps: NDArray[np.float64], *, position_mm: NDArray[np.float64]) -> None:
    down, across = affine_lps[:3, 1], affine_lps[:3, 2]
    directions = [*(across / np.linalg.norm(across)), *(down / np.linalg.norm(down))]
    ds.ImageOrientationPatient = [_decimal(x) for x in directions]
    ds.ImagePositionPatient = [_decimal(x) for x in position_mm]
    ds.PixelSpacing = [_decimal(float(np.linalg.norm(down))), _decimal(float(np.linalg.norm(across)))]


def _slice_dataset(stored: NDArray[np.float64], *, signed: bool, sop_class: str) -> Dataset:
    dtype = np.int16 if signed else np.uint16
    limits = np.iinfo(dtype)
    if stored.min() < limits.min or stored.max() > limits.max:
        raise ValueError(f"stored values {stored.min():g} to {stored.max():g} do not fit {limits}")
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, int(signed)
    ds.add_new("PixelData", "OW", stored.astype(dtype).tobytes())
    return ds


def _save(ds: Dataset, path: Path, *, transfer_syntax: str) -> None:
    if transfer_syntax == JPEGLosslessSV1:
        ds.save_as(path, enforce_file_format=True)
        _recode_with_gdcm(path)
        return
    if transfer_syntax != ExplicitVRLittleEndian:
        ds.compress(transfer_syntax, generate_instance_uid=False)
    ds.save_as(path, enforce_file_format=True)


def _recode_with_gdcm(path: Path) -> None:
    import gdcm  # slow to load, and only this transfer syntax needs it

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    if not reader.Read():
        raise RuntimeError(f"gdcm cannot read {path.name}")
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise RuntimeError(f"gdcm cannot encode {path.name} as JPEG lossless")
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))  # empties the file: not before it was read
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    if not writer.Write():
        raise RuntimeError(f"gdcm cannot write {path.name}")
