"""A small network that tells from one slice of one leg how far along the femur it lies, and its file on disk.

Contract: (B, LEVEL_CHANNELS, 64, 64) at 3 mm pixels, a left leg in the middle (`level_input`) -> (B, 2): level (0 at
the top of the femoral head, 1 at the distal end of the condyles, beyond them above the hip and below the knee) and the
logarithm of its expected absolute error. Trained by `training.level_training` on synthetic slices only.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from thighseg_core.checkpoint import WEIGHTS_FOLDER, Preprocessing
from thighseg_core.errors import ModelError
from thighseg_core.labels import CLASS_INDEX
from thighseg_core.preprocess import normalise

LEVEL_FOLDER = WEIGHTS_FOLDER / "level"
LEVEL_WEIGHTS = "level.safetensors"
LEVEL_CARD = "level.json"
LEVEL_PIXELS = 64
LEVEL_CLASSES = ("extensor", "flexor", "adductor", "sartorius", "other_muscle", "femur")
LEVEL_PREPROCESSING = Preprocessing(spacing_mm=3.0, clip_hu=(-200.0, 300.0))
LEVEL_CHANNELS = 1 + len(LEVEL_CLASSES) + 1  # the image, each class of the leg, and all that belongs to the leg
_WIDTHS = (24, 40, 64, 96, 112)


def level_input(attenuation_hu: Tensor, classes: Tensor) -> Tensor:
    """(n, LEVEL_CHANNELS, 64, 64) from (n, 1, 64, 64) HU and (n, 64, 64) classes that are 0 wherever no tissue of the
    one leg is: the normalised image, each class of `LEVEL_CLASSES`, and all that belongs to the leg."""
    image = torch.from_numpy(normalise(attenuation_hu.numpy(), LEVEL_PREPROCESSING))
    asked = torch.tensor([CLASS_INDEX[name] for name in LEVEL_CLASSES])
    each = (classes[:, None] == asked[None, :, None, None]).float()
    return torch.cat([image, each, (classes > 0).float()[:, None]], dim=1)


class LevelNetwork(nn.Module):
    """Five halvings, mean and maximum over what is left, two layers."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = LEVEL_CHANNELS
        for width in _WIDTHS:
            for stride, inner in ((2, before), (1, width)):
                layers += [nn.Conv2d(inner, width, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(width)]
                layers.append(nn.ReLU(inplace=True))
            before = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(2 * before, 64), nn.ReLU(inplace=True), nn.Linear(64, 2))

    def forward(self, image: Tensor) -> Tensor:
        found = self.features(image)
        out: Tensor = self.head(torch.cat([found.mean(dim=(2, 3)), found.amax(dim=(2, 3))], dim=1))
        return out


def save_level_network(network: LevelNetwork, card: dict[str, Any], folder: Path) -> None:
    """Weights (float16, running variances float32) and their card, which gets their digest."""
    from safetensors.torch import save

    parameters = {name for name, _ in network.named_parameters()}
    tensors = {
        name: (value.half() if name in parameters else value).detach().cpu().contiguous()
        for name, value in network.state_dict().items()
    }
    raw = save(tensors)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LEVEL_WEIGHTS).write_bytes(raw)
    card = card | {"weights_sha256": hashlib.sha256(raw).hexdigest()}
    (folder / LEVEL_CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def load_level_network(folder: Path = LEVEL_FOLDER) -> tuple[LevelNetwork, dict[str, Any]]:
    """The trained network in evaluation mode and its card. Cached. Raises ModelError when the files do not fit."""
    return _load(folder)


@lru_cache(maxsize=2)
def _load(folder: Path) -> tuple[LevelNetwork, dict[str, Any]]:
    from safetensors.torch import load

    try:
        raw = (folder / LEVEL_WEIGHTS).read_bytes()
        card: dict[str, Any] = json.loads((folder / LEVEL_CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the level network in {folder} cannot be read ({error}); restore it from the release"
        ) from error
    if hashlib.sha256(raw).hexdigest() != card.get("weights_sha256"):
        raise ModelError(f"{folder / LEVEL_WEIGHTS} is not the file that {LEVEL_CARD} describes; restore both")
    network = LevelNetwork()
    network.load_state_dict(load(raw), strict=True)
    return network.float().eval(), card
