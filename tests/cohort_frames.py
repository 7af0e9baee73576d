"""Frames as `db.queries.measurements` gives them, for tests of the cohort's statistics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

MEASURE = {
    "study_id": 1,
    "study": "A",
    "region": "extensor",
    "side": "left",
    "extent": "full",
    "metric": "volume",
    "unit": "cm3",
    "hu_preset": "long_dennis_150",
}


def one_subject(visits: Sequence[tuple[int, str | None, float | None]]) -> pd.DataFrame:
    """(visit, date, value) of one man."""
    who = {"subject_id": 1, "subject": "S1", "sex": "male", "age_years": 70.0}
    return pd.DataFrame(
        [
            MEASURE | who | {"scan_id": n, "visit": visit, "visit_date": on and date.fromisoformat(on), "value": value}
            for n, (visit, on, value) in enumerate(visits)
        ]
    )


def simulated(
    *,
    n_subjects: int = 40,
    visits: int = 3,
    slope: float = -12.0,
    sd_slope: float = 6.0,
    male: float = 250.0,
    seed: int = 3,
) -> pd.DataFrame:
    """Women and men of 60 to 80 years, a visit about every year, an own level and slope each."""
    draw = np.random.default_rng(seed)
    rows = []
    for subject in range(n_subjects):
        sex = "male" if subject % 2 else "female"
        level = 900 + male * (sex == "male") + draw.normal(0, 40)
        own, age = slope + draw.normal(0, sd_slope), draw.uniform(60, 80)
        day = date(2022, 1, 1) + timedelta(days=int(draw.integers(0, 200)))
        start = day
        for visit in range(1, visits + 1):
            years = (day - start).days / 365.25
            who = {"subject_id": subject, "subject": f"S{subject:03d}", "sex": sex, "age_years": age + years}
            value = level + own * years + draw.normal(0, 5)
            rows.append(
                MEASURE
                | who
                | {"scan_id": len(rows), "visit": visit, "visit_date": day, "value": value, "status": "ok"}
            )
            day += timedelta(days=int(draw.integers(300, 430)))
    return pd.DataFrame(rows)
