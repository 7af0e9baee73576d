"""The review page as Streamlit runs it: the list, a decision and the next result, a blind second reading, an upload."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import phantom_study
import pytest
from sqlalchemy import select
from test_app import field, go, press, settings, start, text  # noqa: F401 - settings is a fixture

from db import queries
from db.engine import Database, open_database
from db.models import Review, Run
from db.settings import Settings
from db.storage import load_label_map, load_volume
from pages.parts import corrections
from thighseg_core.errors import GeometryMismatchError, InputError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap, label_value
from thighseg_core.nifti import nifti_bytes


@pytest.fixture
def database(settings: Settings, tmp_path: Path) -> Database:  # noqa: F811
    phantom_study.fill(settings, tmp_path)
    return open_database(settings.database_path)


def reviews(database: Database) -> list[tuple[int, str, str, bool]]:
    with database.read() as session:
        return [(r.run_id, r.decision, r.reviewer, r.blind) for r in session.scalars(select(Review))]


def test_a_decision_is_stored_and_the_next_result_comes(database: Database) -> None:
    app = start("review")
    assert "P01, visit 1" in [title.value for title in app.subheader]
    field(app, "Your name or initials").set_value("JK")
    press(app, "Save and next")
    assert reviews(database) == [(1, "approved", "JK", False)]
    assert "P01, visit 2" in [title.value for title in app.subheader]
    assert [len(table.value) for table in app.dataframe] == [2]
    field(app, "Show").set_value("approved")
    app.run()
    assert "P01, visit 1" in [title.value for title in app.subheader]


def test_next_goes_on_without_a_decision_and_round_again(database: Database) -> None:
    app = start("review")
    seen = []
    for _ in range(4):
        seen.append(app.subheader[0].value)
        press(app, "Next")
    assert seen == ["P01, visit 1", "P01, visit 2", "P02, visit 1", "P01, visit 1"]
    assert reviews(database) == []


def test_a_list_can_be_linked_and_an_empty_one_says_so(database: Database) -> None:
    assert "Nothing under “Rejected”" in text(start("review", show="rejected"))
    assert "P01" in str(start("review", show="no such list").subheader[0].value)


def test_a_blind_second_reader_does_not_see_the_first_decision(database: Database) -> None:
    app = start("review")
    field(app, "Your name or initials").set_value("AA")
    press(app, "Save and next")
    app.toggle[0].set_value(True)
    app.run()
    field(app, "Your name or initials").set_value("BB")
    app.run()
    said = text(app)
    assert [title.value for title in app.subheader][:1] == ["P01, visit 1"]
    assert "AA" not in said
    assert "approved" not in said
    assert list(app.dataframe[0].value.columns) == ["subject", "visit", "flags", "network", "version", "segmented"]
    press(app, "Save and next")
    assert reviews(database)[1] == (1, "approved", "BB", True)
    said = text(app)
    assert "No result waits for your second reading" in said
    assert "Blind second readings: 1; same decision in 1 (100 %)" in said


def corrected(settings: Settings, database: Database) -> tuple[LabelMap, bytes]:  # noqa: F811
    """The labels of scan 1 with its left sartorius given to the extensor, as a file."""
    with database.read() as session:
        run = queries.rows(session, queries.runs(scan_id=1))[0]
        storage_path = queries.rows(session, queries.scans(scan_id=1))[0]["storage_path"]
    geometry = load_volume(settings, storage_path).geometry
    labels = load_label_map(settings, run["label_map_path"], like=geometry).labels.copy()
    labels[labels == label_value("sartorius", "left")] = label_value("extensor", "left")
    return LabelMap(labels, geometry), nifti_bytes(labels, geometry, description="corrected")


def test_labels_corrected_elsewhere_become_a_new_version_and_what_changed_is_said(
    settings: Settings,  # noqa: F811
    database: Database,
) -> None:
    _, content = corrected(settings, database)
    app = start("review")
    app.file_uploader[0].set_value([("fixed.nii", content, "application/octet-stream")])
    field(app, "Corrected by").set_value("Dr. S")
    press(app, "Store as a new version")
    with database.read() as session:
        new, old = session.scalars(select(Run).where(Run.scan_id == 1).order_by(Run.version.desc())).all()
    assert (new.version, new.kind, new.author, new.parent_id) == (2, "corrected", "Dr. S", old.id)
    app = go(app, "review")
    table = next(table.value for table in app.dataframe if "Dice" in table.value.columns)
    assert list(table["structure"]) == ["Extensor, left", "Sartorius, left"]
    assert list(table["Dice"])[1] == 0.0
    assert table["voxels added"][0] == table["voxels removed"][1] > 0


def test_a_corrected_file_of_another_scan_or_with_foreign_labels_is_refused(
    settings: Settings,  # noqa: F811
    database: Database,
) -> None:
    label_map, content = corrected(settings, database)
    assert (corrections.read_corrected(content, like=label_map.geometry).labels == label_map.labels).all()
    shift = np.zeros((4, 4))
    shift[:3, 3] = 0.7
    elsewhere = Geometry(label_map.geometry.shape, label_map.geometry.affine + shift)
    with pytest.raises(GeometryMismatchError):
        corrections.read_corrected(content, like=elsewhere)
    foreign = label_map.labels + 100
    with pytest.raises(InputError, match="none of ThighSeg's"):
        corrections.read_corrected(nifti_bytes(foreign, label_map.geometry, description="x"), like=label_map.geometry)
