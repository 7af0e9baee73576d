"""What is stored of a run: weights between start and end, logits shifted, neither network changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from thighseg_core.checkpoint import load_checkpoint
from thighseg_core.labels import CLASSES
from thighseg_core.networks import NETWORKS, build_network
from training.compact import load_shipped
from training.config import TrainConfig
from training.finishing import finished
from training.synthesis import Atlas
from training.train import train


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_shift_moves_the_logits_of_its_class_and_no_other(name: str) -> None:
    network = build_network(name)
    image = torch.randn(1, 1, 64, 64)
    shifted = finished(network, network, keep_of_start=0.0, logit_shift={"extensor": -1.0})
    with torch.inference_mode():
        moved = shifted(image) - network(image)
    expected = torch.zeros(len(CLASSES))
    expected[CLASSES.index("extensor")] = -1.0
    torch.testing.assert_close(moved.mean(dim=(0, 2, 3)), expected, atol=1e-4, rtol=0)
    assert float(moved.std(dim=(0, 2, 3)).max()) < 1e-4


def test_a_share_of_the_start_is_kept_and_both_networks_stay_as_they_are() -> None:
    torch.manual_seed(0)
    end, start = build_network("manet"), build_network("manet")
    before = {key: value.clone() for key, value in end.state_dict().items()}
    ended = finished(end, start, keep_of_start=0.3, logit_shift={})
    key = "segmentation_head.0.weight"
    a, b = end.state_dict()[key], start.state_dict()[key]
    torch.testing.assert_close(ended.state_dict()[key], 0.7 * a + 0.3 * b)
    assert not torch.equal(a, b)
    assert all(torch.equal(value, before[key]) for key, value in end.state_dict().items())


def test_a_run_that_keeps_all_of_its_start_stores_it(tmp_path: Path) -> None:
    atlas = Atlas(load_shipped()[:1])
    first = TrainConfig(
        network="segformer", steps=1, batch_size=2, image_pixels=64, warmup_steps=1, validate_every=1,
        validation_slices=2, threads=1, learning_rate=0.01,
    )  # fmt: skip
    train(first, atlas=atlas, run=tmp_path / "first", resume=False, device="cpu")
    again = replace(first, start_from=str(tmp_path / "first" / "last"))
    for share in (0.0, 1.0):
        run = tmp_path / f"keep-{share:g}"
        train(replace(again, keep_of_start=share), atlas=atlas, run=run, resume=False, device="cpu")
    key = "segformer.decode_head.classifier.weight"
    stored = [
        load_checkpoint("last", device="cpu", folder=tmp_path / run).network for run in ("first", "keep-1", "keep-0")
    ]
    weights = [network.state_dict()[key] for network in stored]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_share_of_nothing_and_an_unknown_class_are_refused() -> None:
    with pytest.raises(ValueError, match="share from 0 to 1 of the weights of start_from"):
        TrainConfig(network="manet", keep_of_start=0.5)
    with pytest.raises(ValueError, match="no classes are quadriceps; known are background"):
        TrainConfig(network="manet", logit_shift={"quadriceps": 1.0})
