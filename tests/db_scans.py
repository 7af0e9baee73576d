"""Stored scans for tests: a small real DICOM phantom, taken in the same way as an upload."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from db.engine import Database
from db.entry import Entry
from db.intake import Stored, store_series
from db.settings import Settings
from db.uploads import Upload, discard_upload, inspect, stage_upload
from training.dicom_factory import axial_affine, write_ct_series

SHAPE = (6, 40, 50)
SPACING_MM = (5.0, 0.9, 0.8)
VOXEL_CM3 = 0.0036  # 5 x 0.9 x 0.8 mm3
PATIENT_NAME = "Musterfrau^Erika"
# boxes of muscle: 4 slices x 10 rows x 12 columns on the side of low x (the patient's right), 4 x 20 x 15 on the other
RIGHT_CM3, LEFT_CM3 = 480 * VOXEL_CM3, 1200 * VOXEL_CM3


def phantom_hu(*, muscle_hu: int = 50) -> NDArray[np.int16]:
    """Two boxes of muscle in air; x rises with the column, so low columns are the patient's right."""
    hu = np.full(SHAPE, -1000, dtype=np.int16)
    hu[1:5, 10:20, 5:17] = muscle_hu
    hu[1:5, 10:30, 30:45] = muscle_hu
    return hu


def write_phantom(folder: Path, *, muscle_hu: int = 50, patient_name: str = PATIENT_NAME) -> list[Path]:
    """DICOM files of the phantom; the middle between the boxes lies at x = 0."""
    affine = axial_affine(spacing_mm=SPACING_MM, origin_mm=(-0.8 * 23.0, -20.0, -500.0))
    return write_ct_series(folder, phantom_hu(muscle_hu=muscle_hu), affine, patient_name=patient_name)


def upload_phantom(settings: Settings, folder: Path, *, muscle_hu: int = 50) -> Upload:
    return upload_files(settings, write_phantom(folder, muscle_hu=muscle_hu))


def upload_files(settings: Settings, files: list[Path]) -> Upload:
    """Staged under names as a hospital gives them."""
    return stage_upload(settings, [(f"{PATIENT_NAME}/{path.name}", BytesIO(path.read_bytes())) for path in files])


def store_phantom(
    database: Database, settings: Settings, folder: Path, *, muscle_hu: int = 50, entry: Entry | None = None
) -> Stored:
    """Through upload, inspection and intake, as the page does it."""
    upload = upload_phantom(settings, folder, muscle_hu=muscle_hu)
    return store_upload(database, settings, upload, entry=entry)


def store_upload(database: Database, settings: Settings, upload: Upload, *, entry: Entry | None = None) -> Stored:
    """The one series of an upload, stored and the upload discarded."""
    (candidate,) = inspect(upload).usable_series()
    stored = store_series(database, settings, candidate, entry=entry or Entry(study="Kill", subject_code="S1"))
    discard_upload(upload)
    return stored
