"""Runs, their numbers and their reviews into the database. Rows are built by name; a stored run never changes."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from db import storage
from db.engine import Database
from db.histograms import histogram_row
from db.models import DECISIONS, Histogram, Measurement, Review, Run, Scan
from db.settings import Settings
from thighseg_core.analyse import Analysis, measure_only
from thighseg_core.errors import DatabaseError, InputError
from thighseg_core.labels import LabelMap
from thighseg_core.landmarks import as_dict


def record_analysis(
    session: Session,
    settings: Settings,
    analysis: Analysis,
    *,
    scan_id: int,
    kind: str = "automatic",
    job_id: int | None = None,
    parent_id: int | None = None,
    author: str = "",
) -> Run:
    """Store an analysis as the next version of its scan: label map, manifest, flags, landmarks, measurements
    and histograms.

    A job stores once: when a run of `job_id` exists already, that run is returned and nothing is written.
    Needs a writing session. After a rollback the label-map file has no row and the next version replaces it.
    """
    if job_id is not None and (done := session.scalar(select(Run).where(Run.job_id == job_id))) is not None:
        return done
    scan = session.get(Scan, scan_id)
    if scan is None:
        raise DatabaseError(f"scan {scan_id} does not exist any more; nothing was stored")
    version = (session.scalar(select(func.max(Run.version)).where(Run.scan_id == scan_id)) or 0) + 1
    path = storage.label_map_path(scan.storage_path, version=version)
    manifest = analysis.manifest
    run = Run(
        scan_id=scan_id,
        version=version,
        kind=kind,
        parent_id=parent_id,
        job_id=job_id,
        author=author,
        label_map_path=path,
        label_map_sha256=storage.save_label_map(settings, path, analysis.label_map),
        flags=[asdict(flag) for flag in analysis.flags],
        software_version=manifest.software_version,
        git_commit=manifest.git_commit,
        model_name=manifest.model_name,
        model_version=manifest.model_version,
        weights_sha256=manifest.weights_sha256,
        label_scheme=manifest.label_scheme,
        group_map_version=manifest.group_map_version,
        hu_preset=manifest.hu_preset,
        device=manifest.device,
        started_at=manifest.started_at,
        seconds=dict(analysis.seconds),
        landmarks=as_dict(analysis.landmarks) if analysis.landmarks else {},
    )
    session.add(run)
    session.flush()
    facts = [asdict(measurement) | {"run_id": run.id} for measurement in analysis.measurements]
    if facts:
        session.execute(insert(Measurement), facts)
    counted = [histogram_row(histogram, run_id=run.id) for histogram in analysis.histograms]
    if counted:
        session.execute(insert(Histogram), counted)
    return run


def record_correction(
    database: Database,
    settings: Settings,
    label_map: LabelMap,
    *,
    parent_id: int,
    author: str,
    kind: str = "corrected",
) -> int:
    """Measure a label map that a person made from run `parent_id` and store it as a new version. Returns the run's id.

    Raises InputError without an author or with a label map on another grid, DatabaseError when somebody
    stored a newer version in the meantime.
    """
    if not author.strip():
        raise InputError("a correction needs its author; give your name or initials")
    with database.read() as session:
        scan_id, storage_path = _parent(session, parent_id)
    volume = storage.load_volume(settings, storage_path)
    analysis = measure_only(volume, label_map)
    with database.write() as session:
        _parent(session, parent_id)
        run = record_analysis(
            session, settings, analysis, scan_id=scan_id, kind=kind, parent_id=parent_id, author=author.strip()
        )
        return run.id


def add_review(
    session: Session, *, run_id: int, decision: str, reviewer: str, comment: str = "", blind: bool = False
) -> Review:
    """Add a decision or comment on a run; earlier ones stay. `blind`: the reviewer did not see the earlier ones.

    Raises InputError without a reviewer, for an unknown decision, or for an empty comment.
    """
    if decision not in DECISIONS:
        raise InputError(f"a decision must be one of {', '.join(DECISIONS)}, got {decision!r}")
    if not reviewer.strip():
        raise InputError("a review needs its reviewer; give your name or initials")
    if decision == "comment" and not comment.strip():
        raise InputError("the comment is empty; write one, or choose a decision")
    if session.get(Run, run_id) is None:
        raise DatabaseError(f"run {run_id} does not exist any more; reload the page")
    review = Review(run_id=run_id, decision=decision, reviewer=reviewer.strip(), comment=comment.strip(), blind=blind)
    session.add(review)
    session.flush()
    return review


def _parent(session: Session, parent_id: int) -> tuple[int, str]:
    """(scan id, storage path) of a run that is still the newest of its scan."""
    run = session.get(Run, parent_id)
    if run is None:
        raise DatabaseError(f"run {parent_id} does not exist any more; reload the page")
    newest = session.scalar(select(func.max(Run.version)).where(Run.scan_id == run.scan_id))
    if newest != run.version:
        raise DatabaseError(
            f"version {run.version} was corrected, version {newest} is stored already; "
            "reload, look at the newer one and correct that"
        )
    return run.scan_id, run.scan.storage_path
