"""Figure of z- or T-scores against age, and the sentences that say against what and why not. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pages.parts.cohort_values import Measure
from pages.parts.distributions import data_of, n_words, points_of, sexes_of
from pages.parts.drawing import MAX_POINTS, Axis, Drawing, Mark, Rule, share_of, share_words

KINDS = {
    "z": ("z-score", "against the same age and sex"),
    "t": ("T-score", "against young adults of the same sex"),
}


def scores_by_age(frame: pd.DataFrame, measure: Measure, *, kind: str, reference: str, filters: str = "") -> Drawing:
    """One point a scan that has a score. frame: with `z_score`, `t_score` and their citations. kind: "z" or "t"."""
    title, against = KINDS[kind]
    scored = frame[frame[f"{kind}_score"].notna()]
    marks: list[Mark] = [Rule("mean of the reference", 0.0, dash="solid"), Rule("2 SD below", -2.0, dash="dot")]
    sexes, drawn = sexes_of(scored), 0
    for sex in sexes:
        rows = share_of(scored[scored["sex"] == sex], limit=MAX_POINTS // len(sexes))
        drawn += len(rows)
        marks.append(points_of(rows, rows["age_years"], rows[f"{kind}_score"], sex=sex, colour=measure.colour))
    below = scored[scored[f"{kind}_score"] < -2]["subject_id"].nunique()
    cited = " ".join(f"{text}." for text in sorted(set(scored[f"{kind}_citation"].dropna())))
    return Drawing(
        title=f"{title}, {against}",
        x=Axis("Age at the visit (years)"),
        y=Axis(f"{title} (SD)"),
        marks=tuple(marks),
        caption=f"{title} of {measure.name} ({measure.unit}), {measure.extent_words}, {against}. Reference: "
        f"{reference}. {cited} {n_words(scored)}{filters} More than 2 SD below the reference's mean: {below} "
        f"subject{'s' if below != 1 else ''}; that is a position in the reference, not a diagnosis."
        f"{share_words(len(scored), drawn)}",
        data=data_of(scored, f"{kind}_score", f"{kind}_citation"),
        file_stem=f"{measure.file_stem}_{kind}_score",
        height=420,
    )


def refusals(scores: pd.DataFrame, *, kind: str) -> Sequence[str]:
    """Each reason why values have no score, with how many, the most frequent first."""
    reasons = scores.loc[scores[f"{kind}_score"].isna(), f"{kind}_reason"].value_counts()
    return [f"{count} without a {KINDS[kind][0]}: {reason}" for reason, count in reasons.items()]
