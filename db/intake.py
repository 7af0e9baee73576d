"""From a found series to a stored, de-identified scan with its queued job: everything, or nothing.

The slow part (reading, de-identifying, reading again) happens in a staging folder without a transaction;
the short part (rows, and the rename of the folder to its place) is one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import storage
from db.engine import Database
from db.entry import Entry
from db.jobs import enqueue
from db.models import Scan, Visit
from db.people import find_study, place_visit, refuse_conflicts
from db.settings import Settings, deidentification_secret
from thighseg_core.candidate import SeriesCandidate
from thighseg_core.deidentify import deidentify_series
from thighseg_core.errors import DatabaseError
from thighseg_core.reading import load_series
from thighseg_core.volume import CTVolume


@dataclass(frozen=True)
class Stored:
    """What became of a series. `created` is False when the scan was there already; `message` says it for the page."""

    scan_id: int
    job_id: int | None
    created: bool
    message: str


def store_series(
    database: Database,
    settings: Settings,
    candidate: SeriesCandidate,
    *,
    entry: Entry,
    source_name: str = "",
    model: str | None = None,
    on_conflict: str = "refuse",
) -> Stored:
    """De-identify and store one series and queue its segmentation.

    on_conflict: when the code is known with another sex or birth year, or the visit with other values,
        "refuse" (people.SubjectConflictError), "keep" what is stored, or "update" it with what was entered.
    source_name: shown to users; leave out what could name the patient.
    Raises InputError for a series that cannot be used, DatabaseError when it cannot be stored; then neither
    a row nor a file is left.
    """
    storage.make_data_folders(settings)
    original = load_series(candidate)
    digest, notes = original.info.digest_sha256, original.info.notes
    n_bytes = original.attenuation_hu.nbytes
    del original
    with database.read() as session:
        known = _find_scan(session, study=entry.study, digest=digest)
        if known is not None:
            return known
        if on_conflict == "refuse":
            refuse_conflicts(session, entry)

    storage.require_free_space(settings, needed_bytes=2 * n_bytes)
    staging = storage.new_staging_folder(settings)
    try:
        copy = _deidentified_copy(settings, candidate, staging=staging, subject_code=entry.subject_code)
        if copy.info.digest_sha256 != digest:
            raise DatabaseError("the de-identified copy differs from the original; nothing was stored. Report this")
        published: Path | None = None
        try:
            with database.write() as session:
                known = _find_scan(session, study=entry.study, digest=digest)
                if known is not None:  # stored by someone else in the meantime
                    return known
                visit = place_visit(session, entry, on_conflict=on_conflict)
                scan = scan_row(copy, visit=visit, source_name=source_name, notes=notes)
                session.add(scan)
                session.flush()
                job = enqueue(
                    session, scan_id=scan.id, model=model or settings.default_model, device=settings.default_device
                )
                place = settings.data_dir / scan.storage_path
                storage.remove_folder(place)  # of a crash just before its commit; no row names it
                storage.publish_folder(staging, place)
                published = place
                words = f"Stored as {entry.subject_code}, visit {entry.visit_number}, and queued."
                stored = Stored(scan_id=scan.id, job_id=job.id, created=True, message=words)
        except BaseException:
            if published is not None:
                storage.remove_folder(published)
            raise
    except OSError as error:
        raise DatabaseError(
            f"the scan could not be written to the data folder ({error.strerror}) and nothing was stored; "
            "check its free space and permissions, then try again"
        ) from error
    finally:
        storage.remove_folder(staging)
    return stored


def scan_row(volume: CTVolume, *, visit: Visit, source_name: str = "", notes: tuple[str, ...] = ()) -> Scan:
    """The row of a scan, by name, from what its (de-identified) series says of itself."""
    info, geometry = volume.info, volume.geometry
    study_id = visit.subject.study_id
    slice_mm, row_mm, column_mm = geometry.spacing_mm
    return Scan(
        study_id=study_id,
        visit=visit,
        digest_sha256=info.digest_sha256,
        storage_path=storage.scan_path(study_id=study_id, digest_sha256=info.digest_sha256),
        source_name=source_name,
        source_format=info.source_format,
        series_uid=info.series_uid,
        study_uid=info.study_uid,
        description=info.description,
        acquisition_date=date.fromisoformat(info.acquisition_date) if info.acquisition_date else None,
        manufacturer=info.manufacturer,
        scanner_model=info.scanner_model,
        tube_voltage_kvp=info.tube_voltage_kvp,
        convolution_kernel=info.convolution_kernel,
        contrast_agent=info.contrast_agent,
        patient_position=info.patient_position,
        slice_thickness_mm=info.slice_thickness_mm,
        n_files=info.n_files,
        notes=list(notes),
        n_slices=geometry.shape[0],
        n_rows=geometry.shape[1],
        n_columns=geometry.shape[2],
        slice_spacing_mm=slice_mm,
        row_spacing_mm=row_mm,
        column_spacing_mm=column_mm,
        affine=geometry.affine.tolist(),
    )


def _deidentified_copy(settings: Settings, candidate: SeriesCandidate, *, staging: Path, subject_code: str) -> CTVolume:
    """Write the copy and read it back: what cannot be read again is not stored."""
    image, work = staging / storage.IMAGE_FOLDER, staging / "work"
    deidentify_series(candidate, image, secret=deidentification_secret(settings), subject_code=subject_code)
    copy = storage.read_only_series(storage.as_source(image), work_dir=work)
    storage.remove_folder(work)
    return copy


def _find_scan(session: Session, *, study: str, digest: str) -> Stored | None:
    found = find_study(session, study)
    if found is None:
        return None
    scan = session.scalar(select(Scan).where(Scan.study_id == found.id, Scan.digest_sha256 == digest))
    if scan is None:
        return None
    code, number = scan.visit.subject.code, scan.visit.number
    words = f"Recognised: this scan is already stored as {code}, visit {number}. Nothing was stored twice."
    return Stored(scan_id=scan.id, job_id=None, created=False, message=words)
