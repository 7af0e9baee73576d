from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from tests.boxes import DIGEST, boxes
from tests.whole_femur import legs_scan
from thighseg_core import results
from thighseg_core.analyse import EXTERNAL, measure_only
from thighseg_core.errors import GeometryMismatchError
from thighseg_core.export import LONG_COLUMNS
from thighseg_core.histogram import HISTOGRAM_COLUMNS
from thighseg_core.labels import LABELS, LabelMap, label_value
from thighseg_core.nifti import read_labels
from thighseg_core.results import write_results
from thighseg_core.tissue import PRESETS

EXTENSOR_LEFT = (1, 50, (slice(2, 5), slice(6, 10), slice(10, 17)))


def test_measuring_labels_that_were_handed_in_says_that_no_network_made_them():
    analysis = measure_only(*boxes([EXTENSOR_LEFT]))
    run = analysis.manifest
    assert (run.model_name, run.model_version, run.weights_sha256) == (EXTERNAL, "", "")
    assert run.hu_preset == "long_dennis_150"
    assert run.started_at.endswith("+00:00")
    assert analysis.info.digest_sha256 == DIGEST
    assert {f.code for f in analysis.flags} >= {"small_volume", "few_slices"}
    assert analysis.seconds["measure"] > 0


def test_another_preset_is_named_in_the_manifest():
    assert measure_only(*boxes([EXTENSOR_LEFT]), preset=PRESETS["nama_lama"]).manifest.hu_preset == "nama_lama"


def test_labels_of_another_grid_are_refused():
    volume, label_map = boxes([EXTENSOR_LEFT])
    affine = volume.geometry.affine.copy()
    affine[0, 3] += 1
    with pytest.raises(GeometryMismatchError):
        measure_only(volume, LabelMap(label_map.labels, type(volume.geometry)(volume.geometry.shape, affine)))


def test_progress_is_reported_from_nothing_to_all():
    seen: list[tuple[str, float]] = []
    measure_only(*boxes([EXTENSOR_LEFT]), progress=lambda stage, share: seen.append((stage, share)))
    assert seen == [("measure", 0.0), ("measure", 1.0)]


def test_five_files_are_written_and_read_back(tmp_path):
    volume, label_map = boxes([EXTENSOR_LEFT])
    analysis = measure_only(volume, label_map)
    write_results(analysis, volume, tmp_path / "new" / "series")
    folder = tmp_path / "new" / "series"
    assert sorted(p.name for p in folder.iterdir()) == [
        "histograms.csv", "labels.nii.gz", "manifest.json", "measurements.csv", "preview.png",
    ]  # fmt: skip
    stored = nibabel.load(folder / "labels.nii.gz")
    assert stored.get_data_dtype() == np.uint8
    assert np.array_equal(read_labels(folder / "labels.nii.gz", like=volume.geometry).labels, label_map.labels)
    with (folder / "measurements.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == LONG_COLUMNS
    wanted = ("extensor", "left", "full", "volume")
    (volume_row,) = [r for r in rows if (r["region"], r["side"], r["extent"], r["metric"]) == wanted]
    assert float(volume_row["value"]) == pytest.approx(0.336)
    assert volume_row["scan_id"] == "ct_0123456789ab"
    assert volume_row["model_version"] == "NA"
    with Image.open(folder / "preview.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000


def test_the_manifest_names_the_labels_the_run_the_series_and_the_flags(tmp_path):
    volume, label_map = boxes([EXTENSOR_LEFT], tube_voltage_kvp=140.0)
    write_results(measure_only(volume, label_map), volume, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["labels"]["1"] == "extensor_left"
    assert {int(value): name for value, name in manifest["labels"].items()} == {v: n for v, n in LABELS.items() if v}
    assert manifest["run"]["label_scheme"] == "thighseg-1"
    assert manifest["series"]["tube_voltage_kvp"] == 140.0
    assert manifest["hu_preset"]["lean_hu"] == [-29, 150]
    assert manifest["geometry"]["spacing_mm"] == [4.0, 2.0, 0.5]
    assert "tube_voltage" in {flag["code"] for flag in manifest["flags"]}
    assert manifest["seconds"]["measure"] >= 0


def test_the_histograms_are_written_with_the_attenuation_that_occurs(tmp_path):
    fat = (1, -100, (slice(5, 6), slice(6, 10), slice(10, 12)))
    volume, label_map = boxes([EXTENSOR_LEFT, fat])  # 84 voxels of 50 HU, 8 of -100 HU, 4 mm3 each
    write_results(measure_only(volume, label_map), volume, tmp_path)
    with (tmp_path / "histograms.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HISTOGRAM_COLUMNS
    assert [(r["region"], r["side"], r["extent"]) for r in rows] == [("extensor", "left", "full")] * 2
    assert [(r["attenuation_hu"], r["voxels"], float(r["volume_mm3"])) for r in rows] == [
        ("-100", "8", 32.0),
        ("50", "84", 336.0),
    ]


def test_the_manifest_has_the_landmarks_or_why_there_are_none(tmp_path):
    volume, label_map = legs_scan(spacing_mm=(6.0, 3.0, 3.0), z_mm=(-40.0, 470.0))
    labels = np.where(label_map.labels == label_value("femur", "right"), 0, label_map.labels).astype(np.uint8)
    write_results(measure_only(volume, LabelMap(labels, label_map.geometry)), volume, tmp_path)
    legs = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))["landmarks"]
    assert legs["left"]["femur_length_mm"] == pytest.approx(430.0, abs=4)
    assert legs["left"]["points"]["femoral_head_top"]["lps_mm"] == pytest.approx([90.0, 0.0, 430.0], abs=3)
    assert len(legs["left"]["slice_level"]) == 85
    assert legs["right"]["slice_level"] == [None] * 85
    assert legs["right"]["femur_length_reason"] == "no femur labelled on the right"


def test_a_failure_leaves_no_manifest_and_no_half_file(tmp_path, monkeypatch):
    volume, label_map = boxes([EXTENSOR_LEFT])
    analysis = measure_only(volume, label_map)
    write_results(analysis, volume, tmp_path)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results, "preview", full_disk)
    with pytest.raises(OSError, match="space"):
        write_results(analysis, volume, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "histograms.csv", "labels.nii.gz", "measurements.csv", "preview.png",
    ]  # fmt: skip
