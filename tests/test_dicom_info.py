"""Header words in our units; nothing invented, no names."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from thighseg_core.dicom_info import age_years, header_warnings, series_info


def _header(**elements: object) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return header


def _info(**elements: object) -> dict[str, object]:
    return asdict(series_info(_header(**elements), digest_sha256="ab", n_files=3, notes=()))


def test_an_empty_header_says_nothing() -> None:
    info = _info()
    said = {key: value for key, value in info.items() if value not in (None, ())}
    assert said == {"series_uid": "sha256:ab", "source_format": "DICOM", "digest_sha256": "ab", "n_files": 3}


@pytest.mark.parametrize(
    ("text", "years"),
    [("076Y", 76), ("018M", 1.5), ("026W", 0.5), ("365D", 1.0), ("", None), ("old", None), ("Y", None)],
)
def test_ages_are_in_years(text: str, years: float | None) -> None:
    assert age_years(_header(PatientAge=text)) == (pytest.approx(years, abs=0.01) if years is not None else None)


def test_age_comes_from_the_dates_when_it_is_not_stated() -> None:
    assert age_years(_header(PatientBirthDate="19600101", StudyDate="20100102")) == 50
    assert age_years(_header(PatientBirthDate="20300101", StudyDate="20100102")) is None


@pytest.mark.parametrize(
    ("size", "height_cm"), [("1.72", 172.0), ("172", 172.0), ("0", None), ("17.2", None), ("999", None)]
)
def test_height_is_in_cm_whether_typed_in_m_or_cm(size: str, height_cm: float | None) -> None:
    assert _info(PatientSize=size)["patient_height_cm"] == height_cm


def test_placeholders_are_missing_not_zero() -> None:
    info = _info(PatientWeight="0", KVP="0", SliceThickness="0", PatientSex="", StudyDate="00000000")
    for key in ("patient_weight_kg", "tube_voltage_kvp", "slice_thickness_mm", "patient_sex", "acquisition_date"):
        assert info[key] is None, key


def test_what_is_stated_is_taken_over_without_names() -> None:
    info = _info(
        PatientName="Secret^Anna", PatientBirthDate="19500102", PatientSex="F", PatientWeight="70.5", KVP="120",
        AcquisitionDate="20260301", Manufacturer="M", ConvolutionKernel=["B30f", "2"], ContrastBolusAgent="X",
    )  # fmt: skip
    assert (info["patient_sex"], info["patient_weight_kg"], info["tube_voltage_kvp"]) == ("female", 70.5, 120.0)
    assert (info["acquisition_date"], info["convolution_kernel"], info["contrast_agent"]) == ("2026-03-01", "B30f", "X")
    assert "Secret" not in str(info)
    assert "1950" not in str(info)


def test_gaps_lossy_packing_and_a_stated_tilt_are_said() -> None:
    header = _header(SliceThickness="1", GantryDetectorTilt="12", LossyImageCompression="01")
    said = " ".join(header_warnings(header, step_mm=10))
    assert "1 mm lie 10 mm apart" in said
    assert "12 degrees" in said
    assert "lossy" in said
    assert header_warnings(_header(SliceThickness="5", GantryDetectorTilt="0"), step_mm=5) == []
