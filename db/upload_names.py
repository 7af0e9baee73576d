"""Where a series of an upload came from: the path that the user knows, and the patient number of its header.

Both serve to find the row of a subject list that means the series. Neither is stored with the scan.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path, PurePosixPath

import pydicom

from db.uploads import NAMES, Upload
from thighseg_core.candidate import SeriesCandidate

_NUMBER = re.compile(r"\d{6}")


def source_of(upload: Upload, candidate: SeriesCandidate) -> str:
    """The folder of a DICOM series, or the file of a NIfTI, as it was called when uploaded; a zip's name in front."""
    name = _name_of(upload, candidate.files[0])
    if candidate.source_format == "NIfTI":
        return name
    folder = str(PurePosixPath(name).parent)
    return "" if folder == "." else folder


def patient_id(candidate: SeriesCandidate) -> str:
    """(0010,0020) of the series' first file; empty for NIfTI and where there is none."""
    if candidate.source_format == "NIfTI":
        return ""
    header = pydicom.dcmread(candidate.files[0], stop_before_pixels=True, specific_tags=["PatientID"], force=True)
    return str(header.get("PatientID", "") or "").strip()


def _name_of(upload: Upload, path: Path) -> str:
    """An uploaded file's own name; for a file out of a zip the zip's name and the name in it."""
    parts = path.relative_to(upload.folder).parts
    if parts[0] in ("slices", "single"):
        return _given(upload, int(parts[1]))
    # unpacked/<number of the source>/unzipped-xyz/<number of the entry>: see `db.uploads.inspect` and archive.unpack
    sources = sorted((upload.folder / "single").glob("*/*"))
    if (upload.folder / "slices").exists():
        sources.insert(0, upload.folder / "slices")
    source = sources[int(parts[1])]
    number = _NUMBER.match(path.name)
    if not source.is_file() or number is None:
        return path.name
    with zipfile.ZipFile(source) as archive:
        entries = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    return f"{_given(upload, int(source.parent.name))}/{entries[int(number[0])]}"


def _given(upload: Upload, number: int) -> str:
    """The name of the file with this number, separators made one; an older upload has no list of names."""
    try:
        names = json.loads((upload.folder / NAMES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    return str(names[number]).replace("\\", "/").lstrip("/")
