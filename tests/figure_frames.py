"""Small cohort frames for tests of the figures, as `db.cohort.scans_frame` joined with the values of one measure."""

from __future__ import annotations

import pandas as pd

from pages.parts.cohort_values import Measure

VOLUME = Measure("extensor", "both", "volume")


def scan(
    scan_id: int, subject: str, value: float, *, visit: int = 1, sex: str = "female", **more: object
) -> dict[str, object]:
    """One scan; the subject's id is the code of its first letter."""
    row: dict[str, object] = {
        "study_id": 1, "study": "S", "subject_id": ord(subject[0]), "subject": subject, "sex": sex, "visit": visit,
        "visit_date": pd.NaT, "age_years": float("nan"), "height_cm": float("nan"), "weight_kg": float("nan"),
        "scan_id": scan_id, "run_id": scan_id, "coverage_mm": 200.0, "value": value, "flagged": False,
    }  # fmt: skip
    return row | more


def cohort(*rows: dict[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows))
    return frame.assign(visit_date=pd.to_datetime(frame["visit_date"]))
