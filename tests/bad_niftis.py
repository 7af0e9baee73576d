"""NIfTI files of the bad inputs: what makes an array, a header or a file wrong."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from thigh_array import thigh_hu

RAS = np.diag([-0.8, -0.9, 5.0, 1.0])


def nifti(
    array: Callable[[], NDArray[np.generic]],
    *,
    gz: bool = True,
    change: Callable[[nibabel.Nifti1Image], None] | None = None,
) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        image = nibabel.Nifti1Image(array(), RAS)
        image.header.set_xyzt_units("mm")
        if change is not None:
            change(image)
        path = folder / ("scan.nii.gz" if gz else "scan.nii")
        nibabel.save(image, path)
        return path

    return make


def ijk() -> NDArray[np.int16]:
    return thigh_hu().transpose(2, 1, 0)


def with_nan() -> NDArray[np.float32]:
    array = ijk().astype(np.float32)
    array[3, 3, 3] = np.nan
    return array


def window() -> NDArray[np.int16]:
    return np.clip((ijk().astype(np.float32) + 160) / 400 * 255, 0, 255).astype(np.int16)


def normalised() -> NDArray[np.float32]:
    return ((ijk() + 1000) / 1100).clip(0, 1).astype(np.float32)


def coloured() -> NDArray[np.generic]:
    return np.zeros((64, 40, 8), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])


def no_orientation(image: nibabel.Nifti1Image) -> None:
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)


def sheared(image: nibabel.Nifti1Image) -> None:
    affine = RAS.copy()
    affine[1, 2] = 1.5
    image.set_qform(None, code=0)
    image.set_sform(affine, code=1)


def in_metres(image: nibabel.Nifti1Image) -> None:
    image.header.set_xyzt_units("meter")


def huge_claim(folder: Path) -> Path:
    """A NIfTI header that claims 30,000 x 30,000 x 1 GiB voxels in a file of 400 bytes."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((1000, 1000, 900))
    header["sform_code"], header["qform_code"], header["magic"], header["vox_offset"] = 1, 1, b"n+1", 352
    header.set_sform(RAS)
    path = folder / "scan.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(52)))
    return path
