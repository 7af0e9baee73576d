"""The cohort page as Streamlit runs it, on a real data folder: what its filters leave, what its sections say."""

# ruff: noqa: F811 - a test's parameter is the imported fixture
from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
import phantom_study
import pytest
from phantom_study import TWO_PEOPLE, Visit
from serving import PATIENCE_S
from sqlalchemy import update
from sqlalchemy.orm import Session
from streamlit.testing.v1 import AppTest
from test_app import database, settings, start, text, until  # noqa: F401 - fixtures

from db import cohort, models
from db.engine import Database
from db.models import Review, Run
from db.settings import Settings

SECTIONS = ("distribution", "size", "scores", "composition", "function", "change")


def control(app: AppTest, key: str) -> Any:
    """A segmented control or pills by its key."""
    return next(widget for widget in (*app.segmented_control, *app.pills) if widget.key == key)


def test_the_cohort_says_how_many_and_warns_of_different_lengths(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path, (*TWO_PEOPLE, Visit("P03", n_slices=16)))
    app = start("cohort")
    said = text(app)
    assert "**3** subjects · **4** scans" in said
    assert "different lengths of the leg (12.0 to 16.0 cm)" in said
    control(app, "show").set_value("change")
    app.run()
    assert "1 subject; median change" in text(app)


def test_only_approved_results_and_rejected_ones_never(settings: Settings, database: Database, tmp_path: Path) -> None:
    ids = phantom_study.fill(settings, tmp_path)
    with database.write() as session:
        session.add(Review(run_id=ids[0], decision="approved", reviewer="JK"))
        session.add(Review(run_id=ids[2], decision="rejected", reviewer="JK"))
    app = start("cohort")
    assert "**1** subject · **2** scans" in text(app)
    control(app, "review").set_value("approved")
    app.run()
    assert "**1** subject · **1** scan " in text(app)


def test_a_filter_holds_for_every_section(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path, (*TWO_PEOPLE, Visit("P03", sex="male", size=1.1)))
    app = start("cohort")
    control(app, "sex").set_value(["male"])
    app.run()
    for section in SECTIONS:
        control(app, "show").set_value(section)
        app.run()
        said = text(app)
        assert "**2** subjects · **2** scans" in said
        assert "Filters: male" in said


def test_scans_with_a_chosen_flag_are_left_out(settings: Settings, database: Database, tmp_path: Path) -> None:
    ids = phantom_study.fill(settings, tmp_path)
    flag = {"code": "metal", "severity": "warning", "message": "m", "consequence": "c", "region": "r", "side": "left"}
    with database.write() as session:
        session.execute(update(Run).values(flags=[]))
        session.execute(update(Run).where(Run.scan_id == ids[0]).values(flags=[flag, flag]))
    app = start("cohort")
    (box,) = [box for box in app.multiselect if box.key == "without"]
    assert box.options == ["metal"]
    box.set_value(["metal"])
    app.run()
    assert "**2** scans" in text(app)
    assert "without the flags metal" in text(app)


def test_a_change_in_the_database_is_seen_at_the_next_look(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    ids = phantom_study.fill(settings, tmp_path)
    app = start("cohort")
    assert "**3** scans" in text(app)
    with database.write() as session:
        session.add(Review(run_id=ids[1], decision="rejected", reviewer="JK"))
    app.run()
    assert "**2** scans" in text(app)


def test_every_metric_of_every_region_can_be_plotted(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path)
    app = start("cohort")
    regions = app.selectbox(key="region").options
    assert len(regions) >= 8
    for position in range(len(regions)):
        app.selectbox(key="region").select_index(position)
        app.run()
        for metric in range(len(app.selectbox(key="metric").options)):
            app.selectbox(key="metric").select_index(metric)
            app.run()
            said = text(app)
            assert "subject" in said or "No value fits" in said
            assert "nan" not in said, "a percentage of nothing is left out"


def test_a_link_opens_the_state_it_was_copied_in(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path)
    app = start("cohort", region="Flexor", side="left", show="Change", sex="female")
    assert app.selectbox(key="side").value == "left"
    assert app.selectbox(key="region").value == "flexor"
    assert control(app, "show").value == "change"
    said = text(app)
    assert "**1** subject · **2** scans" in said
    assert "1 subject; median change" in said


def test_dividing_by_a_height_that_is_not_known_leaves_the_scan_out(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    phantom_study.fill(settings, tmp_path)
    with database.write() as session:
        session.execute(update(models.Visit).where(models.Visit.number == 1).values(height_cm=200.0))
    app = start("cohort")
    app.selectbox(key="divided").set_value("height2")
    app.run()
    assert "**2** subjects · **2** scans · " in text(app)
    assert "1 missing and left out" in text(app)


def test_no_page_speaks_of_a_diagnosis_of_anybody(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path)
    app = start("cohort")
    drawn = [text(control(app, "show").set_value(section).run()) for section in SECTIONS]
    for said in [text(start(page)).lower() for page in ("home", "viewer", "export", "subject")] + drawn:
        assert not [word for word in ("sarcopeni", "myosteato", "patholog", "abnormal", "low muscle") if word in said]


def test_a_femur_that_may_be_cut_off_divides_nothing(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path)
    app = start("cohort", metric="volume")
    extent, divided = ([box for box in app.selectbox if box.label == name] for name in ("Extent", "Divided by"))
    assert [box.value for box in extent] == ["full"]
    assert "Per height²" in divided[0].options
    assert "Per femur volume" not in divided[0].options


def test_while_a_change_is_being_read_the_page_shows_what_was_before_and_then_follows(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phantom_study.fill(settings, tmp_path)
    app = start("cohort")
    assert "**3** scans" in text(app)
    may_read, really_read = Event(), cohort.scans_frame

    def slowly(session: Session) -> pd.DataFrame:
        assert may_read.wait(PATIENCE_S)
        return really_read(session)

    monkeypatch.setattr(cohort, "scans_frame", slowly)
    with database.write() as session:
        session.add(Review(run_id=3, decision="rejected", reviewer="R"))
    app.run()
    assert "**3** scans" in text(app)
    assert "follows in a moment" in text(app)
    may_read.set()
    said = until(app, "**2** scans")
    assert "follows in a moment" not in said
