"""The way in: look into a folder, a zip or a file, and load one of the CT series found."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from thighseg_core.archive import unpack
from thighseg_core.candidate import Found, Rejection, SeriesCandidate
from thighseg_core.dicom import PREAMBLE_BYTES, looks_like_dicom
from thighseg_core.dicom_series import find_dicom_series
from thighseg_core.dicom_volume import load_dicom_series
from thighseg_core.errors import InputError, NotCTError, NothingUsableError, UnreadableFileError
from thighseg_core.nifti import find_nifti, read_ct_nifti
from thighseg_core.volume import CTVolume

__all__ = ["Found", "Rejection", "SeriesCandidate", "find_series", "load_series"]

NIFTI_ENDINGS = (".nii", ".nii.gz")
# Written by PACS, archives and operating systems beside the images; not worth a word to the user.
COMPANIONS = frozenset({"dicomdir", ".ds_store", "thumbs.db", "desktop.ini", "lockfile", "version", "autorun.inf"})


def find_series(source: Path, *, work_dir: Path) -> Found:
    """All CT series in `source`: a DICOM folder (searched recursively), a zip, a NIfTI or a single DICOM file.

    Zips are unpacked into new folders below `work_dir`, which the caller removes after loading.
    Raises NothingUsableError when there is no file at all, UnsafeArchiveError or UnreadableFileError for a zip or a
    single file that cannot be used. What is wrong with one series of several is a Rejection.
    """
    if not os.path.lexists(source):  # unlike Path.exists, never raises
        raise UnreadableFileError(f"{source} does not exist (moved or deleted?); check the path")
    if source.is_dir():
        files = [(path, str(path.relative_to(source))) for path in sorted(source.rglob("*")) if _is_worth_a_look(path)]
        found = _look(files, work_dir=work_dir, unzip=True)
        empty = not files
    elif source.name.lower().endswith(".zip"):
        files = _unzipped(source, work_dir)
        found = _look(files, work_dir=work_dir, unzip=False)
        empty = not files
    else:
        found = _look([(source, source.name)], work_dir=work_dir, unzip=False)
        empty = False
    if empty:
        raise NothingUsableError(f"{source.name} holds no files; choose a folder or zip with the CT series")
    return replace(found, series=_with_unique_keys(found.series))


def load_series(candidate: SeriesCandidate) -> CTVolume:
    """The pixels of one series in HU on its geometry. Raises InputError subclasses with reason and remedy."""
    if candidate.source_format == "NIfTI":
        return read_ct_nifti(candidate.files[0], notes=candidate.warnings)
    return load_dicom_series(candidate.files, warnings=candidate.warnings)


def _look(files: list[tuple[Path, str]], *, work_dir: Path, unzip: bool) -> Found:
    dicom: list[tuple[Path, str]] = []
    series: list[SeriesCandidate] = []
    rejected: list[Rejection] = []
    strays: list[str] = []
    for path, name in files:
        if _is_companion(name):
            continue
        try:
            start = _start_of(path)
            if not start:
                rejected.append(Rejection(name, "the file is empty; copy or export it again"))
            elif name.lower().endswith(NIFTI_ENDINGS):
                series.append(find_nifti(path, name=name))
            elif name.lower().endswith(".zip"):
                if not unzip:
                    raise UnreadableFileError("a zip inside a zip is not opened; unpack it and send its content")
                inner = _look(_unzipped(path, work_dir), work_dir=work_dir, unzip=False)
                series += inner.series
                rejected += inner.rejected
            elif looks_like_dicom(start):
                dicom.append((path, name))
            else:
                strays.append(name)
        except InputError as error:
            rejected.append(Rejection(name, str(error), harmless=isinstance(error, NotCTError)))  # a mask beside the CT
    found, refused = find_dicom_series(dicom)
    if strays:
        shown = ", ".join(strays[:3]) + (f" and {len(strays) - 3} more" if len(strays) > 3 else "")
        reason = "neither DICOM nor NIfTI, ignored; CT is read from DICOM files, a zip of them, .nii or .nii.gz"
        refused.append(Rejection(shown, reason, harmless=True))
    return Found(series=(*found, *series), rejected=(*refused, *rejected))


def _unzipped(archive: Path, work_dir: Path) -> list[tuple[Path, str]]:
    return [(one.path, one.name) for one in unpack(archive, work_dir)]


def _is_worth_a_look(path: Path) -> bool:
    """Files, and links that lead nowhere (which are then reported). No folders, pipes or devices."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _is_companion(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return parts[-1].lower() in COMPANIONS or parts[-1].startswith("._") or "__MACOSX" in parts


def _start_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(PREAMBLE_BYTES + 4)
    except OSError as error:
        raise UnreadableFileError(
            f"cannot be opened ({error.strerror or error}); check that it exists and that you may read it"
        ) from error


def _with_unique_keys(series: tuple[SeriesCandidate, ...]) -> tuple[SeriesCandidate, ...]:
    """The same series handed in twice (two folders, two file names) keeps two keys."""
    seen: dict[str, int] = {}
    unique = []
    for one in series:
        seen[one.key] = seen.get(one.key, 0) + 1
        unique.append(one if seen[one.key] == 1 else replace(one, key=f"{one.key}-{seen[one.key]}"))
    return tuple(unique)
