"""Whose the series of an upload are, as a table: one row a series, filled in from headers, a list and what is stored.

Pure functions on frames; `assignment_table` draws them. Columns are the fields of `db.entry.Entry` plus COLUMNS_SHOWN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from db.entry import Entry
from db.subject_list import FIELDS, ListedSubject, row_for
from pages.parts.inspection import ReadySeries
from pages.parts.picture import data_url
from thighseg_core.errors import InputError

COLUMNS_SHOWN = ("store", "picture", "series", "source", "person", "slices", "spacing", "length_cm", "remarks")
NUMBERS = (
    "visit_number", "birth_year", "age_years", "height_cm", "weight_kg", "grip_strength_kg", "gait_speed_m_s",
    "knee_extension_torque_nm",
)  # fmt: skip
TEXTS = ("subject_code", "visit_label")


@dataclass(frozen=True)
class Assigned:
    """A row that is to be stored: which series of the inspection, and its checked entry."""

    position: int
    entry: Entry


def table(
    ready: Sequence[ReadySeries],
    *,
    stored: Mapping[int, str],
    listed: Sequence[ListedSubject] = (),
    drafts: Mapping[str, Mapping[str, Any]] | None = None,
) -> pd.DataFrame:
    """One row a series. `stored`: by position, where a series is in the study already (it is not ticked then).

    A row of the list goes before what the header says, and what was typed before (`db.drafts`, by the series' key)
    before both; `person` is the same letter for series of the same patient.
    """
    letters: dict[str, str] = {}
    rows = []
    for position, series in enumerate(ready):
        row = _from_header(series)
        person = series.patient_id
        row["person"] = letters.setdefault(person, _letter(len(letters))) if person else ""
        known = row_for(listed, source=series.source, patient_id=person)
        row |= known.fields if known else {}
        remarks = [*dict.fromkeys((*series.candidate.warnings, *series.info.notes))]
        if position in stored:
            remarks.insert(0, f"Already stored as {stored[position]}")
        elif listed and known is None:
            remarks.insert(0, "Not in the list")
        row |= {"store": position not in stored, "remarks": ". ".join(remarks)}
        typed = (drafts or {}).get(series.candidate.key, {})
        row |= {name: typed[name] for name in FIELDS if name in typed}
        row["store"] = row["store"] and typed.get("store", True)
        rows.append(row)
    frame = pd.DataFrame(rows, columns=[*COLUMNS_SHOWN, *FIELDS])
    for name in NUMBERS:
        frame[name] = pd.to_numeric(frame[name], errors="coerce").astype("Float64")
    for name in TEXTS:  # a column of nothing would be one of numbers, which the page's editor refuses
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    frame["visit_date"] = pd.to_datetime(frame["visit_date"]).dt.date.astype(object)
    return frame


def assigned(edited: pd.DataFrame, *, study: str, last_visit: Mapping[str, int]) -> list[Assigned]:
    """The ticked rows as entries. Raises InputError with one sentence for each row that cannot be stored.

    last_visit: the highest visit number of every subject that is stored; it counts where the number is left empty.
    """
    wanted = edited[edited["store"].astype(bool)]
    if wanted.empty:
        raise InputError("no row is ticked; tick what is to be stored")
    numbers = _visit_numbers(wanted, last_visit=last_visit)
    found: list[Assigned] = []
    wrong: list[str] = []
    for position, row in _rows(wanted):
        try:
            entry = _entry(row, study=study, visit_number=numbers[position])
        except InputError as error:
            wrong.append(f"row {position + 1}: {error}")
            continue
        found.append(Assigned(position=position, entry=entry))
    if wrong:
        raise InputError("; ".join(wrong))
    return found


def _rows(frame: pd.DataFrame) -> Iterator[tuple[int, dict[str, Any]]]:
    """(position, cells) of every row; the index is the position in the inspection."""
    for position, cells in zip(frame.index, frame.to_dict("records"), strict=True):
        yield int(position), {str(name): value for name, value in cells.items()}


def _entry(row: Mapping[str, Any], *, study: str, visit_number: int) -> Entry:
    numbers = {name: _plain(row[name]) for name in NUMBERS}
    year, age = numbers["birth_year"], numbers["age_years"]
    return Entry(
        study=study,
        subject_code=str(_plain(row["subject_code"]) or ""),
        sex=str(_plain(row["sex"]) or "unknown"),
        birth_year=None if year is None else int(year),
        visit_number=visit_number,
        visit_label=str(_plain(row["visit_label"]) or ""),
        visit_date=_plain(row["visit_date"]),
        age_years=None if age is None else float(age),
        height_cm=numbers["height_cm"],
        weight_kg=numbers["weight_kg"],
        grip_strength_kg=numbers["grip_strength_kg"],
        gait_speed_m_s=numbers["gait_speed_m_s"],
        knee_extension_torque_nm=numbers["knee_extension_torque_nm"],
    )


def _visit_numbers(wanted: pd.DataFrame, *, last_visit: Mapping[str, int]) -> dict[int, int]:
    """The number typed, or the next ones of the subject in the order of the dates; one date is one visit."""
    numbers: dict[int, int] = {}
    free: dict[str, list[tuple[date | None, int]]] = {}
    taken: dict[str, int] = dict(last_visit)
    for position, row in _rows(wanted):
        code = " ".join(str(_plain(row["subject_code"]) or "").split())
        number = _plain(row["visit_number"])
        if number is None:
            free.setdefault(code, []).append((_plain(row["visit_date"]), position))
        else:
            numbers[position] = int(number)
            taken[code] = max(taken.get(code, 0), int(number))
    for code, rows in free.items():
        number, before = taken.get(code, 0), date.min
        for day, position in sorted(rows, key=lambda one: (one[0] is None, one[0] or date.min, one[1])):
            if day is None or day != before:
                number += 1
            numbers[position], before = number, day or date.min
    return numbers


def _from_header(series: ReadySeries) -> dict[str, Any]:
    candidate, info = series.candidate, series.info
    return {
        "picture": data_url(series.thumbnail_jpeg),
        "series": candidate.description or "without a description",
        "source": series.source,
        "slices": candidate.n_slices,
        "spacing": candidate.spacing_text,
        "length_cm": round(series.length_mm / 10, 1),
        "subject_code": None,
        "visit_number": None,
        "visit_date": date.fromisoformat(info.acquisition_date) if info.acquisition_date else None,
        "sex": info.patient_sex or "unknown",
        "birth_year": None,
        "age_years": info.patient_age_years,
        "height_cm": info.patient_height_cm,
        "weight_kg": info.patient_weight_kg,
    }


def _letter(number: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def _plain(value: Any) -> Any:
    """A cell as Python has it; None for every kind of nothing."""
    if value is None or value is pd.NaT or (not isinstance(value, str) and pd.isna(value)) or value == "":
        return None
    return value
