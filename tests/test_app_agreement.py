"""The Agreement page as Streamlit runs it: empty, bringing a reading in, and what it is compared to."""

from __future__ import annotations

import time
from pathlib import Path

import nibabel
import numpy as np
import phantom_study
from phantom_study import Visit
from sqlalchemy import select
from test_app import database, press, settings, start, text

from db.engine import Database
from db.models import Reading, Run
from db.readings import record_reading
from db.settings import Settings
from db.storage import load_label_map, load_volume
from thighseg_core.labels import LabelMap

__all__ = ["database", "settings"]  # fixtures

FOUR = tuple(Visit(f"P{n:02d}", sex="female" if n % 2 else "male", size=0.9 + 0.05 * n) for n in range(1, 5))


def _stored(database: Database, settings: Settings) -> list[tuple[int, LabelMap]]:
    """(scan, label map of its run) of every stored scan, the run named as a network's."""
    found = []
    with database.write() as session:
        for run in session.scalars(select(Run).order_by(Run.id)):
            run.model_name, run.model_version = "manet", "2"
            geometry = load_volume(settings, run.scan.storage_path).geometry
            found.append((run.scan_id, load_label_map(settings, run.label_map_path, like=geometry)))
    return found


def _one_row_less(label_map: LabelMap) -> LabelMap:
    """The reader leaves out the first image row in which anything is drawn."""
    labels = label_map.labels.copy()
    labels[:, np.flatnonzero(labels.any(axis=(0, 2)))[0], :] = 0
    return LabelMap(labels, label_map.geometry)


def test_without_readings_the_page_says_how_to_bring_one_in(settings: Settings) -> None:
    said = text(start("agreement"))
    assert "No reading is stored yet" in said
    assert "No scan is stored yet" in said


def test_readings_are_compared_with_the_network_and_shown(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    phantom_study.fill(settings, tmp_path, FOUR)
    for scan_id, label_map in _stored(database, settings):
        record_reading(database, settings, _one_row_less(label_map), scan_id=scan_id, reader="Dr A")
    app = start("agreement")
    while "being worked out" in text(app):  # pytest's own limit ends it
        time.sleep(0.2)
        app.run()
    said = text(app)
    overlap, quantities = (table.value for table in app.dataframe[:2])
    extensor = overlap[overlap["Region"] == "Extensor"].iloc[0]
    assert (extensor["Thighs"], extensor["Subjects"]) == ("8", "4")
    assert 0.9 < float(extensor["Dice"]) <= 1
    assert float(quantities["ICC(A,1)"].iloc[0].split()[0]) > 0.9
    assert "manet 2 minus Dr A" in said
    (who,) = [box for box in app.selectbox if box.label == "Compared"]
    assert who.value == ("Dr A", "manet 2")


def test_a_drawing_is_brought_in_from_a_file(settings: Settings, database: Database, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path, FOUR[:1])
    ((_, label_map),) = _stored(database, settings)
    path = tmp_path / "reader.nii.gz"
    affine = (np.diag([-1.0, -1.0, 1.0, 1.0]) @ label_map.geometry.affine)[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(_one_row_less(label_map).labels.transpose(2, 1, 0), affine), path)
    app = start("agreement")
    app.text_input(key="reading-reader").set_value("Dr B")
    app.file_uploader[0].set_value([("reader.nii.gz", path.read_bytes(), "application/gzip")])
    app.run()
    assert "segments** in this NIfTI" in text(app)
    press(app, "Store the reading")
    with database.read() as session:
        (reading,) = session.scalars(select(Reading)).all()
        assert (reading.reader, reading.source_format) == ("Dr B", "NIfTI")
        assert "extensor" in reading.regions


def test_a_file_that_is_no_drawing_is_refused_in_words(settings: Settings, database: Database, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path, FOUR[:1])
    app = start("agreement")
    app.file_uploader[0].set_value([("notes.txt", b"extensor " * 100, "text/plain")])
    app.run()
    (error,) = app.error
    assert "cannot be used" in error.value
    assert not list((settings.data_dir / "staging").glob("*"))


def test_a_reading_without_a_reader_is_not_stored(settings: Settings, database: Database, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path, FOUR[:1])
    ((_, label_map),) = _stored(database, settings)
    path = tmp_path / "reader.nii"
    affine = (np.diag([-1.0, -1.0, 1.0, 1.0]) @ label_map.geometry.affine)[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(label_map.labels.transpose(2, 1, 0), affine), path)
    app = start("agreement")
    app.file_uploader[0].set_value([("reader.nii", path.read_bytes(), "application/octet-stream")])
    app.run()
    press(app, "Store the reading")
    assert "needs its reader" in text(app)
