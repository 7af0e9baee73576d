"""Whether a scan was acquired as the others of its study were: voltage, kernel, slice thickness, contrast agent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thighseg_core.measurement import QualityFlag

FEWEST_SCANS = 3  # our convention: of fewer there is no way that a study is acquired
USUAL_SHARE = 0.5  # our convention: what more than half of the scans have is the study's

STUDY_FLAG_DESCRIPTIONS: dict[str, str] = {
    "study_tube_voltage": "The tube voltage is not that of most scans of the study.",
    "study_kernel": "The reconstruction kernel is not that of most scans of the study.",
    "study_slice_thickness": "The slices are not as thick as those of most scans of the study.",
    "study_contrast_agent": "A contrast agent is recorded as in few scans of the study, or is not as in few.",
}


@dataclass(frozen=True)
class Protocol:
    """How one scan was acquired; None where the header says nothing."""

    tube_voltage_kvp: float | None
    convolution_kernel: str | None
    slice_thickness_mm: float | None
    contrast_agent: str | None


def study_flags(one: Protocol, study: Sequence[Protocol]) -> tuple[QualityFlag, ...]:
    """What sets a scan apart from its study. study: all scans of it, this one among them.

    A property is judged when at least three scans record it and more than half of them agree.
    """
    return _against(one, _customs(study))


def all_study_flags(study: Sequence[Protocol]) -> list[tuple[QualityFlag, ...]]:
    """`study_flags` of every scan of a study, in their order."""
    customs = _customs(study)
    return [_against(one, customs) for one in study]


def _customs(study: Sequence[Protocol]) -> list[tuple[str, int, int]]:
    """By property: the usual value, how many scans have it and how many record any; "" where none is usual."""
    customs = []
    for _, value, _, _ in _PROPERTIES:
        recorded = [each for one in study if (each := value(one)) is not None]
        usual, count = Counter(recorded).most_common(1)[0] if len(recorded) >= FEWEST_SCANS else ("", 0)
        customs.append((usual if count > USUAL_SHARE * len(recorded) else "", count, len(recorded)))
    return customs


def _against(one: Protocol, customs: Sequence[tuple[str, int, int]]) -> tuple[QualityFlag, ...]:
    found = []
    for (code, value, name, consequence), (usual, count, recorded) in zip(_PROPERTIES, customs, strict=True):
        mine = value(one)
        if usual and mine is not None and mine != usual:
            message = f"{name} {mine}; {count} of the {recorded} scans of the study that record it have {usual}"
            found.append(QualityFlag(code=code, severity="warning", message=message, consequence=consequence))
    return tuple(found)


def _voltage(scan: Protocol) -> str | None:
    return None if scan.tube_voltage_kvp is None else f"{round(scan.tube_voltage_kvp)} kV"


def _kernel(scan: Protocol) -> str | None:
    return (scan.convolution_kernel or "").strip().upper() or None


def _thickness(scan: Protocol) -> str | None:
    return None if scan.slice_thickness_mm is None else f"{scan.slice_thickness_mm:.1f} mm"


def _contrast(scan: Protocol) -> str | None:
    recorded = (scan.contrast_agent or "").strip().lower() not in ("", "no", "none")
    return "recorded" if recorded else "not recorded"


_APART = "compare its attenuation and fat with the study's other scans only with caution"
_PROPERTIES: tuple[tuple[str, Callable[[Protocol], str | None], str, str], ...] = (
    ("study_tube_voltage", _voltage, "tube voltage", f"attenuation depends on the voltage: {_APART}"),
    ("study_kernel", _kernel, "kernel", f"a sharper kernel has more noise and so more apparent fat: {_APART}"),
    (
        "study_slice_thickness",
        _thickness,
        "slice thickness",
        f"thicker slices have less noise and average small deposits of fat away: {_APART}",
    ),
    ("study_contrast_agent", _contrast, "contrast agent", f"contrast raises muscle attenuation: {_APART}"),
)
