"""The data folder: where it is, who may read it, and files that are written whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from db import storage
from db.settings import Settings, deidentification_secret, read_settings
from thighseg_core.checkpoint import DEFAULT_MODEL
from thighseg_core.errors import DatabaseError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", default_model="manet", default_device="cpu")


def test_settings_come_from_the_environment_or_lie_below_the_project(tmp_path: Path) -> None:
    read = read_settings({"THIGHSEG_DATA": str(tmp_path), "THIGHSEG_MODEL": "manet", "THIGHSEG_DEVICE": "cpu"})
    assert (read.data_dir, read.default_model, read.default_device) == (tmp_path, "manet", "cpu")
    default = read_settings({})
    assert default.data_dir == Path(__file__).resolve().parent.parent / "data"
    assert (default.default_model, default.default_device) == (DEFAULT_MODEL, "auto")


def test_the_secret_is_made_once_private_and_never_replaced(settings: Settings) -> None:
    secret = deidentification_secret(settings)
    assert len(secret) == 32
    assert deidentification_secret(settings) == secret
    assert stat.S_IMODE(settings.secret_path.stat().st_mode) == 0o600
    settings.secret_path.write_text("damaged")
    with pytest.raises(DatabaseError, match="restore it"):
        deidentification_secret(settings)
    assert settings.secret_path.read_text() == "damaged"


def test_the_data_folders_are_private(settings: Settings) -> None:
    storage.make_data_folders(settings)
    for folder in (settings.data_dir, *settings.data_dir.iterdir()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_half_written_file_never_has_its_final_name(tmp_path: Path) -> None:
    target = tmp_path / "labels.nii.gz"
    target.write_text("old")

    def half(path: Path) -> None:
        path.write_text("hal")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        storage.write_atomically(target, half)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"labels.nii.gz": "old"}


def test_a_scan_whose_files_are_gone_is_said_in_words(settings: Settings) -> None:
    with pytest.raises(DatabaseError, match="missing from the data folder"):
        storage.load_volume(settings, "scans/0001/gone")
