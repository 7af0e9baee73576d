"""What a model card says, as text for pages. The figures are the card's own; nothing is added here.

`training/train.py` and `training/evaluate.py` write the card: `validation["real"]` (slices of real scans against a
drawn reference) and `validation["synthetic"]` (held-out synthetic slices).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from thighseg_core.checkpoint import ModelCard

LEVELS = {"shaft": "shaft of the thigh", "all": "all levels, hip and knee included"}


def title(card: ModelCard) -> str:
    """Name and version of a network."""
    return f"{card.network} {card.version}"


def trained_on(card: ModelCard) -> str:
    """What the network learned from, in one sentence; empty when the card does not say."""
    data = str(card.training.get("data", "")).strip()
    return f"Trained on {data[:1].lower()}{data[1:]}." if data else ""


def validated_on(card: ModelCard) -> str:
    """What the network was tested on and how well it did, in two or three sentences."""
    name = f"The network **{title(card)}**"
    real, synthetic = card.validation.get("real"), card.validation.get("synthetic")
    if real:
        name = f"The network **{card.network} {card.tested_version}**"
        level = next((level for level in LEVELS if real.get(level)), None)
        scores = _scores({structure: facts["dice_mean"] for structure, facts in real[level].items()}) if level else ""
        where = f" At the {LEVELS[level]}: mean Dice {scores}." if level else ""
        return (
            f"{name} was tested on {real['slices']} slices of {real['scans']} real scans "
            f"(reference: {real['reference']}).{where}"
        )
    if synthetic:
        return (
            f"{name} was tested on {synthetic['slices']} synthetic slices only, on **no real scan**: "
            f"mean Dice {_scores(synthetic['dice'])}."
        )
    return f"{name} has no validation on record."


def validation_rows(card: ModelCard) -> list[dict[str, str]]:
    """The test on real scans as rows of a table; empty when there was none."""
    real = card.validation.get("real", {})
    return [
        {
            "Level": LEVELS[level],
            "Structure": structure,
            "Slices": str(facts["n"]),
            "Dice, mean": f"{facts['dice_mean']:.3f}",
            "Dice, worst slice": f"{facts['dice_worst']:.3f}",
            "Area error, mean": f"{facts['area_error_percent']:+.1f} %",
        }
        for level in LEVELS
        for structure, facts in real.get(level, {}).items()
    ]


@dataclass(frozen=True)
class Compared:
    """A network's row in the comparison: (structure, "mean (worst)") of one level, and what it was compared with."""

    network: str
    title: str
    scores: dict[str, str]
    reference: str


def comparison(cards: Iterable[ModelCard], *, level: str) -> list[Compared]:
    """The networks that were tested on real scans, the best mean over structures first."""
    rows = []
    for card in cards:
        real = card.validation.get("real", {})
        facts = real.get(level, {})
        if not facts:
            continue
        scores = {name: f"{one['dice_mean']:.2f} ({one['dice_worst']:.2f})" for name, one in facts.items()}
        reference = f"{real['slices']} slices of {real['scans']} scans: {real['reference']}."
        mean = sum(one["dice_mean"] for one in facts.values()) / len(facts)
        rows.append((mean, Compared(card.network, f"{card.network} {card.tested_version}", scores, reference)))
    return [row for _, row in sorted(rows, key=lambda pair: -pair[0])]


def pace(board: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Median seconds of a scan and of a slice by network and device, from the finished jobs of `db.queries.jobs`."""
    done = [
        {
            "model": job["model"],
            "device": job["run_device"] or job["device"],
            "seconds": (job["finished_at"] - job["started_at"]).total_seconds(),
            "n_slices": job["n_slices"],
        }
        for job in board
        if job["status"] == "done"
    ]
    frame = pd.DataFrame(done, columns=["model", "device", "seconds", "n_slices"])
    frame["seconds_a_slice"] = frame["seconds"] / frame["n_slices"]
    groups = frame.groupby(["model", "device"], as_index=False)
    return groups.agg(
        scans=("seconds", "size"), seconds=("seconds", "median"), seconds_a_slice=("seconds_a_slice", "median")
    )


def facts_of(section: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, text) of every entry, nested ones with the outer name in front; numbers with three digits."""
    for key, value in section.items():
        name = str(key).replace("_", " ")
        if isinstance(value, Mapping):
            yield from ((f"{name} {inner}", text) for inner, text in facts_of(value))
        else:
            yield name, _text(value)


def _scores(dice: Mapping[str, float]) -> str:
    return ", ".join(f"{structure} {value:.2f}" for structure, value in dice.items() if structure != "mean")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    return str(value)
