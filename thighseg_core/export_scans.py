"""The table of scans and the dictionary of every table that leaves ThighSeg."""

from __future__ import annotations

from thighseg_core import export
from thighseg_core.metrics import METRICS, REGION_DESCRIPTIONS, combinations

SCAN_COLUMN_DESCRIPTIONS: dict[str, str] = {
    "scan_id": export.COLUMN_DESCRIPTIONS["scan_id"],
    "study": "Name of the study.",
    "subject_id": "The subject's code as given at upload.",
    "sex": "female, male or other; NA when not known.",
    "birth_year": "Year of birth; NA where dates are shifted.",
    "visit": "Number of the visit.",
    "visit_date": "Date of the visit, YYYY-MM-DD.",
    "days_since_baseline": "Days since the subject's first dated visit.",
    "age_years": export.COLUMN_DESCRIPTIONS["age_years"],
    "height_cm": "Height at the visit.",
    "weight_kg": "Weight at the visit.",
    "grip_strength_kg": "Grip strength at the visit.",
    "gait_speed_m_s": "Gait speed at the visit.",
    "knee_extension_torque_nm": "Torque of knee extension at the visit.",
    "series_description": "What the series calls itself.",
    "source_format": "DICOM or NIfTI.",
    "manufacturer": "Manufacturer of the scanner.",
    "scanner_model": "Model of the scanner.",
    "n_slices": "Number of slices.",
    "slice_thickness_mm": "Thickness of a slice as recorded.",
    "slice_spacing_mm": "Distance between slice centres.",
    "row_spacing_mm": "Distance between rows.",
    "column_spacing_mm": "Distance between columns.",
    "length_cm": "Length scanned: slices times their distance. Volumes are comparable only over equal lengths.",
    "tube_voltage_kvp": "Tube voltage.",
    "convolution_kernel": "Reconstruction kernel.",
    "contrast_agent": "Contrast agent; NA when none is recorded.",
    "result_version": "Version of the result: 1 is the first; a correction adds one.",
    "result_kind": "automatic, corrected (by a person) or external (a label map handed in).",
    "result_author": export.COLUMN_DESCRIPTIONS["result_author"],
    "model_name": export.COLUMN_DESCRIPTIONS["model_name"],
    "quality_flags": "Codes of the quality flags, separated by spaces.",
    "study_flags": "What sets the scan's acquisition apart from most scans of its study when the export was made: "
    "study_tube_voltage, study_kernel, study_slice_thickness, study_contrast_agent, separated by spaces.",
    "review_status": export.COLUMN_DESCRIPTIONS["review_status"],
    "reviewer": "Who reviewed.",
}
SCAN_COLUMNS: tuple[str, ...] = tuple(SCAN_COLUMN_DESCRIPTIONS)

DICTIONARY_COLUMNS = ("table", "column", "unit", "description")


def dictionary_rows() -> list[export.Row]:
    """The data dictionary: every column of every table, and every metric and region of the long one."""
    rows = [_entry("long.csv", name, "", text) for name, text in export.COLUMN_DESCRIPTIONS.items()]
    rows += [_entry("long.csv: metric", metric.name, metric.unit, metric.description) for metric in METRICS.values()]
    rows += [_entry("long.csv: region", name, "", text) for name, text in REGION_DESCRIPTIONS.items()]
    rows += [_entry("wide.csv", name, "", export.COLUMN_DESCRIPTIONS[name]) for name in export.WIDE_KEYS]
    rows += [_entry("wide.csv", name, unit, text) for name, (unit, text) in wide_values().items()]
    described = {row["column"] for row in rows if row["table"] == "wide.csv"}
    rows += [
        _entry("wide.csv", name, "", "Worst status of that extent, region and side: ok, flagged or missing.")
        for name in export.wide_columns()
        if name not in described
    ]
    rows += [_entry("scans.csv", name, "", text) for name, text in SCAN_COLUMN_DESCRIPTIONS.items()]
    return rows


def wide_values() -> dict[str, tuple[str, str]]:
    """Wide column of a value -> its unit and what it is."""
    return {
        export.wide_name(region, side, metric.name, extent=extent): (
            metric.unit,
            f"{metric.name} of {region}, {side}, extent {extent}. {metric.description}",
        )
        for metric, region, side, extent in combinations()
    }


def _entry(table: str, column: str, unit: str, description: str) -> export.Row:
    return dict(zip(DICTIONARY_COLUMNS, (table, column, unit, description), strict=True))
