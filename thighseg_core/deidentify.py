"""De-identified copies of a series: same pixels, same geometry, nothing that names the patient.

DICOM PS3.15 Annex E, Basic Profile, with Retain Patient Characteristics and Retain Longitudinal Temporal Information
with Modified Dates. Stricter than the profile: it lists what must go, here only what is on `KEPT` stays, and of that
nothing that the profile's table (edition 2026c, as shipped by dicom-anonymizer) sends away.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

from thighseg_core.candidate import SeriesCandidate
from thighseg_core.deidentify_nifti import copy_nifti_without_text
from thighseg_core.dicom import damage_as_unreadable, read_whole
from thighseg_core.dicom_info import age_years
from thighseg_core.dicom_kinds import value_of
from thighseg_core.errors import InputError

PROFILE_EDITION = "dicomfields_2026c"
MIN_SECRET_BYTES = 16
MAX_DATE_SHIFT_DAYS = 3650  # back in time by 1 day to 10 years
OLDEST_STATED_AGE = 90  # HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C): older ages become one class
IDENTIFYING = ("AccessionNumber", "PatientBirthDate", "PatientID")  # beside every name
MIN_ECHO_CHARACTERS = 3  # a part of a name or number this long must not come back in another element

# What reading and measuring need, and what describes the scanner's settings. All else goes, whatever it is.
KEPT_NUMBERS = (
    "AcquisitionNumber", "BitsAllocated", "BitsStored", "Columns", "CTDIvol", "DataCollectionDiameter", "Exposure",
    "ExposureTime", "GantryDetectorTilt", "HighBit", "ImageOrientationPatient", "ImagePositionPatient",
    "InstanceNumber", "KVP", "LossyImageCompressionRatio", "NumberOfFrames", "PixelPaddingRangeLimit",
    "PixelPaddingValue", "PixelRepresentation", "PixelSpacing", "PlanarConfiguration", "ReconstructionDiameter",
    "RescaleIntercept", "RescaleSlope", "Rows", "SamplesPerPixel", "SeriesNumber", "SingleCollimationWidth",
    "SliceLocation", "SliceThickness", "SpacingBetweenSlices", "SpiralPitchFactor", "TableHeight",
    "TotalCollimationWidth", "WindowCenter", "WindowWidth", "XRayTubeCurrent",
)  # fmt: skip
KEPT_CODES = (
    "BurnedInAnnotation", "LossyImageCompression", "Modality", "PatientPosition",
    "PhotometricInterpretation", "RescaleType", "SOPClassUID",
)  # fmt: skip
KEPT_TEXTS = (
    "BodyPartExamined", "ConvolutionKernel", "FilterType", "ImageType", "Manufacturer", "ManufacturerModelName",
    "ScanOptions", "SoftwareVersions",
)  # fmt: skip
KEPT_SEQUENCES = (
    "PerFrameFunctionalGroupsSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence",
    "PlaneOrientationSequence", "PlanePositionSequence", "SharedFunctionalGroupsSequence",
)  # fmt: skip
REPLACED_UIDS = ("FrameOfReferenceUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
SHIFTED_DATES = ("AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")
RETAINED_CHARACTERISTICS = ("PatientSex", "PatientSize", "PatientWeight")  # and the age, capped
# Type 2: must exist, may be empty
EMPTIED = (
    "AccessionNumber", "PatientBirthDate", "PositionReferenceIndicator", "ReferringPhysicianName", "StudyID",
    "StudyTime",
)  # fmt: skip
KEPT = frozenset((*KEPT_NUMBERS, *KEPT_CODES, *KEPT_TEXTS, *KEPT_SEQUENCES, "PixelData"))

# PS3.16, CID 7050
METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113108", "Retain Patient Characteristics Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)


def deidentify_series(candidate: SeriesCandidate, target: Path, *, secret: bytes, subject_code: str) -> list[Path]:
    """Write de-identified copies of the series' files into `target`; paths in slice order, names of our own.

    secret: the installation's key. The same secret gives the same UIDs, and one date shift for each subject, so that
        series fit together and intervals between visits stay true; without it neither can be undone.
    subject_code: becomes patient name and ID.
    Raises UnreadableFileError for a damaged file, InputError for an unfit code or secret.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise InputError(f"the secret has {len(secret)} bytes, expected at least {MIN_SECRET_BYTES} random ones")
    if not re.fullmatch(r"[^\\^=\x00-\x1f]{1,64}", subject_code):
        raise InputError("a subject code has 1 to 64 characters without backslash, ^ or =; choose another code")
    target.mkdir(parents=True, exist_ok=True)
    if candidate.source_format == "NIfTI":
        return [copy_nifti_without_text(candidate.files[0], target / "image.nii.gz")]
    paths = []
    for number, source in enumerate(candidate.files):
        path = target / f"{number:06d}.dcm"
        with damage_as_unreadable(source, what="a value"):
            copy = deidentified(read_whole(source), secret=secret, subject_code=subject_code)
            copy.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def deidentified(original: Dataset, *, secret: bytes, subject_code: str) -> Dataset:
    """A new data set with pixels, geometry and scanner settings of `original` and the identity of `subject_code`."""
    copy = _kept(original, identifiers=_identifiers(original))
    for keyword in REPLACED_UIDS:
        if uid := value_of(original, keyword):
            setattr(copy, keyword, _replaced_uid(str(uid), secret=secret))
    shift = _date_shift(secret=secret, subject_code=subject_code)
    for keyword in SHIFTED_DATES:
        if (day := _date_of(original, keyword)) is not None:
            setattr(copy, keyword, (day - shift).strftime("%Y%m%d"))
    for keyword in RETAINED_CHARACTERISTICS:
        value = value_of(original, keyword)
        if re.fullmatch(r"[MFO]|\d{1,4}(\.\d{1,12})?", str(value)) is not None:
            setattr(copy, keyword, value)
    age = age_years(original)
    if age is not None:
        copy.PatientAge = _age_string(age)
    if value_of(original, "ContrastBolusAgent"):
        copy.ContrastBolusAgent = "CONTRAST"  # that there was some matters to HU; the free text may say more
    for keyword in EMPTIED:
        setattr(copy, keyword, "")
    copy.PatientName = copy.PatientID = subject_code
    copy.SpecificCharacterSet = "ISO_IR 192"
    copy.PatientIdentityRemoved = "YES"
    copy.DeidentificationMethod = "DICOM PS3.15 Annex E, see code sequence"
    copy.DeidentificationMethodCodeSequence = [_code(value, meaning) for value, meaning in METHODS]
    copy.LongitudinalTemporalInformationModified = "MODIFIED"
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = original.file_meta.TransferSyntaxUID
    copy.file_meta.MediaStorageSOPClassUID = original.SOPClassUID
    copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
    return copy


@cache
def profile_tags() -> frozenset[tuple[int, int]]:
    """Every attribute that the Basic Profile removes, empties or replaces."""
    from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector

    tables = dicom_anonymization_database_selector(PROFILE_EDITION)
    return frozenset(tuple(tag) for tag in tables["ALL_TAGS"] if len(tag) == 2)


def _kept(original: Dataset, *, identifiers: frozenset[str]) -> Dataset:
    copy = Dataset()
    for tag in original.keys():  # noqa: SIM118 - iterating a Dataset converts every value, and some are damaged
        keyword = pydicom.datadict.keyword_for_tag(tag)
        if keyword not in KEPT or (tag.group, tag.element) in profile_tags():
            continue
        try:
            element = original[tag]
        except Exception:  # a value that cannot be read cannot be vouched for
            continue
        if element.VR not in pydicom.datadict.dictionary_VR(tag).split(" or "):
            continue  # a number that says it is text may be text
        if element.VR == "SQ":
            setattr(copy, keyword, [_kept(item, identifiers=identifiers) for item in element.value])
        elif _may_stay(keyword, element.value, identifiers=identifiers):
            copy.add(element)
    return copy


def _identifiers(original: Dataset) -> frozenset[str]:
    """Parts of names and numbers of the patient and of people around, in capitals."""
    found: set[str] = set()
    for tag in original.keys():  # noqa: SIM118 - as above
        keyword = pydicom.datadict.keyword_for_tag(tag)
        value = value_of(original, keyword) if keyword else None
        if isinstance(value, pydicom.Sequence):
            found.update(*(_identifiers(item) for item in value))
        elif keyword in IDENTIFYING or (keyword and pydicom.datadict.dictionary_VR(tag) == "PN"):
            found.update(re.split(r"[\^=\s,;'\"\[\]]+", str(value or "").upper()))
    return frozenset(part for part in found if len(part) >= MIN_ECHO_CHARACTERS)


def _may_stay(keyword: str, value: Any, *, identifiers: frozenset[str]) -> bool:
    if keyword in KEPT_TEXTS:
        return not any(part in str(value).upper() for part in identifiers)
    if keyword in KEPT_CODES:
        return re.fullmatch(r"[A-Z0-9_. ]{0,64}", str(value)) is not None
    return True


def _replaced_uid(uid: str, *, secret: bytes) -> str:
    """2.25.<UUID> (PS3.5, B.2) from an HMAC: the same for the same UID and secret, and nobody else can tell."""
    digest = hmac.new(secret, b"uid:" + uid.encode(), hashlib.sha256).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"


def _date_shift(*, secret: bytes, subject_code: str) -> timedelta:
    digest = hmac.new(secret, b"dates:" + subject_code.encode(), hashlib.sha256).digest()
    return timedelta(days=1 + int.from_bytes(digest[:8], "big") % MAX_DATE_SHIFT_DAYS)


def _date_of(dataset: Dataset, keyword: str) -> date | None:
    text = str(value_of(dataset, keyword) or "")
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def _age_string(years: float) -> str:
    if years >= OLDEST_STATED_AGE:
        return f"{OLDEST_STATED_AGE:03d}Y"
    return f"{int(years):03d}Y" if years >= 2 else f"{int(years * 12):03d}M"


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
