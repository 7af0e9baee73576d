from __future__ import annotations

import pytest

from thighseg_core.errors import InputError
from thighseg_core.measurement import Measurement
from thighseg_core.normalise import DIVISORS, Body, normalised


def fact(region, metric, value, unit, *, side="left", extent="full", reason=""):
    status = "missing" if value is None else "flagged" if reason else "ok"
    return Measurement(region, side, extent, metric, value, unit, status, reason)


FACTS = (
    fact("extensor", "volume", 900.0, "cm3"),
    fact("extensor", "volume", 600.0, "cm3", extent="femur_20_80"),
    fact("extensor", "csa", 60.0, "cm2", side="both", extent="midthigh"),
    fact("extensor", "lean_attenuation", 50.0, "HU"),
    fact("extensor", "lean_volume", None, "cm3", reason="no extensor labelled on the left"),
    fact("femur", "femur_length", 450.0, "mm"),
    fact("femur", "femur_length", 430.0, "mm", side="right"),
    fact("femur", "volume", 120.0, "cm3", extent="femur_20_80"),
)


def values(body):
    rows = normalised(FACTS, body)
    return {(n.measurement.metric, n.measurement.extent, n.divisor): n for n in rows}


def test_a_size_is_divided_by_every_measure_of_the_person_that_is_known():
    found = values(Body(height_cm=150.0, weight_kg=54.0))  # BMI 24
    assert found["volume", "full", "height"].value == pytest.approx(600.0)
    assert found["volume", "full", "height2"].value == pytest.approx(400.0)
    assert found["volume", "full", "weight"].value == pytest.approx(900 / 54)
    assert found["volume", "full", "bmi"].value == pytest.approx(37.5)
    assert found["volume", "full", "femur_length"].value == pytest.approx(20.0)
    assert found["csa", "midthigh", "femur_length"].value == pytest.approx(60 / 44)  # both sides: the mean of the two
    assert found["volume", "femur_20_80", "femur_volume"].value == pytest.approx(5.0)
    assert found["volume", "full", "height2"].unit == "cm3/m2"


def test_what_cannot_be_divided_says_why():
    found = values(Body())
    assert found["volume", "full", "height2"].reason == "height at the visit is not known"
    assert found["volume", "full", "bmi"].reason == "weight at the visit is not known"
    assert found["lean_volume", "full", "femur_length"].reason == "no extensor labelled on the left"
    cut = found["volume", "full", "femur_volume"]  # never by a femur of unknown length
    assert (cut.value, "20 to 80 %" in cut.reason) == (None, True)
    assert ("lean_attenuation", "full", "height") not in found
    assert {n.divisor for n in found.values()} == set(DIVISORS)


def test_a_height_in_metres_is_refused():
    with pytest.raises(InputError, match="expected 20 to 280; check its unit"):
        Body(height_cm=1.7)
