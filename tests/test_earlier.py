"""Weights of an earlier commit come back byte for byte."""

import subprocess
from pathlib import Path

import pytest

from training.earlier import FILES, fetch


def _git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_files_of_that_commit_are_written_and_not_the_present_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _git(tmp_path, "init", "-q")
    weights = tmp_path / "weights"
    weights.mkdir()
    for content in (b"first\0\r\n", b"second"):
        for name in FILES:
            (weights / name).write_bytes(content)
        _git(tmp_path, "add", "-A")
        _git(tmp_path, "commit", "-qm", "x")
    monkeypatch.chdir(tmp_path)
    fetch(_git(tmp_path, "rev-parse", "HEAD~1").strip(), "weights", tmp_path / "run")
    assert [(tmp_path / "run" / "last" / name).read_bytes() for name in FILES] == [b"first\0\r\n"] * 2
    with pytest.raises(subprocess.CalledProcessError):
        fetch("HEAD", "elsewhere", tmp_path / "other")
