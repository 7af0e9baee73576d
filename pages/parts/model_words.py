"""What a model card says, as text for pages. The figures are the card's own; nothing is added here.

`training/train.py` and `training/evaluate.py` write the card: `validation["real"]` (slices of real scans against a
drawn reference) and `validation["synthetic"]` (held-out synthetic slices).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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
