from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.boxes import boxes
from thighseg_core import cli, nifti
from thighseg_core.analyse import Analysis, measure_only
from thighseg_core.checkpoint import DEFAULT_MODEL, available_models
from thighseg_core.cli import main
from thighseg_core.errors import ModelError
from thighseg_core.export import LONG_COLUMNS
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.volume import CTVolume
from training.dicom_factory import axial_affine, write_ct_series

ROOT = Path(__file__).resolve().parent.parent
SHAPE = (9, 40, 48)
AFFINE = axial_affine(spacing_mm=(5.0, 2.5, 2.0), origin_mm=(-47.0, -50.0, 0.0))
MUSCLE = (slice(2, 7), slice(8, 24), slice(28, 40))  # 5 x 16 x 12 voxels of 25 mm3: 24 cm3
FILES = ["histograms.csv", "labels.nii.gz", "manifest.json", "measurements.csv", "preview.png"]


def attenuation() -> np.ndarray:
    hu = np.random.default_rng(1).normal(-1000, 5, SHAPE).astype(np.int16)
    hu[:, 4:34, 4:44] = -100
    hu[MUSCLE] = 50
    return hu


@pytest.fixture
def series(tmp_path: Path) -> Path:
    write_ct_series(tmp_path / "scan" / "a", attenuation(), AFFINE)
    return tmp_path / "scan"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    values = np.zeros(SHAPE, dtype=np.uint8)
    values[MUSCLE] = 1
    nifti.write_labels(tmp_path / "drawn.nii.gz", LabelMap(values, Geometry(SHAPE, AFFINE)))
    return tmp_path / "drawn.nii.gz"


@pytest.fixture
def bright_is_muscle(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a network: what is brighter than fat is the left extensor. For tests of the command line alone."""

    def analyse(volume: CTVolume, *, model: str, device: str, progress: object) -> Analysis:
        assert (model, device) == (DEFAULT_MODEL, "auto")
        return measure_only(volume, LabelMap((volume.attenuation_hu > 0).astype(np.uint8), volume.geometry))

    monkeypatch.setattr(cli, "analyse", analyse)
    monkeypatch.setattr(cli, "read_card", lambda _: None)


def results(output: Path) -> list[Path]:
    return sorted(path for path in output.iterdir() if path.is_dir())


def value(folder: Path, metric: str) -> float:
    with (folder / "measurements.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == LONG_COLUMNS
    wanted = ("extensor", "left", "full", metric)
    (row,) = [r for r in rows if (r["region"], r["side"], r["extent"], r["metric"]) == wanted]
    return float(row["value"])


def test_measure_writes_the_five_files_of_a_dicom_scan_and_a_label_map(series, labels, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "thighseg_core", "measure", str(series), str(labels), "--output", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = results(tmp_path / "out")
    assert done.stdout.splitlines() == [str(folder)]
    assert sorted(p.name for p in folder.iterdir()) == FILES
    assert value(folder, "volume") == pytest.approx(24.0)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["labels"]["1"] == "extensor_left"
    assert manifest["run"]["model_name"] == "external"


def test_labels_of_another_grid_are_refused_in_one_line(series, labels, tmp_path, capsys):
    values = np.zeros((9, 40, 47), dtype=np.uint8)
    nifti.write_labels(tmp_path / "other.nii.gz", LabelMap(values, Geometry((9, 40, 47), AFFINE)))
    assert main(["measure", str(series), str(tmp_path / "other.nii.gz"), "--output", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if line.startswith("failed:")]) == 1
    assert results(tmp_path / "out") == []


def test_of_several_series_the_labels_are_measured_on_those_whose_grid_they_lie_on(series, labels, tmp_path):
    write_ct_series(series / "b", attenuation()[:, :36], AFFINE, series_number=4)
    assert main(["measure", str(series), str(labels), "--output", str(tmp_path / "out")]) == 0
    (folder,) = results(tmp_path / "out")
    assert folder.name.startswith("series-3-")


def test_a_missing_label_file_fails_in_words(series, tmp_path, capsys):
    assert main(["measure", str(series), str(tmp_path / "none.nii.gz"), "--output", str(tmp_path / "out")]) == 2
    assert "none.nii.gz" in capsys.readouterr().err


def test_segment_without_weights_says_so_in_one_line_and_exits_with_1(series, tmp_path, capsys, monkeypatch):
    def missing(model: str) -> None:
        raise ModelError(f"no trained weights for {model!r}")

    monkeypatch.setattr(cli, "read_card", missing)
    assert main(["segment", str(series), "--output", str(tmp_path / "out"), "--model", "manet"]) == 1
    assert capsys.readouterr().err.splitlines() == ["failed: --model manet: no trained weights for 'manet'"]


@pytest.mark.usefixtures("bright_is_muscle")
def test_every_series_of_every_input_gets_its_folder(series, tmp_path, capsys):
    write_ct_series(series / "b", attenuation(), AFFINE, series_number=4)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for path in sorted((series / "a").iterdir()):
            archive.write(path, f"inside/{path.name}")
    volume, _ = boxes([], geometry=Geometry(SHAPE, AFFINE))
    nifti.write_ct(tmp_path / "volume.nii.gz", CTVolume(attenuation(), volume.geometry, volume.info))
    inputs = [str(series), str(tmp_path / "packed.zip"), str(tmp_path / "volume.nii.gz")]
    assert main(["segment", *inputs, "--output", str(tmp_path / "out")]) == 0
    folders = results(tmp_path / "out")
    assert len(folders) == 4  # two series, one of them again from the zip, and the NIfTI
    assert sorted(capsys.readouterr().out.split()) == sorted(str(folder) for folder in folders)
    for folder in folders:
        assert sorted(p.name for p in folder.iterdir()) == FILES
        assert value(folder, "volume") == pytest.approx(24.0)
    ids = {json.loads((folder / "manifest.json").read_text())["scan_id"] for folder in folders}
    assert len(ids) == 1  # the same scan however it was packed


@pytest.mark.usefixtures("bright_is_muscle")
def test_one_failing_input_does_not_stop_the_others_and_is_one_line(series, tmp_path, capsys):
    (tmp_path / "broken.nii.gz").write_bytes(b"not a gzip")
    inputs = [str(tmp_path / "broken.nii.gz"), str(tmp_path / "absent"), str(series)]
    assert main(["segment", *inputs, "--output", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    failures = [line for line in captured.err.splitlines() if line.startswith("failed:")]
    assert len(failures) == 2
    assert "broken.nii.gz" in failures[0]
    assert "absent" in failures[1]
    assert len(results(tmp_path / "out")) == 1


@pytest.mark.usefixtures("bright_is_muscle")
def test_a_broken_series_beside_a_good_one_is_a_failure_and_a_scout_is_not(series, tmp_path, capsys):
    write_ct_series(
        series / "scout", attenuation()[:1], AFFINE, series_number=1, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")
    )
    assert main(["segment", str(series), "--output", str(tmp_path / "one")]) == 0
    assert "skipped:" in capsys.readouterr().err
    write_ct_series(series / "gap", attenuation(), AFFINE, series_number=5, drop=[4])
    assert main(["segment", str(series), "--output", str(tmp_path / "two")]) == 1
    failures = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed:")]
    assert len(failures) == 1
    assert len(results(tmp_path / "two")) == 1


@pytest.mark.parametrize("kind", ["empty folder", "text file", "absent", "MR"])
def test_an_input_with_nothing_usable_exits_with_2(kind, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli, "read_card", lambda _: None)
    source = tmp_path / "source"
    if kind == "empty folder":
        source.mkdir()
    elif kind == "text file":
        source.write_text("hello", encoding="utf-8")
    elif kind == "MR":
        write_ct_series(source, attenuation(), AFFINE, modality="MR", sop_class="1.2.840.10008.5.1.4.1.1.4")
    assert main(["segment", str(source), "--output", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("failed:") for line in lines] == [True]
    assert results(tmp_path / "out") == []


def test_an_unexpected_error_is_one_line_too(series, tmp_path, capsys, monkeypatch):
    def explode(volume: CTVolume, **_: object) -> Analysis:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr(cli, "read_card", lambda _: None)
    monkeypatch.setattr(cli, "analyse", explode)
    assert main(["segment", str(series), "--output", str(tmp_path / "out")]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed:")]
    assert line.endswith("unexpected error, RuntimeError: first second")


def test_an_output_that_is_a_file_is_refused_in_words(series, tmp_path, capsys):
    (tmp_path / "out").write_text("", encoding="utf-8")
    assert main(["segment", str(series), "--output", str(tmp_path / "out")]) == 1
    assert "choose another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["segment"], ["segment", "x"], ["segment", "x", "--output", "y", "--model", "z"]]
)
def test_a_wrong_call_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_nothing_unpacked_stays_behind(series, labels, tmp_path):
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for path in sorted((series / "a").iterdir()):
            archive.write(path, path.name)
    assert main(["measure", str(tmp_path / "packed.zip"), str(labels), "--output", str(tmp_path / "out")]) == 0
    assert [p.name[:6] for p in (tmp_path / "out").iterdir()] == ["series"]


def test_the_models_offered_are_the_networks_that_exist():
    from thighseg_core.networks import NETWORKS

    assert tuple(NETWORKS) == cli.MODELS


@pytest.mark.skipif(DEFAULT_MODEL not in available_models(), reason="the weights are not there yet")
def test_segment_runs_the_shipped_network_on_a_series(series, tmp_path):
    assert main(["segment", str(series), "--output", str(tmp_path / "out"), "--device", "cpu"]) == 0
    (folder,) = results(tmp_path / "out")
    assert sorted(p.name for p in folder.iterdir()) == FILES
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["run"]["model_name"] == DEFAULT_MODEL
    assert len(manifest["run"]["weights_sha256"]) == 64
