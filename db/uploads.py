"""What people hand in, kept on disk until it is stored or thrown away; it survives a closed page and a restart.

An uploaded file's name is a stranger's text: it only serves, cleaned, to tell files apart in messages.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from db.settings import Settings
from db.storage import make_data_folders, remove_folder, require_free_space, write_atomically
from thighseg_core.candidate import Found, Rejection, SeriesCandidate
from thighseg_core.errors import InputError
from thighseg_core.reading import find_series

MAX_FILES = 20_000
MAX_BYTES = 8 << 30
_SEPARATE = (".zip", ".nii", ".nii.gz")  # each is an input of its own; all other files together are one DICOM folder
_TOO_LARGE = f"an upload may have {MAX_BYTES >> 30} GB; send one subject at a time"
NAMES = "names.json"  # what each file was called, by its number; shown and compared, never used as a path
MARK = "upload.json"  # written last: a folder without it was interrupted


@dataclass(frozen=True)
class Upload:
    """A complete upload that waits to be stored."""

    token: str
    folder: Path
    created_at: datetime
    n_files: int
    n_bytes: int


def stage_upload(settings: Settings, files: Iterable[tuple[str, BinaryIO | bytes | Path]]) -> Upload:
    """Write (name, content) pairs to disk, one after the other, whole or not at all. A Path is moved, not copied.

    Raises InputError for nothing, for empty content only, or beyond the limits; then nothing is left behind.
    """
    make_data_folders(settings)
    token = secrets.token_hex(8)
    folder = settings.data_dir / "uploads" / token
    names: list[str] = []
    n_files = n_bytes = 0
    try:
        for name, content in files:
            if n_files == MAX_FILES:
                raise InputError(f"an upload may have {MAX_FILES} files; send one subject at a time, or a zip")
            path = _place(folder, name, n_files)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            n_bytes += _write(path, content, left_bytes=MAX_BYTES - n_bytes)
            names.append(name)
            n_files += 1
            require_free_space(settings, needed_bytes=0)
        if n_bytes == 0:
            raise InputError("the upload is empty; choose a DICOM folder, a zip of one, or a .nii or .nii.gz file")
        write_atomically(folder / NAMES, lambda temporary: _write_text(temporary, json.dumps(names)))
        created_at = datetime.now(UTC)
        mark = {"created_at": created_at.isoformat(), "n_files": n_files, "n_bytes": n_bytes}
        write_atomically(folder / MARK, lambda temporary: _write_text(temporary, json.dumps(mark)))
    except BaseException:
        remove_folder(folder)
        raise
    return Upload(token=token, folder=folder, created_at=created_at, n_files=n_files, n_bytes=n_bytes)


def open_uploads(settings: Settings) -> list[Upload]:
    """Uploads that wait, oldest first: after a restart the page goes on with them."""
    found = []
    for mark_path in (settings.data_dir / "uploads").glob(f"*/{MARK}"):
        mark = json.loads(mark_path.read_text())
        found.append(
            Upload(
                token=mark_path.parent.name,
                folder=mark_path.parent,
                created_at=datetime.fromisoformat(mark["created_at"]),
                n_files=mark["n_files"],
                n_bytes=mark["n_bytes"],
            )
        )
    return sorted(found, key=lambda upload: upload.created_at)


def inspect(upload: Upload) -> Found:
    """All series in an upload, and the reasons for what is not used. A damaged file spoils only itself."""
    work_dir = upload.folder / "unpacked"
    shutil.rmtree(work_dir, ignore_errors=True)
    sources = sorted((upload.folder / "single").glob("*/*"))
    if (upload.folder / "slices").exists():
        sources.insert(0, upload.folder / "slices")
    series: list[SeriesCandidate] = []
    rejected: list[Rejection] = []
    for number, source in enumerate(sources):
        try:
            found = find_series(source, work_dir=work_dir / str(number))
        except InputError as error:
            rejected.append(Rejection(name=source.name, reason=str(error)))
            continue
        taken = {candidate.key for candidate in series}
        series += [replace(c, key=f"{c.key}-{number}") if c.key in taken else c for c in found.series]
        rejected += found.rejected
    return Found(series=tuple(series), rejected=tuple(rejected))


def discard_upload(upload: Upload) -> None:
    """Remove the identified originals; to be called once all that is wanted is stored."""
    remove_folder(upload.folder)


def _place(folder: Path, name: str, number: int) -> Path:
    """Where an uploaded file goes. Folders of the name are dropped, so nothing can point out of `folder`."""
    last = re.split(r"[/\\]", name)[-1]
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".")[-80:] or "file"
    if clean.lower().endswith(_SEPARATE):
        return folder / "single" / f"{number:06d}" / clean
    return folder / "slices" / f"{number:06d}" / clean


def _write(path: Path, content: BinaryIO | bytes | Path, *, left_bytes: int) -> int:
    """Move, or copy in pieces; returns the number of bytes."""
    written = 0
    if isinstance(content, Path):
        if (size := content.stat().st_size) > left_bytes:
            raise InputError(_TOO_LARGE)
        content.replace(path)
        return size
    with path.open("wb") as out:
        if isinstance(content, bytes):
            pieces: Iterable[bytes] = (content,)
        else:
            pieces = iter(lambda: content.read(1 << 20), b"")
        for piece in pieces:
            written += len(piece)
            if written > left_bytes:
                raise InputError(_TOO_LARGE)
            out.write(piece)
    return written


def _write_text(path: Path, text: str) -> None:
    path.write_text(text)
