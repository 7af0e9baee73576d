"""Runs, corrections and their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from db_scans import LEFT_CM3, RIGHT_CM3, VOXEL_CM3, store_phantom
from sqlalchemy import func, select
from worker_analyses import quick

from db import queries, record, storage
from db.engine import Database, open_database
from db.histograms import band_volumes_cm3, load_histograms
from db.models import Measurement, Run, Scan
from db.record import record_analysis, record_correction
from db.settings import Settings
from thighseg_core.analyse import Analysis
from thighseg_core.errors import DatabaseError, GeometryMismatchError, InputError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap, label_value
from thighseg_core.volume import CTVolume


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def database(settings: Settings, tmp_path: Path) -> Iterator[Database]:
    opened = open_database(settings.database_path)
    store_phantom(opened, settings, tmp_path / "dicom")
    yield opened
    opened.close()


@pytest.fixture
def volume(database: Database, settings: Settings) -> CTVolume:
    with database.read() as session:
        return storage.load_volume(settings, session.scalars(select(Scan.storage_path)).one())


@pytest.fixture
def analysis(volume: CTVolume) -> Analysis:
    return quick(volume, model="segformer", device="cpu")


def store(database: Database, settings: Settings, analysis: Analysis, *, job_id: int | None = None) -> int:
    with database.write() as session:
        return record_analysis(session, settings, analysis, scan_id=1, job_id=job_id).id


def volumes(database: Database, run_id: int) -> dict[str, float]:
    with database.read() as session:
        rows = queries.rows(
            session, queries.measurements(run_id=run_id, region="extensor", metric="volume", extent="full")
        )
    return {row["side"]: row["value"] for row in rows}


def test_a_run_keeps_every_measurement_flag_and_the_manifest(
    database: Database, settings: Settings, analysis: Analysis
) -> None:
    run_id = store(database, settings, analysis, job_id=1)
    with database.read() as session:
        run = session.get_one(Run, run_id)
        facts = sorted(run.measurements, key=lambda fact: fact.id)
        fields = ("region", "side", "extent", "metric", "value", "unit", "status", "reason")
        assert [tuple(getattr(f, n) for n in fields) for f in facts] == [
            tuple(getattr(m, n) for n in fields) for m in analysis.measurements
        ]
        assert {name: getattr(run, name) for name in analysis.manifest.as_dict()} == analysis.manifest.as_dict()
        assert [flag["code"] for flag in run.flags] == [flag.code for flag in analysis.flags]
        assert run.seconds == analysis.seconds
        assert (run.version, run.kind, run.job_id) == (1, "automatic", 1)
    assert volumes(database, run_id)["left"] == pytest.approx(LEFT_CM3)
    assert volumes(database, run_id)["right"] == pytest.approx(RIGHT_CM3)


def test_a_run_keeps_its_landmarks_and_its_histograms_so_that_any_band_is_counted_anew(
    database: Database, settings: Settings, analysis: Analysis
) -> None:
    run_id = store(database, settings, analysis)
    with database.read() as session:
        assert set(session.get_one(Run, run_id).landmarks) == {"left", "right"}
        stored = load_histograms(session, run_id=run_id)
        assert [h.packed() for h in stored] == [h.packed() for h in analysis.histograms]
        bands = {
            side: band_volumes_cm3(session, (-1024, 3071), run_ids=[run_id, 99], region="extensor", side=side)
            for side in ("left", "right", "both")
        }
    assert bands["left"] == {run_id: pytest.approx(LEFT_CM3), 99: None}  # there is no run 99
    assert bands["right"][run_id] == pytest.approx(RIGHT_CM3)
    assert bands["both"][run_id] == pytest.approx(LEFT_CM3 + RIGHT_CM3)


def test_a_stored_label_map_comes_back_as_it_was(
    database: Database, settings: Settings, analysis: Analysis, volume: CTVolume
) -> None:
    store(database, settings, analysis)
    with database.read() as session:
        run = session.scalars(select(Run)).one()
    again = storage.load_label_map(settings, run.label_map_path, like=volume.geometry)
    assert np.array_equal(again.labels, analysis.label_map.labels)
    assert storage.file_sha256(settings.data_dir / run.label_map_path) == run.label_map_sha256


def test_a_job_stores_once_even_when_it_is_repeated(database: Database, settings: Settings, analysis: Analysis) -> None:
    first = store(database, settings, analysis, job_id=1)
    assert store(database, settings, analysis, job_id=1) == first
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 1
        assert session.scalar(select(func.count()).select_from(Measurement)) == len(analysis.measurements)


def test_each_run_is_a_new_version_with_its_own_file(
    database: Database, settings: Settings, analysis: Analysis
) -> None:
    store(database, settings, analysis)
    store(database, settings, analysis)
    with database.read() as session:
        found = [(run.version, run.label_map_path) for run in session.scalars(select(Run).order_by(Run.version))]
    assert [version for version, _ in found] == [1, 2]
    assert all((settings.data_dir / path).exists() for _, path in found)


def test_a_failure_takes_the_whole_run_back_and_the_next_attempt_replaces_its_file(
    database: Database, settings: Settings, analysis: Analysis
) -> None:
    twice = replace(analysis, measurements=(analysis.measurements[0], analysis.measurements[0]))
    with pytest.raises(DatabaseError, match="UNIQUE"):
        store(database, settings, twice, job_id=1)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 0
    run_id = store(database, settings, analysis, job_id=1)
    with database.read() as session:
        run = session.get_one(Run, run_id)
    assert run.version == 1
    assert storage.file_sha256(settings.data_dir / run.label_map_path) == run.label_map_sha256


def test_a_correction_is_measured_and_stored_as_a_new_version_beside_the_old_one(
    database: Database, settings: Settings, analysis: Analysis
) -> None:
    parent = store(database, settings, analysis)
    with database.read() as session:
        before = storage.file_sha256(settings.data_dir / session.get_one(Run, parent).label_map_path)
    labels = analysis.label_map.labels.copy()
    left = label_value("extensor", "left")
    k, j, i = np.argwhere(labels == left)[0]
    labels[k, j, i : i + 10] = 0  # ten voxels are taken away
    corrected = LabelMap(labels, analysis.label_map.geometry)
    run_id = record_correction(database, settings, corrected, parent_id=parent, author=" Dr. A ")
    with database.read() as session:
        run = session.get_one(Run, run_id)
        assert (run.version, run.kind, run.parent_id, run.author) == (2, "corrected", parent, "Dr. A")
        old = session.get_one(Run, parent)
        assert storage.file_sha256(settings.data_dir / old.label_map_path) == before == old.label_map_sha256
    assert volumes(database, parent)["left"] - volumes(database, run_id)["left"] == pytest.approx(10 * VOXEL_CM3)


def test_two_people_cannot_correct_the_same_version(database: Database, settings: Settings, analysis: Analysis) -> None:
    parent = store(database, settings, analysis)
    record_correction(database, settings, analysis.label_map, parent_id=parent, author="A")
    with pytest.raises(DatabaseError, match="version 2 is stored already"):
        record_correction(database, settings, analysis.label_map, parent_id=parent, author="B")


def test_a_correction_needs_an_author_the_right_grid_and_its_parent(
    database: Database, settings: Settings, analysis: Analysis
) -> None:
    parent = store(database, settings, analysis)
    with pytest.raises(InputError, match="author"):
        record_correction(database, settings, analysis.label_map, parent_id=parent, author=" ")
    shifted = np.array(analysis.label_map.geometry.affine)
    shifted[0, 3] += 5
    moved = LabelMap(analysis.label_map.labels, Geometry(analysis.label_map.geometry.shape, shifted))
    with pytest.raises(GeometryMismatchError):
        record_correction(database, settings, moved, parent_id=parent, author="A")
    with pytest.raises(DatabaseError, match="does not exist"):
        record_correction(database, settings, analysis.label_map, parent_id=99, author="A")
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 1


def test_a_scan_that_was_deleted_takes_no_run(database: Database, settings: Settings, analysis: Analysis) -> None:
    with pytest.raises(DatabaseError, match="does not exist"), database.write() as session:
        record.record_analysis(session, settings, analysis, scan_id=99)
