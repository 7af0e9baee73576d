"""Zip files from strangers: unpacked under our own names, within limits, or refused."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from thighseg_core.errors import ThighSegError, UnreadableFileError, UnsafeArchiveError

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class ArchiveLimits:
    """What one zip may unpack to. Counted on the bytes that come out, never on what its directory claims."""

    max_entries: int = 20_000  # ten series of 2,000 slices; a whole-leg CT at 0.5 mm has about 2,000
    max_entry_bytes: int = 2 << 30  # a 2,000-slice 512 x 512 x 16-bit scan in one multi-frame file or NIfTI is 1 GiB
    max_total_bytes: int = 8 << 30  # eight such scans
    max_ratio: float = 200.0  # CT deflates 2 to 4 times, a noise-free phantom up to about 100; DEFLATE ends at 1,032
    ratio_free_bytes: int = 64 << 20  # below this the ratio is not looked at: a small blank image is no bomb
    free_disk_reserve_bytes: int = 1 << 30  # left to the database and to running jobs


DEFAULT_LIMITS = ArchiveLimits()


@dataclass(frozen=True)
class UnpackedFile:
    """A file from a zip: where it lies now (a name of ours), and what it was called inside."""

    path: Path
    name: str


def unpack(archive: Path, target: Path, *, limits: ArchiveLimits = DEFAULT_LIMITS) -> tuple[UnpackedFile, ...]:
    """Unpack `archive` into a new folder below `target`; on any refusal that folder is removed again.

    Raises UnsafeArchiveError (bomb, unsafe path, link, password, limits) or UnreadableFileError (damaged).
    """
    target.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="unzipped-", dir=target))
    try:
        with zipfile.ZipFile(archive) as source:
            return _unpack_entries(source, folder, archive=archive, limits=limits)
    except ThighSegError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except Exception as error:  # BadZipFile, zlib.error, EOFError, OSError; a damaged directory also IndexError
        shutil.rmtree(folder, ignore_errors=True)
        raise UnreadableFileError(
            f"{archive.name} cannot be unpacked ({error}): expected a complete zip file. Make the zip again and check "
            "that it opens on your computer"
        ) from error


def _unpack_entries(
    source: zipfile.ZipFile, folder: Path, *, archive: Path, limits: ArchiveLimits
) -> tuple[UnpackedFile, ...]:
    entries = [entry for entry in source.infolist() if not entry.is_dir()]
    if len(entries) > limits.max_entries:
        raise UnsafeArchiveError(
            f"{archive.name} holds {len(entries)} files, at most {limits.max_entries} are allowed; send the series of "
            "interest only"
        )
    for entry in entries:
        _refuse_unsafe(entry, archive=archive)
    allowed = _allowed_bytes(archive, folder, limits=limits)
    unpacked: list[UnpackedFile] = []
    total = 0
    for number, entry in enumerate(entries):
        path = folder / f"{number:06d}{_kept_suffix(entry.filename)}"
        total += _copy(source, entry, path, limit=min(allowed - total, limits.max_entry_bytes), archive=archive)
        unpacked.append(UnpackedFile(path=path, name=entry.filename))
    return tuple(unpacked)


def _refuse_unsafe(entry: zipfile.ZipInfo, *, archive: Path) -> None:
    name = entry.filename.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or (parts and parts[0].endswith(":")):
        raise UnsafeArchiveError(
            f"{archive.name} holds a file with an absolute path ({entry.filename!r}); make the zip from a folder"
        )
    if ".." in parts:
        raise UnsafeArchiveError(
            f"{archive.name} holds a path that leads out of it ({entry.filename!r}); make the zip from a folder"
        )
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise UnsafeArchiveError(
            f"{archive.name} holds a symbolic link ({entry.filename!r}); make the zip with the files themselves"
        )
    if entry.flag_bits & 0x1:  # APPNOTE 4.4.4, bit 0
        raise UnsafeArchiveError(f"{archive.name} is encrypted; make the zip without a password")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableFileError(
            f"{archive.name} is packed with method {entry.compress_type}, expected an ordinary zip (deflate); make it "
            "with the zip function of your operating system"
        )


def _allowed_bytes(archive: Path, folder: Path, *, limits: ArchiveLimits) -> int:
    """The most that may come out: the smallest of the total, the ratio and the disk."""
    by_ratio = max(limits.ratio_free_bytes, int(limits.max_ratio * archive.stat().st_size))
    by_disk = shutil.disk_usage(folder).free - limits.free_disk_reserve_bytes
    if by_disk <= 0:
        raise UnsafeArchiveError(f"there is too little disk space to unpack {archive.name}; free some and try again")
    return min(limits.max_total_bytes, by_ratio, by_disk)


def _copy(source: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, *, limit: int, archive: Path) -> int:
    written = 0
    with source.open(entry) as packed, path.open("wb") as out:
        while chunk := packed.read(CHUNK_BYTES):
            written += len(chunk)
            if written > limit:
                raise UnsafeArchiveError(
                    f"{archive.name} unpacks to far more than its {archive.stat().st_size} bytes (a zip bomb?): "
                    f"stopped after {written} bytes of {entry.filename!r}. Zip only the CT series, or send "
                    "it as a folder"
                )
            out.write(chunk)
    return written


def _kept_suffix(name: str) -> str:
    """The endings that tell the reader what to try; nothing else of a stranger's file name is kept."""
    lower = name.lower()
    return next((suffix for suffix in (".nii.gz", ".nii", ".zip") if lower.endswith(suffix)), "")
