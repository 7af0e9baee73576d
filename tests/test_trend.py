"""Trend over time: what is modelled, what is left out and said, and when there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohort_frames import one_subject, simulated

from thighseg_core.cohort_statistics.trend import fit_trend
from thighseg_core.errors import InputError


def test_the_slope_that_was_put_in_lies_in_the_interval_and_the_model_has_own_slopes() -> None:
    trend = fit_trend(simulated(slope=-12.0, sd_slope=6.0))
    assert trend.converged
    assert trend.random_slope
    assert trend.slope.ci_low < -12.0 < trend.slope.ci_high
    assert trend.slope.unit == "cm3 per year"
    assert trend.sd_slope == pytest.approx(6.0, abs=2.5)
    assert (trend.n_values, trend.n_subjects) == (120, 40)
    assert "120 values of 40 subjects" in trend.method
    assert "random intercept and slope" in trend.method


def test_sex_and_age_are_effects_between_subjects() -> None:
    trend = fit_trend(simulated(male=250.0), covariates=("sex", "age"))
    by_term = {effect.term: effect for effect in trend.effects}
    assert list(by_term) == ["intercept", "years", "male", "age"]
    assert by_term["male"].ci_low < 250.0 < by_term["male"].ci_high
    assert by_term["male"].df == 37  # 40 subjects - intercept, sex, age
    assert by_term["years"].df == 79  # 120 values - 40 subjects - 1
    assert sorted(set(trend.prediction["sex"])) == ["female", "male"]
    assert any("mean at the first visit" in note for note in trend.notes)


def test_two_visits_a_subject_do_not_tell_slopes_apart_and_that_is_said() -> None:
    trend = fit_trend(simulated(visits=2))
    assert not trend.random_slope
    assert trend.sd_slope is None
    assert any("One slope for all" in note for note in trend.notes)


def test_slopes_that_do_not_differ_fall_back_to_one_slope_and_that_is_said() -> None:
    frame = simulated(sd_slope=0.0)
    residual = frame["value"] - frame.groupby("subject_id")["value"].transform("mean")
    frame["value"] = frame["value"] - residual + np.tile([1.0, -2.0, 1.0], 40) * np.repeat([1, -1], 60)
    trend = fit_trend(frame)
    assert not trend.random_slope
    assert trend.converged
    assert any("singular" in note for note in trend.notes)


def test_values_without_a_date_or_a_number_are_left_out_and_counted() -> None:
    frame = simulated()
    frame.loc[0, "visit_date"] = None
    frame.loc[5, "value"] = np.nan
    trend = fit_trend(frame)
    assert trend.n_values == 118
    assert "1 values without a visit date are left out." in trend.notes


def test_the_prediction_runs_over_the_years_seen_with_its_interval_around_it() -> None:
    trend = fit_trend(simulated())
    table = trend.prediction
    assert list(table.columns) == ["years", "sex", "fitted", "ci_low", "ci_high"]
    assert table["years"].iloc[0] == 0.0
    assert 1.6 < table["years"].iloc[-1] < 2.4
    assert (table["ci_low"] < table["fitted"]).all()
    assert (table["fitted"] < table["ci_high"]).all()
    rise = (table["fitted"].iloc[-1] - table["fitted"].iloc[0]) / table["years"].iloc[-1]
    assert rise == pytest.approx(trend.slope.estimate)


def test_a_trend_of_two_measures_at_once_is_refused() -> None:
    frame = simulated()
    with pytest.raises(InputError, match="one region, side, extent and metric"):
        fit_trend(pd.concat([frame, frame.assign(side="right")]))


def test_too_few_repeated_visits_are_no_trend() -> None:
    with pytest.raises(InputError, match="at least 3 subjects"):
        fit_trend(one_subject([(1, "2020-01-01", 100.0), (2, "2021-01-01", 90.0)]))


def test_a_covariate_that_is_unknown_or_constant_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="covariates can be sex, age"):
        fit_trend(simulated(), covariates=("weight",))
    frame = simulated()
    with pytest.raises(InputError, match="leave one out"):
        fit_trend(frame[frame["sex"] == "male"], covariates=("sex",))
