"""Sizes of the thigh divided by the size of the person or of the femur; the raw value always stands beside.

Height squared corrects volumes too little (volume goes with height to the power 3.9, with femur volume to 1.1:
PMID 23934008), so several divisors are offered and none is preferred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from thighseg_core.errors import InputError
from thighseg_core.measurement import Measurement
from thighseg_core.metrics import FEMUR_20_80, FULL

SIZE_UNITS = ("cm3", "cm2")  # what a divisor makes sense for; shares and attenuation are not divided
_PLAUSIBLE_HEIGHT_CM = (20.0, 280.0)
_PLAUSIBLE_WEIGHT_KG = (1.0, 700.0)


@dataclass(frozen=True)
class Body:
    """Height and weight at the visit; None where not known. Raises InputError when they are in other units."""

    height_cm: float | None = None
    weight_kg: float | None = None

    def __post_init__(self) -> None:
        for name, value, (low, high) in (
            ("height_cm", self.height_cm, _PLAUSIBLE_HEIGHT_CM),
            ("weight_kg", self.weight_kg, _PLAUSIBLE_WEIGHT_KG),
        ):
            if value is not None and not low <= value <= high:
                raise InputError(f"{name} is {value:g}, expected {low:g} to {high:g}; check its unit")


@dataclass(frozen=True)
class Divisor:
    """What a size is divided by: `suffix` is put after the value's unit, `title` names it on a page."""

    name: str
    suffix: str
    title: str
    description: str


DIVISORS: dict[str, Divisor] = {
    divisor.name: divisor
    for divisor in (
        Divisor("height", "/m", "Per height", "Height at the visit, m."),
        Divisor("height2", "/m2", "Per height²", "Square of the height at the visit, m2."),
        Divisor("weight", "/kg", "Per weight", "Weight at the visit, kg."),
        Divisor("bmi", "/(kg/m2)", "Per BMI", "Body mass index at the visit, kg/m2."),
        Divisor(
            "femur_length",
            "/cm",
            "Per femur length",
            "Length of the femur of that side, cm; for both sides the mean of the two.",
        ),
        Divisor(
            "femur_volume",
            "/cm3",
            "Per femur volume",
            "Volume of the femur of that side over the same extent, cm3; only over 20 to 80 % of the femur, as a femur "
            "that is cut off is no measure of size.",
        ),
    )
}


# Height in m and weight in kg (numbers or columns of them) to the divisor, for those that are facts of the visit.
OF_THE_BODY: dict[str, Callable[[Any, Any], Any]] = {
    "height": lambda height_m, _: height_m,
    "height2": lambda height_m, _: height_m**2,
    "weight": lambda _, weight_kg: weight_kg,
    "bmi": lambda height_m, weight_kg: weight_kg / height_m**2,
}


@dataclass(frozen=True)
class Normalised:
    """A size over a divisor. value None: `reason` says why. unit: the size's with the divisor's suffix."""

    measurement: Measurement
    divisor: str
    value: float | None
    unit: str
    reason: str = ""


def normalised(measurements: Iterable[Measurement], body: Body) -> list[Normalised]:
    """Every size (cm3 or cm2) over every divisor, in the order given; what is missing carries its reason.

    Femur length and volume are taken from the same measurements.
    """
    given = list(measurements)
    femur = {(m.metric, m.side, m.extent): m for m in given if m.region == "femur"}
    return [
        _normalised(m, divisor, body, femur)
        for m in given
        if m.unit in SIZE_UNITS and m.region != "femur"
        for divisor in DIVISORS.values()
    ]


def _normalised(
    measurement: Measurement, divisor: Divisor, body: Body, femur: Mapping[tuple[str, str, str], Measurement]
) -> Normalised:
    unit = f"{measurement.unit}{divisor.suffix}"
    if measurement.value is None:
        return Normalised(measurement, divisor.name, None, unit, measurement.reason)
    by = _divide_by(measurement, divisor.name, body, femur)
    if isinstance(by, str):
        return Normalised(measurement, divisor.name, None, unit, by)
    return Normalised(measurement, divisor.name, measurement.value / by, unit, measurement.reason)


def _divide_by(
    measurement: Measurement, divisor: str, body: Body, femur: Mapping[tuple[str, str, str], Measurement]
) -> float | str:
    if divisor in OF_THE_BODY:
        if body.weight_kg is None and divisor in ("weight", "bmi"):
            return "weight at the visit is not known"
        if body.height_cm is None and divisor != "weight":
            return "height at the visit is not known"
        return float(OF_THE_BODY[divisor](None if body.height_cm is None else body.height_cm / 100, body.weight_kg))
    if divisor == "femur_length":
        sides = ("left", "right") if measurement.side == "both" else (measurement.side,)
        lengths = [femur.get(("femur_length", side, FULL)) for side in sides]
        known = [length.value / 10 for length in lengths if length is not None and length.value is not None]
        if len(known) < len(sides):
            return "the femur's length is not known: an end of it is not in view"
        return sum(known) / len(known)
    bone = femur.get(("volume", measurement.side, FEMUR_20_80))
    if measurement.extent != FEMUR_20_80 or bone is None or bone.value is None:
        return "the femur's volume is known only over 20 to 80 % of it, where the scan shows that"
    return bone.value if bone.value > 0 else "the femur has no volume"
