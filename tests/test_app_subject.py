"""The subject page as Streamlit runs it, on a real data folder."""

# ruff: noqa: F811 - a test's parameter is the imported fixture
from __future__ import annotations

from pathlib import Path

import phantom_study
from sqlalchemy import select, update
from test_app import database, settings, start, text  # noqa: F401 - fixtures

from db import models
from db.engine import Database
from db.settings import Settings
from db.subject import subject_list
from pages.parts.subject_facts import facts_of


def test_a_subject_is_shown_with_all_visits_and_what_changed(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    phantom_study.fill(settings, tmp_path, noise_hu=5)
    app = start("subject", subject="1")
    said = text(app)
    assert "**P01** · female · born 1950" in said.replace("\\", "")
    assert "**Visit 1**" in said
    assert "**Visit 2**" in said
    assert "Change of the muscles from visit 1 to visit 2" in said
    (table,) = [frame.value for frame in app.dataframe if "Region" in frame.value.columns]
    volume = table[(table["Region"] == "Extensor") & table["Metric"].str.startswith("Volume")].iloc[0]
    # both diameters shrink to 95 %, so the volume to 90 %: a loss of a tenth
    assert -12.0 < volume["%"] < -8.0
    assert len(app.get("download_button")) >= 1


def test_a_subject_with_one_visit_shows_no_change(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path, phantom_study.TWO_PEOPLE[2:])
    said = text(start("subject"))
    assert "**P02**" in said
    assert "Change of the muscles" not in said


def test_a_subject_of_whom_one_leg_was_scanned_is_shown_with_that_leg(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    phantom_study.fill(settings, tmp_path, phantom_study.TWO_PEOPLE[2:])
    with database.write() as session:
        other = update(models.Measurement).where(models.Measurement.side != "left")
        session.execute(other.values(value=None, status="missing", reason="not in the scan"))
    app = start("subject")
    said = text(app)
    assert "No value" not in said
    (side,) = [control for control in app.segmented_control if control.label == "Side"]
    assert (side.options, side.value) == (["left"], "left")


def test_an_address_of_nobody_is_answered_in_words(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path, phantom_study.TWO_PEOPLE[2:])
    assert "There is no subject '99'" in text(start("subject", subject="99"))


def test_the_list_counts_visits_and_results(settings: Settings, database: Database, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path)
    with database.read() as session:
        found = {row.subject: (row.visits, row.results) for row in session.execute(subject_list())}
    assert found == {"P01": (2, 2), "P02": (1, 1)}


def test_entered_strength_is_stored_and_an_empty_cell_is_not_known(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    phantom_study.fill(settings, tmp_path, phantom_study.TWO_PEOPLE[2:])
    row = {name: float("nan") for name in ("height_cm", "weight_kg", "gait_speed_m_s", "knee_extension_torque_nm")}
    facts = facts_of(row | {"grip_strength_kg": 31.5})
    from db.visit_facts import record_visit_facts

    with database.write() as session:
        record_visit_facts(session, facts, visit_id=1)
    with database.read() as session:
        visit = session.scalars(select(models.Visit)).one()
        assert (visit.grip_strength_kg, visit.height_cm) == (31.5, None)
