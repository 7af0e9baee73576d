"""The demo study: scans as DICOM, and of each first visit the phantom's truth as a reading that names no person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sqlalchemy import select

from db import agreement, queries, storage
from db.engine import open_database
from db.import_list import import_list, read_list
from db.models import Scan
from db.settings import Settings
from thighseg_core.labels import label_value
from training.demo import READER, SUBJECTS, write_demo_study


def test_the_truth_of_each_first_visit_lies_on_its_scan_and_comes_in_once(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    database = open_database(settings.database_path)
    truth_file = tmp_path / "demo" / "DEMO-01" / "visit-1-truth.nii.gz"
    for _ in range(2):
        truth_file.unlink(missing_ok=True)  # the second time: a study written before readings came along
        path = write_demo_study(tmp_path / "demo", subjects=SUBJECTS[:1], slice_mm=60.0)
        messages = list(import_list(database, settings, read_list(path, study="Demo")))
        assert truth_file.is_file()
        assert not [message for message in messages if "FAILED" in message]
    assert "no person" in READER
    with database.read() as session:
        (reading,) = queries.rows(session, agreement.readings())
        assert len(session.scalars(select(Scan)).all()) == 2
    assert (reading["reader"], reading["subject"], reading["visit"]) == (READER, "DEMO-01", 1)
    volume = storage.load_volume(settings, reading["storage_path"])
    truth = storage.load_label_map(settings, reading["label_map_path"], like=volume.geometry)
    x_mm = volume.geometry.affine[0, 3] + volume.geometry.affine[0, 2] * np.arange(volume.geometry.shape[2])
    for side, sign in (("left", 1), ("right", -1)):  # LPS: x grows towards the patient's left
        muscle = truth.labels == label_value("extensor", side)
        assert (x_mm[np.nonzero(muscle)[2]] * sign > 0).all()
        assert 20 < np.median(volume.attenuation_hu[muscle]) < 70
        assert np.median(volume.attenuation_hu[truth.labels == label_value("femur", side)]) > 150
