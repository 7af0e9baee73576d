"""The dashboard as Streamlit runs it, on a real data folder: what each page says and what its buttons do."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import phantom_study
import pydicom
import pytest
import streamlit as st
from bad_inputs import BAD_INPUTS, BadInput
from phantom_study import TWO_PEOPLE, Visit
from serving import PATIENCE_S
from sqlalchemy import select
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox
from test_inspection import uploaded_files

from db import jobs
from db.engine import Database, open_database
from db.models import Job, Review, Scan, Subject
from db.settings import Settings
from db.uploads import open_uploads
from pages.parts import cache, navigation

ROOT = Path(__file__).resolve().parent.parent
PAGES = tuple(entry.view for entry in navigation.ENTRIES)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fresh data folder that the app will use; no worker process is started."""
    monkeypatch.setenv("THIGHSEG_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(cache, "ensure_worker_running", lambda _: True)
    monkeypatch.setattr(Selectbox, "_widget_state", property(_typed_or_chosen))
    st.cache_resource.clear()
    st.cache_data.clear()
    return Settings(data_dir=(tmp_path / "data").resolve())


def _typed_or_chosen(box: Selectbox[Any]) -> WidgetState:
    """What a browser sends for a selectbox. AppTest's own leaves out an option that was typed."""
    state = WidgetState(id=box.id)
    if box.value is not None:
        state.string_value = box.format_func(box.value)
    return state


@pytest.fixture
def database(settings: Settings) -> Database:
    return open_database(settings.database_path)


def start(page: str = "home", **query: str) -> AppTest:
    """A new session whose first request is for `page`."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE_S)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    return app if page == "home" else go(app, page, **query)


def go(app: AppTest, page: str, **query: str) -> AppTest:
    app.switch_page(f"pages/views/{page}.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, [error.message for error in app.exception]
    return app


def text(app: AppTest) -> str:
    """All that the page says, without the backslashes that keep text from being read as markdown."""
    assert not app.exception, [error.message for error in app.exception]
    kinds = ("title", "subheader", "markdown", "caption", "error", "warning", "info", "success")
    parts = [element.value for kind in kinds for element in getattr(app, kind)]
    parts += [expander.label for expander in app.expander]
    return "\n".join(str(part) for part in parts).replace("\\", "")


def press(app: AppTest, label: str) -> AppTest:
    (button,) = [button for button in app.button if button.label == label]
    button.click()
    return app.run()


def field(app: AppTest, label: str) -> Any:
    """The input of that label."""
    inputs = (*app.selectbox, *app.number_input, *app.text_input, *app.date_input)
    return next(widget for widget in inputs if widget.label == label)


def until(app: AppTest, wanted: str, *, limit_s: float = PATIENCE_S) -> str:
    """Draw again, as the page does by itself, until it says `wanted`."""
    give_up_at = time.monotonic() + limit_s
    while wanted not in (said := text(app)):
        assert time.monotonic() < give_up_at, f"never said {wanted!r}: {said}"
        time.sleep(0.1)
        app.run()
    return said


def zipped(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return out.getvalue()


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    app.file_uploader[0].set_value([(name, content, "application/octet-stream") for name, content in files])
    return app.run()


# --------------------------------------------------------------------------------------------------------- every page


@pytest.mark.parametrize("page", PAGES)
def test_without_any_data_a_page_says_what_to_do(page: str, settings: Settings) -> None:
    said = text(start(page))
    hints = {
        "home": "Upload** a CT of the thighs",
        "upload": "A DICOM folder, a zip of one, or a NIfTI file",
        "queue": "No scan has been queued yet",
        "viewer": "No scan is stored yet",
        "cohort": "Nothing to compare yet",
        "export": "Nothing to export yet",
        "about": "Research use only",
        "review": "Nothing to review yet",
        "subject": "No subject yet",
        "agreement": "No scan is stored yet",
        "models": "The three networks of Kim et al. 2025",
    }
    assert hints[page] in said


@pytest.mark.parametrize("page", PAGES)
def test_with_a_study_a_page_draws_without_an_error(page: str, settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path)
    app = start(page)
    assert "Research use only" in app.sidebar.caption[-1].value
    assert not [error.value for error in app.error if "network" not in error.value]


def test_a_deep_link_to_a_cold_server_runs_app_py_first(settings: Settings) -> None:
    """A flat pages/ folder would be served without app.py, and with it without a sign-in gate."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE_S)
    app.run()
    app.switch_page("pages/views/cohort.py").run()
    assert app.title[0].value == "Cohort"
    assert "Research use only" in app.sidebar.caption[-1].value
    flat = sorted(path.name for path in (ROOT / "pages").glob("*.py"))
    assert flat == ["__init__.py"], "a module lying flat in pages/ is a page of its own for Streamlit"


def test_a_database_of_a_newer_version_is_refused_in_words(settings: Settings, database: Database) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    said = text(start("home"))
    assert "ThighSeg cannot open its data" in said
    assert "newer" in said


# --------------------------------------------------------------------------------------------------------------- home


def test_home_counts_what_waits_and_leads_to_it(settings: Settings, database: Database, tmp_path: Path) -> None:
    ids = phantom_study.fill(settings, tmp_path)
    phantom_study.store(Visit("P03", size=0.9), database=database, settings=settings, folder=tmp_path / "more")
    with database.write() as session:
        session.add(Review(run_id=ids[0], decision="approved", reviewer="JK"))
    app = start("home")
    assert {metric.label: metric.value for metric in app.metric} == {
        "To store": "0",
        "To segment": "1",
        "To review": "2",
        "Flagged": "2",
        "Failed": "0",
    }
    said = text(app)
    assert "P02" in said or any("P02" in link.label for link in app.get("page_link"))


# ------------------------------------------------------------------------------------------------------------- upload


def test_a_zip_is_listed_pre_filled_stored_without_its_name_and_queued(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    folder = phantom_study.write_dicom(TWO_PEOPLE[0], tmp_path / "dicom")
    app = upload(start("upload"), ("scan.zip", zipped(folder)))
    said = until(app, "THIGH 5mm STD")
    assert "12 slices" in said
    assert "2.00 x 3.00 x 10.00 mm" in said
    assert field(app, "Age at the visit (years)").value == 76.0
    assert field(app, "Height (cm)").value == 172.0
    assert field(app, "Weight (kg)").value == 70.0
    assert field(app, "Sex").value == "female"
    assert field(app, "Visit date").value.isoformat() == "2026-03-01"

    field(app, "Subject code").set_value("S-07")
    press(app, "Store and segment")
    assert "Stored as S-07, visit 1, and queued" in until(app, "Stored as")
    with database.read() as session:
        scan = session.scalars(select(Scan)).one()
        assert session.scalars(select(Job.status)).all() == ["queued"]
        visit = scan.visit
        assert (visit.subject.code, visit.subject.sex, visit.number, visit.age_years) == ("S-07", "female", 1, 76.0)
    stored = [path for path in (settings.data_dir / "scans").rglob("*") if path.is_file()]
    assert len(stored) == 12
    assert {str(pydicom.dcmread(path).get("PatientName", "")) for path in stored}.isdisjoint({"Doe^Jane"})
    assert open_uploads(settings) == [], "the identified original is deleted once it is stored"


def test_an_upload_waits_on_disk_for_the_next_session_and_can_be_removed(settings: Settings, tmp_path: Path) -> None:
    folder = phantom_study.write_dicom(TWO_PEOPLE[0], tmp_path / "dicom")
    until(upload(start("upload"), ("scan.zip", zipped(folder))), "THIGH 5mm STD")
    reloaded = start("upload")
    until(reloaded, "THIGH 5mm STD")
    press(reloaded, "Remove")
    assert "THIGH 5mm STD" not in text(reloaded)
    assert open_uploads(settings) == []


def test_a_whole_folder_may_be_uploaded_and_its_paths_are_not_trusted(settings: Settings, tmp_path: Path) -> None:
    folder = phantom_study.write_dicom(TWO_PEOPLE[0], tmp_path / "dicom")
    app = start("upload")
    app.segmented_control[0].set_value("folder")
    app.run()
    upload(app, *((f"../../../evil/{path.name}", path.read_bytes()) for path in sorted(folder.glob("*"))))
    assert "12 slices" in until(app, "THIGH 5mm STD")
    outside = [path for path in tmp_path.rglob("*evil*") if not path.is_relative_to(settings.data_dir / "uploads")]
    assert outside == []


def test_the_same_scan_a_second_time_is_recognised_however_it_is_packed(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path)
    folder = phantom_study.write_dicom(TWO_PEOPLE[0], tmp_path / "again")
    app = start("upload")
    app.segmented_control[0].set_value("folder")
    app.run()
    upload(app, *((path.name, path.read_bytes()) for path in sorted(folder.glob("*"), reverse=True)))
    assert "already stored as P01, visit 1" in until(app, "Recognised")
    assert not [button for button in app.button if button.label == "Store and segment"]


def test_an_entry_that_cannot_be_is_refused_and_the_form_keeps_its_values(settings: Settings, tmp_path: Path) -> None:
    folder = phantom_study.write_dicom(TWO_PEOPLE[0], tmp_path / "dicom")
    app = upload(start("upload"), ("scan.zip", zipped(folder)))
    until(app, "THIGH 5mm STD")
    press(app, "Store and segment")
    assert "The subject code is empty" in text(app)
    field(app, "Birth year").set_value(2001)
    field(app, "Subject code").set_value("S-07")
    press(app, "Store and segment")
    assert "orn in 2001" in text(app)
    assert field(app, "Birth year").value == 2001


def test_a_known_subject_with_another_sex_asks_what_to_keep(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    phantom_study.fill(settings, tmp_path)
    folder = phantom_study.write_dicom(Visit("x", size=0.9), tmp_path / "dicom")
    app = upload(start("upload"), ("scan.zip", zipped(folder)))
    until(app, "THIGH 5mm STD")
    field(app, "Subject code").set_value("P02")
    app.run()
    assert field(app, "Visit number").value == 2, "P02 has visit 1"
    assert field(app, "Birth year").value == 1944
    field(app, "Sex").set_value("female")
    app.run()
    press(app, "Store and segment")
    said = until(app, "This does not fit what is stored")
    assert "male" in said
    press(app, "Keep what is stored")
    until(app, "Stored as P02, visit 2")
    with database.read() as session:
        assert session.scalars(select(Subject.sex).where(Subject.code == "P02")).one() == "male"


# Every kind is handed to the same function in test_inspection.py; these are seen on the page itself.
ON_THE_PAGE = ("truncated zip", "zip bomb", "text file", "empty file", "MR")


@pytest.mark.parametrize("bad", [bad for bad in BAD_INPUTS if bad.name in ON_THE_PAGE], ids=lambda bad: bad.name)
def test_bad_input_is_answered_with_its_sentence_and_harms_nothing(
    bad: BadInput, settings: Settings, database: Database, tmp_path: Path
) -> None:
    files = uploaded_files(bad.make(tmp_path))
    app = upload(start("upload"), *files)
    give_up_at = time.monotonic() + PATIENCE_S
    while "Reading the images" in (said := text(app)):
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
        app.run()
    assert "Traceback" not in said
    assert not [button for button in app.button if button.label == "Store and segment"]
    expected = bad.words if any(content for _, content in files) else ("The upload is empty",)
    for word in expected:
        assert word.lower() in said.lower(), f"expected {word!r} in: {said}"
    with database.read() as session:
        assert session.scalars(select(Scan)).all() == []


# -------------------------------------------------------------------------------------------------------------- queue


def test_a_waiting_scan_can_be_cancelled_and_queued_again(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    phantom_study.store(TWO_PEOPLE[0], database=database, settings=settings, folder=tmp_path / "dicom")
    app = start("queue")
    assert "waiting" in text(app)
    press(app, "Cancel")
    assert "cancelled" in text(app)
    press(app, "Segment after all")
    with database.read() as session:
        assert session.scalars(select(Job.status)).all() == ["queued"]


def test_a_failure_is_told_in_its_own_words_and_can_be_tried_again(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    phantom_study.store(TWO_PEOPLE[0], database=database, settings=settings, folder=tmp_path / "dicom")
    with database.write() as session:
        claim = jobs.claim(session, owner="test")
        assert claim is not None
        jobs.fail(session, job_id=claim.job_id, owner="test", error="the memory was not enough", retry=False)
    app = start("queue")
    assert "The memory was not enough." in text(app)
    press(app, "Try again")
    with database.read() as session:
        assert session.scalars(select(Job.status)).all() == ["queued"]


def test_a_running_scan_shows_stage_progress_and_time(settings: Settings, database: Database, tmp_path: Path) -> None:
    phantom_study.store(TWO_PEOPLE[0], database=database, settings=settings, folder=tmp_path / "dicom")
    with database.write() as session:
        claim = jobs.claim(session, owner="test")
        assert claim is not None
        jobs.heartbeat(session, job_id=claim.job_id, owner="test", stage="segment", progress=0.4)
    app = start("queue")
    (bar,) = app.get("progress")
    assert bar.value == 40
    assert bar.proto.text.startswith("segment · 40% · ")


# ------------------------------------------------------------------------------------------------------------- export


def test_export_shows_the_tables_and_only_approved_ones_on_request(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path)
    app = start("export")
    assert [frame.value.columns[0] for frame in app.dataframe] == ["scan_id", "subject_id", "scan_id", "table"]
    assert list(app.dataframe[0].value["subject_id"].unique()) == ["P01"]
    assert "**3** scans of **2** subjects" in text(app)
    next(toggle for toggle in app.toggle if toggle.label == "Only approved results").set_value(True)
    app.run()
    assert "No result fits" in text(app)


def test_export_leaves_what_was_chosen(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path)
    app = start("export")
    next(box for box in app.multiselect if box.label == "Regions").set_value(["flexor"])
    next(box for box in app.multiselect if box.label == "Metrics").set_value(["volume"])
    app.run()
    long = app.dataframe[0].value
    assert set(long["region"]) == {"flexor"}
    assert set(long["metric"]) == {"volume"}
    assert "Only these regions: flexor" in text(app)
