"""Real slices in batches: geometry kept under every variation, patients kept out, shares of a batch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from thighseg_core.checkpoint import Preprocessing
from training.allowed import ALL_BITS, bits_of
from training.compact import load_shipped
from training.config import TrainConfig, read_config
from training.real_batches import RealInput, open_pool, real_batch, real_validation, slices_of
from training.real_data import RealScan, load_scans
from training.splits import Split
from training.synthesis import Atlas
from training.train import mixed_batch, train

STILL = RealInput(
    "", mirror=False, rotation_deg=0.0, scale=(1.0, 1.0), shift_mm=0.0, bend_mm=0.0, hu_shift=0.0, hu_gain=0.0,
    noise_hu=(0.0, 0.0), cut=0.0,
)  # fmt: skip
EXTENSOR, FLEXOR, BACKGROUND = bits_of("extensor"), bits_of("flexor"), bits_of("background")


def _scan(
    patient: str, *, spacing_mm: tuple[float, float] = (1.0, 2.0), kind: str = "drawn", site: str = ""
) -> RealScan:
    """40 x 32 mm of extensor at 60 HU in unlabelled fat of 100 x 120 mm, 10 mm above and 20 mm right of its middle."""
    hu = np.full((1, round(100 / spacing_mm[0]), round(120 / spacing_mm[1])), -100, dtype=np.int16)
    allowed = np.full(hu.shape, ALL_BITS, dtype=np.uint16)
    rows = slice(round(20 / spacing_mm[0]), round(60 / spacing_mm[0]))
    columns = slice(round(64 / spacing_mm[1]), round(96 / spacing_mm[1]))
    hu[:, rows, columns], allowed[:, rows, columns] = 60, EXTENSOR
    return RealScan(patient, hu, allowed, np.array([3]), spacing_mm, site=site, kind=kind)


def _batch(scan: RealScan, ranges: RealInput, *, n: int = 1, seed: int = 1):  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(seed)
    slices = slices_of((scan,))
    return real_batch(
        slices, ranges, n=n, image_pixels=64, preprocessing=Preprocessing(spacing_mm=2.0), generator=generator
    )


def test_the_annotated_region_comes_to_the_middle_at_its_true_size() -> None:
    for spacing in ((1.0, 2.0), (0.5, 1.0)):
        images, allowed, _ = _batch(_scan("A", spacing_mm=spacing), STILL)
        rows, columns = np.nonzero((allowed[0] == EXTENSOR).numpy())
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 16)  # 40 x 32 mm at 2 mm
        assert rows.mean() == pytest.approx(31.5, abs=0.5)
        assert columns.mean() == pytest.approx(31.5, abs=0.5)
        assert float(images[0, 0, 31, 31]) == pytest.approx((60 + 200) / 250 - 1, abs=1e-4)


def test_what_lies_outside_the_slice_is_background_and_air() -> None:
    images, allowed, _ = _batch(_scan("A"), STILL)
    assert int(allowed[0, 0, 0]) == BACKGROUND
    assert float(images[0, 0, 0, 0]) == -1.0


def test_scaling_and_turning_change_area_as_they_should() -> None:
    _, plain, _ = _batch(_scan("A"), STILL)
    _, grown, _ = _batch(_scan("A"), replace(STILL, scale=(1.2, 1.2)))
    _, turned, _ = _batch(_scan("A"), replace(STILL, rotation_deg=40.0))
    area = [(one == EXTENSOR).sum().item() for one in (plain, grown, turned)]
    assert area[1] / area[0] == pytest.approx(1.44, rel=0.05)
    assert area[2] == pytest.approx(area[0], rel=0.05)
    assert not torch.equal(turned, plain)


def test_image_and_labels_are_varied_together() -> None:
    ranges = replace(RealInput(""), noise_hu=(0.0, 0.0), cut=0.0)
    images, allowed, _ = _batch(_scan("A"), ranges, n=6)
    lean = images[:, 0] > (0 + 200) / 250 - 1
    overlap = 2 * (lean & (allowed == EXTENSOR)).sum() / (lean.sum() + (allowed == EXTENSOR).sum())
    assert float(overlap) > 0.95


def test_half_of_the_slices_are_mirrored() -> None:
    _, allowed, _ = _batch(_scan("A"), replace(STILL, mirror=True), n=40)
    # The slice ends 60 + 20 mm from the middle on one side, beyond the picture, and 60 - 20 mm on the other.
    ends_right, ends_left = (allowed[:, 32, column] == BACKGROUND for column in (-1, 0))
    assert not (ends_left & ends_right).any()
    assert (ends_left | ends_right).all()
    assert 10 < int(ends_left.sum()) < 30


def test_validation_shows_every_slice_once_without_variation() -> None:
    found = real_validation(slices_of((_scan("A"), _scan("B"))), image_pixels=64, preprocessing=Preprocessing(2.0))
    assert found is not None
    assert found[0].shape == (2, 1, 64, 64)
    assert torch.equal(found[1][0], found[1][1])


def test_held_out_patients_train_in_no_input_and_are_scored_where_drawn(tmp_path: Path) -> None:
    for name in ("A", "B", "C"):
        _scan(name).save(tmp_path / "drawn")
        _scan(name, kind="pseudo").save(tmp_path / "pseudo")
    tables = tuple(RealInput(str(tmp_path / name)) for name in ("drawn", "pseudo"))
    pool = open_pool(tables, Split(hold_out=("B",)))
    assert [sorted(slices.patient) for _, slices in pool.inputs] == [["A", "C"], ["A", "C"]]
    assert pool.held_out.patient == ("B",)


def test_slices_for_scoring_only_never_train(tmp_path: Path) -> None:
    _scan("A").save(tmp_path)
    pool = open_pool((RealInput(str(tmp_path), score_only=True),), Split())
    assert pool.inputs == ()
    assert pool.held_out.patient == ("A",)


def test_a_stored_scan_comes_back_as_it_was(tmp_path: Path) -> None:
    scan = _scan("A", site="far")
    scan.save(tmp_path)
    (loaded,) = load_scans(tmp_path)
    assert (loaded.patient, loaded.spacing_mm, loaded.site, loaded.kind) == ("A", (1.0, 2.0), "far", "drawn")
    assert np.array_equal(loaded.allowed, scan.allowed)


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"python -m training\.prepare"):
        load_scans(tmp_path)


def test_real_and_synthetic_slices_share_a_batch_and_a_run_logs_the_patients_kept_out(tmp_path: Path) -> None:
    for name in ("A", "B"):
        _scan(name).save(tmp_path / "drawn")
    path = tmp_path / "run.toml"
    path.write_text(
        'network = "segformer"\nsteps = 1\nbatch_size = 4\nimage_pixels = 64\nvalidation_slices = 2\nthreads = 1\n'
        f'[split]\nhold_out = ["B"]\n[[real]]\nsource = "{tmp_path / "drawn"}"\nshare = 0.5\nweight = 7.0\n'
    )
    config: TrainConfig = read_config(path)
    atlas = Atlas(load_shipped()[:1])
    pool = open_pool(config.real, config.split)
    images, allowed, weights = mixed_batch(atlas, config, pool, generator=torch.Generator().manual_seed(1))
    assert images.shape == (4, 1, 64, 64)
    assert [bool((part == 7).all()) for part in weights] == [True, True, False, False]
    assert [bool((part == ALL_BITS).any()) for part in allowed] == [True, True, False, False]
    train(config, atlas=atlas, run=tmp_path / "run", resume=False, device="cpu")
    assert '"real_extensor"' in (tmp_path / "run" / "log.jsonl").read_text()
    assert (tmp_path / "run" / "last" / "model.safetensors").is_file()


def test_shares_above_a_whole_batch_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "greedy.toml"
    path.write_text('network = "manet"\n[[real]]\nsource = "a"\nshare = 0.6\n[[real]]\nsource = "b"\nshare = 0.6\n')
    with pytest.raises(ValueError, match=r"add up to 1\.2"):
        read_config(path)
