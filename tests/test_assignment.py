"""Whose the series of an upload are: what fills the table, and which entries come of its rows."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from db.subject_list import ListedSubject
from pages.parts import assignment, batch
from pages.parts.inspection import ReadySeries
from thighseg_core.candidate import SeriesCandidate
from thighseg_core.errors import InputError
from thighseg_core.volume import SeriesInfo


def series(name: str, *, day: str | None = None, patient: str = "", source: str = "") -> ReadySeries:
    candidate = SeriesCandidate(
        key=name, description=name, modality="CT", n_slices=40, spacing_text="0.80 x 0.80 x 5.00 mm",
        source_format="DICOM", files=(Path("x"),), warnings=("contrast was given",),
    )  # fmt: skip
    info = SeriesInfo(
        source_format="DICOM", series_uid="1.2", digest_sha256="0" * 64, acquisition_date=day,
        patient_sex="female",
    )  # fmt: skip
    return ReadySeries(candidate, info, b"jpeg", 200.0, source=source, patient_id=patient)


def table(*ready: ReadySeries, **options: object) -> pd.DataFrame:
    return assignment.table(ready, **({"stored": {}} | options))  # type: ignore[arg-type]


def test_series_of_one_patient_get_the_same_letter_and_no_number_is_shown() -> None:
    frame = table(series("a", patient="4711"), series("b", patient="99"), series("c", patient="4711"), series("d"))
    assert list(frame["person"]) == ["A", "B", "A", ""]
    assert "4711" not in frame.drop(columns="picture").to_csv()


def test_a_row_of_the_list_goes_before_the_header_and_a_series_without_one_says_so() -> None:
    listed = [ListedSubject(2, "P7", "", {"subject_code": "S-07", "sex": "male", "visit_number": 2})]
    listed[0].fields["grip_strength_kg"] = 31.5
    frame = table(series("a", source="P7/CT", day="2026-03-01"), series("b", source="P8/CT"), listed=listed)
    assert list(frame.loc[0, ["subject_code", "sex", "visit_number"]]) == ["S-07", "male", 2]
    assert frame.loc[0, "visit_date"] == date(2026, 3, 1)
    assert frame.loc[1, "sex"] == "female"
    assert frame.loc[1, "remarks"].startswith("Not in the list")
    (row,) = assignment.assigned(frame[:1], study="A", last_visit={})
    assert (row.entry.subject_code, row.entry.visit_number, row.entry.grip_strength_kg) == ("S-07", 2, 31.5)


def test_what_is_stored_already_is_not_ticked() -> None:
    frame = table(series("a"), series("b"), stored={1: "P01, visit 1"})
    assert list(frame["store"]) == [True, False]
    assert frame.loc[1, "remarks"].startswith("Already stored as P01, visit 1")


def test_empty_visit_numbers_follow_the_dates_after_what_is_stored_and_one_day_is_one_visit() -> None:
    days = ("2026-09-01", "2025-03-01", "2025-03-01", None, "2025-03-01")
    frame = table(*(series(str(number), day=day) for number, day in enumerate(days)))
    frame["subject_code"] = ["S-1", "S-1", " S-1 ", "S-1", "S-2"]
    rows = assignment.assigned(frame, study="A", last_visit={"S-1": 3})
    assert [row.entry.visit_number for row in rows] == [5, 4, 4, 6, 1]
    assert rows[2].entry.subject_code == "S-1"


def test_only_ticked_rows_become_entries_and_unknown_stays_unknown() -> None:
    frame = table(series("a"), series("b"))
    frame["store"] = [False, True]
    frame["subject_code"] = ["", "S-2"]
    frame.loc[1, "birth_year"] = 1950
    (row,) = assignment.assigned(frame, study="A", last_visit={})
    assert (row.position, row.entry.birth_year, row.entry.height_cm) == (1, 1950, None)
    assert row.entry.visit_date is None


def test_every_row_that_cannot_be_is_named_and_none_is_returned() -> None:
    frame = table(series("a"), series("b"), series("c"))
    frame["subject_code"] = ["S-1", None, "S-3"]
    frame.loc[2, "height_cm"] = 5.0
    with pytest.raises(InputError, match=r"row 2: the subject code is empty.*; row 3: height in cm"):
        assignment.assigned(frame, study="A", last_visit={})
    frame["store"] = False
    with pytest.raises(InputError, match="no row is ticked"):
        assignment.assigned(frame, study="A", last_visit={})


def test_a_row_that_cannot_be_stored_stops_no_other() -> None:
    def fails() -> None:
        raise InputError("the disk is full")

    state = batch.Batch(total=3)
    batch.run(state, [("Row 1", lambda: "one"), ("Row 2", fails), ("Row 3", lambda: "three")])  # type: ignore[list-item, return-value]
    assert (state.stored, state.failed) == (["one", "three"], ["Row 2: the disk is full"])
    assert (state.done, state.ended) == (3, True)
