"""Trend of one measure over time: a linear mixed model, random effects by subject, convergence said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from thighseg_core.cohort_statistics.change import DAYS_PER_YEAR, one_value_a_visit
from thighseg_core.cohort_statistics.mixed_model import MixedFit, fit_mixed_model, inner_outer_df
from thighseg_core.errors import InputError

COVARIATES = ("sex", "age")
MIN_REPEATED = 3  # subjects with two dated visits; our convention, below it there is no trend to speak of
MIN_FOR_SLOPES = 10  # subjects with three dated visits before each gets a slope of its own; our convention
_LEVEL = 0.95
_POINTS = 25


@dataclass(frozen=True)
class Effect:
    """One fixed effect with its 95 % confidence interval; t with the inner and outer degrees of freedom of R's nlme."""

    term: str
    unit: str
    estimate: float
    standard_error: float
    ci_low: float
    ci_high: float
    df: int
    p: float


@dataclass(frozen=True)
class Trend:
    """A fitted trend. `prediction` has years, sex ("all" when the model does not hold it), fitted, ci_low, ci_high."""

    effects: tuple[Effect, ...]
    converged: bool
    random_slope: bool
    method: str  # for the caption
    notes: tuple[str, ...]  # what was left out, and why the model is not the richer one
    n_values: int
    n_subjects: int
    sd_intercept: float
    sd_slope: float | None
    sd_residual: float
    prediction: pd.DataFrame

    @property
    def slope(self) -> Effect:
        """Change per year."""
        return next(effect for effect in self.effects if effect.term == "years")


def fit_trend(frame: pd.DataFrame, *, covariates: Sequence[str] = (), random_slope: bool = True) -> Trend:
    """Mixed model of one measure: value ~ years since the subject's first dated visit (+ covariates).

    frame: rows of `db.queries.measurements`, of one region, side, extent, metric and unit. covariates: "sex" (male,
    against female) and "age" (at the first visit, years from the mean). Each subject has an own intercept, and an own
    slope when asked for, enough visits tell it and that model converges; `Trend.notes` says when it does not. A missing
    value or date leaves the row out. Raises InputError for several measures at once or too few repeated visits.
    """
    unknown = set(covariates) - set(COVARIATES)
    if unknown:
        raise InputError(f"covariates can be {', '.join(COVARIATES)}, got {', '.join(sorted(unknown))}")
    table, notes = _table(frame, covariates)
    years = table["years"].to_numpy(float)
    columns: dict[str, NDArray[np.float64]] = {"intercept": np.ones(len(table)), "years": years}
    if "sex" in covariates:
        columns["male"] = np.where(table["sex"] == "male", 1.0, 0.0)
    if "age" in covariates:
        age = table["age_at_first"].to_numpy(float)
        mean_age = float(table.drop_duplicates("subject_id")["age_at_first"].mean())
        columns["age"] = age - mean_age
        notes.append(f"Age is counted from the mean at the first visit, {mean_age:.1f} years.")
    y, x = table["value"].to_numpy(float), np.column_stack(list(columns.values()))
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise InputError("the covariates do not vary independently here (one sex only?); leave one out")
    codes = pd.factorize(table["subject_id"])[0].astype(np.int64)
    fit, slopes = _fit(y, x, years, codes, wanted=random_slope, notes=notes)
    unit = str(table["unit"].iloc[0])
    effects = _effects(fit, list(columns), unit=unit, n_subjects=int(codes.max()) + 1, n_values=len(y))
    return Trend(
        effects=effects,
        converged=fit.converged,
        random_slope=slopes,
        method=_method(list(columns), slopes=slopes, n_values=len(y), n_subjects=int(codes.max()) + 1),
        notes=tuple(notes),
        n_values=len(y),
        n_subjects=int(codes.max()) + 1,
        sd_intercept=float(np.sqrt(fit.random_covariance[0, 0])),
        sd_slope=float(np.sqrt(fit.random_covariance[1, 1])) if slopes else None,
        sd_residual=float(np.sqrt(fit.residual_variance)),
        prediction=_prediction(fit, list(columns), longest=float(years.max()), df=effects[0].df),
    )


def _table(frame: pd.DataFrame, covariates: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """One row a dated value with `years` and `age_at_first`, and what was left out."""
    measure = ["region", "side", "extent", "metric", "unit"]
    if len(frame[measure].drop_duplicates()) > 1:
        raise InputError("a trend is of one region, side, extent and metric; filter the frame first")
    known = one_value_a_visit(frame)
    dates = pd.to_datetime(known["visit_date"])
    notes = []
    if dates.isna().any():
        notes.append(f"{int(dates.isna().sum())} values without a visit date are left out.")
    known = known.assign(date=dates)[dates.notna()]
    first = known.groupby("subject_id")["date"].transform("min")
    known = known.assign(years=(known["date"] - first).dt.days / DAYS_PER_YEAR)
    if "sex" in covariates:
        kept = known[known["sex"].isin(["female", "male"])]
        if len(kept) < len(known):
            notes.append(f"{len(known) - len(kept)} values without female or male as sex are left out.")
        known = kept
    if "age" in covariates:
        age = known["age_years"].astype(float) - known["years"]
        known = known.assign(age_at_first=age.groupby(known["subject_id"]).transform("min"))
        kept = known[known["age_at_first"].notna()]
        if len(kept) < len(known):
            notes.append(f"{len(known) - len(kept)} values without an age are left out.")
        known = kept
    repeated = known.groupby("subject_id")["years"].nunique()
    if int((repeated >= 2).sum()) < MIN_REPEATED:
        raise InputError(
            f"a trend needs at least {MIN_REPEATED} subjects with two visits on different known dates, "
            f"here are {int((repeated >= 2).sum())}"
        )
    return known, notes


def _fit(
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    years: NDArray[np.float64],
    codes: NDArray[np.int64],
    *,
    wanted: bool,
    notes: list[str],
) -> tuple[MixedFit, bool]:
    """The richest model that converges, and whether it has random slopes."""
    ones = np.ones((len(y), 1))
    if wanted:
        long_seen = int((np.bincount(codes) >= 3).sum())
        if long_seen < MIN_FOR_SLOPES:
            notes.append(
                f"One slope for all: {long_seen} subjects have three dated visits, {MIN_FOR_SLOPES} are needed before "
                "each gets a slope of its own (our convention)."
            )
        else:
            fit = fit_mixed_model(y, x, np.column_stack([ones[:, 0], years]), codes)
            if fit.converged and not fit.at_boundary:
                return fit, True
            notes.append(
                "One slope for all: with a slope of each subject's own the model "
                + ("did not converge." if not fit.converged else "is singular, the data do not tell the slopes apart.")
            )
    fit = fit_mixed_model(y, x, ones, codes)
    if not fit.converged:
        notes.append("The model did not converge; do not use its numbers.")
    return fit, False


def _effects(fit: MixedFit, terms: list[str], *, unit: str, n_subjects: int, n_values: int) -> tuple[Effect, ...]:
    outer = [term for term in terms if term in ("male", "age")]
    inner_df, outer_df = inner_outer_df(n_values, n_subjects, inner=1, outer=len(outer))
    units = {"years": f"{unit} per year", "age": f"{unit} per year of age"}
    effects = []
    for i, term in enumerate(terms):
        df = max(outer_df if term in outer else inner_df, 1)
        estimate, error = float(fit.coefficients[i]), float(np.sqrt(fit.covariance[i, i]))
        reach = float(stats.t.ppf(0.5 + _LEVEL / 2, df)) * error
        p = 2 * float(stats.t.sf(abs(estimate) / error, df)) if error > 0 else float("nan")
        effects.append(
            Effect(
                term=term,
                unit=units.get(term, unit),
                estimate=estimate,
                standard_error=error,
                ci_low=estimate - reach,
                ci_high=estimate + reach,
                df=df,
                p=p,
            )
        )
    return tuple(effects)


def _prediction(fit: MixedFit, terms: list[str], *, longest: float, df: int) -> pd.DataFrame:
    """Mean of the population over the years seen, with its pointwise interval; at the mean age."""
    parts = []
    for sex in ("female", "male") if "male" in terms else ("all",):
        years = np.linspace(0.0, longest, _POINTS)
        values = {"intercept": np.ones(_POINTS), "years": years, "male": np.full(_POINTS, float(sex == "male"))}
        x = np.column_stack([values.get(term, np.zeros(_POINTS)) for term in terms])
        fitted = x @ fit.coefficients
        reach = stats.t.ppf(0.5 + _LEVEL / 2, df) * np.sqrt(np.einsum("ij,jk,ik->i", x, fit.covariance, x))
        parts.append(
            pd.DataFrame(
                {"years": years, "sex": sex, "fitted": fitted, "ci_low": fitted - reach, "ci_high": fitted + reach}
            )
        )
    return pd.concat(parts, ignore_index=True)


def _method(terms: list[str], *, slopes: bool, n_values: int, n_subjects: int) -> str:
    fixed = ["years since the first visit", *({"male": "sex", "age": "age at the first visit"}[t] for t in terms[2:])]
    random = "intercept and slope" if slopes else "intercept"
    return (
        f"Linear mixed model (REML): {', '.join(fixed)}; random {random} for each subject; "
        f"{n_values} values of {n_subjects} subjects; 95 % confidence interval from t."
    )
