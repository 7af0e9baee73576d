"""Load the pixels of a DICOM series into a CTVolume in HU."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from thighseg_core.decoding import decoder
from thighseg_core.dicom import SliceHeader, read_pixels
from thighseg_core.dicom_info import series_info
from thighseg_core.dicom_kinds import MAX_VOXELS, value_of
from thighseg_core.dicom_series import load_stack
from thighseg_core.digest import as_int16_where_integral, scan_digest
from thighseg_core.errors import NotCTError, SeriesGeometryError
from thighseg_core.plausibility import OUTSIDE_HU, PADDING_BELOW_HU, padding_note, refuse_unless_hu, replace_padding
from thighseg_core.volume import CTVolume

BELOW_TISSUE_HU = -300.0  # a declared padding value below this cannot be taken for tissue


def load_dicom_series(files: tuple[Path, ...], *, warnings: tuple[str, ...]) -> CTVolume:
    """One series from its files, in any order. Raises InputError subclasses."""
    stack, header = load_stack(files)
    if int(np.prod(stack.geometry.shape, dtype=np.int64)) > MAX_VOXELS:
        raise SeriesGeometryError(f"the series has {stack.geometry.shape} voxels, more than {MAX_VOXELS}; crop it")
    wanted: dict[Path, list[tuple[int, SliceHeader]]] = defaultdict(list)
    for k, here in enumerate(stack.slices):
        for one in here:
            wanted[one.path].append((k, one))
    planes: dict[int, NDArray[Any]] = {}
    n_padding = 0
    notes = list(warnings)
    with decoder() as decode:
        for path, slices in wanted.items():
            dataset, frames = read_pixels(path, tuple(one for _, one in slices), decode=decode)
            for (k, one), stored in zip(slices, frames, strict=True):
                plane, n_here, note = _plane_hu(stored, one, dataset)
                n_padding += n_here
                if note and note not in notes:
                    notes.append(note)
                if k in planes and not np.array_equal(planes[k], plane):
                    raise SeriesGeometryError(
                        f"two different images lie at the same place (slice {k + 1} of {len(stack.slices)}): repeated "
                        "or multi-phase scan in one series. Export one phase as a series of its own"
                    )
                planes[k] = plane
    array = np.stack([planes.pop(k) for k in range(len(stack.slices))])
    array = as_int16_where_integral(array)
    if stack.n_duplicates:
        n = stack.n_duplicates
        notes.append(f"{n} duplicate slice{'s were' if n > 1 else ' was'} dropped.")
    if n_padding:
        notes.append(padding_note(n_padding))
    refuse_unless_hu(array)
    digest = scan_digest(array, stack.geometry.affine)
    info = series_info(header, digest_sha256=digest, n_files=len(files), notes=tuple(notes))
    return CTVolume(attenuation_hu=array, geometry=stack.geometry, info=info)


def _plane_hu(stored: NDArray[Any], one: SliceHeader, dataset: Dataset) -> tuple[NDArray[Any], int, str]:
    """Attenuation of one slice, how many padding pixels were replaced, and a note or ""."""
    hu = stored.astype(np.float64) * one.slope + one.intercept
    if not np.isfinite(hu).all():
        raise NotCTError("not HU: slope and intercept give values that are not numbers; export the series again")
    padding, note = _declared_padding(stored, one, dataset)
    undeclared = hu < PADDING_BELOW_HU
    n = int(np.count_nonzero((padding & (hu != OUTSIDE_HU)) | undeclared))
    hu[padding] = OUTSIDE_HU
    hu, _ = replace_padding(hu)
    return as_int16_where_integral(hu[np.newaxis])[0], n, note


def _declared_padding(stored: NDArray[Any], one: SliceHeader, dataset: Dataset) -> tuple[NDArray[np.bool_], str]:
    none = np.zeros(stored.shape, dtype=np.bool_)
    value = _as_stored(value_of(dataset, "PixelPaddingValue"), dataset)
    if value is None:
        return none, ""
    limit = _as_stored(value_of(dataset, "PixelPaddingRangeLimit"), dataset)
    low, high = sorted((value, value if limit is None else limit))
    highest_hu = max(low * one.slope + one.intercept, high * one.slope + one.intercept)
    if highest_hu > BELOW_TISSUE_HU:
        return none, (
            f"The header declares {highest_hu:g} HU as padding, a value that tissue can have; these pixels were "
            "left alone."
        )
    return (stored >= low) & (stored <= high), ""


def _as_stored(value: object, dataset: Dataset) -> int | None:
    """A padding value in the signedness of the pixels (files disagree about US and SS)."""
    if not isinstance(value, int):
        return None
    bits = int(dataset.BitsAllocated)
    signed = value_of(dataset, "PixelRepresentation") == 1
    if signed and value >= 1 << (bits - 1):
        return value - (1 << bits)
    if not signed and value < 0:
        return value + (1 << bits)
    return value
