"""Readers' drawings into the database, and their comparison with the networks and with each other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

import numpy as np
from sqlalchemy import and_, func, insert, select
from sqlalchemy.orm import Session, aliased

from db import storage
from db.engine import Database
from db.models import ComparedValue, Comparison, Reading, Run, Scan
from db.settings import Settings
from thighseg_core.comparison import compare_label_maps
from thighseg_core.errors import DatabaseError, InputError
from thighseg_core.labels import CLASSES, LabelMap, class_of_label
from thighseg_core.manifest import software_version
from thighseg_core.tissue import DEFAULT_PRESET

READINGS_FOLDER = "readings"
LONGEST_NAME = 200


@dataclass(frozen=True, order=True)
class Pair:
    """What is compared: the reading that is the reference, and a run or another reading of the same scan."""

    scan_id: int
    reference_id: int
    test_run_id: int | None
    test_reading_id: int | None


def record_reading(
    database: Database,
    settings: Settings,
    label_map: LabelMap,
    *,
    scan_id: int,
    reader: str,
    source_format: str = "NIfTI",
    comment: str = "",
) -> int:
    """Store what `reader` drew as the next session of this reader and scan; earlier ones stay. Returns the id.

    Raises InputError without a reader, for an empty drawing or one on another grid; DatabaseError for a scan that
    is gone.
    """
    reader = " ".join(reader.split())
    if not reader or len(reader) > LONGEST_NAME:
        raise InputError(f"a reading needs its reader, up to {LONGEST_NAME} characters; give a name or initials")
    drawn = class_of_label()[[value for value in np.unique(label_map.labels).tolist() if value]]
    if not drawn.size:
        raise InputError("the drawing is empty; say which structure each segment is, or choose another file")
    with database.read() as session:
        storage_path = _scan(session, scan_id).storage_path
    if not storage.load_volume(settings, storage_path).geometry.matches(label_map.geometry):
        raise InputError("the drawing is not on the grid of the scan; draw on this very scan")
    with database.write() as session:
        _scan(session, scan_id)
        of_reader = and_(Reading.scan_id == scan_id, Reading.reader == reader)
        number = (session.scalar(select(func.max(Reading.id))) or 0) + 1
        path = str(PurePosixPath(storage_path) / READINGS_FOLDER / f"r{number:05d}.nii.gz")
        reading = Reading(
            scan_id=scan_id,
            reader=reader,
            session=(session.scalar(select(func.max(Reading.session)).where(of_reader)) or 0) + 1,
            source_format=source_format,
            regions=[CLASSES[index] for index in sorted(set(drawn.tolist()))],
            label_map_path=path,
            label_map_sha256=storage.save_label_map(settings, path, label_map),
            comment=comment.strip(),
        )
        session.add(reading)
        session.flush()
        return reading.id


def missing_comparisons(session: Session, *, study_id: int | None = None, scan_id: int | None = None) -> list[Pair]:
    """Pairs that are not compared yet: each reading with the newest run of every network and with later readings."""
    newest = (
        select(func.max(Run.id).label("run_id"))
        .where(Run.kind == "automatic")
        .group_by(Run.scan_id, Run.model_name)
        .subquery()
    )
    with_runs = (
        select(Reading.scan_id, Reading.id, Run.id)
        .join(Run, Run.scan_id == Reading.scan_id)
        .join(newest, newest.c.run_id == Run.id)
        .outerjoin(Comparison, and_(Comparison.reference_id == Reading.id, Comparison.test_run_id == Run.id))
        .where(Comparison.id.is_(None))
    )
    later = aliased(Reading)
    with_readings = (
        select(Reading.scan_id, Reading.id, later.id)
        .join(later, and_(later.scan_id == Reading.scan_id, later.id > Reading.id))
        .outerjoin(Comparison, and_(Comparison.reference_id == Reading.id, Comparison.test_reading_id == later.id))
        .where(Comparison.id.is_(None))
    )
    if scan_id is not None:
        with_runs, with_readings = (one.where(Reading.scan_id == scan_id) for one in (with_runs, with_readings))
    if study_id is not None:
        in_study = Reading.scan_id.in_(select(Scan.id).where(Scan.study_id == study_id))
        with_runs, with_readings = (one.where(in_study) for one in (with_runs, with_readings))
    pairs = [Pair(scan, reference, run, None) for scan, reference, run in session.execute(with_runs)]
    pairs += [Pair(scan, reference, None, other) for scan, reference, other in session.execute(with_readings)]
    return sorted(pairs, key=lambda pair: (pair.scan_id, pair.reference_id, pair.test_run_id or 0))


def compare_pairs(database: Database, settings: Settings, pairs: list[Pair]) -> int:
    """Compare and store every pair, scan by scan; returns how many. A pair that somebody else stored is left alone."""
    done = 0
    for scan_id in sorted({pair.scan_id for pair in pairs}):
        with database.read() as session:
            storage_path = _scan(session, scan_id).storage_path
        volume = storage.load_volume(settings, storage_path)
        for pair in (one for one in pairs if one.scan_id == scan_id):
            with database.read() as session:
                if pair not in missing_comparisons(session, scan_id=scan_id):
                    continue
                paths = [_path(session, Reading, pair.reference_id)]
                paths.append(
                    _path(session, Run, pair.test_run_id)
                    if pair.test_run_id is not None
                    else _path(session, Reading, pair.test_reading_id or 0)
                )
            reference, test = (storage.load_label_map(settings, path, like=volume.geometry) for path in paths)
            found = compare_label_maps(volume, reference, test)
            with database.write() as session:
                if pair not in missing_comparisons(session, scan_id=scan_id):
                    continue
                row = Comparison(
                    reference_id=pair.reference_id,
                    test_run_id=pair.test_run_id,
                    test_reading_id=pair.test_reading_id,
                    n_slices=found.n_slices,
                    by_slice=found.by_slice,
                    hu_preset=DEFAULT_PRESET.name,
                    software_version=software_version(),
                )
                session.add(row)
                session.flush()
                values = [asdict(value) | {"comparison_id": row.id} for value in found.values]
                if values:
                    session.execute(insert(ComparedValue), values)
            done += 1
    return done


def _scan(session: Session, scan_id: int) -> Scan:
    scan = session.get(Scan, scan_id)
    if scan is None:
        raise DatabaseError(f"scan {scan_id} does not exist any more; reload the page")
    return scan


def _path(session: Session, table: type[Reading] | type[Run], key: int) -> str:
    path = session.scalar(select(table.label_map_path).where(table.id == key))
    if path is None:
        raise DatabaseError("a result or drawing to compare does not exist any more; reload the page")
    return path
