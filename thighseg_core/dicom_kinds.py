"""What kinds of DICOM files there are: CT slices, things that never were one, and CT that cannot be measured."""

from __future__ import annotations

from typing import Any

import pydicom
from pydicom.dataset import Dataset

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MULTI_FRAME_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # enhanced, legacy converted
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"
NATIVE = (IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.2")
MAX_MATRIX = 4096  # rows or columns; scanners of 2026 reconstruct up to 2048
MAX_FRAMES = 10_000
MAX_VOXELS = 1 << 30  # 2 GiB as int16; a 512 x 512 scan may have 4,096 slices

# What a file that is no CT image is, in words. Anything else is named by its SOP class.
NOT_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.7": "a secondary capture (screenshot), not CT slices",
    "1.2.840.10008.5.1.4.1.1.7.1": "a secondary capture (screenshot), not CT slices",
    "1.2.840.10008.5.1.4.1.1.7.2": "a secondary capture (screenshot), not CT slices",
    "1.2.840.10008.5.1.4.1.1.7.3": "a secondary capture (screenshot), not CT slices",
    "1.2.840.10008.5.1.4.1.1.7.4": "a secondary capture (screenshot), not CT slices",
    "1.2.840.10008.5.1.4.1.1.88.67": "a radiation dose report, not images",
    "1.2.840.10008.5.1.4.1.1.481.3": "an RT structure set (contours), not images",
    "1.2.840.10008.5.1.4.1.1.66.4": "a DICOM segmentation, not images",
    "1.2.840.10008.5.1.4.1.1.66.7": "a DICOM segmentation, not images",
    "1.2.840.10008.5.1.4.1.1.104.1": "a PDF document, not images",
}
STRUCTURED_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
# Third and later values of ImageType (0008,0008) whose pixels are no attenuation of a slice.
NOT_SLICES = {
    "LOCALIZER": "a scout (localizer)",
    "SCOUT": "a scout (localizer)",
    "TOPOGRAM": "a scout (localizer)",
    "SCANOGRAM": "a scout (localizer)",
    "MIP": "a maximum intensity projection",
    "MAXIMUM": "a maximum intensity projection",
    "MINIP": "a minimum intensity projection",
    "PROJECTION IMAGE": "a projection",
    "VRT": "a volume rendering",
    "SCREEN SAVE": "a screenshot",
    "TOP": "a scout (localizer)",  # Siemens: CT_SOM5 TOP
    "PROT": "a protocol page",  # Siemens: CT_SOM5 PROT
    "MATERIAL_DENSITY": "a material density map",
    "Z_EFF": "an effective atomic number map",
}
# Decoded bit-equal or, where lossy, with a warning. Deflated and video syntaxes are not accepted.
TRANSFER_SYNTAXES = {
    "1.2.840.10008.1.2": "implicit little endian",
    "1.2.840.10008.1.2.1": "explicit little endian",
    "1.2.840.10008.1.2.2": "explicit big endian",
    RLE: "RLE",
    "1.2.840.10008.1.2.4.51": "JPEG extended (lossy)",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first-order prediction",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless (lossy)",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000 (lossy)",
    "1.2.840.10008.1.2.4.201": "HTJ2K lossless",
    "1.2.840.10008.1.2.4.202": "HTJ2K lossless RPCL",
    "1.2.840.10008.1.2.4.203": "HTJ2K (lossy)",
}


def value_of(dataset: Dataset, keyword: str) -> Any:
    """The value of an element that nothing hangs on; None when it is missing, empty or damaged."""
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom converts on demand and raises what it likes
        return None
    return None if value == "" else value


def why_not_ct(header: Dataset) -> str | None:
    """Why this file is no CT slice and never was one, in words; None when it is one."""
    sop_class = str(header.get("SOPClassUID", ""))
    remedy = "send the axial CT series"
    if sop_class in NOT_IMAGES:
        return f"{NOT_IMAGES[sop_class]}; {remedy}"
    if sop_class.startswith(STRUCTURED_REPORTS):
        return f"a structured report, not images; {remedy}"
    modality = str(header.get("Modality", "CT")).strip().upper()
    if sop_class not in (CT_IMAGE, *MULTI_FRAME_CT):
        kind = pydicom.uid.UID(sop_class).name
        return f"not CT: the files are {kind} with modality {modality}; {remedy}"
    if modality != "CT":
        return f"not CT: the modality is {modality}; {remedy}"
    for value in _texts(header.get("ImageType"))[2:]:
        for word in (value.upper(), *value.upper().split()):
            if word in NOT_SLICES:
                return f"{NOT_SLICES[word]}, not slices; {remedy}"
    return None


def why_unusable(header: Dataset) -> str | None:
    """Why a CT file cannot be measured, in words; None when its header is in order."""
    if str(header.get("BurnedInAnnotation", "NO")).strip().upper() == "YES":
        return "text is burned into the pixels (it may name the patient); export the series without annotations"
    return _pixel_refusal(header)


def _pixel_refusal(header: Dataset) -> str | None:
    if "Rows" not in header or "Columns" not in header:
        return "there are no pixel data in these files; export the images themselves"
    if int(header.get("SamplesPerPixel", 1)) != 1 or not str(
        header.get("PhotometricInterpretation", "MONOCHROME2")
    ).strip().startswith("MONOCHROME"):
        return "colour images, which hold no Hounsfield units; export the original CT slices"
    if int(header.get("BitsAllocated", 16)) not in (16, 32):
        return (
            f"{header.get('BitsAllocated')} bits a pixel, expected 16: windowed pictures hold no Hounsfield units; "
            "export the original CT slices"
        )
    if not (1 <= int(header.Rows) <= MAX_MATRIX and 1 <= int(header.Columns) <= MAX_MATRIX):
        return f"the header claims {header.Rows} x {header.Columns} pixels, expected 1 to {MAX_MATRIX}; export it again"
    if not 1 <= int(header.get("NumberOfFrames", 1) or 1) <= MAX_FRAMES:
        return f"the header claims {header.NumberOfFrames} frames, expected 1 to {MAX_FRAMES}; export it again"
    n_voxels = int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames", 1) or 1)
    if n_voxels > MAX_VOXELS:
        return f"the header claims {n_voxels} voxels, at most {MAX_VOXELS} are read; export it again, or crop the scan"
    syntax = str(header.file_meta.get("TransferSyntaxUID", IMPLICIT))
    if syntax not in TRANSFER_SYNTAXES:
        return (
            f"the pixels are packed as {pydicom.uid.UID(syntax).name}, which is not supported; export uncompressed "
            "or as JPEG 2000 lossless"
        )
    rescale_type = str(header.get("RescaleType", "HU") or "HU").strip().upper()
    if rescale_type not in ("HU", "US"):  # US: unspecified (PS3.3 C.11.1.1.2)
        return f"not HU: the values are stated in {rescale_type}; export the CT in Hounsfield units"
    return None


def _texts(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    return (value,) if isinstance(value, str) else tuple(str(part) for part in value)
