"""Whose scans an upload holds, from a list beside it: by path as uploaded, or by the header's patient number."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path

import phantom_study
import pytest

from db.settings import Settings
from db.subject_list import ListedSubject, read_subject_list, row_for
from db.upload_names import patient_id, source_of
from db.uploads import inspect, stage_upload
from thighseg_core.errors import InputError

LIST = b"""path,patient_id,subject_code,sex,visit_number,visit_date,height_cm
a/visit-1,,S-01,female,1,2026-03-05,162.5
a/visit-2,,S-01,female,2,,
,4711,S-02,male,,,
"""


def test_a_list_is_read_by_name_and_empty_cells_stay_unknown() -> None:
    first, second, third = read_subject_list(LIST, name="subjects.csv")
    assert first.fields == {
        "subject_code": "S-01", "sex": "female", "visit_number": 1, "visit_date": date(2026, 3, 5), "height_cm": 162.5,
    }  # fmt: skip
    assert "visit_date" not in second.fields
    assert (third.path, third.patient_id, third.line) == ("", "4711", 4)


def test_semicolons_of_a_spreadsheet_are_understood() -> None:
    (row,) = read_subject_list(b"path;subject_code;sex\r\nx;S-1;male\r\n", name="l.csv")
    assert row.fields == {"subject_code": "S-1", "sex": "male"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"subject_code\nS-1\n", "path or patient_id"),
        (b"path,sex\nx,male\n", "lacks subject_code"),
        (b"path,subject_code,shoe\nx,S-1,43\n", "unknown shoe"),
        (b"path,subject_code,height_cm\nx,S-1,tall\n", "line 2: height_cm must be a number"),
        (b"path,subject_code\nx,S-1\n,S-2\n", "line 3: needs a subject_code"),
        ("path,subject_code\nx,Ä\n".encode("latin-1"), "CSV UTF-8"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_with_its_line(content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_subject_list(content, name="subjects.csv")


def test_a_path_fits_folder_by_folder_and_never_by_a_part_of_a_name() -> None:
    rows = read_subject_list(LIST, name="subjects.csv")
    assert row_for(rows, source="study.zip/a/visit-2/dicom", patient_id="") is rows[1]
    assert row_for(rows, source="a/visit-1", patient_id="") is rows[0]
    assert row_for(rows, source="aa/visit-1", patient_id="") is None
    assert row_for(rows, source="a/visit-10", patient_id="") is None
    assert row_for(rows, source="b", patient_id="4711") is rows[2]


def test_two_rows_that_both_fit_decide_nothing() -> None:
    rows = [ListedSubject(2, "a", "", {"subject_code": "S-1"}), ListedSubject(3, "a", "", {"subject_code": "S-2"})]
    assert row_for(rows, source="a", patient_id="") is None


def test_the_uploaded_path_and_the_patient_number_are_known_again_from_folder_and_zip(tmp_path: Path) -> None:
    folder = phantom_study.write_dicom(phantom_study.Visit("x", n_slices=4), tmp_path / "dicom")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.mkdir("P7")
        for path in sorted(folder.iterdir()):
            archive.writestr(f"P7/CT/{path.name}", path.read_bytes())
    other = phantom_study.write_dicom(phantom_study.Visit("y", n_slices=5), tmp_path / "dicom2")
    loose = [(f"P8\\CT/{path.name}", path.read_bytes()) for path in sorted(other.iterdir())]
    settings = Settings(data_dir=tmp_path / "data")
    upload = stage_upload(settings, [*loose, ("study.zip", packed.getvalue())])
    sources = {candidate.n_slices: source_of(upload, candidate) for candidate in inspect(upload).series}
    assert sources == {5: "P8/CT", 4: "study.zip/P7/CT"}
    assert {patient_id(candidate) for candidate in inspect(upload).series} != {""}
