"""Drawings of readers from files: NIfTI, NRRD (3D Slicer), DICOM SEG and RTSTRUCT, told apart by content."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from thighseg_core.errors import InputError, UnreadableFileError
from thighseg_core.geometry import Geometry
from thighseg_core.nifti import MAX_VOXELS, RAS_LPS, open_nifti
from thighseg_core.segments import Segments, place_on_grid
from thighseg_core.segments_dicom import read_dicom_segments

FORMATS = "NIfTI (.nii, .nii.gz), NRRD (.nrrd, .seg.nrrd), DICOM SEG or RTSTRUCT (.dcm)"
_NRRD_HEADER_BYTES = 1 << 20


def read_segments(path: Path, *, like: Geometry) -> Segments:
    """What is drawn in `path`, on the grid `like` of the scan it was drawn on.

    Raises UnreadableFileError for damaged files and other formats, GeometryMismatchError for another grid, InputError
    for values that are no labels.
    """
    with path.open("rb") as handle:
        start = handle.read(352)
    if start[128:132] == b"DICM":
        return read_dicom_segments(path, like=like)
    if start[:4] == b"NRRD":
        return _nrrd(path, like=like)
    if start[:2] == b"\x1f\x8b" or start[344:347] in (b"n+1", b"ni1") or start[4:7] == b"n+2":
        return _nifti(path, like=like)
    raise UnreadableFileError(f"{path.name} is none of the formats that drawings are read from: {FORMATS}")


def suffix_of(start: bytes) -> str:
    """File ending for a drawing that begins with these bytes: the libraries that read it go by the ending."""
    if start[128:132] == b"DICM":
        return ".dcm"
    if start[:4] == b"NRRD":
        return ".nrrd"
    return ".nii.gz" if start[:2] == b"\x1f\x8b" else ".nii"


def _nifti(path: Path, *, like: Geometry) -> Segments:
    image = open_nifti(path)
    try:
        values = np.asanyarray(image.dataobj).reshape(image.shape[:3]).transpose(2, 1, 0)
    except Exception as error:  # EOFError, zlib.error, OSError: all mean a damaged file
        raise UnreadableFileError(f"{path.name} is truncated or damaged ({type(error).__name__}); copy it") from error
    affine = (RAS_LPS @ image.affine)[:, [2, 1, 0, 3]]
    placed = place_on_grid(_whole_numbers(values, path.name), affine, like=like, name=path.name)
    return Segments(placed, like, {}, "NIfTI")


def _whole_numbers(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if not np.array_equal(values, np.rint(values)) or values.min() < 0 or values.max() > 255:
        raise InputError(
            f"{name} is no drawing: expected whole numbers 0 to 255, got {values.min():g} to {values.max():g}; "
            "save the labels, not the image"
        )
    return values.astype(np.uint8)


def _nrrd(path: Path, *, like: Geometry) -> Segments:
    _check_nrrd_header(path)
    try:
        image: Any = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise UnreadableFileError(f"{path.name} cannot be read as NRRD: truncated or damaged; save it again") from error
    if image.GetDimension() != 3:
        raise InputError(f"{path.name} has {image.GetDimension()} dimensions, expected a 3-D drawing")
    array = sitk.GetArrayFromImage(image)
    layers = array[..., None] if array.ndim == 3 else array  # (K, J, I, layers)
    named = _nrrd_segments(image, layers.shape[-1])
    columns = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = columns[:, ::-1], image.GetOrigin()
    if not named:
        if layers.shape[-1] != 1:
            raise InputError(f"{path.name} has {layers.shape[-1]} layers without segment names; save it as .seg.nrrd")
        placed = place_on_grid(_whole_numbers(layers[..., 0], path.name), affine, like=like, name=path.name)
        return Segments(placed, like, {}, "NRRD")
    values = np.zeros(layers.shape[:3], dtype=np.uint8)
    overlap = 0
    for number, (_, layer, label) in enumerate(named, start=1):
        mask = layers[..., layer] == label
        overlap += int(np.count_nonzero(values[mask]))
        values[mask] = number
    placed = place_on_grid(values, affine, like=like, name=path.name)
    return Segments(placed, like, {n: name for n, (name, _, _) in enumerate(named, start=1)}, "NRRD", overlap)


def _nrrd_segments(image: Any, n_layers: int) -> list[tuple[str, int, int]]:
    """(name, layer, label value) of each segment that 3D Slicer wrote into the header."""
    keys = set(image.GetMetaDataKeys())
    found = []
    for number in range(256):
        prefix = f"Segment{number}_"
        if f"{prefix}Name" not in keys:
            break
        layer = int(image.GetMetaData(f"{prefix}Layer")) if f"{prefix}Layer" in keys else 0
        label = int(image.GetMetaData(f"{prefix}LabelValue")) if f"{prefix}LabelValue" in keys else number + 1
        if layer < n_layers:
            found.append((image.GetMetaData(f"{prefix}Name"), layer, label))
    return found


def _check_nrrd_header(path: Path) -> None:
    """The voxels must stand in the file itself, and be as many as we hold: a header must not name other files."""
    with path.open("rb") as handle:
        header = re.split(rb"\r?\n\r?\n", handle.read(_NRRD_HEADER_BYTES), maxsplit=1)[0].decode("latin-1")
    if re.search(r"^\s*data ?file\s*:", header, flags=re.IGNORECASE | re.MULTILINE):
        raise UnreadableFileError(f"{path.name} keeps its voxels in another file; save it as one .nrrd file")
    sizes = re.search(r"^sizes:([\d ]+)", header, flags=re.IGNORECASE | re.MULTILINE)
    n_voxels = float(np.prod([float(n) for n in sizes[1].split()])) if sizes else 0.0
    if not 0 < n_voxels <= MAX_VOXELS:
        raise UnreadableFileError(f"the header of {path.name} claims {n_voxels:.0f} voxels; it is damaged or too large")
