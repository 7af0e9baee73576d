"""A look into an upload before it is stored: every series with its facts, every refusal with its sentence."""

from __future__ import annotations

from pathlib import Path

import phantom_study
import pytest
from bad_inputs import BAD_INPUTS, BadInput
from PIL import Image

from db.settings import Settings
from db.uploads import open_uploads, stage_upload
from pages.parts.inspection import inspect_upload
from thighseg_core.errors import InputError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def uploaded_files(source: Path) -> list[tuple[str, bytes]]:
    """What a browser would send for an input; skips what it cannot send."""
    paths = [source] if source.is_file() else sorted(source.rglob("*")) if source.is_dir() else []
    try:
        files = [(path.name, path.read_bytes()) for path in paths if not path.is_dir()]
    except OSError:
        pytest.skip("a browser cannot send a file that it cannot read")
    if not files:
        pytest.skip("a browser sends nothing for this")
    return files


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_bad_input_is_answered_with_its_sentence_and_leaves_nothing_to_store(
    bad: BadInput, settings: Settings, tmp_path: Path
) -> None:
    files = uploaded_files(bad.make(tmp_path))
    if not any(content for _, content in files):
        with pytest.raises(InputError, match="the upload is empty"):
            stage_upload(settings, files)
        assert open_uploads(settings) == []
        return
    inspection = inspect_upload(stage_upload(settings, files))
    assert inspection.ready == ()
    said = "\n".join(str(rejection) for rejection in inspection.rejected)
    for word in bad.words:
        assert word in said, f"expected {word!r} in: {said}"
    assert not list(tmp_path.rglob("evil*")), "nothing is written outside of the upload"


def test_a_series_is_told_with_what_its_header_says_and_a_picture(settings: Settings, tmp_path: Path) -> None:
    folder = phantom_study.write_dicom(phantom_study.TWO_PEOPLE[0], tmp_path / "dicom")
    upload = stage_upload(settings, [(path.name, path.read_bytes()) for path in folder.glob("*")])
    (ready,) = inspect_upload(upload).ready
    assert (ready.info.patient_sex, ready.info.patient_age_years) == ("female", 76.0)
    assert ready.length_mm == pytest.approx(120.0)  # 12 slices, 10 mm apart
    path = tmp_path / "thumbnail.jpg"
    path.write_bytes(ready.thumbnail_jpeg)
    assert Image.open(path).size == (160, round(160 * 60 * 3 / (190 * 2)))  # square pixels


def test_one_bad_series_beside_a_good_one_spoils_only_itself(settings: Settings, tmp_path: Path) -> None:
    folder = phantom_study.write_dicom(phantom_study.TWO_PEOPLE[0], tmp_path / "dicom")
    files = [(path.name, path.read_bytes()) for path in folder.glob("*")]
    inspection = inspect_upload(stage_upload(settings, [*files, ("notes.zip", b"no zip at all")]))
    assert len(inspection.ready) == 1
    assert [rejection.name for rejection in inspection.rejected] == ["notes.zip"]
