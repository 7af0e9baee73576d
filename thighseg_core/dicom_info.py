"""What a DICOM header says of series and subject, in our words and units. Never names, never birth dates."""

from __future__ import annotations

import math
from collections.abc import MutableSequence
from datetime import date, datetime

from pydicom.dataset import Dataset

from thighseg_core.dicom_kinds import TRANSFER_SYNTAXES, value_of
from thighseg_core.volume import SeriesInfo

SEXES = {"M": "male", "F": "female", "O": "other"}
AGE_UNITS_PER_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}  # PS3.5, table 6.2-1, AS
HEIGHT_RANGE_CM = (30.0, 260.0)  # outside: a typing error or a placeholder
WEIGHT_RANGE_KG = (1.0, 400.0)


def series_info(header: Dataset, *, digest_sha256: str, n_files: int, notes: tuple[str, ...]) -> SeriesInfo:
    """SeriesInfo of a DICOM series from one of its headers."""
    return SeriesInfo(
        series_uid=_text(header, "SeriesInstanceUID") or f"sha256:{digest_sha256}",
        source_format="DICOM",
        digest_sha256=digest_sha256,
        study_uid=_text(header, "StudyInstanceUID"),
        description=_text(header, "SeriesDescription"),
        acquisition_date=_acquisition_date(header),
        manufacturer=_text(header, "Manufacturer"),
        scanner_model=_text(header, "ManufacturerModelName"),
        tube_voltage_kvp=_number(header, "KVP", low=10, high=400),
        convolution_kernel=_text(header, "ConvolutionKernel"),
        contrast_agent=_text(header, "ContrastBolusAgent"),
        patient_position=_text(header, "PatientPosition"),
        slice_thickness_mm=_number(header, "SliceThickness", low=0.01, high=100),
        patient_sex=SEXES.get((_text(header, "PatientSex") or "").upper()),
        patient_age_years=age_years(header),
        patient_height_cm=_height_cm(header),
        patient_weight_kg=_number(header, "PatientWeight", low=WEIGHT_RANGE_KG[0], high=WEIGHT_RANGE_KG[1]),
        n_files=n_files,
        notes=notes,
    )


def header_warnings(header: Dataset, *, step_mm: float) -> list[str]:
    """What the user should know before the pixels are read, one sentence each."""
    found = []
    thickness_mm = _number(header, "SliceThickness", low=0.01, high=100)
    if thickness_mm is not None and step_mm > 1.5 * thickness_mm:
        found.append(
            f"Slices of {thickness_mm:g} mm lie {step_mm:.3g} mm apart: the tissue between them was not imaged, and "
            "volumes assume that it is like the slices."
        )
    tilt_degrees = _number(header, "GantryDetectorTilt", low=-90, high=90)
    if tilt_degrees is not None and abs(tilt_degrees) > 0.1:
        found.append(
            f"The header states a gantry tilt of {tilt_degrees:g} degrees, but the slice positions are straight."
        )
    syntax = TRANSFER_SYNTAXES.get(str(header.file_meta.get("TransferSyntaxUID", "")), "")
    if "lossy" in syntax or str(value_of(header, "LossyImageCompression")) == "01":
        found.append("The images went through lossy compression: attenuation values are approximate.")
    return found


def series_number(header: Dataset) -> int:
    """SeriesNumber, 0 when there is none."""
    try:
        return abs(int(value_of(header, "SeriesNumber") or 0))
    except (TypeError, ValueError):
        return 0


def _text(header: Dataset, keyword: str) -> str | None:
    value = value_of(header, keyword)
    if isinstance(value, MutableSequence):  # several values: the first
        value = value[0] if value else None
    text = str(value if value is not None else "").strip()
    return text or None


def _number(header: Dataset, keyword: str, *, low: float, high: float) -> float | None:
    try:
        value = float(value_of(header, keyword))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) and low <= value <= high else None


def _date(header: Dataset, keyword: str) -> date | None:
    try:
        return datetime.strptime((_text(header, keyword) or "")[:8], "%Y%m%d").date()
    except ValueError:
        return None


def _acquisition_date(header: Dataset) -> str | None:
    dates = (_date(header, f"{of}Date") for of in ("Acquisition", "Series", "Study"))
    found = next((day for day in dates if day is not None), None)
    return found.isoformat() if found else None


def age_years(header: Dataset) -> float | None:
    """PatientAge, else from the dates of birth and acquisition; None when neither says."""
    text = (_text(header, "PatientAge") or "").upper()
    if text[-1:] in AGE_UNITS_PER_YEAR and text[:-1].isdigit():
        return round(int(text[:-1]) / AGE_UNITS_PER_YEAR[text[-1]], 2)
    born, scanned = _date(header, "PatientBirthDate"), _acquisition_date(header)
    if born is None or scanned is None:
        return None
    days = (date.fromisoformat(scanned) - born).days
    return float(int(days / 365.25)) if 0 <= days < 130 * 365.25 else None


def _height_cm(header: Dataset) -> float | None:
    metres = _number(header, "PatientSize", low=HEIGHT_RANGE_CM[0] / 100, high=HEIGHT_RANGE_CM[1] / 100)
    if metres is not None:
        return round(metres * 100, 1)
    return _number(header, "PatientSize", low=HEIGHT_RANGE_CM[0], high=HEIGHT_RANGE_CM[1])  # typed in cm at the scanner
