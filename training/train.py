"""Train one network on synthetic and real CT: one loop, top to bottom.

    python -m training.train training/configs/segformer.toml --atlas cache/atlas --run runs/segformer [--resume]

Writes into the run folder: `last.pt` (everything needed to resume), `best/` (the shipped form of the best weights by
synthetic validation), `last/` (the same form of the latest weights), `log.jsonl` (one line a validation; with real
scans also Dice on the patients kept out, `real_...`).
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from thighseg_core.checkpoint import ModelCard, load_checkpoint, read_card, save_checkpoint
from thighseg_core.labels import CLASS_INDEX, CLASSES
from thighseg_core.manifest import git_commit, utc_now
from thighseg_core.networks import build_network
from thighseg_core.preprocess import normalise
from training.allowed import allowed_of_labels, loss_of, membership
from training.atlas import AtlasLeg
from training.config import TrainConfig, read_config
from training.imagenet import load_encoder
from training.randomness import Draw
from training.real_batches import RealPool, open_pool, real_batch, real_validation
from training.rendering import render
from training.splits import drawings_seen, patients_seen, refuse_seen
from training.synthesis import Atlas, anatomy
from training.teaching import divergence, load_teacher

VALIDATION_SEED = 20251122
SCORED = ("extensor", "flexor", "adductor", "sartorius")


def synthetic_batch(
    atlas: Atlas, config: TrainConfig, *, n: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """(n, 1, H, W) normalised images, (n, H, W) class labels and (n, H, W) weights of the pixels."""
    draw = Draw(n, generator)
    leg = torch.randint(0, len(atlas.legs), (n,), generator=generator)
    level = torch.where(draw.chance(config.thigh_share), draw.uniform(0.08, 0.97), draw.uniform(-0.03, 1.3))
    level = torch.minimum(level, torch.tensor([atlas.legs[which].level_limit for which in leg.tolist()]))
    size = (config.image_pixels, config.image_pixels)
    pixel_mm = config.preprocessing.spacing_mm
    subject = anatomy(atlas, leg=leg, level=level, draw=draw, size=size, pixel_mm=pixel_mm, ranges=config.anatomy)
    attenuation_hu, labels = render(subject, draw=draw, ranges=config.render)
    # A mass may have pushed something else where a vessel was.
    vessels = subject.vessels() & (labels == CLASS_INDEX["intermuscular"])
    weights = torch.where(vessels, config.vessel_weight, 1.0)
    return torch.from_numpy(normalise(attenuation_hu.numpy(), config.preprocessing)), labels, weights


def mixed_batch(
    atlas: Atlas, config: TrainConfig, pool: RealPool, *, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 1, H, W) normalised images, (B, H, W) bit sets of the classes allowed and (B, H, W) weights of the pixels.

    Real inputs take their shares of the batch (in the mean, where a share is no whole number), synthesis the rest.
    """
    left, parts = config.batch_size, []
    for ranges, slices in pool.inputs:
        wanted = config.batch_size * ranges.share
        n = min(left, int(wanted + float(torch.rand(1, generator=generator))))
        if n:
            pixels, preprocessing = config.image_pixels, config.preprocessing
            parts.append(
                real_batch(slices, ranges, n=n, image_pixels=pixels, preprocessing=preprocessing, generator=generator)
            )
            left -= n
    if left:
        images, labels, weights = synthetic_batch(atlas, config, n=left, generator=generator)
        parts.append((images, allowed_of_labels(labels), weights))
    images, allowed, weights = (torch.cat(part) for part in zip(*parts, strict=True))
    return images, allowed, weights


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then cosine to 1 % of the peak."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


@torch.inference_mode()
def validate(network: nn.Module, images: Tensor, allowed: Tensor, *, batch_size: int) -> dict[str, float]:
    """Dice over all pixels of the validation slices, for each scored class and their mean.

    Pixels that may have the class or another one do not count.
    """
    network.eval()
    predicted = torch.cat([network(part).argmax(dim=1) for part in images.split(batch_size)])
    sure, known = membership(allowed)
    scores = {}
    for name in SCORED:
        c = CLASSES.index(name)
        p, t = (predicted == c) & known[:, c], sure[:, c]
        scores[name] = 2 * float((p & t).sum()) / max(float(p.sum() + t.sum()), 1.0)
    return scores | {"mean": sum(scores.values()) / len(scores)}


def is_best(scores: dict[str, float], best: float) -> bool:
    """A validation is the best when its mean Dice is finite and above all before."""
    return math.isfinite(scores["mean"]) and scores["mean"] > best


def train(config: TrainConfig, *, atlas: Atlas, run: Path, resume: bool, device: str) -> None:
    """Interrupted at any time, `resume` goes on from the last validation."""
    if config.processes == 1:
        _loop(0, config, atlas, run, resume, device)
    elif device == "cuda":
        alone = replace(config, processes=1, batch_size=config.batch_size * config.processes)
        _loop(0, alone, atlas, run, resume, device)
    else:
        with tempfile.TemporaryDirectory() as meeting:
            shared = (config, atlas, run, resume, device, f"file://{meeting}/processes")
            torch.multiprocessing.spawn(_loop, args=shared, nprocs=config.processes)


def _loop(
    rank: int, config: TrainConfig, atlas: Atlas, run: Path, resume: bool, device: str, meeting: str = ""
) -> None:
    """Process `rank` of `config.processes`: each draws images of its own, their gradients are averaged; the first one
    validates and writes. meeting: where the processes find one another."""
    torch.set_num_threads(config.threads)
    run.mkdir(parents=True, exist_ok=True)
    network = _first_network(config)
    torch.manual_seed(config.seed)  # for dropout, whether weights were drawn or read
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).requires_grad_(False)
    trained = network
    if config.processes > 1:
        torch.distributed.init_process_group("gloo", meeting, rank=rank, world_size=config.processes)
        trained = nn.parallel.DistributedDataParallel(network, find_unused_parameters=True)
    optimisers = _optimisers(network, config)
    generator = torch.Generator().manual_seed(config.seed + 1000 * rank)
    validation = synthetic_batch(
        atlas, config, n=config.validation_slices, generator=torch.Generator().manual_seed(VALIDATION_SEED)
    )
    images, allowed = validation[0].to(device), allowed_of_labels(validation[1]).to(device)
    pool = open_pool(config.real, config.split)
    for before in (config.start_from, config.teacher):
        refuse_seen(_training_of(before), pool.held_out.patient)
    refuse_seen({"drawn_patients_seen": pool.drawings_of}, pool.held_out.patient)
    kept_out = real_validation(pool.held_out, image_pixels=config.image_pixels, preprocessing=config.preprocessing)
    start, best, seconds = 0, -1.0, 0.0
    if resume and (run / "last.pt").is_file():
        state = torch.load(run / "last.pt", weights_only=True, map_location=device)
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        for optimiser, stored_state in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(stored_state)
        generator.set_state(state["generator"].cpu())
        torch.set_rng_state(state["dropout"].cpu())
        start, best, seconds = state["step"], state["best"], state["seconds"]
        if rank:  # the state is the first process's: not the same images once more
            generator.manual_seed(config.seed + 1000 * rank + start)
    began, running, counted = time.monotonic() - seconds, 0.0, 0
    in_half = config.precision == "bfloat16" or (config.precision == "auto" and device == "cuda")
    half = torch.autocast(device_type=device, dtype=torch.bfloat16, enabled=in_half)
    teacher = load_teacher(Path(config.teacher), device=device) if config.teacher else None
    end = config.stop_after or config.steps
    for step in range(start, end):
        network.train()
        batch, truth, weights = mixed_batch(atlas, config, pool, generator=generator)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = learning_rate_at(step, config) * group["rate"]
        batch = batch.to(device).contiguous(memory_format=torch.channels_last)
        with half:
            logits = trained(batch).float()
            loss = loss_of(logits, truth.to(device), weights.to(device))
            if teacher is not None:
                with torch.no_grad():
                    taught = teacher(batch).float()
                loss = loss + config.teacher_weight * divergence(logits, taught)
        network.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        decay = min(config.ema_decay, (step + 1) / (step + 10))
        with torch.no_grad():
            for slow, fast in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
                if slow.dtype.is_floating_point:
                    slow.lerp_(fast, 1 - decay)
                else:
                    slow.copy_(fast)
        running += float(loss.detach())
        counted += 1
        if rank or ((step + 1) % config.validate_every and step + 1 != end):
            continue
        seconds = time.monotonic() - began
        scores = validate(averaged, images, allowed, batch_size=config.batch_size)
        line = {"step": step + 1, "seconds": round(seconds), "loss": round(running / counted, 4)}
        line |= {name: round(value, 4) for name, value in scores.items()}
        if kept_out is not None:
            on_real = validate(averaged, *(part.to(device) for part in kept_out), batch_size=config.batch_size)
            line |= {f"real_{name}": round(value, 4) for name, value in on_real.items()}
        running, counted = 0.0, 0
        print(json.dumps(line), flush=True)
        with (run / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        stored, card = _shifted(averaged, config), _card(config, atlas, pool, step + 1, seconds, scores)
        if is_best(scores, best):
            best = scores["mean"]
            save_checkpoint(stored, card, run / "best")
        save_checkpoint(stored, card, run / "last")
        state = {
            "network": network.state_dict(),
            "averaged": averaged.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
            "generator": generator.get_state(),
            "dropout": torch.get_rng_state(),
            "step": step + 1,
            "best": best,
            "seconds": seconds,
        }
        torch.save(state, run / "last.tmp")
        (run / "last.tmp").replace(run / "last.pt")
    if config.processes > 1:
        torch.distributed.destroy_process_group()


def _optimisers(network: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW; `rate` of a group of weights multiplies the learning rate. With `muon` (Jordan 2024), matrices and filters
    over several channels by orthogonal steps."""
    groups: dict[bool, list[dict[str, Any]]] = {
        False: [{"params": [], "rate": 1.0}, {"params": [], "rate": config.encoder_rate}],
        True: [{"params": [], "rate": config.muon}, {"params": [], "rate": config.muon * config.encoder_rate}],
    }
    for name, weight in network.named_parameters():
        muon = config.muon > 0 and weight.ndim in (2, 4) and weight.shape[1] > 1
        groups[muon][name.startswith("encoder.")]["params"].append(weight)
    rate, decay = config.learning_rate, config.weight_decay
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups[False], lr=rate, weight_decay=decay, fused=True)
    ]
    if config.muon:
        optimisers.append(FilterMuon(groups[True], lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return optimisers


class FilterMuon(torch.optim.Muon):
    """Muon for filters, too: those of a convolution, (out, in, height, width), channels last, as the rows of a matrix.

    Raises ValueError for filters stored otherwise: their rows would be a copy, and they would not move.
    """

    def __init__(self, groups: list[dict[str, Any]], **settings: Any) -> None:
        self.weights = [weight for group in groups for weight in group["params"]]
        self.rows = [_rows(weight.detach()) for weight in self.weights]
        if any(rows.data_ptr() != weight.data_ptr() for rows, weight in zip(self.rows, self.weights, strict=True)):
            raise ValueError("the network's filters are not stored channels last; network.to(memory_format=...) first")
        left = iter(self.rows)
        super().__init__([group | {"params": [next(left) for _ in group["params"]]} for group in groups], **settings)

    def step(self, closure: Any = None) -> Any:
        for weight, rows in zip(self.weights, self.rows, strict=True):
            rows.grad = None if weight.grad is None else _rows(weight.grad)
        return super().step(closure)


def _rows(weight: Tensor) -> Tensor:
    """(out, in, height, width), channels last -> (out, height * width * in) of the same memory."""
    if weight.ndim == 2:
        return weight
    return weight.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).flatten(1)


def _shifted(network: nn.Module, config: TrainConfig) -> nn.Module:
    """What is stored: a copy whose last layer adds the configured shifts to the logits; without any, the network."""
    if not config.logit_shift:
        return network
    network = copy.deepcopy(network)
    bias = network.get_parameter("segmentation_head.0.bias")
    with torch.no_grad():
        for name, shift in config.logit_shift.items():
            bias[CLASS_INDEX[name]] += shift
    return network


def _first_network(config: TrainConfig) -> nn.Module:
    """Drawn at random, or as stored: a copy, for what is loaded is kept, and the next run of this process must not
    start from what this one learns."""
    if not config.start_from:
        torch.manual_seed(config.seed)
        network = build_network(config.network)
        if config.encoder_weights:
            load_encoder(network)
        return network
    source = Path(config.start_from)
    return copy.deepcopy(load_checkpoint(source.name, device="cpu", folder=source.parent).network)


def _earlier_stages(config: TrainConfig) -> list[str]:
    """What the run that this one started from had seen, and the runs before it; oldest first."""
    if not (before := _training_of(config.start_from)):
        return []
    source = Path(config.start_from)
    name = source.parent.name if source.name in ("last", "best") else f"shipped version {before['config']['version']}"
    return [*before.get("earlier_stages", []), f"{name}: {before['images']} images"]


def _training_of(checkpoint: str) -> dict[str, Any]:
    """`training` of the card in this folder; empty without one."""
    source = Path(checkpoint)
    return read_card(source.name, folder=source.parent).training if checkpoint else {}


def _card(
    config: TrainConfig, atlas: Atlas, pool: RealPool, step: int, seconds: float, scores: dict[str, float]
) -> ModelCard:
    earlier = [_training_of(checkpoint) for checkpoint in (config.start_from, config.teacher)]
    return ModelCard(
        network=config.network,
        version=config.version,
        preprocessing=config.preprocessing,
        training={
            "data": (
                ("synthetic and real CT" if pool.inputs else "synthetic CT only")
                + ", from the Visible Human lower-limb surfaces (Andreassen et al. 2022, CC BY 4.0)"
            ),
            "real_inputs": pool.summary(),
            "real_patients_seen": sorted(
                set().union(*map(patients_seen, earlier), *(part.patient for _, part in pool.inputs))
            ),
            "drawn_patients_seen": sorted(pool.drawings_of.union(*map(drawings_seen, earlier))),
            "real_patients_held_out": sorted(set(pool.held_out.patient)),
            "atlas_legs": [leg.name for leg in atlas.legs],
            "steps": step,
            "images": step * config.batch_size * config.processes,
            "earlier_stages": _earlier_stages(config),
            "seconds": round(seconds),
            "git_commit": git_commit(),
            "finished_at": utc_now(),
            "config": asdict(config),
        },
        validation={
            "synthetic": {"slices": config.validation_slices, "dice": {k: round(v, 4) for k, v in scores.items()}}
        },
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--atlas", type=Path, default=Path("cache/atlas"))
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    chosen = read_config(arguments.config)
    legs = tuple(AtlasLeg.load(path) for path in sorted(arguments.atlas.glob("*.npz")))
    on = "cuda" if torch.cuda.is_available() else "cpu"
    train(chosen, atlas=Atlas(legs), run=arguments.run, resume=arguments.resume, device=on)
