"""A CSV of an export as Parquet, Stata or SPSS: the same rows and columns, with each column's description in it."""

from __future__ import annotations

import io
from collections.abc import Hashable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from thighseg_core.errors import InputError
from thighseg_core.export import NA

FORMATS = ("parquet", "dta", "sav")
# Columns that are words even where every one of them looks like a number.
_WORDS = frozenset(
    {"subject_id", "scan_id", "reason", "model_version", "unit", "git_commit", "reviewer", "result_author"}
)
_STATA_LABEL, _SPSS_LABEL, _STATA_NAME = 80, 255, 32


def read_table(text: str) -> pd.DataFrame:
    """CSV text of `export.csv_text` as a frame: NA missing, dates as dates, codes as words."""
    frame = pd.read_csv(
        io.StringIO(text),
        na_values=[NA],
        keep_default_na=False,
        low_memory=False,
        dtype=dict.fromkeys(_WORDS, "string"),
    )
    for column in frame.columns:
        if column.endswith("_date"):
            frame[column] = pd.to_datetime(frame[column], format="%Y-%m-%d")
        elif frame[column].isna().all():
            frame[column] = frame[column].astype("string" if column in _WORDS else "float64")
    return frame


def convert(text: str, *, to: str, descriptions: Mapping[str, str]) -> bytes:
    """CSV text as a file of one of `FORMATS`. descriptions: column -> what it holds, cut to what the format takes."""
    frame = read_table(text)
    if to == "parquet":
        out = io.BytesIO()
        frame.to_parquet(out, index=False, engine="pyarrow")
        return out.getvalue()
    words = [
        column
        for column in frame.columns
        if not pd.api.types.is_numeric_dtype(frame[column]) and not _is_date(frame[column])
    ]
    frame = frame.assign(**{column: frame[column].astype(object).where(frame[column].notna(), "") for column in words})
    if to == "dta":
        labels = {column: descriptions.get(column, "")[:_STATA_LABEL] for column in frame.columns}
        dates: dict[Hashable, Any] = {column: "td" for column in frame.columns if _is_date(frame[column])}
        out = io.BytesIO()
        frame.to_stata(out, write_index=False, version=118, variable_labels=labels, convert_dates=dates)
        return out.getvalue()
    if to == "sav":
        return _spss(frame, descriptions)
    raise InputError(f"a table can be written as {', '.join(FORMATS)}, not as {to!r}")


def _spss(frame: pd.DataFrame, descriptions: Mapping[str, str]) -> bytes:
    import pyreadstat

    for column in frame.columns:
        if _is_date(frame[column]):
            frame = frame.assign(**{column: frame[column].dt.date})
    labels: list[str | None] = [descriptions.get(column, "")[:_SPSS_LABEL] for column in frame.columns]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.sav"
        pyreadstat.write_sav(frame, str(path), column_labels=labels)
        return path.read_bytes()


def _is_date(column: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(column))
