"""One measure across the cohort: which it is, what it is divided by, and its value beside every scan. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from db.cohort import Quantity
from pages.parts import charts, words
from thighseg_core.metrics import METRICS
from thighseg_core.normalise import DIVISORS, OF_THE_BODY

# What a value may be divided by: its title, and what the unit gains.
NORMALISERS = {"none": ("As measured", "")} | {
    name: (DIVISORS[name].title, words.unit_text(DIVISORS[name].suffix)) for name in (*OF_THE_BODY, "femur_volume")
}
_EXTENTS = {
    "full": "whole field of view",
    "whole": "whole field of view",
    "femur_20_80": "20 to 80 % of the femur",
    "midthigh": "mid-thigh, 10 mm slab",
    "ischial": "level of the ischial tuberosity",
}


@dataclass(frozen=True)
class Measure:
    """What is drawn: a quantity, and what it is divided by."""

    region: str
    side: str
    metric: str
    extent: str = "full"
    normaliser: str = "none"

    @property
    def quantity(self) -> Quantity:
        return Quantity(region=self.region, side=self.side, extent=self.extent, metric=self.metric)

    @property
    def unit(self) -> str:
        """Unit as it is written on a page."""
        unit = METRICS[self.metric].unit if self.metric in METRICS else ""
        return words.unit_text(unit) + NORMALISERS[self.normaliser][1]

    @property
    def name(self) -> str:
        """Such as `Extensor, left: Volume`."""
        return f"{words.region_title(self.region)}, {self.side}: {words.metric_title(self.metric)}"

    @property
    def axis(self) -> str:
        return f"{self.name} ({self.unit})"

    @property
    def extent_words(self) -> str:
        return extent_title(self.extent)

    @property
    def colour(self) -> str:
        return charts.region_colour(self.region)

    @property
    def file_stem(self) -> str:
        parts = (self.region, self.side, self.metric, self.extent, self.normaliser)
        return "_".join(part for part in parts if part != "none")

    def of(self, *, region: str | None = None, side: str | None = None, metric: str | None = None) -> Measure:
        """The same with another region, side or metric."""
        return replace(self, region=region or self.region, side=side or self.side, metric=metric or self.metric)


def extent_title(extent: str) -> str:
    """Name of an extent on a page."""
    return _EXTENTS.get(extent, extent.replace("_", " "))


def joined(scans: pd.DataFrame, values: pd.DataFrame, *, divisor: pd.Series | None = None) -> pd.DataFrame:
    """The scans with `value` and `flagged`: (`values` is that of `db.cohort.values_frame`); nan where there is none.

    divisor: one number a scan, in the order of `scans`.
    """
    found = values.reindex(scans["run_id"])
    value = found["value"].to_numpy(float)
    if divisor is not None:
        number = divisor.to_numpy(float)
        value = value / pd.Series(number).where(number > 0).to_numpy()
    return scans.assign(value=value, flagged=found["flagged"].eq(True).to_numpy())


def divisor(scans: pd.DataFrame, *, normaliser: str) -> pd.Series | None:
    """What each scan's value is divided by, nan where it is not known; None for no division.

    "femur_volume" is no fact of the visit but a quantity of its own. Raises ValueError for an unknown one.
    """
    if normaliser == "none":
        return None
    if normaliser not in OF_THE_BODY:
        raise ValueError(f"normaliser must be one of none, {', '.join(OF_THE_BODY)}, got {normaliser!r}")
    found: pd.Series = OF_THE_BODY[normaliser](scans["height_cm"] / 100, scans["weight_kg"])
    return found


def point_words(frame: pd.DataFrame) -> tuple[str, ...]:
    """What a point says of itself: subject, visit, and its flag."""
    parts = zip(frame["subject"], frame["visit"], frame["flagged"], strict=True)
    return tuple(f"{code}, visit {visit}{', has a quality flag' if flag else ''}" for code, visit, flag in parts)


def by_subject(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a subject: the first visit that has a value, and of its scans the last stored."""
    known = frame[frame["value"].notna()].sort_values(["subject_id", "visit", "scan_id"])
    first = known.drop_duplicates(["subject_id", "visit"], keep="last").drop_duplicates("subject_id", keep="first")
    return first.reset_index(drop=True)
