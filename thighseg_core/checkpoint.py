"""A trained network on disk: `model.safetensors` with the weights, `model.json` with all else.

Weights are stored in half precision. Loading is strict: a missing or extra tensor, another class list or another
label scheme is a ModelError, never a silently untrained network.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thighseg_core.errors import ModelError
from thighseg_core.labels import CLASSES, LABEL_SCHEME

if TYPE_CHECKING:
    from torch import nn

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
# Of the three, the one with the best Dice on real reference slices (training/LOG.md, 2026-11-22).
DEFAULT_MODEL = "manet"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "model.json"


@dataclass(frozen=True)
class Preprocessing:
    """What an image goes through before the network; training and inference read it from here.

    spacing_mm: in-plane pixel size of the network's images.
    clip_hu: attenuation below and above is cut off; the range is then scaled to [-1, 1].
    """

    spacing_mm: float = 1.5
    clip_hu: tuple[float, float] = (-200.0, 300.0)


@dataclass(frozen=True)
class ModelCard:
    """Everything about a checkpoint but its tensors. `training` and `validation` are for people and pages."""

    network: str
    version: str
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    classes: tuple[str, ...] = CLASSES
    label_scheme: str = LABEL_SCHEME
    training: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""

    @property
    def tested_version(self) -> str:
        """The version that `validation["real"]` is of: this one, unless it names an earlier one."""
        return str(self.validation.get("real", {}).get("version", self.version))


@dataclass(frozen=True)
class Model:
    """A network with trained weights in evaluation mode, and its card."""

    network: nn.Module
    card: ModelCard


def available_models(*, folder: Path | None = None) -> tuple[str, ...]:
    """Names of the networks that have a checkpoint below `folder` (default: those shipped)."""
    root = folder or WEIGHTS_FOLDER
    return tuple(sorted(path.parent.name for path in root.glob(f"*/{CARD_FILE}")))


def read_card(model_name: str, *, folder: Path | None = None) -> ModelCard:
    """The card of a checkpoint, without loading torch.

    Raises ModelError when it is missing, damaged or made for another label scheme.
    """
    path = (folder or WEIGHTS_FOLDER) / model_name / CARD_FILE
    if not path.is_file():
        available = ", ".join(available_models(folder=folder)) or "none"
        raise ModelError(f"no trained weights for {model_name!r} in {path.parent}; available: {available}")
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        preprocessing = stored.pop("preprocessing")
        stored["preprocessing"] = Preprocessing(
            spacing_mm=float(preprocessing["spacing_mm"]), clip_hu=tuple(preprocessing["clip_hu"])
        )
        stored["classes"] = tuple(stored["classes"])
        card = ModelCard(**stored)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged ({error}); restore it from the release") from error
    if card.classes != CLASSES or card.label_scheme != LABEL_SCHEME:
        raise ModelError(
            f"{path} was trained for label scheme {card.label_scheme!r}, this version uses {LABEL_SCHEME!r}"
        )
    return card


def load_checkpoint(model_name: str, *, device: str, folder: Path | None = None) -> Model:
    """The trained network `model_name` on `device` ("cpu" or "cuda"), float32, channels last. Cached.

    Raises ModelError when files are missing, the digest differs or tensors do not fit.
    """
    return _load(model_name, device, folder or WEIGHTS_FOLDER)


@lru_cache(maxsize=4)
def _load(model_name: str, device: str, folder: Path) -> Model:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    from thighseg_core.networks import build_network

    card = read_card(model_name, folder=folder)
    path = folder / model_name / WEIGHTS_FILE
    if not path.is_file():
        raise ModelError(f"{path} is missing; restore it from the release")
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != card.weights_sha256:
        raise ModelError(f"{path} is not the file that {CARD_FILE} describes (sha256 differs); restore both")
    try:
        tensors = load(raw)
    except SafetensorError as error:
        raise ModelError(f"{path} is damaged ({error}); restore it from the release") from error
    network = build_network(card.network, n_classes=len(card.classes))
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ModelError(f"{path} does not fit network {card.network!r}: {error}") from error
    network = network.float().to(device=torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(network=network.eval(), card=card)


def save_checkpoint(network: nn.Module, card: ModelCard, folder: Path) -> ModelCard:
    """Write both files into `folder`. Returns the card with the digest filled in.

    Parameters are stored as float16; buffers (running means and variances, which exceed its range) as they are.
    Raises ModelError when a value is not finite, before anything is written.
    """
    import torch
    from safetensors.torch import save

    parameters = {name for name, _ in network.named_parameters()}
    tensors = {
        name: (tensor.half() if name in parameters else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    if broken := [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise ModelError(f"{len(broken)} tensors are not finite ({broken[0]}, ...); the network was not stored")
    raw = save(tensors)
    values = asdict(card) | {"weights_sha256": hashlib.sha256(raw).hexdigest()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((WEIGHTS_FILE, raw), (CARD_FILE, (json.dumps(values, indent=2) + "\n").encode())):
        temporary = folder / f".{name}.tmp"
        temporary.write_bytes(content)
        temporary.replace(folder / name)
    values["preprocessing"] = card.preprocessing
    return ModelCard(**values)
