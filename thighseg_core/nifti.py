"""NIfTI in and out. The only module that knows RAS: everything else is LPS."""

from __future__ import annotations

import hashlib
import re
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from thighseg_core.candidate import SeriesCandidate
from thighseg_core.digest import as_int16_where_integral, scan_digest
from thighseg_core.errors import GeometryMismatchError, InputError, NotCTError, SeriesGeometryError, UnreadableFileError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import OTHER_BONE, LabelMap
from thighseg_core.plausibility import padding_note, refuse_unless_hu, replace_padding
from thighseg_core.stack import MIN_SLICES
from thighseg_core.volume import CTVolume, SeriesInfo

RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # its own inverse
MAX_VOXELS = 1 << 30  # as for DICOM: 2 GiB of int16
DEFLATE_MAX_RATIO = 1032  # zlib, technical details: no deflate stream expands more
SAME_AFFINE_MM = 0.05  # sform against qform, at the far corner
UNKNOWN_UNIT = "unknown"


def find_nifti(path: Path, *, name: str) -> SeriesCandidate:
    """Look at the header only. Raises InputError subclasses."""
    image = open_nifti(path)
    _refuse_8_bit(image)
    geometry, warnings = _geometry(image)
    dk, dj, di = geometry.spacing_mm
    stem = re.sub(r"\.nii(\.gz)?$", "", Path(name.replace("\\", "/")).name, flags=re.IGNORECASE)
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-")[:40] or "image"
    return SeriesCandidate(
        key=f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}",
        description=stem,
        modality="CT",
        n_slices=geometry.shape[0],
        spacing_text=f"{di:.2f} x {dj:.2f} x {dk:.2f} mm",
        source_format="NIfTI",
        files=(path,),
        warnings=tuple(warnings),
    )


def read_ct_nifti(path: Path, *, notes: tuple[str, ...] = ()) -> CTVolume:
    """A 3-D NIfTI in HU. Raises UnreadableFileError, SeriesGeometryError or NotCTError."""
    image = open_nifti(path)
    _refuse_8_bit(image)
    geometry, warnings = _geometry(image)
    values = _values(image, path)
    if not np.isfinite(values).all():
        raise NotCTError("the image has values that are not numbers (NaN or infinity); export it again in HU")
    values, n_padding = replace_padding(values)
    array = as_int16_where_integral(values)
    refuse_unless_hu(array)
    found = [*notes, *(one for one in warnings if one not in notes)]
    if n_padding:
        found.append(padding_note(n_padding))
    digest = scan_digest(array, geometry.affine)
    info = SeriesInfo(
        series_uid=f"sha256:{digest}", source_format="NIfTI", digest_sha256=digest, n_files=1, notes=tuple(found)
    )
    return CTVolume(attenuation_hu=array, geometry=geometry, info=info)


def read_labels(path: Path, *, like: Geometry) -> LabelMap:
    """A label map on the grid of `like`; flipped or permuted axes are put in order, nothing is resampled.

    Raises GeometryMismatchError when it lies on another grid, InputError when a value is not in the scheme.
    """
    return LabelMap(labels=read_mask(path, like=like, highest=OTHER_BONE), geometry=like)


def read_mask(path: Path, *, like: Geometry, highest: int = 255) -> NDArray[np.uint8]:
    """(K, J, I) whole numbers from 0 to `highest` on the grid of `like`, axes in order, nothing resampled.

    Raises GeometryMismatchError when they lie on another grid, InputError for other values.
    """
    image = open_nifti(path)
    geometry, _ = _geometry(image)
    values = _values(image, path)
    if not np.array_equal(values, np.rint(values)) or values.min() < 0 or values.max() > highest:
        raise InputError(
            f"{path.name} is no label map: expected whole numbers 0 to {highest}, got {values.min():g} to "
            f"{values.max():g}; save the labels, not the image"
        )
    labels, affine = _reordered(values.astype(np.uint8), geometry.affine, like=like.affine)
    own = Geometry((labels.shape[0], labels.shape[1], labels.shape[2]), affine)
    if not own.matches(like):
        raise GeometryMismatchError(
            f"{path.name} is not on the grid of the scan: expected {_grid(like)}, got {_grid(own)}. Draw the labels on "
            "this very scan, or resample them to it"
        )
    return np.ascontiguousarray(labels)


def write_labels(path: Path, label_map: LabelMap) -> None:
    """uint8 in the source geometry, millimetres, sform and qform set."""
    _write(path, label_map.labels, label_map.geometry, description="ThighSeg labels")


def write_ct(path: Path, volume: CTVolume) -> None:
    """The attenuation in HU, millimetres, sform and qform set."""
    _write(path, volume.attenuation_hu, volume.geometry, description="CT in HU")


def nifti_bytes(array: NDArray[Any], geometry: Geometry, *, description: str) -> bytes:
    """An uncompressed NIfTI file of `array` on `geometry`, in memory."""
    content: bytes = _image(array, geometry, description=description).to_bytes()
    return content


def _write(path: Path, array: NDArray[Any], geometry: Geometry, *, description: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(_image(array, geometry, description=description), path)


def _image(array: NDArray[Any], geometry: Geometry, *, description: str) -> Any:
    affine_ras = (RAS_LPS @ geometry.affine)[:, [2, 1, 0, 3]]
    image: Any = nibabel.Nifti1Image(array.transpose(2, 1, 0), affine_ras)  # type: ignore[no-untyped-call]
    image.set_sform(affine_ras, code="scanner")
    image.set_qform(affine_ras, code="scanner")
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode()
    return image


def open_nifti(path: Path) -> Any:
    """The image, its header checked for size and kind. No voxel is read."""
    try:
        image: Any = nibabel.load(path)
    except Exception as error:  # nibabel raises ImageFileError, OSError, zlib and struct errors, HeaderDataError
        raise UnreadableFileError(
            f"{path.name} cannot be read as NIfTI: empty, truncated, damaged or another format ({type(error).__name__}"
            "). Convert or copy it again"
        ) from error
    if not isinstance(image, nibabel.Nifti1Image):  # Nifti2Image is one too
        raise UnreadableFileError(f"{path.name} is {type(image).__name__}, expected NIfTI; convert it to .nii.gz")
    header: Any = image.header
    dtype = header.get_data_dtype()
    if dtype.fields is not None:
        raise NotCTError("colour image (RGB), which holds no Hounsfield units; convert the original CT")
    if dtype.kind == "c":
        raise NotCTError("complex values (an MR or raw data image), expected CT in HU; convert the original CT")
    if dtype.kind not in "iuf":
        raise NotCTError(f"values of type {dtype}, expected integers or floats in HU; convert the original CT")
    shape = image.shape
    if len(shape) > 3 and max(shape[3:]) > 1:
        raise SeriesGeometryError(
            f"{len(shape)} dimensions {shape}: expected one 3-D volume. Split the time points or phases and send one"
        )
    if len(shape) < 3:
        raise SeriesGeometryError(f"{len(shape)} dimensions {shape}: a single picture, expected a 3-D volume of slices")
    if min(shape[:3]) < MIN_SLICES:
        raise SeriesGeometryError(
            f"{min(shape[:3])} slice(s) (shape {shape}): a volume needs at least {MIN_SLICES}; convert the whole series"
        )
    _refuse_claim(path, n_voxels=int(np.prod(shape, dtype=np.float64)), item_bytes=dtype.itemsize)
    return image


def _refuse_8_bit(image: Any) -> None:
    if image.header.get_data_dtype().itemsize == 1 and image.dataobj.slope == 1:
        raise NotCTError(
            "8-bit values (a mask, a label map or a windowed picture), which hold no Hounsfield units; convert the "
            "original CT with 16 bits"
        )


def _refuse_claim(path: Path, *, n_voxels: int, item_bytes: int) -> None:
    """A header must not make us allocate what the file cannot hold."""
    if n_voxels > MAX_VOXELS:
        raise UnreadableFileError(
            f"the header claims {n_voxels} voxels, at most {MAX_VOXELS} are read: damaged header, or crop the scan"
        )
    on_disk = path.stat().st_size
    possible = on_disk * (DEFLATE_MAX_RATIO if path.name.lower().endswith(".gz") else 1)
    if n_voxels * item_bytes > possible:
        raise UnreadableFileError(
            f"the header claims {n_voxels * item_bytes} bytes of voxels, the file of {on_disk} bytes cannot hold them: "
            "truncated or damaged; copy it again"
        )


def _geometry(image: Any) -> tuple[Geometry, list[str]]:
    warnings = []
    try:
        unit = image.header.get_xyzt_units()[0]
    except KeyError as error:
        raise UnreadableFileError(
            f"the NIfTI header gives lengths in the unknown unit {error}; convert it again"
        ) from error
    if unit == UNKNOWN_UNIT:
        warnings.append("The NIfTI header states no unit of length; millimetres were assumed.")
    elif unit != "mm":
        raise SeriesGeometryError(f"the NIfTI header gives lengths in {unit}, expected mm; convert it again")
    sform, sform_code = image.get_sform(coded=True)
    qform, qform_code = image.get_qform(coded=True)
    if not sform_code and not qform_code:
        raise SeriesGeometryError(
            "the NIfTI header holds no orientation (sform and qform code are 0), so left and right are unknown; "
            "convert the DICOM series again with its orientation"
        )
    shape = tuple(reversed(image.shape[:3]))
    if sform_code and qform_code:
        corner = np.array([*image.shape[:3], 1.0])
        if np.abs((sform - qform) @ corner).max() > SAME_AFFINE_MM:
            warnings.append("The NIfTI header's sform and qform differ; the sform was used.")
    affine_lps = (RAS_LPS @ image.affine)[:, [2, 1, 0, 3]]
    return Geometry((shape[0], shape[1], shape[2]), affine_lps), warnings


def _values(image: Any, path: Path) -> NDArray[Any]:
    """(K, J, I) with the header's scaling applied; integers stay integers."""
    try:
        if path.name.lower().endswith(".gz"):
            n_bytes = image.dataobj.offset + int(np.prod(image.shape)) * image.header.get_data_dtype().itemsize
            image = type(image).from_bytes(_unzipped(path, n_bytes))
        values = np.asanyarray(image.dataobj)
    except Exception as error:  # EOFError, zlib.error, OSError, ValueError: all mean a damaged file
        raise UnreadableFileError(
            f"the voxels of {path.name} cannot be read: truncated or damaged ({type(error).__name__}). Copy it again"
        ) from error
    volume: NDArray[Any] = values.reshape(image.shape[:3]).transpose(2, 1, 0)
    return volume


def _unzipped(path: Path, n_bytes: int) -> bytes:
    """The first `n_bytes` of what a .gz holds, each part of it in one call, during which other threads go on."""
    packed, parts, missing = path.read_bytes(), list[bytes](), n_bytes
    while packed and missing > 0:
        unpacker = zlib.decompressobj(wbits=31)
        parts.append(unpacker.decompress(packed, missing))
        packed, missing = unpacker.unused_data, missing - len(parts[-1])
    return b"".join(parts)


def _reordered(
    labels: NDArray[np.uint8], affine: NDArray[np.float64], *, like: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Axes permuted and flipped to run as those of `like` do."""
    cosines = _unit(like).T @ _unit(affine)  # [axis of like, axis of labels]
    order = [int(n) for n in np.abs(cosines).argmax(axis=1)]
    if sorted(order) != [0, 1, 2]:
        return labels, affine
    labels, affine = labels.transpose(order), affine[:, [*order, 3]].copy()
    for axis in range(3):
        if float(_unit(affine)[:, axis] @ _unit(like)[:, axis]) < 0:
            affine[:3, 3] += (labels.shape[axis] - 1) * affine[:3, axis]
            affine[:3, axis] *= -1
            labels = np.flip(labels, axis)
    return labels, affine


def _unit(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))


def _grid(geometry: Geometry) -> str:
    spacing = " x ".join(f"{x:.3f}" for x in geometry.spacing_mm)
    origin = ", ".join(f"{x:.1f}" for x in geometry.affine[:3, 3])
    return f"{geometry.shape} voxels of {spacing} mm from ({origin}) mm LPS (slice, row, column)"
