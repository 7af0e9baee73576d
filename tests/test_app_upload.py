"""Several series of one upload, on the page as Streamlit runs it: the table, what it refuses, what it stores."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import phantom_study
from test_app import database, field, press, settings, start, text, until, upload, zipped  # noqa: F401 - fixtures too
from test_assignment import series

from db import queries
from db.drafts import keep_drafts, read_drafts
from db.engine import Database
from db.settings import Settings
from db.subject_list import ListedSubject
from db.uploads import discard_upload, stage_upload
from pages.parts import assignment


def two_series(folder: Path) -> tuple[tuple[str, bytes], ...]:
    """Two people, each as a zip."""
    return tuple(
        (f"{visit.code}.zip", zipped(phantom_study.write_dicom(visit, folder / visit.code)))
        for visit in phantom_study.TWO_PEOPLE[1:]
    )


def test_two_series_stand_in_a_table_that_wants_a_code_for_each(
    settings: Settings,  # noqa: F811
    database: Database,  # noqa: F811
    tmp_path: Path,
) -> None:
    app = upload(start("upload"), *two_series(tmp_path))
    until(app, "Fill the table from a list of subjects")
    assert "Store 2 scans and segment" in [button.label for button in app.button]
    press(app, "Store 2 scans and segment")
    assert "Row 1: the subject code is empty" in text(app)
    with database.read() as session:
        assert queries.rows(session, queries.studies()) == []


def test_what_was_typed_in_the_form_is_there_in_the_next_session(
    settings: Settings,  # noqa: F811
    tmp_path: Path,
) -> None:
    app = upload(start("upload"), two_series(tmp_path)[0])
    until(app, "THIGH 5mm STD")
    field(app, "Subject code").set_value("S-07")
    field(app, "Weight (kg)").set_value(71.5)
    field(app, "Visit date").set_value(date(2026, 5, 17))
    app.run()
    again = start("upload")
    until(again, "THIGH 5mm STD")
    typed = {name: field(again, name).value for name in ("Subject code", "Weight (kg)", "Visit date", "Sex")}
    assert typed == {"Subject code": "S-07", "Weight (kg)": 71.5, "Visit date": date(2026, 5, 17), "Sex": "female"}


def test_drafts_go_before_header_and_list_and_come_back_as_the_table_has_them() -> None:
    known = [ListedSubject(2, "P7", "", {"subject_code": "S-07", "height_cm": 160.0})]
    typed = {"a": {"subject_code": "S-08", "visit_date": "2026-05-17", "store": False}}
    frame = assignment.table([series("a", source="P7/CT")], stored={}, listed=known, drafts=typed)
    assert list(frame.loc[0, ["subject_code", "height_cm", "visit_date", "store"]]) == [
        "S-08",
        160.0,
        date(2026, 5, 17),
        False,
    ]


def test_drafts_add_up_and_go_with_the_upload(settings: Settings) -> None:  # noqa: F811
    kept = stage_upload(settings, [("x.dcm", b"x")])
    keep_drafts(kept, {"a": {"sex": "male"}})
    keep_drafts(kept, {"a": {"visit_date": date(2026, 5, 17)}, "b": {"store": False}})
    assert read_drafts(kept) == {"a": {"sex": "male", "visit_date": "2026-05-17"}, "b": {"store": False}}
    discard_upload(kept)
    keep_drafts(kept, {"a": {"sex": "female"}})
    assert not kept.folder.exists()
