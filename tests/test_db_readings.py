"""Readers' drawings in the database, compared with networks and with each other on a real stored scan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from db_rows import add_run
from db_scans import LEFT_CM3, SHAPE, store_phantom
from sqlalchemy import func, select

from db import agreement, queries, storage
from db.engine import Database, open_database
from db.entry import Entry
from db.models import ComparedValue, Comparison, Reading, Run, Scan
from db.readings import compare_pairs, missing_comparisons, record_reading
from db.settings import Settings
from thighseg_core.errors import DatabaseError, InputError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap, label_value

LEFT = label_value("extensor", "left")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    storage.make_data_folders(settings)
    opened = open_database(settings.database_path)
    yield opened
    opened.close()


@pytest.fixture
def scan_id(database: Database, settings: Settings, tmp_path: Path) -> int:
    entry = Entry(study="Readers", subject_code="S1", sex="female")
    return store_phantom(database, settings, tmp_path / "dicom", entry=entry).scan_id


def _drawing(database: Database, settings: Settings, scan_id: int, *, rows: int = 20) -> LabelMap:
    """The left box of the phantom, its first `rows` rows of 20."""
    with database.read() as session:
        scan = session.get_one(Scan, scan_id)
        volume = storage.load_volume(settings, scan.storage_path)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    muscle = volume.attenuation_hu == 50
    x = np.arange(SHAPE[2])[None, None, :] >= 30
    labels[muscle & x] = LEFT
    drawn = np.flatnonzero((labels > 0).any(axis=(0, 2)))
    labels[:, drawn[rows:], :] = 0
    return LabelMap(labels, volume.geometry)


def _network(database: Database, settings: Settings, scan_id: int, *, version: int, rows: int, model: str) -> int:
    """A run of a network whose label map has `rows` rows."""
    label_map = _drawing(database, settings, scan_id, rows=rows)
    with database.write() as session:
        run = add_run(session, session.get_one(Scan, scan_id), version)
        run.model_name = model
        storage.save_label_map(settings, run.label_map_path, label_map)
        return run.id


def test_a_reading_is_kept_beside_the_results_and_never_becomes_one(
    database: Database, settings: Settings, scan_id: int
) -> None:
    _network(database, settings, scan_id, version=1, rows=20, model="manet")
    record_reading(database, settings, _drawing(database, settings, scan_id), scan_id=scan_id, reader=" Dr  A ")
    with database.read() as session:
        (row,) = queries.rows(session, agreement.readings())
        (scan,) = queries.rows(session, queries.scans())
        assert session.scalar(select(func.count()).select_from(Run)) == 1
    assert (row["reader"], row["session"], row["regions"]) == ("Dr A", 1, ["extensor"])
    assert scan["run_version"] == 1
    assert (settings.data_dir / row["label_map_path"]).exists()


def test_a_reader_who_draws_again_is_a_second_session(database: Database, settings: Settings, scan_id: int) -> None:
    for rows in (20, 19):
        drawing = _drawing(database, settings, scan_id, rows=rows)
        record_reading(database, settings, drawing, scan_id=scan_id, reader="A")
    with database.read() as session:
        assert session.scalars(select(Reading.session).order_by(Reading.id)).all() == [1, 2]
        assert len(set(session.scalars(select(Reading.label_map_path)))) == 2


def test_network_and_readers_are_compared_once_with_numbers_by_hand(
    database: Database, settings: Settings, scan_id: int
) -> None:
    """Reader A drew 20 rows, reader B 16, the network 10: Dice 2 x 10 / 30 with A."""
    _network(database, settings, scan_id, version=1, rows=10, model="manet")
    for reader, rows in (("A", 20), ("B", 16)):
        drawing = _drawing(database, settings, scan_id, rows=rows)
        record_reading(database, settings, drawing, scan_id=scan_id, reader=reader)
    with database.read() as session:
        pairs = missing_comparisons(session)
    assert len(pairs) == 3  # A and B with the network, A with B
    assert compare_pairs(database, settings, pairs) == 3
    assert compare_pairs(database, settings, pairs) == 0  # all stored
    with database.read() as session:
        assert missing_comparisons(session) == []
        frame = queries.frame(session, agreement.compared_values())
    assert set(agreement.AGREEMENT_COLUMNS) <= set(frame.columns)
    by_hand = frame[frame["metric"] == "dice"].set_index(["reference", "test"])["value"]
    assert by_hand["A", "manet 1"] == pytest.approx(2 * 10 / 30)
    assert by_hand["B", "manet 1"] == pytest.approx(2 * 10 / 26)
    assert by_hand["A", "B"] == pytest.approx(2 * 16 / 36)
    volume = frame[(frame["metric"] == "volume") & (frame["test"] == "manet 1")].set_index("reference")
    assert volume.loc["A", "reference_value"] == pytest.approx(LEFT_CM3)
    assert volume.loc["A", "test_value"] == pytest.approx(LEFT_CM3 / 2)
    assert volume.loc["A", "value"] == pytest.approx(-LEFT_CM3 / 2)
    assert set(frame["test_kind"]) == {"network", "reader"}
    assert set(frame["sex"]) == {"female"}


def test_a_newer_result_of_the_same_network_takes_the_place_of_the_older(
    database: Database, settings: Settings, scan_id: int
) -> None:
    drawing = _drawing(database, settings, scan_id)
    record_reading(database, settings, drawing, scan_id=scan_id, reader="A")
    for version, rows, model in ((1, 10, "manet"), (2, 20, "manet"), (3, 15, "segformer")):
        _network(database, settings, scan_id, version=version, rows=rows, model=model)
        with database.read() as session:
            compare_pairs(database, settings, missing_comparisons(session))
    with database.read() as session:
        frame = queries.frame(session, agreement.compared_values())
        assert session.scalar(select(func.count()).select_from(Comparison)) == 3  # the old one stays stored
    dice = frame[frame["metric"] == "dice"].set_index("test")["value"]
    assert dice["manet 1"] == 1
    assert dice["segformer 1"] == pytest.approx(30 / 35)
    assert len(dice) == 2


def test_what_is_no_reading_is_refused_in_words(database: Database, settings: Settings, scan_id: int) -> None:
    drawing = _drawing(database, settings, scan_id)
    with pytest.raises(InputError, match="needs its reader"):
        record_reading(database, settings, drawing, scan_id=scan_id, reader="  ")
    empty = LabelMap(np.zeros(SHAPE, dtype=np.uint8), drawing.geometry)
    with pytest.raises(InputError, match="empty"):
        record_reading(database, settings, empty, scan_id=scan_id, reader="A")
    elsewhere = LabelMap(drawing.labels.copy(), Geometry(SHAPE, np.diag([5.0, 0.9, 0.8, 1.0])))
    with pytest.raises(InputError, match="grid"):
        record_reading(database, settings, elsewhere, scan_id=scan_id, reader="A")
    with pytest.raises(DatabaseError, match="does not exist"):
        record_reading(database, settings, drawing, scan_id=99, reader="A")


def test_readings_and_comparisons_go_with_their_scan(database: Database, settings: Settings, scan_id: int) -> None:
    _network(database, settings, scan_id, version=1, rows=10, model="manet")
    record_reading(database, settings, _drawing(database, settings, scan_id), scan_id=scan_id, reader="A")
    with database.read() as session:
        compare_pairs(database, settings, missing_comparisons(session))
    with database.write() as session:
        session.delete(session.get_one(Scan, scan_id))
    with database.read() as session:
        for table in (Reading, Comparison, ComparedValue):
            assert session.scalar(select(func.count()).select_from(table)) == 0
