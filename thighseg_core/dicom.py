"""One DICOM file: its header, where its slices lie, its stored pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from thighseg_core.decoding import Decode
from thighseg_core.dicom_kinds import EXPLICIT, IMPLICIT, MULTI_FRAME_CT, NATIVE, RLE
from thighseg_core.errors import NotCTError, SeriesGeometryError, ThighSegError, UnreadableFileError

PREAMBLE_BYTES = 128  # PS3.10, 7.1


@dataclass(frozen=True)
class SliceHeader:
    """One slice: of a single-frame file, or one frame (from 0) of a multi-frame file."""

    path: Path
    frame: int
    rows: int
    columns: int
    row_direction: tuple[float, float, float]  # towards higher column index
    column_direction: tuple[float, float, float]  # towards higher row index
    position_mm: tuple[float, float, float]  # LPS, centre of the first pixel
    pixel_spacing_mm: tuple[float, float]  # (between rows, between columns)
    slope: float
    intercept: float


def read_header(path: Path) -> Dataset:
    """The data set before the pixels. Raises UnreadableFileError."""
    return _read(path, stop_before_pixels=True)


def read_whole(path: Path) -> Dataset:
    """The data set with its pixels, still packed. Raises UnreadableFileError."""
    return _read(path, stop_before_pixels=False)


def looks_like_dicom(start: bytes) -> bool:
    """True for a DICOM file by its first 132 bytes, or for a bare data set that begins with group 0008."""
    return start[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == b"DICM" or (start[:2] == b"\x08\x00" and start[3:4] == b"\x00")


def slice_headers(header: Dataset, path: Path) -> tuple[SliceHeader, ...]:
    """The slices of one file. Raises NotCTError (no rescale) or SeriesGeometryError (no geometry)."""
    if str(header.SOPClassUID) not in MULTI_FRAME_CT:
        return (_slice_header([header], header, path=path, frame=0),)
    shared = _first(header, "SharedFunctionalGroupsSequence")
    frames = header.get("PerFrameFunctionalGroupsSequence") or []
    if len(frames) != int(header.get("NumberOfFrames", 0) or 0):
        raise SeriesGeometryError(
            f"a multi-frame file with {header.get('NumberOfFrames')} frames describes {len(frames)}; export it again"
        )
    slices = []
    for number, own in enumerate(frames):
        groups = [
            item
            for keyword in (
                "PlanePositionSequence",
                "PlaneOrientationSequence",
                "PixelMeasuresSequence",
                "PixelValueTransformationSequence",
            )
            if (item := _first(own, keyword) or _first(shared, keyword)) is not None
        ]
        slices.append(_slice_header(groups, header, path=path, frame=number))
    return tuple(slices)


def _slice_header(groups: list[Dataset], header: Dataset, *, path: Path, frame: int) -> SliceHeader:
    orientation = _numbers(groups, "ImageOrientationPatient", 6, "its orientation in the patient")
    position = _numbers(groups, "ImagePositionPatient", 3, "its position in the patient")
    spacing = _numbers(groups, "PixelSpacing", 2, "its pixel spacing in mm")
    if min(spacing) <= 0:
        raise SeriesGeometryError(
            f"the pixel spacing is {spacing[0]:g} x {spacing[1]:g} mm; export it with its spacing"
        )
    slope, intercept = _rescale(groups)
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    # Cosines are written with 6 digits or more; 1e-3 is 0.06 degrees, the shear a Geometry accepts.
    if abs(lengths[0] - 1) > 1e-3 or abs(lengths[1] - 1) > 1e-3 or abs(float(row @ column)) > 1e-3:
        raise SeriesGeometryError("the row and column directions are not unit vectors at right angles; export it again")
    return SliceHeader(
        path=path,
        frame=frame,
        rows=int(header.Rows),
        columns=int(header.Columns),
        row_direction=(orientation[0], orientation[1], orientation[2]),
        column_direction=(orientation[3], orientation[4], orientation[5]),
        position_mm=(position[0], position[1], position[2]),
        pixel_spacing_mm=(spacing[0], spacing[1]),
        slope=slope,
        intercept=intercept,
    )


def _rescale(groups: list[Dataset]) -> tuple[float, float]:
    missing = "a CT slice needs RescaleSlope and RescaleIntercept to be in Hounsfield units"
    remedy = "export the original series from the PACS"
    try:
        (slope,) = _numbers(groups, "RescaleSlope", 1, "")
        (intercept,) = _numbers(groups, "RescaleIntercept", 1, "")
    except SeriesGeometryError:
        raise NotCTError(f"not HU: {missing}, and they are missing; {remedy}") from None
    if slope == 0:
        raise NotCTError(f"not HU: {missing}, and the slope is 0; {remedy}")
    return slope, intercept


def _numbers(groups: list[Dataset], keyword: str, count: int, meaning: str) -> tuple[float, ...]:
    value = next((group.get(keyword) for group in groups if group.get(keyword) not in (None, "")), None)
    try:
        numbers = tuple(float(x) for x in (value if count > 1 else [value]))  # type: ignore[union-attr,arg-type]
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not all(math.isfinite(x) for x in numbers):
        raise SeriesGeometryError(f"a slice lacks {meaning} ({keyword}); export the original series from the PACS")
    return numbers


def read_pixels(path: Path, slices: tuple[SliceHeader, ...], *, decode: Decode) -> tuple[Dataset, list[NDArray[Any]]]:
    """The data set of one file, and the stored pixels (rows, columns) of the wanted slices of it.

    decode: of `decoding.decoder()`, for what C libraries unpack. Plain and RLE pixels are read here.
    Raises UnreadableFileError when the pixels are missing, truncated or cannot be decoded.
    """
    dataset = read_whole(path)
    if "PixelData" not in dataset:
        raise UnreadableFileError(f"{path.name} holds no pixel data (truncated file?); export the images themselves")
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    with damage_as_unreadable(path, what="the pixel data"):
        pixels = dataset.pixel_array if syntax in (*NATIVE, RLE) else decode(path)
    expected = int(np.prod(pixels.shape, dtype=np.int64)) * int(dataset.BitsAllocated) // 8
    if syntax in NATIVE and len(dataset.PixelData) > expected + 1:
        raise UnreadableFileError(
            f"{path.name} holds {len(dataset.PixelData)} bytes of pixels, its header describes {expected}: damaged "
            "header; export the series again"
        )
    frames = [pixels if pixels.ndim == 2 else pixels[one.frame] for one in slices]
    for one, frame in zip(slices, frames, strict=True):
        if frame.shape != (one.rows, one.columns):
            raise UnreadableFileError(
                f"{path.name} decodes to {frame.shape}, its header says {one.rows} x {one.columns}"
            )
    return dataset, frames


@contextmanager
def damage_as_unreadable(path: Path, *, what: str) -> Iterator[None]:
    """Values are converted when they are asked for, and damaged ones make pydicom raise almost anything."""
    try:
        yield
    except ThighSegError:
        raise
    except Exception as error:  # translated at our edge: see the docstring
        raise UnreadableFileError(
            f"{what} of {path.name} cannot be read: empty, truncated or damaged file, or not as its header says "
            f"({_short(error)}). Copy or export it again"
        ) from error


def _read(path: Path, *, stop_before_pixels: bool) -> Dataset:
    # Validation on reading only warns, and its warnings quote patients' names.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    with damage_as_unreadable(path, what="the DICOM header"):
        dataset = pydicom.dcmread(path, stop_before_pixels=stop_before_pixels, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:  # a bare data set without its file header
            implicit, _ = dataset.original_encoding
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(IMPLICIT if implicit else EXPLICIT)
        return dataset


def _first(dataset: Dataset | None, keyword: str) -> Dataset | None:
    sequence = dataset.get(keyword) if dataset is not None else None
    return sequence[0] if sequence else None


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else 'no details'}"
