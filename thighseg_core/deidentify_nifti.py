"""A NIfTI copy whose header holds numbers only."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

from thighseg_core.errors import UnreadableFileError
from thighseg_core.nifti import open_nifti

# The fields that say where and what the voxels are. Texts (descrip, aux_file, db_name, intent_name) and extensions,
# which may hold a whole DICOM header, stay behind.
KEPT_FIELDS = (
    "dim", "datatype", "bitpix", "pixdim", "xyzt_units", "qform_code", "sform_code",
    "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip
CHUNK_BYTES = 1 << 20


def copy_nifti_without_text(source: Path, target: Path) -> Path:
    """Write `target` (.nii.gz) with the voxel bytes of `source` and a new header of `KEPT_FIELDS`."""
    image = open_nifti(source)
    old: Any = image.header
    new = type(old)(endianness=old.endianness)
    for field in KEPT_FIELDS:
        new[field] = old[field]
    new["magic"] = old["magic"]
    new["scl_slope"], new["scl_inter"] = image.dataobj.slope, image.dataobj.inter  # nibabel takes them off the header
    start = new.single_vox_offset
    new["vox_offset"] = start
    n_bytes = math.prod(image.shape) * old.get_data_dtype().itemsize
    opener = gzip.open if source.name.lower().endswith(".gz") else open
    try:
        # mtime and name would tell when and from which file the copy was made
        with opener(source, "rb") as packed, target.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as out:
            packed.seek(int(image.dataobj.offset))
            out.write(new.binaryblock + bytes(start - len(new.binaryblock)))
            while n_bytes > 0 and (chunk := packed.read(min(CHUNK_BYTES, n_bytes))):
                out.write(chunk)
                n_bytes -= len(chunk)
    except (OSError, EOFError) as error:
        raise UnreadableFileError(f"the voxels of {source.name} cannot be read; copy it again") from error
    if n_bytes:
        raise UnreadableFileError(f"{source.name} is truncated ({n_bytes} bytes of voxels are missing); copy it again")
    return target
