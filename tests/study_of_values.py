"""A study in a real database whose values are made up: many people, several visits, no pictures."""

from __future__ import annotations

import pandas as pd
from db_rows import add_run, add_scan, add_visit

from db.engine import Database


def fill(database: Database, people: pd.DataFrame, *, study: str = "Study A") -> None:
    """Store each row of `cohort_frames.simulated` as a visit with a scan whose left extensor has that volume."""
    with database.write() as session:
        for number, row in enumerate(people.itertuples()):
            visit = add_visit(
                session, row.subject, row.visit, study=study, on=row.visit_date, sex=row.sex,
                age_years=round(float(row.age_years), 2), height_cm=170.0,
            )  # fmt: skip
            run = add_run(
                session, add_scan(session, visit, f"{number:08x}"), volume=float(row.value), lean_attenuation=None
            )
            run.hu_preset = "long_dennis_150"
