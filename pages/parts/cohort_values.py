"""One measure across the cohort: which it is, what it is divided by, and its value beside every scan. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from db.cohort import Quantity
from pages.parts import charts, words
from thighseg_core.metrics import METRICS

# What a value may be divided by: words, what its unit gains, and the powers for which it makes sense.
# clinical.md, section 2.4 has the sources; the raw value is always one choice away.
NORMALISERS = {
    "none": ("As measured", ""),
    "height2": ("Per height²", "/m²"),
    "height": ("Per height", "/m"),
    "weight": ("Per weight", "/kg"),
    "bmi": ("Per BMI", "/(kg/m²)"),
    "femur": ("Per femur volume", "/cm³ femur"),
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

    "femur" is no fact of the visit: its volume is a quantity of its own. Raises ValueError for an unknown one.
    """
    height_m = scans["height_cm"] / 100
    match normaliser:
        case "none":
            return None
        case "height2":
            return height_m**2
        case "height":
            return height_m
        case "weight":
            return scans["weight_kg"]
        case "bmi":
            return scans["weight_kg"] / height_m**2
    raise ValueError(f"normaliser must be one of {', '.join(NORMALISERS)}, got {normaliser!r}")


def point_words(frame: pd.DataFrame) -> tuple[str, ...]:
    """What a point says of itself: subject, visit, and its flag."""
    parts = zip(frame["subject"], frame["visit"], frame["flagged"], strict=True)
    return tuple(f"{code}, visit {visit}{', has a quality flag' if flag else ''}" for code, visit, flag in parts)


def by_subject(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a subject: the first visit that has a value, and of its scans the last stored."""
    known = frame[frame["value"].notna()].sort_values(["subject_id", "visit", "scan_id"])
    first = known.drop_duplicates(["subject_id", "visit"], keep="last").drop_duplicates("subject_id", keep="first")
    return first.reset_index(drop=True)
