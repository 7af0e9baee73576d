"""A made-up study of any size, written straight into a database file: rows only, no images.

Values follow a simple rule (muscle falls with age and over the visits, fat rises, women have less muscle), so that
the page has something to draw. Every scan has `len(quantities())` measurements.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from db.engine import open_database
from thighseg_core.metrics import METRICS

SIDES = ("left", "right", "both")
_CREATED = "2026-01-01 00:00:00.000000"
_FLAGS = (
    [],
    [{"code": "truncated", "severity": "warning", "message": "m", "consequence": "c", "region": "extensor"}],
    [{"code": "thick_slices", "severity": "info", "message": "m", "consequence": "c", "region": "scan"}],
)


def quantities(*, extents: tuple[str, ...] = ("full",)) -> list[tuple[str, str, str, str, str]]:
    """(region, side, extent, metric, unit) of every measurement of a scan."""
    return [
        (region, side, extent, metric.name, metric.unit)
        for metric in METRICS.values()
        for region in metric.regions
        for side in SIDES
        for extent in extents
    ]


def write_large_study(
    path: Path, *, subjects: int, visits: int = 3, wanted: list[tuple[str, str, str, str, str]] | None = None
) -> int:
    """Fill a new database file; returns the number of measurements. `wanted`: as `quantities`, all by default."""
    wanted = quantities() if wanted is None else wanted
    open_database(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    generator = np.random.default_rng(7)
    women = generator.random(subjects) < 0.5
    ages = generator.uniform(20, 90, subjects)
    own = generator.normal(0, 1, subjects)
    _insert(connection, "study", [{"id": 1, "name": "Large", "description": "", "created_at": _CREATED}])
    _insert(
        connection,
        "subject",
        (
            {"id": s + 1, "study_id": 1, "code": f"S{s + 1:06d}", "sex": "female" if women[s] else "male",
             "birth_year": 2020 - int(ages[s]), "created_at": _CREATED}
            for s in range(subjects)
        ),
    )  # fmt: skip
    _insert(connection, "visit", _visits(subjects, visits, women=women, ages=ages, own=own))
    _insert(connection, "scan", _scans(subjects, visits))
    _insert(connection, "run", _runs(subjects * visits))
    marks = "INSERT INTO measurement (run_id, region, side, extent, metric, value, unit, status, reason) VALUES "
    connection.executemany(marks + "(?, ?, ?, ?, ?, ?, ?, 'ok', '')", _facts(wanted, visits, women, ages, own))
    connection.execute("COMMIT")
    connection.close()
    return len(wanted) * subjects * visits


def _visits(
    n: int, visits: int, *, women: np.ndarray, ages: np.ndarray, own: np.ndarray
) -> Iterator[dict[str, object]]:
    for subject in range(n):
        height = 163.0 if women[subject] else 176.0
        for visit in range(visits):
            muscle = own[subject] - 0.03 * (ages[subject] - 50) - 0.1 * visit
            yield {
                "id": subject * visits + visit + 1,
                "subject_id": subject + 1,
                "number": visit + 1,
                "label": "",
                "visit_date": (date(2020, 1, 1) + timedelta(days=365 * visit + subject % 90)).isoformat(),
                "age_years": ages[subject] + visit,
                "height_cm": height,
                "weight_kg": 70.0,
                "grip_strength_kg": max(3.0, (25 if women[subject] else 40) + 4 * muscle),
                "gait_speed_m_s": max(0.2, 1.1 + 0.08 * muscle),
                "knee_extension_torque_nm": max(10.0, (90 if women[subject] else 150) + 20 * muscle),
            }


def _scans(n: int, visits: int) -> Iterator[dict[str, object]]:
    for number in range(1, n * visits + 1):
        digest = f"{number:064x}"
        yield {
            "id": number, "study_id": 1, "visit_id": number, "digest_sha256": digest, "storage_path": f"s/{digest}",
            "source_name": "", "source_format": "DICOM", "series_uid": "1.2", "n_files": 60, "notes": "[]",
            "n_slices": 60, "n_rows": 512, "n_columns": 512, "slice_spacing_mm": 5.0, "row_spacing_mm": 0.8,
            "column_spacing_mm": 0.8, "affine": "[]", "tube_voltage_kvp": 120.0, "created_at": _CREATED,
        }  # fmt: skip


def _runs(n: int) -> Iterator[dict[str, object]]:
    for number in range(1, n + 1):
        yield {
            "id": number, "scan_id": number, "version": 1, "kind": "automatic", "author": "",
            "label_map_path": f"l/{number}", "label_map_sha256": "0" * 64,
            "flags": json.dumps(_FLAGS[number % len(_FLAGS)]), "software_version": "0", "git_commit": "0",
            "model_name": "manet", "model_version": "1", "weights_sha256": "f" * 64, "label_scheme": "thighseg-1",
            "group_map_version": 1, "hu_preset": "long_dennis_150", "device": "cpu", "started_at": "2026-01-01",
            "seconds": "{}", "created_at": _CREATED,
        }  # fmt: skip


_TYPICAL = {"cm3": 1500.0, "cm2": 70.0, "HU": 45.0, "%": 8.0, "mm": 400.0}
_SHARE = {"extensor": 0.5, "flexor": 0.2, "adductor": 0.27, "sartorius": 0.03, "total": 1.0}


def _facts(
    wanted: list[tuple[str, str, str, str, str]], visits: int, women: np.ndarray, ages: np.ndarray, own: np.ndarray
) -> Iterator[tuple[object, ...]]:
    generator = np.random.default_rng(8)
    size = [_TYPICAL.get(unit, 1.0) * _SHARE.get(region, 0.5) for region, _, _, _, unit in wanted]
    sided = np.array(
        [value * (1.0 if side == "both" else 0.5) for value, (_, side, *_) in zip(size, wanted, strict=True)]
    )
    for subject in range(len(women)):
        for visit in range(visits):
            scale = (
                (0.75 if women[subject] else 1.0)
                * (1 - 0.005 * (ages[subject] - 50 + visit))
                * (1 + 0.1 * own[subject])
            )
            values = sided * scale * generator.normal(1.0, 0.02, len(sided))
            run_id = subject * visits + visit + 1
            for (region, side, extent, metric, unit), value in zip(wanted, values.tolist(), strict=True):
                yield run_id, region, side, extent, metric, value, unit


def _insert(connection: sqlite3.Connection, table: str, rows: object) -> None:
    """Rows by name, all with the same names."""
    iterator = iter(rows)  # type: ignore[call-overload]
    first = next(iterator)
    names = ", ".join(first)
    marks = ", ".join(f":{name}" for name in first)
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
    connection.execute(statement, first)
    connection.executemany(statement, iterator)
