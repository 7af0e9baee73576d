"""From an upload to a stored scan: everything or nothing, de-identified, and never twice."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from db_scans import SHAPE, phantom_hu, store_phantom, upload_phantom, write_phantom
from sqlalchemy import delete, event, func, select

from db import intake, queries, storage, uploads
from db.engine import Database, open_database
from db.entry import Entry
from db.intake import Stored, store_series
from db.models import Job, Scan, Study, Subject, Visit
from db.people import SubjectConflictError
from db.settings import Settings
from db.sweep import sweep
from db.uploads import discard_upload, inspect, open_uploads, stage_upload
from thighseg_core.candidate import SeriesCandidate
from thighseg_core.errors import DatabaseError, InputError, ThighSegError

ENTRY = Entry(study="Study A", subject_code="S1", sex="female", birth_year=1950, visit_date=date(2026, 3, 1))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", default_model="manet", default_device="cpu")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = open_database(settings.database_path)
    yield opened
    opened.close()


def count(database: Database) -> list[int | None]:
    with database.read() as session:
        return [session.scalar(select(func.count()).select_from(t)) for t in (Study, Subject, Visit, Scan, Job)]


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def store(database: Database, settings: Settings, candidate: SeriesCandidate, **changes: object) -> Stored:
    return store_series(database, settings, candidate, entry=replace(ENTRY, **changes))  # type: ignore[arg-type]


# uploads


def test_an_upload_survives_a_restart_until_it_is_discarded(settings: Settings, tmp_path: Path) -> None:
    upload = upload_phantom(settings, tmp_path / "dicom")
    (again,) = open_uploads(settings)  # what a fresh process sees
    assert again == upload
    assert (again.n_files, len(inspect(again).series[0].files)) == (6, 6)
    discard_upload(again)
    assert open_uploads(settings) == []
    assert files_below(settings.data_dir) == []


@pytest.mark.parametrize(
    "name", ["..", ".", "../../evil.dcm", "/etc/evil", "..\\..\\evil", "a/../../evil", ".hidden", "", "x" * 500]
)
def test_names_of_uploaded_files_point_nowhere(settings: Settings, name: str) -> None:
    upload = stage_upload(settings, [(name, b"not empty")])
    inside = [path for path in upload.folder.rglob("*") if path.is_file()]
    assert len(inside) == 3  # the file, the list of names and the mark
    assert {path for path in settings.data_dir.parent.rglob("*") if path.is_file()} == set(inside)
    assert not Path("/etc/evil").exists()


def test_two_files_of_one_name_are_both_kept(settings: Settings) -> None:
    upload = stage_upload(settings, [("a/IM1", b"first"), ("b/IM1", BytesIO(b"second"))])
    assert sorted(path.read_bytes() for path in upload.folder.rglob("IM1")) == [b"first", b"second"]


@pytest.mark.parametrize("files", [[], [("empty.zip", b"")]])
def test_an_empty_upload_is_refused_and_leaves_nothing(settings: Settings, files: list[tuple[str, bytes]]) -> None:
    with pytest.raises(InputError, match="empty"):
        stage_upload(settings, files)
    assert list((settings.data_dir / "uploads").iterdir()) == []


def test_an_upload_beyond_the_limits_is_refused_and_leaves_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="one subject at a time"):
        stage_upload(settings, [("a", b"123456"), ("b", b"123456")])
    monkeypatch.setattr(uploads, "MAX_FILES", 1)
    with pytest.raises(InputError, match="may have 1 files"):
        stage_upload(settings, [("a", b"1"), ("b", b"2")])
    assert list((settings.data_dir / "uploads").iterdir()) == []


def test_an_interrupted_upload_is_not_offered(settings: Settings) -> None:
    def broken() -> Iterator[tuple[str, bytes]]:
        yield "a", b"1"
        raise ConnectionError("the browser went away")

    with pytest.raises(ConnectionError):
        stage_upload(settings, broken())
    (settings.data_dir / "uploads" / "killed" / "slices").mkdir(parents=True)  # as a killed process leaves it
    assert open_uploads(settings) == []


def test_one_damaged_file_spoils_only_itself(settings: Settings, tmp_path: Path) -> None:
    paths = write_phantom(tmp_path / "dicom")
    packed = tmp_path / "good.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in paths:
            archive.write(path, path.name)
    given = [("good.zip", packed.read_bytes()), ("bad.zip", b"PK\x03\x04 broken"), ("notes.txt", b"hello")]
    found = inspect(stage_upload(settings, given))
    assert [candidate.n_slices for candidate in found.series] == [SHAPE[0]]
    assert any("bad.zip" in str(rejection) for rejection in found.rejected)


def test_the_same_series_loose_and_zipped_has_two_keys(settings: Settings, tmp_path: Path) -> None:
    paths = write_phantom(tmp_path / "dicom")
    packed = tmp_path / "z.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in paths:
            archive.write(path, path.name)
    loose = [(path.name, path.read_bytes()) for path in paths]
    found = inspect(stage_upload(settings, [*loose, ("z.zip", packed.read_bytes())]))
    assert len({candidate.key for candidate in found.series}) == len(found.series) == 2


# intake


def test_a_scan_is_stored_with_its_rows_files_and_a_queued_job(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    stored = store_phantom(database, settings, tmp_path / "dicom", entry=ENTRY)
    assert stored.created
    with database.read() as session:
        (row,) = queries.rows(session, queries.scans())
        (job,) = queries.rows(session, queries.jobs())
    assert (row["study"], row["subject"], row["sex"], row["visit"]) == ("Study A", "S1", "female", 1)
    assert (row["n_slices"], row["slice_spacing_mm"], row["tube_voltage_kvp"]) == (6, 5.0, 120.0)
    assert (job["job_id"], job["status"], job["model"], job["device"]) == (stored.job_id, "queued", "manet", "cpu")
    volume = storage.load_volume(settings, row["storage_path"])
    assert np.array_equal(volume.attenuation_hu, phantom_hu())
    assert volume.info.digest_sha256 == row["digest_sha256"]
    assert files_below(settings.data_dir / "staging") == []


def test_nothing_of_the_patient_is_in_the_data_folder_once_the_upload_is_discarded(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    store_phantom(database, settings, tmp_path / "dicom", entry=ENTRY)
    for path in settings.data_dir.rglob("*"):
        assert "Musterfrau" not in str(path)
        if path.is_file():
            content = path.read_bytes()
            assert b"Musterfrau" not in content
            assert b"19500102" not in content  # the birth date
            assert b"P001" not in content  # the hospital's number
    image = next((settings.data_dir / "scans").rglob("image"))
    assert {pydicom.dcmread(path).PatientID for path in image.iterdir()} == {"S1"}


def test_a_nifti_is_stored_too(database: Database, settings: Settings, tmp_path: Path) -> None:
    image = nib.Nifti1Image(phantom_hu().transpose(2, 1, 0), np.diag([0.8, 0.9, 5.0, 1.0]))
    nib.save(image, tmp_path / "x.nii.gz")
    upload = stage_upload(settings, [("x.nii.gz", (tmp_path / "x.nii.gz").read_bytes())])
    stored = store(database, settings, inspect(upload).series[0])
    with database.read() as session:
        scan = session.get_one(Scan, stored.scan_id)
    assert scan.source_format == "NIfTI"
    assert storage.load_volume(settings, scan.storage_path).info.digest_sha256 == scan.digest_sha256


def test_the_same_scan_is_recognised_however_it_is_packed(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    first = store_phantom(database, settings, tmp_path / "dicom", entry=ENTRY)
    before = count(database), files_below(settings.data_dir / "scans")
    packed = tmp_path / "renamed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for number, path in enumerate(sorted((tmp_path / "dicom").iterdir(), reverse=True)):
            archive.write(path, f"other/{number}")
    upload = stage_upload(settings, [("renamed.zip", packed.read_bytes())])
    again = store(database, settings, inspect(upload).series[0], subject_code="S2", visit_number=3)
    assert (again.scan_id, again.created, again.job_id) == (first.scan_id, False, None)
    assert "already stored as S1, visit 1" in again.message
    assert (count(database), files_below(settings.data_dir / "scans")) == before


def test_another_study_may_hold_the_same_scan(database: Database, settings: Settings, tmp_path: Path) -> None:
    store_phantom(database, settings, tmp_path / "a", entry=ENTRY)
    second = store_phantom(database, settings, tmp_path / "b", entry=replace(ENTRY, study="Study B"))
    assert second.created
    assert count(database) == [2, 2, 2, 2, 2]


@pytest.mark.parametrize("breaks", ["deidentify_series", "scan_row", "enqueue", "publish_folder", "commit"])
def test_a_failure_at_any_step_leaves_neither_rows_nor_files(
    database: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    (candidate,) = inspect(upload_phantom(settings, tmp_path / "dicom")).series

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if breaks == "commit":
        event.listen(database.writer, "commit", fail)
    else:
        monkeypatch.setattr(storage if breaks == "publish_folder" else intake, breaks, fail)
    with pytest.raises(DatabaseError, match="No space left on device"):
        store(database, settings, candidate)
    assert count(database) == [0, 0, 0, 0, 0]
    assert files_below(settings.data_dir / "scans") == files_below(settings.data_dir / "staging") == []
    if breaks == "commit":
        event.remove(database.writer, "commit", fail)
    monkeypatch.undo()
    assert store(database, settings, candidate).created  # the upload is still there


def test_a_crash_between_the_files_and_the_commit_does_not_stop_the_next_attempt(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    (candidate,) = inspect(upload_phantom(settings, tmp_path / "dicom")).series
    stored = store(database, settings, candidate)
    with database.write() as session:  # the files as a crash leaves them: complete, but no row names them
        place = session.get_one(Scan, stored.scan_id).storage_path
        session.execute(delete(Scan))
    (settings.data_dir / place / "image" / "left over").write_text("of the crash")
    assert store(database, settings, candidate).created
    assert len(list((settings.data_dir / place / "image").iterdir())) == SHAPE[0]


def test_a_series_that_cannot_be_read_is_refused_and_harms_nothing(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    store_phantom(database, settings, tmp_path / "good", entry=ENTRY)
    before = count(database), files_below(settings.data_dir / "scans")
    (candidate,) = inspect(upload_phantom(settings, tmp_path / "dicom", muscle_hu=60)).series
    candidate.files[3].write_bytes(candidate.files[3].read_bytes()[:-1500])
    with pytest.raises(ThighSegError):
        store(database, settings, candidate, subject_code="S2")
    assert (count(database), files_below(settings.data_dir / "scans")) == before


def test_a_copy_that_differs_from_its_original_is_not_stored(
    database: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (candidate,) = inspect(upload_phantom(settings, tmp_path / "dicom")).series
    (other,) = inspect(upload_phantom(settings, tmp_path / "other", muscle_hu=51)).series
    honest = intake.deidentify_series
    swapped: Callable[..., list[Path]] = lambda _, *args, **kwargs: honest(other, *args, **kwargs)  # noqa: E731
    monkeypatch.setattr(intake, "deidentify_series", swapped)
    with pytest.raises(DatabaseError, match="differs from the original"):
        store(database, settings, candidate)
    assert count(database) == [0, 0, 0, 0, 0]


def test_a_full_disk_is_said_before_anything_is_written(
    database: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (candidate,) = inspect(upload_phantom(settings, tmp_path / "dicom")).series
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1 << 20})())
    with pytest.raises(DatabaseError, match="free some space"):
        store(database, settings, candidate)


# subjects and visits


def test_a_contradiction_is_refused_and_the_user_may_keep_or_update(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    store_phantom(database, settings, tmp_path / "first", entry=ENTRY)
    (candidate,) = inspect(upload_phantom(settings, tmp_path / "second", muscle_hu=60)).series
    wrong = replace(ENTRY, sex="male", birth_year=1951, visit_number=2)
    with pytest.raises(SubjectConflictError, match=r"sex female, entered was male.*birth year 1950, entered was 1951"):
        store_series(database, settings, candidate, entry=wrong)
    assert count(database) == [1, 1, 1, 1, 1]
    store_series(database, settings, candidate, entry=wrong, on_conflict="keep")
    with database.read() as session:
        assert [(s.sex, s.birth_year) for s in session.scalars(select(Subject))] == [("female", 1950)]
    (candidate,) = inspect(upload_phantom(settings, tmp_path / "third", muscle_hu=70)).series
    store_series(database, settings, candidate, entry=wrong, on_conflict="update")
    with database.read() as session:
        assert [(s.sex, s.birth_year) for s in session.scalars(select(Subject))] == [("male", 1951)]


def test_what_was_not_known_is_filled_in_and_what_is_known_is_not_emptied(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    store_phantom(database, settings, tmp_path / "a", entry=Entry(study="A", subject_code="S1"))
    known = Entry(study="A", subject_code="S1", sex="male", birth_year=1960, height_cm=180, weight_kg=80)
    store_phantom(database, settings, tmp_path / "b", muscle_hu=60, entry=known)
    store_phantom(database, settings, tmp_path / "c", muscle_hu=70, entry=Entry(study="A", subject_code="S1"))
    with database.read() as session:
        visit = session.scalars(select(Visit)).one()
        assert (visit.subject.sex, visit.subject.birth_year) == ("male", 1960)
        assert (visit.height_cm, visit.weight_kg, len(visit.scans)) == (180, 80, 3)


def test_a_visit_with_another_date_is_a_contradiction(database: Database, settings: Settings, tmp_path: Path) -> None:
    store_phantom(database, settings, tmp_path / "a", entry=ENTRY)
    other = replace(ENTRY, visit_date=date(2025, 3, 1))
    with pytest.raises(SubjectConflictError, match="visit 1 is stored with visit date 2026-03-01"):
        store_phantom(database, settings, tmp_path / "b", muscle_hu=60, entry=other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subject_code": "  "}, "subject code is empty"),
        ({"study": ""}, "study is empty"),
        ({"subject_code": "S\x001"}, "printable"),
        ({"sex": "F"}, "sex must be one of"),
        ({"birth_year": 50}, "birth year must be between"),
        ({"height_cm": 1.72}, "height in cm must be between"),
        ({"weight_kg": 0}, "weight in kg must be between"),
        ({"visit_number": 0}, "visit number"),
        ({"visit_date": date(2126, 1, 1)}, "in the future"),
        ({"age_years": 40}, "75 or 76 years old on 2026-03-01, not 40"),
        ({"visit_date": date(1990, 1, 1), "birth_year": 2000}, "before the birth year"),
    ],
)
def test_an_entry_that_cannot_be_right_is_refused_in_words(change: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(ENTRY, **change)  # type: ignore[arg-type]


# settings, secret, sweep


def test_the_sweep_removes_what_crashes_left_and_nothing_else(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    store_phantom(database, settings, tmp_path / "a", entry=ENTRY)
    waiting = upload_phantom(settings, tmp_path / "b", muscle_hu=60)
    kept = files_below(settings.data_dir)
    for left in ("staging/x/image", "uploads/x/slices", "scans/0001/0123456789abcdef/image"):
        (settings.data_dir / left).mkdir(parents=True)
        (settings.data_dir / left / "f").write_text("half")
    assert sweep(database, settings) == 0  # too young: they may be work in hand
    long_ago = time.time() - 2 * 24 * 3600
    for path in settings.data_dir.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    assert sweep(database, settings) == 3
    assert files_below(settings.data_dir) == kept
    assert open_uploads(settings) == [waiting]
