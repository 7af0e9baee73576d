"""A small study of phantom legs for tests of the pages: DICOM files through the real intake, true labels measured.

Nothing is segmented: the label maps are the phantom's own, recorded as external ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from leg_phantom import PAIR, Leg, grid, scan, truth

from db import jobs
from db.engine import Database, open_database
from db.entry import Entry
from db.intake import store_series
from db.record import record_analysis
from db.settings import Settings
from db.storage import load_volume
from thighseg_core.analyse import measure_only
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.reading import find_series
from training.dicom_factory import write_ct_series

STUDY = "Phantoms"


@dataclass(frozen=True)
class Visit:
    """One scan of a phantom person; `size` scales the legs, `n_slices` the length scanned."""

    code: str
    number: int = 1
    sex: str = "female"
    birth_year: int | None = 1950
    on: date = date(2026, 3, 1)
    size: float = 1.0
    n_slices: int = 12


TWO_PEOPLE = (
    Visit("P01"),
    Visit("P01", number=2, on=date(2026, 9, 1), size=0.95),
    Visit("P02", sex="male", birth_year=1944, size=1.05),
)


def phantom_grid(visit: Visit) -> Geometry:
    """Slices 10 mm apart, pixels of 2 by 3 mm: three different lengths."""
    return grid((visit.n_slices, 60, 190), (10.0, 3.0, 2.0))


def legs(visit: Visit) -> tuple[Leg, ...]:
    """Both legs of a visit; the right one is a little smaller."""
    left, right = PAIR
    return (Leg(left.side, left.x_mm, size=visit.size), Leg(right.side, right.x_mm, size=0.96 * visit.size))


def write_dicom(visit: Visit, folder: Path, *, noise_hu: float = 0.0) -> Path:
    """The scan of a visit as a DICOM series, with a name and a birth date in its header."""
    geometry = phantom_grid(visit)
    hu = scan(geometry, legs(visit)).attenuation_hu.astype(np.float64)
    hu += np.random.default_rng(visit.number).normal(0, noise_hu, hu.shape)
    write_ct_series(
        folder,
        np.clip(np.rint(hu), -1024, 3000).astype(np.int16),
        np.array(geometry.affine),
        patient_name="Doe^Jane",
        patient_sex=visit.sex[0].upper(),
        patient_age=f"{visit.on.year - (visit.birth_year or visit.on.year):03d}Y",
        acquisition_date=visit.on.strftime("%Y%m%d"),
    )
    return folder


def store(visit: Visit, *, database: Database, settings: Settings, folder: Path, noise_hu: float = 0.0) -> int:
    """Take a visit's scan in; returns the scan's id. Its job waits in the queue."""
    source = write_dicom(visit, folder, noise_hu=noise_hu)
    (candidate,) = find_series(source, work_dir=folder).usable_series()
    entry = Entry(
        study=STUDY,
        subject_code=visit.code,
        sex=visit.sex,
        birth_year=visit.birth_year,
        visit_number=visit.number,
        visit_date=visit.on,
    )
    return store_series(database, settings, candidate, entry=entry).scan_id


def fill(
    settings: Settings, tmp_path: Path, visits: tuple[Visit, ...] = TWO_PEOPLE, *, noise_hu: float = 0.0
) -> list[int]:
    """Store and measure every visit; returns the scans' ids. Each job is done, as after a worker."""
    database = open_database(settings.database_path)
    scan_ids = []
    for number, visit in enumerate(visits):
        scan_id = store(
            visit, database=database, settings=settings, folder=tmp_path / f"dicom{number}", noise_hu=noise_hu
        )
        scan_ids.append(scan_id)
        with database.write() as session:
            claim = jobs.claim(session, owner="test")
            assert claim is not None
            volume = load_volume(settings, _storage_path(session, scan_id))
            labels = LabelMap(truth(phantom_grid(visit), legs(visit)).labels, volume.geometry)
            analysis = measure_only(volume, labels)
            record_analysis(session, settings, analysis, scan_id=scan_id, job_id=claim.job_id)
            jobs.finish(session, job_id=claim.job_id, owner="test")
    database.close()
    return scan_ids


def _storage_path(session: object, scan_id: int) -> str:
    from db.models import Scan

    return session.get(Scan, scan_id).storage_path  # type: ignore[attr-defined]
