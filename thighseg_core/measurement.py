"""One measured fact, and the flag that says when to doubt it."""

from __future__ import annotations

from dataclasses import dataclass

STATUSES = ("ok", "flagged", "missing")


@dataclass(frozen=True)
class Measurement:
    """One fact in long format (clinical.md, section 5).

    `value` is None exactly when `status` is "missing"; then, and when "flagged", `reason` says why.
    """

    region: str  # "extensor", "flexor", "adductor", "sartorius", "total", ...
    side: str  # "left", "right", "both"
    extent: str  # "full" (whole field of view), "midthigh", ...
    metric: str  # "volume", "lean_volume", ...
    value: float | None
    unit: str  # "cm3", "cm2", "HU", "%", "mm"
    status: str = "ok"
    reason: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {STATUSES}, got {self.status!r}")
        if (self.value is None) != (self.status == "missing"):
            raise ValueError(f"{self.region} {self.metric}: a missing value and status 'missing' go together")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"{self.region} {self.metric}: status {self.status!r} needs a reason")


@dataclass(frozen=True)
class QualityFlag:
    """One finding on a scan: `code` for machines, `message` (what was found) and `consequence` for people."""

    code: str  # "truncated", "touches_border", "not_a_thigh", ...
    severity: str  # "info", "warning", "error"
    message: str
    consequence: str
    region: str = "scan"
    side: str = "both"
