"""The list of results to review: filtered, oldest first; who decided what blindly, for the reliability of decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from db import queries
from db.models import Review, Run
from db.queries import Query

# What a list can show -> the words for it. A corrected result is reviewed again like a new one.
SHOWN: dict[str, str] = {
    "to_review": "To review",
    "flagged": "To review, flagged",
    "needs_correction": "Needs correction",
    "corrected": "Corrected",
    "approved": "Approved",
    "rejected": "Rejected",
    "all": "All results",
}
_SERIOUS = ("warning", "error")  # severities of a flag that ask for a look


@dataclass(frozen=True)
class Wanted:
    """Which results to list.

    shown: a key of `SHOWN`. text: part of a subject's code. second_reader: with a name, only results that others
    decided on and this reader did not, whatever `shown` says.
    """

    study_id: int | None = None
    shown: str = "to_review"
    model: str | None = None
    text: str = ""
    second_reader: str | None = None


def worklist(wanted: Wanted, *, limit: int = 500) -> Query:
    """Rows of `queries.scans` that have a result, oldest first."""
    if wanted.shown not in SHOWN:
        raise ValueError(f"shown must be one of {', '.join(SHOWN)}, got {wanted.shown!r}")
    rows = queries.scans(study_id=wanted.study_id).order_by(None).subquery()
    statement = select(rows).where(rows.c.run_id.is_not(None)).order_by(rows.c.scan_id).limit(limit)
    if wanted.second_reader is not None:
        decided = select(Review.run_id).where(Review.decision != "comment")
        mine = decided.where(func.lower(Review.reviewer) == wanted.second_reader.strip().lower())
        statement = statement.where(rows.c.run_id.in_(decided), rows.c.run_id.not_in(mine))
    else:
        statement = statement.where(_shown(wanted.shown, rows.c))
    if wanted.model is not None:
        statement = statement.where(rows.c.model_name == wanted.model)
    if wanted.text.strip():
        statement = statement.where(rows.c.subject.icontains(wanted.text.strip(), autoescape=True))
    return statement


def _shown(shown: str, found: Any) -> ColumnElement[bool]:
    open_ = found.review.is_(None)
    conditions: dict[str, ColumnElement[bool]] = {
        "to_review": open_,
        "flagged": and_(
            open_,
            or_(*(cast(found.flags, String).contains(f'"severity": "{one}"') for one in _SERIOUS)),
        ),
        "corrected": found.run_kind == "corrected",
        "all": found.run_id.is_not(None),
    }
    by_decision: ColumnElement[bool] = found.review == shown
    return conditions.get(shown, by_decision)


def counts(session: Session, *, study_id: int | None = None) -> dict[str, int]:
    """How many results each entry of `SHOWN` lists."""
    found = {}
    for shown in SHOWN:
        listed = worklist(Wanted(study_id=study_id, shown=shown), limit=-1).order_by(None).subquery()
        found[shown] = session.scalar(select(func.count()).select_from(listed)) or 0
    return found


def paired_decisions(session: Session, *, study_id: int | None = None) -> list[tuple[str, str]]:
    """(first reader's decision, blind second reader's decision) of every result that has both.

    The first is the earliest decision on the run, the second the earliest blind one by another reviewer.
    """
    first, second = aliased(Review), aliased(Review)
    decisive = select(func.min(Review.id)).where(Review.decision != "comment").group_by(Review.run_id)
    blind = (
        select(func.min(second.id))
        .join(first, and_(first.run_id == second.run_id, first.id.in_(decisive)))
        .where(second.blind, second.decision != "comment", func.lower(second.reviewer) != func.lower(first.reviewer))
        .group_by(second.run_id)
    )
    pairs = (
        select(first.decision, second.decision)
        .join(second, and_(second.run_id == first.run_id, second.id.in_(blind)))
        .join(Run, Run.id == first.run_id)
        .where(first.id.in_(decisive))
        .order_by(first.id)
    )
    if study_id is not None:
        listed = queries.scans(study_id=study_id).order_by(None).subquery()
        pairs = pairs.where(Run.scan_id.in_(select(listed.c.scan_id)))
    return [(str(a), str(b)) for a, b in session.execute(pairs)]
