"""What a training run is made of, read from a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from thighseg_core.checkpoint import Preprocessing
from thighseg_core.labels import CLASSES
from training.objects import ObjectRange
from training.real_batches import RealInput
from training.rendering import RenderRange
from training.splits import Split
from training.synthesis import AnatomyRange

PRECISIONS = ("auto", "float32", "bfloat16")
ENCODER_WEIGHTS = ("", "imagenet")


@dataclass(frozen=True)
class TrainConfig:
    """One run; steps and intervals count batches."""

    network: str
    version: str = "1"
    start_from: str = ""  # folder of a checkpoint to start from; empty: random weights
    teacher: str = ""  # folder of a checkpoint whose answers to each batch are learnt beside its labels (teaching.py)
    teacher_weight: float = 1.0  # of the divergence from them, in the loss
    encoder_weights: str = ""  # "imagenet": MANet's encoder starts from published weights (imagenet.py)
    encoder_rate: float = 1.0  # learning rate of MANet's or the Dense U-Net's encoder over that of the rest
    processes: int = 1  # that train together on a CPU, `batch_size` images each; a GPU takes all images in one
    steps: int = 4000
    stop_after: int = 0  # end at this step, though the learning rate reckons with `steps`; 0: never before
    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    muon: float = 0.0  # rate of orthogonal steps (Jordan 2024) of matrices and filters over AdamW's; 0: none
    ema_decay: float = 0.995
    image_pixels: int = 160
    vessel_weight: float = 1.0  # of vessels' pixels in the cross entropy: small, and easily taken for muscle
    thigh_share: float = 0.85  # share of slices from the thigh, the others from hip to calf
    validate_every: int = 250
    validation_slices: int = 96
    seed: int = 1
    threads: int = 2
    logit_shift: dict[str, float] = field(default_factory=dict)  # class -> what the stored weights add to its logit
    precision: str = "auto"  # "float32", "bfloat16", or "auto": bfloat16 on a GPU, float32 on a CPU
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    anatomy: AnatomyRange = field(default_factory=AnatomyRange)
    render: RenderRange = field(default_factory=RenderRange)
    real: tuple[RealInput, ...] = ()  # [[real]] tables: labelled scans beside the synthetic images
    split: Split = field(default_factory=Split)  # patients that no real input shows to the network

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision {self.precision!r} is not one of {', '.join(PRECISIONS)}")
        if self.encoder_weights not in ENCODER_WEIGHTS:
            raise ValueError(f'encoder_weights {self.encoder_weights!r} is neither empty nor "imagenet"')
        if self.encoder_weights and self.network != "manet":
            raise ValueError(f"encoder_weights: there are none for {self.network}, only for manet")
        if self.encoder_rate != 1 and self.network == "segformer":
            raise ValueError("encoder_rate: SegFormer learns at one rate; take the line out")
        if unknown := sorted(set(self.logit_shift) - set(CLASSES)):
            raise ValueError(f"logit_shift: unknown classes {', '.join(unknown)}; known are {', '.join(CLASSES)}")
        if self.logit_shift and self.network == "segformer":
            raise ValueError("logit_shift: only for manet and dense-unet; take the line out")
        if self.processes < 1:
            raise ValueError(f"processes = {self.processes}: at least 1 is needed")


def read_config(path: Path) -> TrainConfig:
    """The TOML file as a TrainConfig; unknown keys are a ValueError that names them."""
    values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    nested = {"preprocessing": Preprocessing, "anatomy": AnatomyRange, "render": RenderRange, "split": Split}
    if "objects" in values.get("render", {}):
        values["render"]["objects"] = build(ObjectRange, values["render"]["objects"], where=f"{path} [render.objects]")
    for key, kind in nested.items():
        if key in values:
            values[key] = build(kind, values[key], where=f"{path} [{key}]")
    tables = values.get("real", [])
    if not isinstance(tables, list):
        raise ValueError(f"{path} [real]: write it as [[real]], one table for each folder of scans")
    values["real"] = [build(RealInput, table, where=f"{path} [[real]]") for table in tables]
    if (total := sum(table.share for table in values["real"] if not table.score_only)) > 1:
        raise ValueError(f"{path} [[real]]: the shares add up to {total:g}; at most 1 is possible")
    return build(TrainConfig, values, where=str(path))


def build(kind: type, values: dict[str, Any], *, where: str) -> Any:
    """A configuration table as its dataclass; unknown keys are a ValueError that names them."""
    known = {item.name for item in fields(kind)}
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"{where}: unknown keys {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
