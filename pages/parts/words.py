"""Codes of the database and the library in the words that pages use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from thighseg_core.metrics import METRICS

_METRIC_TITLES = {
    "volume": "Volume",
    "lean_volume": "Lean volume",
    "intramuscular_fat_volume": "Intramuscular fat",
    "intramuscular_fat_percent": "Intramuscular fat share",
    "excluded_volume": "Neither lean nor fat",
    "low_attenuation_volume": "Low-attenuation volume",
    "normal_attenuation_volume": "Normal-attenuation volume",
    "lean_attenuation": "Mean attenuation, lean",
    "mask_attenuation": "Mean attenuation, whole mask",
    "csa_max": "Largest cross-section",
    "csa_max_z": "Level of the largest cross-section",
    "csa_mid": "Mid-level cross-section",
    "csa_mid_z": "Level of the middle slice",
    "fat_volume": "Fat volume",
    "eroded_attenuation": "Mean attenuation, lean, without the edge",
    "imat_volume": "Fat in and between the muscles",
    "share_percent": "Share of the muscle",
    "extensor_flexor_ratio": "Extensor to flexor ratio",
    "volume_asymmetry": "Left-right difference, volume",
    "lean_volume_asymmetry": "Left-right difference, lean volume",
    "csa": "Cross-section",
    "csa_perpendicular": "Cross-section across the femur",
    "lean_csa": "Lean cross-section",
    "intramuscular_fat_csa": "Intramuscular fat, area",
    "low_attenuation_csa": "Low-attenuation area",
    "normal_attenuation_csa": "Normal-attenuation area",
    "imat_csa": "Fat in and between the muscles, area",
    "csa_asymmetry": "Left-right difference, cross-section",
    "fat_csa": "Fat area",
    "femur_length": "Femur length",
    "femur_coverage": "Femur in view",
    "midthigh_z": "Level of mid-thigh",
    "cortical_area": "Cortical area",
}
_MARKDOWN = frozenset("\\`*_{}[]()#+-!|<>~$:")
_REGION_TITLES = {"total": "All three groups"}


def metric_title(metric: str) -> str:
    """Name of a metric as people say it."""
    return _METRIC_TITLES.get(metric, metric.replace("_", " ").capitalize())


def metric_definition(metric: str) -> str:
    """What the metric is, one or two sentences; empty for an unknown one."""
    return METRICS[metric].description if metric in METRICS else ""


def unit_text(unit: str) -> str:
    """Unit as it is written on a page."""
    return unit.replace("m2", "m²").replace("m3", "m³")


def axis_title(metric: str, unit: str) -> str:
    """Metric and unit for an axis."""
    return f"{metric_title(metric)} ({unit_text(unit)})"


def device_text(device: str) -> str:
    """Where a network runs, from the setting ("auto", "cpu", "cuda") or from a result."""
    return {"auto": "GPU if there is one, else CPU", "cpu": "CPU", "cuda": "GPU"}.get(device, device)


def region_title(region: str) -> str:
    """Name of a region on a page."""
    return _REGION_TITLES.get(region, region.replace("_", " ").capitalize())


def number(value: float | None) -> str:
    """Three or more significant digits, no exponent; a dash for a missing value."""
    if value is None or value != value:
        return "–"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}".replace(",", "\u202f")


def scan_state(scan: Mapping[str, Any]) -> str:
    """Where a scan stands, from a row of `db.queries.scans`: the review of its result, or how far its job is."""
    if scan["job_status"] in ("queued", "running"):
        return "waiting" if scan["job_status"] == "queued" else "running"
    if scan["run_id"] is None or scan["run_id"] != scan["run_id"]:
        return {"failed": "failed", "cancelled": "cancelled"}.get(str(scan["job_status"]), "not segmented")
    return {"needs_correction": "needs correction"}.get(str(scan["review"]), scan["review"] or "to review")


def ago(moment: datetime, *, now: datetime | None = None) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = int(((now or datetime.now(UTC)) - moment).total_seconds())
    for length, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def duration(seconds: float) -> str:
    """Such as `2 min 05 s`; under a minute only seconds."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


def day(value: date | None) -> str:
    """ISO date, or a dash."""
    return value.isoformat() if value else "–"


def scan_name(scan: Mapping[str, Any]) -> str:
    """Subject, visit and short code of a scan, for lists and choosers."""
    return f"{scan['subject']} · visit {scan['visit']} · {scan['scan'][:9]}"


def plain(text: str) -> str:
    """Text of a person or a file as it is: nothing in it is taken for markdown."""
    return "".join(f"\\{letter}" if letter in _MARKDOWN else letter for letter in text)
