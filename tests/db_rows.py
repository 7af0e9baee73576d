"""Rows for tests of the database, made through the models."""

from __future__ import annotations

from datetime import date

from sqlalchemy.orm import Session

from db.entry import Entry
from db.models import Job, Measurement, Run, Scan, Study, Visit
from db.people import place_visit

UNIT = {"volume": "cm3", "attenuation": "HU", "lean_attenuation": "HU"}


def add_visit(
    session: Session, code: str, number: int = 1, *, study: str = "Study A", on: date | None = None, **fields: object
) -> Visit:
    entry = Entry(study=study, subject_code=code, visit_number=number, visit_date=on, **fields)  # type: ignore[arg-type]
    return place_visit(session, entry, on_conflict="refuse")


def add_scan(session: Session, visit: Visit, digest: str) -> Scan:
    """A scan whose digest is `digest` repeated to 64 digits."""
    full = (digest * 64)[:64]
    study_id = visit.subject.study_id
    scan = Scan(
        study_id=study_id,
        visit=visit,
        digest_sha256=full,
        storage_path=f"scans/{study_id:04d}/{full[:16]}",
        source_format="DICOM",
        series_uid="1.2.3",
        n_slices=30,
        n_rows=20,
        n_columns=10,
        slice_spacing_mm=5.0,
        row_spacing_mm=0.9,
        column_spacing_mm=0.8,
        affine=[[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]],
    )
    session.add(scan)
    session.flush()
    return scan


def add_run(session: Session, scan: Scan, version: int = 1, *, kind: str = "automatic", **values: float | None) -> Run:
    """A run with one measurement of the left extensor for each of `values` (metric=value)."""
    run = Run(
        scan=scan,
        version=version,
        kind=kind,
        label_map_path=f"{scan.storage_path}/labels/v{version:04d}.nii.gz",
        label_map_sha256="0" * 64,
        software_version="0.1.0",
        git_commit="abc",
        model_name="segformer",
        model_version="1",
        weights_sha256="f" * 64,
        label_scheme="thighseg-1",
        group_map_version=1,
        hu_preset="preset",
        device="cpu",
        started_at="2026-11-22T20:00:00+00:00",
    )
    session.add(run)
    session.flush()
    for metric, value in values.items():
        missing = value is None
        session.add(
            Measurement(
                run=run,
                region="extensor",
                side="left",
                extent="full",
                metric=metric,
                value=value,
                unit=UNIT[metric],
                status="missing" if missing else "ok",
                reason="not in the field of view" if missing else "",
            )
        )
    session.flush()
    return run


def study_of(session: Session, name: str = "Study A") -> Study:
    return session.query(Study).filter_by(name=name).one()


def queued_jobs(session: Session, n: int) -> list[int]:
    """n scans, each with a queued job; the ids of the jobs."""
    visit = add_visit(session, "S1")
    jobs = []
    for number in range(n):
        scan = add_scan(session, visit, f"{number:08x}")
        job = Job(scan=scan, model="segformer")
        session.add(job)
        session.flush()
        jobs.append(job.id)
    return jobs
