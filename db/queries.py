"""What pages and exports ask. Each function returns a select() of named columns; run it with `rows` or `frame`.

In every result `subject` is the subject's code, `scan` the scan's name in CSV files (ct_ and 12 hex digits of
its digest), `scan_id`, `run_id`, ... the primary keys, and `review` the decision that counts, or None.
The latest run of a scan is the one with the highest version.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Label, Select, Subquery, and_, case, extract, func, literal, or_, select
from sqlalchemy.orm import Session

from db.models import LIVE_STATUSES, Job, Measurement, Review, Run, Scan, Study, Subject, Visit
from thighseg_core.export import SCAN_ID_DIGITS

Row = dict[str, Any]
Query = Select[*tuple[Any, ...]]  # a select of any columns

# Given, or else the difference of years (then up to one year too high).
AGE_YEARS: ColumnElement[float] = func.coalesce(Visit.age_years, extract("year", Visit.visit_date) - Subject.birth_year)


def rows(session: Session, statement: Query) -> list[Row]:
    """Result as plain dicts, safe to cache and to hand to another thread."""
    return [dict(row) for row in session.execute(statement).mappings()]


def frame(session: Session, statement: Query) -> pd.DataFrame:
    """Result as a data frame that has its columns even when it has no rows."""
    result = session.execute(statement)
    return pd.DataFrame.from_records([tuple(row) for row in result], columns=list(result.keys()))


def latest_runs() -> Subquery:
    """(scan_id, run_id): the newest run of every scan that has one."""
    newest = select(Run.scan_id, func.max(Run.version).label("version")).group_by(Run.scan_id).subquery()
    joined = and_(Run.scan_id == newest.c.scan_id, Run.version == newest.c.version)
    return select(Run.scan_id, Run.id.label("run_id")).join(newest, joined).subquery()


def review_states() -> Subquery:
    """(run_id, review, reviewer, reviewed_at): the last decision of every reviewed run; comments decide nothing."""
    last = select(func.max(Review.id)).where(Review.decision != "comment").group_by(Review.run_id)
    return (
        select(Review.run_id, Review.decision.label("review"), Review.reviewer, Review.created_at.label("reviewed_at"))
        .where(Review.id.in_(last))
        .subquery()
    )


def _person_and_visit() -> tuple[ColumnElement[Any], ...]:
    return (
        Study.id.label("study_id"),
        Study.name.label("study"),
        Subject.id.label("subject_id"),
        Subject.code.label("subject"),
        Subject.sex.label("sex"),
        Subject.birth_year.label("birth_year"),
        Visit.id.label("visit_id"),
        Visit.number.label("visit"),
        Visit.label.label("visit_label"),
        Visit.visit_date.label("visit_date"),
        AGE_YEARS.label("age_years"),
        Visit.height_cm.label("height_cm"),
        Visit.weight_kg.label("weight_kg"),
        Visit.grip_strength_kg.label("grip_strength_kg"),
        Visit.gait_speed_m_s.label("gait_speed_m_s"),
        Visit.knee_extension_torque_nm.label("knee_extension_torque_nm"),
        Scan.id.label("scan_id"),
        scan_code(),
    )


def scan_code() -> Label[str]:
    """The scan's name in CSV files."""
    return (literal("ct_") + func.substr(Scan.digest_sha256, 1, SCAN_ID_DIGITS)).label("scan")


def studies() -> Query:
    """All studies with their counts, by name."""
    return (
        select(
            Study.id.label("study_id"),
            Study.name.label("study"),
            Study.description.label("description"),
            func.count(Subject.id.distinct()).label("subjects"),
            func.count(Visit.id.distinct()).label("visits"),
            func.count(Scan.id.distinct()).label("scans"),
        )
        .outerjoin(Subject, Subject.study_id == Study.id)
        .outerjoin(Visit, Visit.subject_id == Subject.id)
        .outerjoin(Scan, Scan.visit_id == Visit.id)
        .group_by(Study.id)
        .order_by(Study.name)
    )


def subjects(*, study_id: int) -> Query:
    """Subjects of a study, by code."""
    return (
        select(
            Subject.id.label("subject_id"),
            Subject.code.label("subject"),
            Subject.sex.label("sex"),
            Subject.birth_year.label("birth_year"),
            func.count(Visit.id).label("visits"),
            func.max(Visit.number).label("last_visit"),
        )
        .outerjoin(Visit, Visit.subject_id == Subject.id)
        .where(Subject.study_id == study_id)
        .group_by(Subject.id)
        .order_by(Subject.code)
    )


def first_dates(*, study_id: int) -> Query:
    """(subject_id, first_date): the first dated visit of every subject of a study that has one."""
    return (
        select(Visit.subject_id.label("subject_id"), func.min(Visit.visit_date).label("first_date"))
        .join(Visit.subject)
        .where(Subject.study_id == study_id, Visit.visit_date.is_not(None))
        .group_by(Visit.subject_id)
    )


def scans(*, study_id: int | None = None, scan_id: int | None = None) -> Query:
    """The worklist: one row a scan with its subject, visit, latest job, latest run and review; newest first."""
    latest, states = latest_runs(), review_states()
    last_job = select(Job.scan_id, func.max(Job.id).label("job_id")).group_by(Job.scan_id).subquery()
    statement = (
        select(
            *_person_and_visit(),
            Scan.digest_sha256.label("digest_sha256"),
            Scan.description.label("description"),
            Scan.source_name.label("source_name"),
            Scan.source_format.label("source_format"),
            Scan.storage_path.label("storage_path"),
            Scan.n_slices.label("n_slices"),
            Scan.slice_spacing_mm.label("slice_spacing_mm"),
            Scan.row_spacing_mm.label("row_spacing_mm"),
            Scan.column_spacing_mm.label("column_spacing_mm"),
            Scan.tube_voltage_kvp.label("tube_voltage_kvp"),
            Scan.convolution_kernel.label("convolution_kernel"),
            Scan.contrast_agent.label("contrast_agent"),
            Scan.manufacturer.label("manufacturer"),
            Scan.scanner_model.label("scanner_model"),
            Scan.slice_thickness_mm.label("slice_thickness_mm"),
            Scan.notes.label("notes"),
            Scan.created_at.label("uploaded_at"),
            Job.id.label("job_id"),
            Job.status.label("job_status"),
            Job.stage.label("job_stage"),
            Job.progress.label("job_progress"),
            Job.error.label("job_error"),
            Run.id.label("run_id"),
            Run.version.label("run_version"),
            Run.kind.label("run_kind"),
            Run.author.label("run_author"),
            Run.model_name.label("model_name"),
            Run.label_map_path.label("label_map_path"),
            Run.flags.label("flags"),
            Run.created_at.label("run_at"),
            states.c.review,
            states.c.reviewer,
            states.c.reviewed_at,
        )
        .join(Scan.visit)
        .join(Visit.subject)
        .join(Subject.study)
        .outerjoin(last_job, last_job.c.scan_id == Scan.id)
        .outerjoin(Job, Job.id == last_job.c.job_id)
        .outerjoin(latest, latest.c.scan_id == Scan.id)
        .outerjoin(Run, Run.id == latest.c.run_id)
        .outerjoin(states, states.c.run_id == Run.id)
        .order_by(Scan.id.desc())
    )
    if study_id is not None:
        statement = statement.where(Study.id == study_id)
    if scan_id is not None:
        statement = statement.where(Scan.id == scan_id)
    return statement


def scan_by_digest(*, study_id: int, digest_sha256: str) -> Query:
    """The scan of a study that holds these very pixels (scan_id, subject, visit), if there is one."""
    return (
        select(Scan.id.label("scan_id"), Subject.code.label("subject"), Visit.number.label("visit"))
        .join(Scan.visit)
        .join(Visit.subject)
        .where(Scan.study_id == study_id, Scan.digest_sha256 == digest_sha256)
    )


def jobs(*, live_only: bool = False, limit: int = 200) -> Query:
    """The job board: running first, then queued in their order, then the finished, newest first."""
    order = case({"running": 0, "queued": 1}, value=Job.status, else_=2)
    statement = (
        select(
            Job.id.label("job_id"),
            Job.status.label("status"),
            Job.stage.label("stage"),
            Job.progress.label("progress"),
            Job.attempts.label("attempts"),
            Job.max_attempts.label("max_attempts"),
            Job.cancel_requested.label("cancel_requested"),
            Job.model.label("model"),
            Job.device.label("device"),
            Job.error.label("error"),
            Job.created_at.label("created_at"),
            Job.started_at.label("started_at"),
            Job.finished_at.label("finished_at"),
            Study.name.label("study"),
            Subject.code.label("subject"),
            Visit.number.label("visit"),
            Scan.id.label("scan_id"),
            scan_code(),
            Scan.n_slices.label("n_slices"),
            Scan.description.label("description"),
            Run.id.label("run_id"),
            Run.device.label("run_device"),
        )
        .join(Job.scan)
        .join(Scan.visit)
        .join(Visit.subject)
        .join(Subject.study)
        .outerjoin(Run, Run.job_id == Job.id)
        .order_by(order, case((Job.status == "queued", Job.id), else_=-Job.id))
        .limit(limit)
    )
    return statement.where(Job.status.in_(LIVE_STATUSES)) if live_only else statement


def runs(*, scan_id: int) -> Query:
    """Versions of a scan's result, newest first, each with its review and what made it."""
    states = review_states()
    return (
        select(
            Run.id.label("run_id"),
            Run.version.label("version"),
            Run.kind.label("kind"),
            Run.parent_id.label("parent_id"),
            Run.author.label("author"),
            Run.label_map_path.label("label_map_path"),
            Run.label_map_sha256.label("label_map_sha256"),
            Run.flags.label("flags"),
            Run.landmarks.label("landmarks"),
            *_provenance(),
            Run.seconds.label("seconds"),
            Run.created_at.label("created_at"),
            states.c.review,
            states.c.reviewer,
            states.c.reviewed_at,
        )
        .outerjoin(states, states.c.run_id == Run.id)
        .where(Run.scan_id == scan_id)
        .order_by(Run.version.desc())
    )


def reviews(*, run_id: int | None = None, scan_id: int | None = None) -> Query:
    """Review history of a run, or of all runs of a scan, oldest first."""
    statement = (
        select(
            Review.id.label("review_id"),
            Run.id.label("run_id"),
            Run.version.label("version"),
            Review.decision.label("decision"),
            Review.reviewer.label("reviewer"),
            Review.comment.label("comment"),
            Review.created_at.label("created_at"),
        )
        .join(Review.run)
        .order_by(Review.id)
    )
    if run_id is not None:
        statement = statement.where(Run.id == run_id)
    if scan_id is not None:
        statement = statement.where(Run.scan_id == scan_id)
    return statement


def _provenance() -> tuple[ColumnElement[Any], ...]:
    names = (
        "software_version", "git_commit", "model_name", "model_version", "weights_sha256",
        "label_scheme", "group_map_version", "hu_preset", "device", "started_at",
    )  # fmt: skip
    return tuple(getattr(Run, name).label(name) for name in names)


def measurements(
    *,
    study_id: int | None = None,
    scan_id: int | None = None,
    run_id: int | None = None,
    region: str | None = None,
    metric: str | None = None,
    extent: str | None = None,
    include_rejected: bool = True,
) -> Query:
    """Numbers in long form with person, visit, scan, run and review: of one run, else of each scan's latest run.

    One row a scan x region x side x extent x metric. The cohort takes `include_rejected=False`.
    """
    states = review_states()
    statement = (
        select(
            *_person_and_visit(),
            Scan.digest_sha256.label("digest_sha256"),
            Run.id.label("run_id"),
            Run.version.label("run_version"),
            Run.kind.label("run_kind"),
            Run.author.label("run_author"),
            Measurement.region.label("region"),
            Measurement.side.label("side"),
            Measurement.extent.label("extent"),
            Measurement.metric.label("metric"),
            Measurement.value.label("value"),
            Measurement.unit.label("unit"),
            Measurement.status.label("status"),
            Measurement.reason.label("reason"),
            *_provenance(),
            states.c.review,
            states.c.reviewer,
        )
        .join(Measurement.run)
        .join(Run.scan)
        .join(Scan.visit)
        .join(Visit.subject)
        .join(Subject.study)
        .outerjoin(states, states.c.run_id == Run.id)
        .order_by(Study.name, Subject.code, Visit.number, Scan.id, Measurement.id)
    )
    if run_id is None:
        latest = latest_runs()
        statement = statement.join(latest, latest.c.run_id == Run.id)
    else:
        statement = statement.where(Run.id == run_id)
    wanted = (
        (Study.id, study_id),
        (Scan.id, scan_id),
        (Measurement.region, region),
        (Measurement.metric, metric),
        (Measurement.extent, extent),
    )
    for column, value in wanted:
        if value is not None:
            statement = statement.where(column == value)
    if not include_rejected:
        statement = statement.where(or_(states.c.review.is_(None), states.c.review != "rejected"))
    return statement


def counts(session: Session) -> dict[str, int]:
    """Figures of the home page: studies, subjects, visits, scans, runs, unreviewed, and jobs by status."""
    found = {
        name: session.scalar(select(func.count()).select_from(table)) or 0
        for name, table in {"studies": Study, "subjects": Subject, "visits": Visit, "scans": Scan, "runs": Run}.items()
    }
    latest, states = latest_runs(), review_states()
    unreviewed = (
        select(func.count())
        .select_from(latest)
        .outerjoin(states, states.c.run_id == latest.c.run_id)
        .where(states.c.review.is_(None))
    )
    found["unreviewed"] = session.scalar(unreviewed) or 0
    by_status = {str(status): n for status, n in session.execute(select(Job.status, func.count()).group_by(Job.status))}
    return found | {status: by_status.get(status, 0) for status in ("queued", "running", "done", "failed", "cancelled")}
