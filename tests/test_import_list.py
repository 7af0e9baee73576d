"""A list of scans goes the same way as an upload; a mistake in it is named before anything is stored."""

from datetime import date
from pathlib import Path

import nibabel
import numpy as np
import pytest
from sqlalchemy import select

from db.engine import Database, open_database
from db.import_list import import_list, main, read_list
from db.models import Job, Reading, Scan, Visit
from db.settings import Settings
from tests.db_scans import write_phantom
from thighseg_core.errors import InputError, UnreadableFileError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap, label_value
from thighseg_core.nifti import write_labels
from thighseg_core.reading import find_series, load_series


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def database(settings: Settings) -> Database:
    return open_database(settings.database_path)


def write_list(folder: Path, text: str) -> Path:
    path = folder / "subjects.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_listed_scan_is_stored_under_its_subject_and_queued(
    tmp_path: Path, database: Database, settings: Settings
) -> None:
    write_phantom(tmp_path / "a" / "visit-1")
    write_phantom(tmp_path / "b", muscle_hu=44)
    path = write_list(
        tmp_path,
        "path,subject_code,sex,birth_year,visit_number,visit_date,height_cm\n"
        "a/visit-1,S1,female,1950,1,2026-03-05,163.5\n"
        "b,S2,,,,,\n",
    )
    messages = list(import_list(database, settings, read_list(path, study="Ageing")))
    assert [message.split(":")[0] for message in messages] == ["line 2, S1", "line 3, S2"]
    with database.read() as session:
        visits = {visit.subject.code: (visit, visit.subject) for visit in session.scalars(select(Visit))}
        assert session.scalars(select(Job.status)).all() == ["queued", "queued"]
        first, subject = visits["S1"]
        assert (subject.sex, subject.birth_year) == ("female", 1950)
        assert (first.number, first.visit_date, first.height_cm) == (1, date(2026, 3, 5), 163.5)
        assert visits["S2"][1].sex == "unknown"
        assert visits["S2"][0].height_cm is None


def test_a_scan_that_cannot_be_used_stops_none_of_the_others(
    tmp_path: Path, database: Database, settings: Settings
) -> None:
    write_phantom(tmp_path / "good")
    (tmp_path / "notes.txt").write_text("no scan")
    path = write_list(tmp_path, "path,subject_code\nnotes.txt,S1\nmissing,S2\ngood,S3\n")
    messages = list(import_list(database, settings, read_list(path, study="Ageing")))
    assert ["FAILED" in message for message in messages] == [True, True, False]
    with database.read() as session:
        assert len(session.scalars(select(Scan)).all()) == 1


def test_a_second_import_of_the_same_list_stores_nothing_twice(
    tmp_path: Path, database: Database, settings: Settings
) -> None:
    write_phantom(tmp_path / "a")
    scans = read_list(write_list(tmp_path, "path,subject_code\na,S1\n"), study="Ageing")
    list(import_list(database, settings, scans))
    (message,) = import_list(database, settings, scans)
    assert "Recognised" in message
    with database.read() as session:
        assert len(session.scalars(select(Scan)).all()) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,sex\na,female\n", "lacks subject_code"),
        ("path,subject_code,hight_cm\na,S1,170\n", "unknown hight_cm"),
        ("path,subject_code,height_cm\na,S1,tall\n", "line 2: height_cm must be a number, got 'tall'"),
        ("path,subject_code,visit_date\na,S1,05.03.2026\n", "line 2: visit_date must be a date like 2026-03-05"),
        ("path,subject_code,sex\na,S1,female\nb,S2,woman\n", "line 3: sex must be one of"),
        ("path,subject_code\n,S1\n", "line 2: the path is empty"),
        ("path,subject_code,reader\na,S1,Dr A\n", "line 2: reading and reader belong together"),
        ("path,subject_code,reading,reader\na,S1,b.nii,Dr A\n", "line 2: the reading b.nii is no file"),
        ("path,subject_code\na,\n", "line 2: the subject code is empty"),
    ],
)
def test_a_mistake_in_the_list_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_list(write_list(tmp_path, text), study="Ageing")


def test_a_list_that_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="save it as CSV UTF-8"):
        read_list(tmp_path / "absent.csv", study="Ageing")


def test_the_command_says_by_its_exit_status_how_it_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_phantom(tmp_path / "a")
    data = ["--study", "Ageing", "--data", str(tmp_path / "data")]
    assert main([str(tmp_path / "absent.csv"), *data]) == 2
    assert main([str(write_list(tmp_path, "path,subject_code\na,S1\n")), *data]) == 0
    assert main([str(write_list(tmp_path, "path,subject_code\nb,S1\n")), *data]) == 1
    assert "Stored as S1" in capsys.readouterr().err


def test_a_reading_comes_along_once_and_a_changed_one_is_the_next_session(
    tmp_path: Path, database: Database, settings: Settings
) -> None:
    write_phantom(tmp_path / "a")
    path = write_list(tmp_path, "path,subject_code,reading,reader\na,S1,drawn.nii.gz,Dr  A\n")
    geometry = _geometry(tmp_path / "a")
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    for rows in (slice(10, 20), slice(10, 20), slice(10, 19)):
        labels[:] = 0
        labels[1:5, rows, 5:17] = label_value("extensor", "right")
        write_labels(tmp_path / "drawn.nii.gz", LabelMap(labels.copy(), geometry))
        messages = list(import_list(database, settings, read_list(path, study="Ageing")))
        assert not [message for message in messages if "FAILED" in message]
    with database.read() as session:
        readings = session.execute(select(Reading.reader, Reading.session).order_by(Reading.id)).all()
    assert [tuple(reading) for reading in readings] == [("Dr A", 1), ("Dr A", 2)]


def test_a_reading_that_does_not_say_what_it_is_fails_in_words(
    tmp_path: Path, database: Database, settings: Settings
) -> None:
    write_phantom(tmp_path / "a")
    geometry = _geometry(tmp_path / "a")
    image = nibabel.load(_written(tmp_path / "drawn.nii.gz", geometry))
    nibabel.save(nibabel.Nifti1Image(np.full(image.shape, 200, np.uint8), image.affine), tmp_path / "drawn.nii.gz")
    path = write_list(tmp_path, "path,subject_code,reading,reader\na,S1,drawn.nii.gz,Dr A\n")
    stored, failed = import_list(database, settings, read_list(path, study="Ageing"))
    assert "Stored as S1" in stored
    assert "FAILED: drawn.nii.gz: which label is segment 200?" in failed


def _geometry(folder: Path) -> Geometry:
    (candidate,) = find_series(folder, work_dir=folder).usable_series()
    return load_series(candidate).geometry


def _written(path: Path, geometry: Geometry) -> Path:
    write_labels(path, LabelMap(np.zeros(geometry.shape, dtype=np.uint8), geometry))
    return path
