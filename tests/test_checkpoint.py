"""Checkpoints are loaded strictly or not at all."""

import json
from pathlib import Path

import pytest
import torch

from thighseg_core.checkpoint import (
    CARD_FILE,
    WEIGHTS_FILE,
    ModelCard,
    available_models,
    load_checkpoint,
    read_card,
    save_checkpoint,
)
from thighseg_core.errors import ModelError
from thighseg_core.labels import CLASSES
from thighseg_core.networks import NETWORKS, build_network


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_network_survives_the_way_to_disk_and_back(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = build_network(name)
    card = save_checkpoint(network, ModelCard(network=name, version="7"), tmp_path / name)
    model = load_checkpoint(name, device="cpu", folder=tmp_path)
    assert model.card.weights_sha256 == card.weights_sha256
    assert model.card.version == "7"
    image = torch.randn(1, 1, 64, 96)
    with torch.inference_mode():
        before, after = network(image), model.network(image)
    assert after.shape == (1, len(CLASSES), 64, 96)
    assert torch.allclose(before, after, atol=0.05 * float(before.abs().max()))  # stored in half precision
    assert not model.network.training


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    save_checkpoint(build_network("segformer"), ModelCard(network="segformer", version="1"), tmp_path / "segformer")
    return tmp_path


def change_card(folder: Path, **values: object) -> None:
    path = folder / "segformer" / CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_running_variances_beyond_half_precision_survive(tmp_path: Path) -> None:
    network = build_network("manet")
    name, buffer = next((n, b) for n, b in network.named_buffers() if n.endswith("running_var"))
    buffer.fill_(1e6)  # float16 ends at 65504; a network whose variances became infinite predicted nothing at all
    save_checkpoint(network, ModelCard(network="manet", version="1"), tmp_path / "manet")
    loaded = load_checkpoint("manet", device="cpu", folder=tmp_path).network
    assert torch.equal(dict(loaded.named_buffers())[name], buffer)


def test_a_network_with_values_that_are_not_finite_is_not_stored(tmp_path: Path) -> None:
    network = build_network("segformer")
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        save_checkpoint(network, ModelCard(network="segformer", version="1"), tmp_path / "segformer")
    assert not (tmp_path / "segformer").exists()


def test_a_missing_model_names_those_that_are_there(stored: Path) -> None:
    assert available_models(folder=stored) == ("segformer",)
    with pytest.raises(ModelError, match=r"no trained weights for 'manet'.*available: segformer"):
        read_card("manet", folder=stored)


def test_weights_that_the_card_does_not_describe_are_refused(stored: Path) -> None:
    path = stored / "segformer" / WEIGHTS_FILE
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(ModelError, match="sha256 differs"):
        load_checkpoint("segformer", device="cpu", folder=stored)


def test_weights_of_another_network_are_refused_and_never_run_untrained(stored: Path) -> None:
    change_card(stored, network="manet")
    with pytest.raises(ModelError, match="does not fit network 'manet'"):
        load_checkpoint("segformer", device="cpu", folder=stored)


def test_a_card_for_other_labels_is_refused(stored: Path) -> None:
    change_card(stored, label_scheme="thighseg-0")
    with pytest.raises(ModelError, match="label scheme 'thighseg-0'"):
        read_card("segformer", folder=stored)


def test_a_damaged_card_is_refused_in_words(stored: Path) -> None:
    (stored / "segformer" / CARD_FILE).write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        read_card("segformer", folder=stored)


def test_an_unknown_network_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match="segformer, manet, dense-unet"):
        build_network("unet")
