"""Study, subject and visit of an entry: found, completed or made; contradictions are the user's to decide."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.entry import Entry
from db.models import Study, Subject, Visit
from thighseg_core.errors import DatabaseError

ON_CONFLICT = ("refuse", "keep", "update")
_NOT_KNOWN = (None, "", "unknown")


class SubjectConflictError(DatabaseError):
    """What was entered contradicts what is stored of this subject or visit; the user must choose."""


def find_study(session: Session, name: str) -> Study | None:
    """The study of this name, None when there is none yet."""
    return session.scalar(select(Study).where(Study.name == name))


def refuse_conflicts(session: Session, entry: Entry) -> None:
    """Raise SubjectConflictError when the entry contradicts a stored subject or visit. Changes nothing."""
    study = find_study(session, entry.study)
    subject = None if study is None else _find_subject(session, study, entry)
    if subject is None:
        return
    contradictions = _contradictions(subject, _subject_fields(entry), f"subject {entry.subject_code}")
    visit = _find_visit(session, subject, entry)
    if visit is not None:
        contradictions += _contradictions(visit, _visit_fields(entry), f"visit {entry.visit_number}")
    if contradictions:
        raise SubjectConflictError(
            f"{'; '.join(contradictions)}. Check the code and the values, or choose whether to keep what is stored "
            "or to update it. Nothing was stored"
        )


def place_visit(session: Session, entry: Entry, *, on_conflict: str) -> Visit:
    """The visit of an entry, with its subject and study; missing ones are made, missing values filled in."""
    if on_conflict not in ON_CONFLICT:
        raise ValueError(f"on_conflict must be one of {ON_CONFLICT}, got {on_conflict!r}")
    if on_conflict == "refuse":
        refuse_conflicts(session, entry)
    study = find_study(session, entry.study)
    if study is None:
        study = Study(name=entry.study)
        session.add(study)
        session.flush()
    subject = _find_subject(session, study, entry)
    if subject is None:
        subject = Subject(study=study, code=entry.subject_code)
        session.add(subject)
    _fill(subject, _subject_fields(entry), replace=on_conflict == "update")
    session.flush()
    visit = _find_visit(session, subject, entry)
    if visit is None:
        visit = Visit(subject=subject, number=entry.visit_number)
        session.add(visit)
    _fill(visit, _visit_fields(entry), replace=on_conflict == "update")
    session.flush()
    return visit


def _find_subject(session: Session, study: Study, entry: Entry) -> Subject | None:
    return session.scalar(select(Subject).where(Subject.study_id == study.id, Subject.code == entry.subject_code))


def _find_visit(session: Session, subject: Subject, entry: Entry) -> Visit | None:
    return session.scalar(select(Visit).where(Visit.subject_id == subject.id, Visit.number == entry.visit_number))


def _subject_fields(entry: Entry) -> dict[str, Any]:
    return {"sex": entry.sex, "birth_year": entry.birth_year}


def _visit_fields(entry: Entry) -> dict[str, Any]:
    return {
        "label": entry.visit_label,
        "visit_date": entry.visit_date,
        "age_years": entry.age_years,
        "height_cm": entry.height_cm,
        "weight_kg": entry.weight_kg,
        "grip_strength_kg": entry.grip_strength_kg,
        "gait_speed_m_s": entry.gait_speed_m_s,
        "knee_extension_torque_nm": entry.knee_extension_torque_nm,
    }


def _contradictions(row: Subject | Visit, fields: dict[str, Any], what: str) -> list[str]:
    found = []
    for name, entered in fields.items():
        stored = getattr(row, name)
        if stored not in _NOT_KNOWN and entered not in _NOT_KNOWN and stored != entered:
            found.append(f"{what} is stored with {name.replace('_', ' ')} {stored}, entered was {entered}")
    return found


def _fill(row: Subject | Visit, fields: dict[str, Any], *, replace: bool) -> None:
    for name, entered in fields.items():
        if entered not in _NOT_KNOWN and (replace or getattr(row, name) in _NOT_KNOWN):
            setattr(row, name, entered)
