"""Train the small network that tells the level of a slice, on synthetic slices only.

    python -m training.level_training training/configs/level.toml --run runs/level [--ship]

Writes level.safetensors, level.json and log.jsonl into the run folder; `--ship` also into thighseg_core/weights/level.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from thighseg_core.level_network import LEVEL_FOLDER, LevelNetwork, load_level_network, save_level_network
from thighseg_core.manifest import git_commit, utc_now
from training.atlas import AtlasLeg
from training.config import build
from training.level_slices import Disturbance, LevelSlices, disturbed, draw_slices
from training.rendering import RenderRange
from training.synthesis import AnatomyRange, Atlas

VALIDATION_SEED = 20251123


@dataclass(frozen=True)
class LevelConfig:
    """One run of the level network."""

    start_from: str = ""  # folder of a level network to start from; empty: random weights
    steps: int = 1500
    batch_size: int = 48
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    ema_decay: float = 0.99
    validate_every: int = 100
    validation_slices: int = 512
    seed: int = 1
    threads: int = 1
    pool_slices: int = 12000  # drawn before the first step; each is used several times, every time disturbed anew
    disturbance: Disturbance = field(default_factory=Disturbance)
    anatomy: AnatomyRange = field(default_factory=AnatomyRange)
    render: RenderRange = field(default_factory=RenderRange)


def read_level_config(path: Path) -> LevelConfig:
    """The TOML file as a LevelConfig; unknown keys are a ValueError that names them."""
    values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    for key, kind in (("anatomy", AnatomyRange), ("render", RenderRange), ("disturbance", Disturbance)):
        if key in values:
            values[key] = build(kind, values[key], where=f"{path} [{key}]")
    config: LevelConfig = build(LevelConfig, values, where=str(path))
    return config


def loss_of(answer: Tensor, level: Tensor) -> Tensor:
    """Negative log-likelihood of a Laplace distribution around the level, whose width is answered too."""
    log_width = answer[:, 1].clamp(-5.0, 1.0)
    return ((answer[:, 0] - level).abs() / log_width.exp() + log_width).mean()


@torch.inference_mode()
def errors(network: nn.Module, images: Tensor, level: Tensor) -> dict[str, float]:
    """Error of the level within the femur (0 to 1) and beyond, as share of the femur's length."""
    answer = network.eval()(images)
    off = answer[:, 0] - level
    inside = (level >= 0) & (level <= 1)
    return {
        "mean_absolute": float(off[inside].abs().mean()),
        "p95": float(off[inside].abs().quantile(0.95)),
        "bias": float(off[inside].mean()),
        "mean_absolute_beyond": float(off[~inside].abs().mean()),
        "expected": float(answer[inside, 1].exp().mean()),
    }


def validation_batch(
    atlas: Atlas, config: LevelConfig, *, n: int, seed: int = VALIDATION_SEED
) -> tuple[Tensor, Tensor]:
    """Inputs of the network, disturbed as in training, and levels of about n slices that no training sees."""
    generator = torch.Generator().manual_seed(seed)
    slices = draw_slices(atlas, n=n, anatomy=config.anatomy, rendering=config.render, generator=generator)
    return disturbed(slices, how=config.disturbance, generator=generator), slices.level


def _pool(atlas: Atlas, config: LevelConfig, path: Path) -> LevelSlices:
    """The slices to learn from, drawn unless an earlier run left them at `path`."""
    if path.is_file():
        return LevelSlices.load(path)
    generator = torch.Generator().manual_seed(config.seed)
    pool = draw_slices(
        atlas, n=config.pool_slices, anatomy=config.anatomy, rendering=config.render, generator=generator
    )
    pool.save(path)
    return pool


def train_level(config: LevelConfig, *, atlas: Atlas, run: Path) -> LevelNetwork:
    """The loop; the averaged weights of the last step are kept."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    run.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(config.seed)
    images, levels = validation_batch(atlas, config, n=config.validation_slices)
    pool = _pool(atlas, config, run / "pool.npz")
    network = LevelNetwork()
    if config.start_from:
        network.load_state_dict(load_level_network(Path(config.start_from))[0].state_dict())
    averaged = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps)
    began = time.monotonic()
    for step in range(1, config.steps + 1):
        network.train()
        chosen = torch.randint(0, len(pool), (config.batch_size,), generator=generator)
        batch = disturbed(pool.at(chosen), how=config.disturbance, generator=generator)
        loss = loss_of(network(batch), pool.level[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        decay = min(config.ema_decay, step / (step + 10))
        with torch.no_grad():
            for slow, fast in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
                if slow.dtype.is_floating_point:
                    slow.lerp_(fast, 1 - decay)
        if step % config.validate_every and step != config.steps:
            continue
        seconds = round(time.monotonic() - began)
        scores = {name: round(value, 4) for name, value in errors(averaged, images, levels).items()}
        line = {"step": step, "seconds": seconds, "loss": round(float(loss.detach()), 4)} | scores
        print(json.dumps(line), flush=True)
        with (run / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        save_level_network(averaged, _card(config, atlas, step, seconds, scores), run)
    return averaged


def _card(config: LevelConfig, atlas: Atlas, step: int, seconds: int, scores: dict[str, float]) -> dict[str, Any]:
    return {
        "network": "level",
        "version": "2",
        "answers": "level along the femur (0 top of the head, 1 distal end of the condyles), log of its absolute error",
        "training": {
            "data": "synthetic CT only, from the Visible Human lower-limb surfaces (Andreassen et al. 2022, CC BY 4.0)",
            "atlas_legs": [leg.name for leg in atlas.legs],
            "slices": config.pool_slices,
            "images": step * config.batch_size,
            "started_from": config.start_from,
            "seconds": seconds,
            "git_commit": git_commit(),
            "finished_at": utc_now(),
            "config": asdict(config),
        },
        "validation": {"synthetic": {"slices": config.validation_slices, "error_share_of_femur": scores}},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--atlas", type=Path, default=Path("cache/atlas"))
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--ship", action="store_true")
    arguments = parser.parse_args()
    loaded = tuple(AtlasLeg.load(path) for path in sorted(arguments.atlas.glob("*.npz")))
    train_level(read_level_config(arguments.config), atlas=Atlas(loaded), run=arguments.run)
    if arguments.ship:
        LEVEL_FOLDER.mkdir(parents=True, exist_ok=True)
        for path in arguments.run.glob("level.*"):
            (LEVEL_FOLDER / path.name).write_bytes(path.read_bytes())
