"""What a person measured at a visit beside the scan: body size, strength, gait. Entered and corrected on a page."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session

from db.entry import Entry
from db.models import Visit
from thighseg_core.errors import DatabaseError


@dataclass(frozen=True)
class VisitFacts:
    """None is "not known", never 0. Raises InputError when a value is implausible."""

    height_cm: float | None = None
    weight_kg: float | None = None
    grip_strength_kg: float | None = None
    gait_speed_m_s: float | None = None
    knee_extension_torque_nm: float | None = None

    def __post_init__(self) -> None:
        Entry(
            study="-",
            subject_code="-",
            height_cm=self.height_cm,
            weight_kg=self.weight_kg,
            grip_strength_kg=self.grip_strength_kg,
            gait_speed_m_s=self.gait_speed_m_s,
            knee_extension_torque_nm=self.knee_extension_torque_nm,
        )  # the limits are those of an upload


def record_visit_facts(session: Session, facts: VisitFacts, *, visit_id: int) -> None:
    """Replace the facts of a visit by these, those that are None too. Needs a writing session."""
    visit = session.get(Visit, visit_id)
    if visit is None:
        raise DatabaseError(f"visit {visit_id} does not exist any more; nothing was stored")
    for name, value in asdict(facts).items():
        setattr(visit, name, value)
    session.flush()
