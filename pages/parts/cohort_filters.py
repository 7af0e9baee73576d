"""Which scans a cohort figure counts: the choices, what they leave of the scans, and the choices in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pages.parts.charts import SEX_ORDER

REVIEWS = {"all": "All but rejected", "approved": "Only approved"}
QUALITIES = {"all": "With and without flags", "clean": "Only without a flag"}


@dataclass(frozen=True)
class Filters:
    """The choices; None and the first of each table mean "do not filter". Rejected results are never in the frame."""

    studies: tuple[str, ...] | None = None
    sexes: tuple[str, ...] = SEX_ORDER
    visits: tuple[int, ...] | None = None
    age_years: tuple[float, float] | None = None
    coverage_cm: tuple[float, float] | None = None
    review: str = "all"
    quality: str = "all"
    without_flags: tuple[str, ...] = ()

    def apply(self, scans: pd.DataFrame) -> pd.DataFrame:
        """The rows of `db.cohort.scans_frame` that stay. An age or length that is not known fits no range."""
        keep = np.ones(len(scans), dtype=bool)
        if self.studies is not None:
            keep &= scans["study"].isin(self.studies).to_numpy()
        if set(self.sexes) != set(SEX_ORDER):
            keep &= scans["sex"].isin(self.sexes).to_numpy()
        if self.visits is not None:
            keep &= scans["visit"].isin(self.visits).to_numpy()
        if self.age_years is not None:
            keep &= scans["age_years"].between(*self.age_years).to_numpy()
        if self.coverage_cm is not None:
            keep &= (scans["coverage_mm"] / 10).between(*self.coverage_cm).to_numpy()
        if self.review == "approved":
            keep &= scans["review"].eq("approved").to_numpy()
        if self.quality == "clean":
            keep &= scans["flags"].eq("").to_numpy()
        for code in self.without_flags:
            keep &= ~scans["flags"].isin(_with_code(scans, code)).to_numpy()
        return scans[keep]

    def words(self) -> str:
        """The choices as sentences for a caption; empty when nothing is filtered."""
        parts = []
        if self.studies is not None:
            parts.append("study " + " or ".join(self.studies))
        if set(self.sexes) != set(SEX_ORDER):
            parts.append(" or ".join(self.sexes) or "no sex")
        if self.visits is not None:
            parts.append("visit " + ", ".join(str(number) for number in self.visits))
        if self.age_years is not None:
            parts.append(f"{self.age_years[0]:g} to {self.age_years[1]:g} years")
        if self.coverage_cm is not None:
            parts.append(f"{self.coverage_cm[0]:g} to {self.coverage_cm[1]:g} cm scanned")
        if self.review == "approved":
            parts.append("approved results only")
        if self.quality == "clean":
            parts.append("scans without a quality flag")
        if self.without_flags:
            parts.append("without the flags " + ", ".join(self.without_flags))
        return f" Filters: {'; '.join(parts)}." if parts else ""


def flag_codes(scans: pd.DataFrame) -> list[str]:
    """Every quality flag that one of the scans has, by name."""
    return sorted({code for text in scans["flags"].cat.categories for code in _codes(text)})


def _codes(text: str) -> Sequence[str]:
    return text.replace(",", " ").split()


def _with_code(scans: pd.DataFrame, code: str) -> list[str]:
    """The combinations of flags that hold this one: few, however many scans there are."""
    return [text for text in scans["flags"].cat.categories if code in _codes(text)]
