"""DICOM files grouped into CT series, and one series loaded as a CTVolume."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from thighseg_core.candidate import Rejection, SeriesCandidate
from thighseg_core.dicom import SliceHeader, damage_as_unreadable, read_header, slice_headers
from thighseg_core.dicom_info import header_warnings, series_number
from thighseg_core.dicom_kinds import value_of, why_not_ct, why_unusable
from thighseg_core.errors import InputError, NotCTError
from thighseg_core.stack import MIN_SLICES, Stack, stack_slices

ORIENTATION_TOLERANCE = 1e-3  # cosine: 0.25 mm at the edge of a 500 mm field of view


@dataclass(frozen=True)
class _File:
    path: Path
    header: Dataset
    slices: tuple[SliceHeader, ...]


def find_dicom_series(files: Iterable[tuple[Path, str]]) -> tuple[list[SeriesCandidate], list[Rejection]]:
    """(path, name to show) of DICOM files -> the CT series among them, and what was turned down and why."""
    by_series: dict[str, list[tuple[Path, Dataset]]] = defaultdict(list)
    rejections: list[Rejection] = []
    for path, name in files:
        try:
            header = read_header(path)
        except InputError as error:
            rejections.append(Rejection(name, str(error)))
            continue
        if "SOPClassUID" not in header:
            rejections.append(
                Rejection(name, "the DICOM header is incomplete (truncated or damaged file); copy it again")
            )
            continue
        by_series[str(value_of(header, "SeriesInstanceUID") or "")].append((path, header))
    candidates: list[SeriesCandidate] = []
    for uid, members in sorted(by_series.items()):
        found, refused = _look_into_series(uid, members)
        candidates += found
        rejections += refused
    return candidates, rejections


def load_stack(files: tuple[Path, ...]) -> tuple[Stack, Dataset]:
    """The regular stack that these files form, and the header of its first slice. Raises InputError."""
    headers = {path: read_header(path) for path in files}
    slices: list[SliceHeader] = []
    for path, header in headers.items():
        with damage_as_unreadable(path, what="the DICOM header"):
            if (reason := why_not_ct(header) or why_unusable(header)) is not None:
                raise NotCTError(f"{path.name}: {reason}")
            slices += slice_headers(header, path)
    stack = stack_slices(tuple(slices))
    return stack, headers[stack.slices[0][0].path]


def _look_into_series(uid: str, members: list[tuple[Path, Dataset]]) -> tuple[list[SeriesCandidate], list[Rejection]]:
    refused: dict[tuple[str, bool], list[Dataset]] = defaultdict(list)
    usable: list[_File] = []
    for path, header in members:
        try:
            with damage_as_unreadable(path, what="the DICOM header"):
                if (reason := why_not_ct(header)) is not None:
                    refused[reason, True].append(header)
                elif (reason := why_unusable(header)) is not None:
                    refused[reason, False].append(header)
                else:
                    usable.append(_File(path, header, slice_headers(header, path)))
        except InputError as error:
            refused[str(error), False].append(header)
    rejections = [Rejection(_name(headers), reason, harmless) for (reason, harmless), headers in refused.items()]
    parts = _parts(usable)
    candidates: list[SeriesCandidate] = []
    for number, part in enumerate(parts):
        headers = [one.header for one in part]
        mixed = (
            f"the series mixes {len(parts)} kinds of images (size, orientation, type or kernel), taken apart; this one "
            f"is {part[0].header.Columns} x {part[0].header.Rows} pixels, {len(part)} of {len(usable)} files. "
            if len(parts) > 1
            else ""
        )
        try:
            stack = stack_slices(tuple(one for file in part for one in file.slices))
        except InputError as error:
            rejections.append(Rejection(_name(headers), mixed + str(error)))
            continue
        warnings = ([mixed.strip()] if mixed else []) + header_warnings(
            headers[0], step_mm=stack.geometry.spacing_mm[0]
        )
        candidates.append(_candidate(f"{uid}/{number}" if number else uid, stack, headers[0], warnings))
    return candidates, rejections


def _parts(files: list[_File]) -> list[list[_File]]:
    """Files that could share one grid, the largest part first."""
    kinds: dict[tuple[object, ...], list[_File]] = defaultdict(list)
    orientations: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = []
    for file in files:
        one, header = file.slices[0], file.header
        orientation = np.array(one.row_direction + one.column_direction)
        near = (n for n, o in enumerate(orientations) if np.abs(o - orientation).max() <= ORIENTATION_TOLERANCE)
        number = next(near, len(orientations))
        if number == len(orientations):
            orientations.append(orientation)
        spacing = tuple(round(x, 4) for x in one.pixel_spacing_mm)
        described = tuple(str(value_of(header, keyword)) for keyword in ("ImageType", "ConvolutionKernel"))
        of_its_own = file.path if len(file.slices) > 1 else None  # a multi-frame file is a volume
        kind = (number, one.rows, one.columns, spacing, described, of_its_own)
        kinds[kind].append(file)
    parts = [sub for part in kinds.values() for sub in _acquisitions(part)]
    return sorted(parts, key=lambda part: (-len(part), str(part[0].path)))


def _acquisitions(part: list[_File]) -> list[list[_File]]:
    """Split by AcquisitionNumber when that, and only that, resolves slices at the same position."""
    if not _has_duplicates(part):
        return [part]
    numbers: dict[str, list[_File]] = defaultdict(list)
    for file in part:
        numbers[str(value_of(file.header, "AcquisitionNumber"))].append(file)
    split = list(numbers.values())
    resolved = len(split) > 1 and all(len(sub) >= MIN_SLICES and not _has_duplicates(sub) for sub in split)
    return split if resolved else [part]


def _has_duplicates(part: list[_File]) -> bool:
    positions = [tuple(round(x, 2) for x in one.position_mm) for file in part for one in file.slices]
    return len(set(positions)) < len(positions)


def _candidate(uid: str, stack: Stack, header: Dataset, warnings: list[str]) -> SeriesCandidate:
    dk, dj, di = stack.geometry.spacing_mm
    paths = dict.fromkeys(one.path for here in stack.slices for one in here)  # each once, in slice order
    return SeriesCandidate(
        key=f"series-{series_number(header)}-{hashlib.sha256(uid.encode()).hexdigest()[:8]}",
        description=str(value_of(header, "SeriesDescription") or "no description"),
        modality="CT",
        n_slices=len(stack.slices),
        spacing_text=f"{di:.2f} x {dj:.2f} x {dk:.2f} mm",
        source_format="DICOM",
        files=tuple(paths),
        warnings=tuple(warnings),
    )


def _name(headers: list[Dataset]) -> str:
    header = headers[0]
    description = value_of(header, "SeriesDescription")
    described = f" '{description}'" if description else ""
    files = f"{len(headers)} file{'s' if len(headers) > 1 else ''}"
    return f"series {series_number(header)}{described} ({files})"
