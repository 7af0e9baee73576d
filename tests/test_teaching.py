"""A network that teaches another: its answers, what differing from them costs, and whose drawings come with them."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from thighseg_core.checkpoint import load_checkpoint
from training.allowed import bits_of
from training.compact import load_shipped
from training.config import TrainConfig
from training.real_batches import RealInput
from training.real_data import RealScan
from training.splits import Split
from training.synthesis import Atlas
from training.teaching import divergence
from training.train import train

TINY = TrainConfig(
    network="segformer", steps=1, batch_size=4, image_pixels=64, validate_every=1, validation_slices=2, threads=1
)


def test_differing_from_the_teacher_costs_the_divergence_worked_out_by_hand() -> None:
    teacher, pupil = (
        torch.tensor(values).log().view(1, 2, 1, 1).expand(1, 2, 3, 4) for values in ([0.5, 0.5], [0.25, 0.75])
    )
    by_hand = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert float(divergence(pupil, teacher)) == pytest.approx(by_hand, abs=1e-5)
    assert float(divergence(teacher + 3.0, teacher)) == pytest.approx(0, abs=1e-6)


def test_a_teacher_passes_on_whose_drawings_it_knows(tmp_path: Path) -> None:
    hu = np.full((1, 60, 60), 60, dtype=np.int16)
    for name in ("P1", "P2"):
        sets = np.full(hu.shape, bits_of("extensor"), np.uint16)
        RealScan(name, hu, sets, np.array([3]), (2, 2), kind="drawn").save(tmp_path / "drawn")
    drawn = RealInput(str(tmp_path / "drawn"), share=0.5)
    atlas = Atlas(load_shipped()[:1])
    first = replace(TINY, real=(drawn,), split=Split(hold_out=("P2",)))
    train(first, atlas=atlas, run=tmp_path / "teacher", resume=False, device="cpu")
    pupil = replace(TINY, teacher=str(tmp_path / "teacher" / "last"))
    train(pupil, atlas=atlas, run=tmp_path / "pupil", resume=False, device="cpu")
    assert load_checkpoint("last", device="cpu", folder=tmp_path / "pupil").card.training["drawn_patients_seen"] == [
        "P1"
    ]
    refused = replace(pupil, real=(drawn,), split=Split(hold_out=("P1",)))
    with pytest.raises(ValueError, match="drawings of P1"):
        train(refused, atlas=atlas, run=tmp_path / "refused", resume=False, device="cpu")
