"""Zips are unpacked under our own names and within limits; hostile ones are in bad_inputs.py."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from thighseg_core.archive import ArchiveLimits, unpack
from thighseg_core.errors import UnreadableFileError, UnsafeArchiveError


def _zip(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def _random(n: int) -> bytes:
    return bytes((7 * i * i + i // 251) % 256 for i in range(n))


def test_content_is_complete_and_names_are_ours(tmp_path: Path) -> None:
    names = {"Müller Anna/IM 1": b"one", "b/IM1": b"two", "c/scan.nii.gz": b"three", "CON": b"four"}
    archive = _zip(tmp_path / "a.zip", **names)
    unpacked = unpack(archive, tmp_path / "out")
    assert {one.name: one.path.read_bytes() for one in unpacked} == names
    assert [one.path.name for one in unpacked] == ["000000", "000001", "000002.nii.gz", "000003"]
    assert all(one.path.parent.parent == tmp_path / "out" for one in unpacked)


def test_two_zips_in_one_folder_do_not_meet(tmp_path: Path) -> None:
    first = unpack(_zip(tmp_path / "a.zip", x=b"1"), tmp_path / "out")
    second = unpack(_zip(tmp_path / "b.zip", x=b"2"), tmp_path / "out")
    assert (first[0].path.read_bytes(), second[0].path.read_bytes()) == (b"1", b"2")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ArchiveLimits(max_entries=2), "holds 3 files, at most 2"),
        (ArchiveLimits(max_total_bytes=2500), "stopped after"),
        (ArchiveLimits(max_entry_bytes=999), "stopped after 1000 bytes"),
        (ArchiveLimits(max_ratio=0.5, ratio_free_bytes=100), "stopped after"),
        (ArchiveLimits(free_disk_reserve_bytes=1 << 60), "too little disk space"),
    ],
)
def test_every_limit_is_kept_and_leaves_nothing(tmp_path: Path, limits: ArchiveLimits, words: str) -> None:
    archive = _zip(tmp_path / "a.zip", a=_random(1000), b=_random(1000), c=_random(1000))
    with pytest.raises(UnsafeArchiveError, match=words):
        unpack(archive, tmp_path / "out", limits=limits)
    assert list((tmp_path / "out").iterdir()) == []


def test_just_within_every_limit_passes(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", a=_random(1000), b=_random(1000), c=_random(1000))
    limits = ArchiveLimits(max_entries=3, max_entry_bytes=1000, max_total_bytes=3000)
    assert len(unpack(archive, tmp_path / "out", limits=limits)) == 3


def test_the_size_that_counts_is_what_comes_out_not_what_the_directory_says(tmp_path: Path) -> None:
    """A zip whose directory claims 10 bytes for a million zeros."""
    archive = _zip(tmp_path / "a.zip", zeros=bytes(1_000_000))
    data = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(signature) + offset
        data[start : start + 4] = struct.pack("<I", 10)
    archive.write_bytes(bytes(data))
    with pytest.raises((UnsafeArchiveError, UnreadableFileError)):
        unpack(archive, tmp_path / "out", limits=ArchiveLimits(max_entry_bytes=5000))
    assert list((tmp_path / "out").iterdir()) == []
