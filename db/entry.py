"""What a person types beside a scan: whose it is and of which visit. Checked before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from db.models import SEXES
from thighseg_core.errors import InputError


@dataclass(frozen=True)
class Entry:
    """Study, subject and visit of a scan. None is "not known", never 0.

    Raises InputError, in words for the form, when a field is missing, implausible or contradicts another.
    """

    study: str
    subject_code: str
    sex: str = "unknown"
    birth_year: int | None = None
    visit_number: int = 1
    visit_label: str = ""
    visit_date: date | None = None
    age_years: float | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    grip_strength_kg: float | None = None
    gait_speed_m_s: float | None = None
    knee_extension_torque_nm: float | None = None

    def __post_init__(self) -> None:
        for name, longest in (("study", 100), ("subject_code", 64), ("visit_label", 100)):
            text = " ".join(getattr(self, name).split())
            object.__setattr__(self, name, text)
            words = name.replace("_", " ")
            if not text and name != "visit_label":
                raise InputError(f"the {words} is empty; give a {words}")
            if len(text) > longest or not text.isprintable():
                raise InputError(f"the {words} may have up to {longest} printable characters")
        if self.sex not in SEXES:
            raise InputError(f"sex must be one of {', '.join(SEXES)}, got {self.sex!r}")
        today = datetime.now(UTC).date()
        _check("visit number", self.visit_number, 1, 1000)
        _check("birth year", self.birth_year, 1880, today.year)
        _check("age in years", self.age_years, 0, 130)
        _check("height in cm", self.height_cm, 20, 280)
        _check("weight in kg", self.weight_kg, 1, 700)
        _check("grip strength in kg", self.grip_strength_kg, 0, 150)
        _check("gait speed in m/s", self.gait_speed_m_s, 0, 5)
        _check("knee extension torque in Nm", self.knee_extension_torque_nm, 0, 700)
        if self.visit_date is not None and not date(1971, 10, 1) <= self.visit_date <= today + timedelta(days=1):
            raise InputError(
                f"the visit date {self.visit_date} is in the future or before the first CT (1971); correct it"
            )
        self._check_age()

    def _check_age(self) -> None:
        """Age, birth year and visit date must fit: the age is the difference of the years, or one less."""
        if self.visit_date is None or self.birth_year is None:
            return
        oldest = self.visit_date.year - self.birth_year
        if oldest < 0:
            raise InputError(f"the visit ({self.visit_date}) is before the birth year {self.birth_year}; correct one")
        if self.age_years is not None and not oldest - 1 <= self.age_years < oldest + 1:
            raise InputError(
                f"born in {self.birth_year} means {max(oldest - 1, 0)} or {oldest} years old on {self.visit_date}, "
                f"not {self.age_years:g}; correct the age, the birth year or the date"
            )


def _check(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise InputError(f"{name} must be between {low} and {high}, got {value:g}")
