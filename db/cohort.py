"""What the cohort page reads: one row a scan, and one column a quantity. Made for 50,000 subjects with three visits.

The scan rows are read once per `revision` and kept; the values of a quantity come from one index and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import ColumnElement, func, literal_column, or_, select, type_coerce
from sqlalchemy.orm import Session
from sqlalchemy.types import String

from db.models import DataRevision, Measurement, Run, Scan, Study, Subject, Visit
from db.queries import AGE_YEARS, Query, latest_runs, review_states

_WORDS = ("study", "sex", "review", "model_name", "hu_preset", "contrast_agent", "convolution_kernel", "flags")
# Codes of a run's flags that are more than information, with a space before and after each; SQLite's own JSON reader.
_FLAG_CODES: ColumnElement[str] = literal_column(
    "(SELECT ' ' || group_concat(DISTINCT json_extract(flag.value, '$.code')) || ' ' FROM json_each(run.flags) AS flag "
    "WHERE json_extract(flag.value, '$.severity') <> 'info')",
    type_=String(),
)


@dataclass(frozen=True, order=True)
class Quantity:
    """Which measurement: a region, a side, an extent and a metric."""

    region: str
    side: str
    extent: str
    metric: str


def revision(session: Session) -> int:
    """Number that grows with every change of a study, subject, visit, scan, run or review."""
    return session.scalars(select(DataRevision.number)).one()


def cohort_scans() -> Query:
    """One row a scan whose latest run is not rejected, with person, visit and what decides comparability."""
    latest, states = latest_runs(), review_states()
    return (
        select(
            Study.id.label("study_id"),
            Study.name.label("study"),
            Subject.id.label("subject_id"),
            Subject.code.label("subject"),
            Subject.sex.label("sex"),
            Visit.id.label("visit_id"),
            Visit.number.label("visit"),
            type_coerce(Visit.visit_date, String).label("visit_date"),  # text: parsed for all rows at once
            AGE_YEARS.label("age_years"),
            Visit.height_cm.label("height_cm"),
            Visit.weight_kg.label("weight_kg"),
            Visit.grip_strength_kg.label("grip_strength_kg"),
            Visit.gait_speed_m_s.label("gait_speed_m_s"),
            Visit.knee_extension_torque_nm.label("knee_extension_torque_nm"),
            Scan.id.label("scan_id"),
            (Scan.n_slices * Scan.slice_spacing_mm).label("coverage_mm"),
            Scan.tube_voltage_kvp.label("tube_voltage_kvp"),
            Scan.contrast_agent.label("contrast_agent"),
            Scan.convolution_kernel.label("convolution_kernel"),
            Run.id.label("run_id"),
            Run.model_name.label("model_name"),
            Run.hu_preset.label("hu_preset"),
            states.c.review,
            _FLAG_CODES.label("flags"),
        )
        .join(latest, latest.c.run_id == Run.id)
        .join(Run.scan)
        .join(Scan.visit)
        .join(Visit.subject)
        .join(Subject.study)
        .outerjoin(states, states.c.run_id == Run.id)
        .where(or_(states.c.review.is_(None), states.c.review != "rejected"))
    )


def scans_frame(session: Session) -> pd.DataFrame:
    """`cohort_scans` as a frame ordered by study, subject, visit and scan; words are categories, dates are dates.

    A missing word is "", a missing number nan.
    """
    statement = cohort_scans()
    frame = pd.DataFrame(_plain(session, statement), columns=[column.name for column in statement.selected_columns])
    for name in _WORDS:
        frame[name] = frame[name].fillna("").astype("category")
    frame["visit_date"] = pd.to_datetime(frame["visit_date"], format="ISO8601")
    for name in ("tube_voltage_kvp", "age_years", "height_cm", "weight_kg", "coverage_mm"):
        frame[name] = pd.to_numeric(frame[name])
    for name in ("grip_strength_kg", "gait_speed_m_s", "knee_extension_torque_nm"):
        frame[name] = pd.to_numeric(frame[name])
    return frame.sort_values(["study", "subject", "visit", "scan_id"], ignore_index=True)


def quantity_values(quantity: Quantity) -> Query:
    """(run_id, value, whether it is flagged) of one quantity in every run, older versions too."""
    flagged = (Measurement.status == "flagged").label("flagged")
    return select(Measurement.run_id, Measurement.value, flagged).where(
        Measurement.region == quantity.region,
        Measurement.metric == quantity.metric,
        Measurement.extent == quantity.extent,
        Measurement.side == quantity.side,
    )


def values_frame(session: Session, quantity: Quantity) -> pd.DataFrame:
    """Columns `value` (nan where missing) and `flagged`, indexed by run_id."""
    table = np.array(_plain(session, quantity_values(quantity)), dtype=float).reshape(-1, 3)  # None becomes nan
    return pd.DataFrame(
        {"value": table[:, 1], "flagged": table[:, 2] == 1},
        index=pd.Index(table[:, 0].astype(np.int64), name="run_id"),
    )


def _plain(session: Session, statement: Query) -> Sequence[Any]:
    """The driver's own tuples: SQLAlchemy's rows take two to three times as long, and a page feels 150,000 of them."""
    cursor = session.connection().execute(statement).cursor
    return [] if cursor is None else cursor.fetchall()


def measured(session: Session) -> list[tuple[str, str, str]]:
    """(region, metric, extent) of the newest run of all; cheap, however many runs there are."""
    newest = session.scalar(select(func.max(Run.id)))
    statement = select(Measurement.region, Measurement.metric, Measurement.extent).distinct()
    return [(row[0], row[1], row[2]) for row in session.execute(statement.where(Measurement.run_id == newest))]
