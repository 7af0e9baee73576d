"""The wide table for REDCap: its data dictionary of 18 columns and an import file.

Names and rows follow REDCap's rules (clinical.md, section 5): lower case, at most 26 characters, the record's id first,
`redcap_event_name` for visits, repeat columns only where a visit has several scans. A missing value is blank there,
because REDCap checks numbers; the status fields say why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thighseg_core import export
from thighseg_core.export_scans import wide_values

INSTRUMENT = "thigh_ct"
DICTIONARY_COLUMNS = (
    "Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
    "Choices, Calculations, OR Slider Labels", "Field Note", "Text Validation Type OR Show Slider Number",
    "Text Validation Min", "Text Validation Max", "Identifier?", "Branching Logic (Show field only if...)",
    "Required Field?", "Custom Alignment", "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?",
    "Field Annotation",
)  # fmt: skip
_EVENT = "redcap_event_name"
_REPEAT = ("redcap_repeat_instrument", "redcap_repeat_instance")
_VALIDATION = {
    "visit": "integer",
    "visit_date": "date_ymd",
    "days_since_baseline": "integer",
    "age_years": "number",
    "result_version": "integer",
}
_CHOICES = {"sex": ("female", "male", "other"), "result_kind": ("automatic", "corrected", "external")}
_STATUSES = ("ok", "flagged", "missing")


def field_names() -> tuple[str, ...]:
    """Fields of the instrument, the record's id first: the columns of the wide table."""
    return export.wide_columns()


def dictionary_rows() -> list[export.Row]:
    """One row of `DICTIONARY_COLUMNS` for each field."""
    values = wide_values()
    rows = []
    for name in field_names():
        unit, text = values.get(
            name, ("", export.COLUMN_DESCRIPTIONS.get(name, "Worst status of that region and side."))
        )
        choices = _CHOICES.get(name, _STATUSES if name.endswith("_status") and name in _statuses() else ())
        row = dict.fromkeys(DICTIONARY_COLUMNS, "")
        row["Variable / Field Name"] = name
        row["Form Name"] = INSTRUMENT
        row["Field Type"] = "dropdown" if choices else "text"
        row["Field Label"] = text
        row["Choices, Calculations, OR Slider Labels"] = " | ".join(f"{choice}, {choice}" for choice in choices)
        row["Field Note"] = unit
        row["Text Validation Type OR Show Slider Number"] = "number" if name in values else _VALIDATION.get(name, "")
        rows.append(row)
    return rows


def import_columns(*, repeats: bool) -> tuple[str, ...]:
    """Columns of the import file; repeats: whether a subject's visit has more than one scan."""
    record, *others = field_names()
    return (record, _EVENT, *(_REPEAT if repeats else ()), *others)


def import_row(wide: Mapping[str, Any], *, instance: int | None) -> export.Row:
    """A row of the wide table as one of the import file. instance: 1, 2, ... in its visit; None without repeats."""
    row: export.Row = {_EVENT: event(wide["visit"])}
    if instance is not None:
        row |= dict(zip(_REPEAT, (INSTRUMENT, instance), strict=True))
    return row | {name: wide.get(name) for name in field_names()}


def event(visit: int) -> str:
    """Unique name of a visit's event."""
    return f"visit_{visit}_arm_1"


def _statuses() -> frozenset[str]:
    return frozenset(
        name for name in export.wide_columns() if name not in export.WIDE_KEYS and name.endswith("_status")
    )
