"""What the subject page reads: one person's scans and numbers over all visits."""

from __future__ import annotations

from sqlalchemy import func, select

from db.models import Run, Scan, Study, Subject, Visit
from db.queries import Query, measurements, scans


def subject_list() -> Query:
    """Every subject that has a visit, with study and number of visits, by study and code."""
    return (
        select(
            Subject.id.label("subject_id"),
            Subject.code.label("subject"),
            Study.name.label("study"),
            func.count(Visit.id.distinct()).label("visits"),
            func.count(Run.id.distinct()).label("results"),
        )
        .join(Subject.study)
        .join(Subject.visits)
        .outerjoin(Scan, Scan.visit_id == Visit.id)
        .outerjoin(Run, Run.scan_id == Scan.id)
        .group_by(Subject.id)
        .order_by(Study.name, Subject.code)
    )


def subject_scans(subject_id: int) -> Query:
    """`queries.scans` of one subject, first visit first."""
    return scans().where(Subject.id == subject_id).order_by(None).order_by(Visit.number, Scan.id)


def subject_measurements(subject_id: int) -> Query:
    """`queries.measurements` of one subject: of each scan's latest run, rejected ones too."""
    return measurements().where(Subject.id == subject_id)
