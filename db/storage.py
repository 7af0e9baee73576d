"""The files of the data folder. Paths in the database are relative to it; a file that a row names never changes.

    scans/0003/1f0c9a.../image/        the de-identified DICOM slices, or one NIfTI file
    scans/0003/1f0c9a.../labels/       v0001.nii.gz, v0002.nii.gz, ... one label map a run
    uploads/                           what was uploaded and is not stored yet (still identified)
    staging/                           half-made things; emptied when a worker starts

What appears under its final name is complete: it is written beside it, flushed to disk and renamed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from db.settings import Settings
from thighseg_core.candidate import SeriesCandidate
from thighseg_core.dicom_series import load_stack
from thighseg_core.errors import DatabaseError, InputError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.nifti import read_labels, write_labels
from thighseg_core.reading import find_series, load_series
from thighseg_core.segments_writing import dicom_segmentation
from thighseg_core.volume import CTVolume

IMAGE_FOLDER = "image"
LABELS_FOLDER = "labels"


def make_data_folders(settings: Settings) -> None:
    """The data folder and its parts, readable by their owner only."""
    for folder in (settings.data_dir, *(settings.data_dir / name for name in ("scans", "uploads", "staging"))):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def new_staging_folder(settings: Settings) -> Path:
    """A fresh folder on the same disk as the final places."""
    folder = settings.data_dir / "staging" / secrets.token_hex(8)
    folder.mkdir(parents=True, mode=0o700)
    return folder


def scan_path(*, study_id: int, digest_sha256: str) -> str:
    """Relative folder of a scan."""
    return f"scans/{study_id:04d}/{digest_sha256[:16]}"


def image_source(settings: Settings, storage_path: str) -> Path:
    """What `find_series` takes to find a stored scan: the NIfTI file, or the folder of slices."""
    return as_source(settings.data_dir / storage_path / IMAGE_FOLDER)


def as_source(folder: Path) -> Path:
    """The one NIfTI file in `folder`, else the folder itself."""
    nifti = [path for path in folder.glob("*") if path.name.endswith((".nii", ".nii.gz"))]
    return nifti[0] if len(nifti) == 1 else folder


def load_volume(settings: Settings, storage_path: str) -> CTVolume:
    """Read a stored scan. Raises DatabaseError when its files are gone, InputError when they are damaged."""
    source = image_source(settings, storage_path)
    if not source.exists():
        raise DatabaseError(f"the files of scan {storage_path} are missing from the data folder; restore them")
    return read_only_series(source, work_dir=settings.data_dir / "staging")


def read_only_series(source: Path, *, work_dir: Path) -> CTVolume:
    """The one series at `source`."""
    return load_series(_only_series(source, work_dir=work_dir))


def segmentation_file(settings: Settings, *, storage_path: str, label_map_path: str, automatic: bool) -> bytes:
    """A stored label map as DICOM SEG. Raises InputError where the scan is no DICOM series, or its labels are empty."""
    work_dir = settings.data_dir / "staging"
    series = _only_series(image_source(settings, storage_path), work_dir=work_dir)
    if series.source_format != "DICOM":
        raise InputError("the scan came as NIfTI, and DICOM SEG refers to DICOM slices; take the labels as NIfTI")
    labels = load_label_map(settings, label_map_path, like=load_stack(series.files)[0].geometry)
    return dicom_segmentation(series.files, labels, automatic=automatic)


def _only_series(source: Path, *, work_dir: Path) -> SeriesCandidate:
    series = find_series(source, work_dir=work_dir).usable_series()
    if len(series) != 1:
        raise DatabaseError(f"expected one series in {source.name}, found {len(series)}; restore it from a backup")
    return series[0]


def label_map_path(storage_path: str, *, version: int) -> str:
    """Relative path of the label map of a run."""
    return f"{storage_path}/{LABELS_FOLDER}/v{version:04d}.nii.gz"


def save_label_map(settings: Settings, relative: str, label_map: LabelMap) -> str:
    """Write a label map completely or not at all; returns the file's sha256."""
    path = settings.data_dir / relative
    write_atomically(path, lambda temporary: write_labels(temporary, label_map))
    return file_sha256(path)


def load_label_map(settings: Settings, relative: str, *, like: Geometry) -> LabelMap:
    """Read a stored label map on the grid of its scan."""
    path = settings.data_dir / relative
    if not path.exists():
        raise DatabaseError(f"the label map {relative} is missing from the data folder; restore it")
    return read_labels(path, like=like)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, flush it and rename it: `path` is never half-written."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".part-{secrets.token_hex(4)}-{path.name}")
    try:
        write(temporary)
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def publish_folder(source: Path, target: Path) -> None:
    """Give a finished folder its final name; everything in it is on disk before."""
    for path in (*source.rglob("*"), source):
        _flush(path)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    source.rename(target)
    _flush(target.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder that no row names."""
    shutil.rmtree(folder, ignore_errors=True)


def require_free_space(settings: Settings, *, needed_bytes: int) -> None:
    """Refuse before the disk is full: a full disk also stops the database."""
    reserve_bytes = 500 << 20
    free_bytes = shutil.disk_usage(settings.data_dir).free
    if free_bytes < needed_bytes + reserve_bytes:
        raise DatabaseError(
            f"storing this needs {(needed_bytes + reserve_bytes) >> 20} MB on the disk of the data folder, "
            f"{free_bytes >> 20} MB are free; free some space and try again"
        )


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """fsync of a file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
