"""Quality flags put together for reading: one finding for all structures that share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pages.parts import charts, words
from thighseg_core.labels import SIDES
from thighseg_core.quality import FLAG_DESCRIPTIONS

_ORDER = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """What was found, where (empty for the whole scan), and what follows from it."""

    code: str
    severity: str
    message: str
    where: str
    consequences: tuple[str, ...]


def findings(flags: Iterable[Mapping[str, Any]] | None) -> list[Finding]:
    """Stored flags by kind and severity, the most severe first. Several of one kind get the kind's description."""
    kinds: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for flag in flags or ():
        kinds.setdefault((flag["severity"], flag["code"]), []).append(flag)
    found = []
    for (severity, code), same in sorted(kinds.items(), key=lambda item: _ORDER.index(item[0][0])):
        message = same[0]["message"] if len(same) == 1 else FLAG_DESCRIPTIONS.get(code, same[0]["message"])
        found.append(
            Finding(
                code=code,
                severity=severity,
                message=message,
                where="" if len(same) == 1 else _where(same),
                consequences=tuple(dict.fromkeys(flag["consequence"] for flag in same)),
            )
        )
    return found


def serious(flags: Iterable[Mapping[str, Any]] | None) -> list[Finding]:
    """Findings that ask for a look: errors and warnings, not mere information."""
    return [finding for finding in findings(flags) if finding.severity != "info"]


def _where(flags: list[Mapping[str, Any]]) -> str:
    """ "Extensor (left, right), Flexor (left)" in the order of the labels."""
    sides: dict[str, set[str]] = {}
    for flag in flags:
        if flag["region"] != "scan":
            sides.setdefault(flag["region"], set()).add(flag["side"])
    named = []
    for region in charts.regions_in_order(list(sides)):
        present = ", ".join(side for side in SIDES if side in sides[region])
        named.append(f"{words.region_title(region)} ({present})" if present else words.region_title(region))
    return ", ".join(named)
