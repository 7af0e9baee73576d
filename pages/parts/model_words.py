"""What a model card says, as text for pages. The figures are the card's own; nothing is added here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from thighseg_core.checkpoint import ModelCard


def title(card: ModelCard) -> str:
    """Name and version of a network."""
    return f"{card.network} {card.version}"


def validated_on(card: ModelCard) -> str:
    """One paragraph: what the network was tested on and how well it did, as far as the card tells."""
    facts = "; ".join(f"{name}: {value}" for name, value in facts_of(card.validation))
    if not facts:
        return f"Network **{title(card)}** has no validation on record."
    return f"Network **{title(card)}** was validated as follows. {facts}."


def facts_of(section: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, text) of every entry, nested ones with the outer name in front; numbers with three digits."""
    for key, value in section.items():
        name = str(key).replace("_", " ")
        if isinstance(value, Mapping):
            yield from ((f"{name} {inner}", text) for inner, text in facts_of(value))
        else:
            yield name, _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    return str(value)
