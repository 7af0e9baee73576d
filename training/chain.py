"""Train a network with all that it starts from: the atlas, earlier runs, drawn slices and sure answers of a teacher.

    python -m training.chain training/configs/manet.toml [--sources ../shared/data] [--plan]

What a run needs stands in its configuration: `start_from` and `teacher` name a run of the configuration of that name
or shipped weights, a source of a `[[real]]` table is made as `ANSWERS` says. What is already there is not made again
and an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.config import TrainConfig, read_config
from training.prepare import READ

ATLAS = "cache/atlas"
# Folder -> what `training.prepare` writes there.
PREPARED = {f"cache/real/{what}": what for what in ("reference", *READ)}
NOT_THIGH = ("STS_005", "STS_010", "STS_037")


# Folder -> whose sure answers it holds, those of their mean.
_OTHERS = ("runs/segformer-no-labels-2/last", "runs/dense-unet-no-labels-1/last")
ANSWERS = {
    "cache/real/pseudo-1": ("runs/manet-vessels/last",),
    "cache/real/pseudo-2": ("runs/manet-no-labels-1/last",),
    "cache/real/pseudo-3": ("runs/manet-canal/last", "runs/manet-no-labels-1/last", "runs/dense-unet-no-labels-1/last"),
    "cache/real/pseudo-4": ("runs/manet-no-labels-2/last", *_OTHERS),
    "cache/real/pseudo-5": ("runs/manet-no-labels-3/last", *_OTHERS),
}

# Runs that are weights of an earlier commit.
EARLIER = {
    "runs/segformer-synthetic": ("88c8bff", "thighseg_core/weights/segformer"),
}


@dataclass(frozen=True)
class Step:
    """One command, `python -m module *arguments`, and the folder it makes."""

    module: str
    arguments: tuple[str, ...]
    makes: str


def steps_to(config: Path, *, sources: Path) -> list[Step]:
    """Every step up to the run of this configuration, in order, each once."""
    return list(dict.fromkeys(_needed(config, sources)))


def _needed(path: Path, sources: Path) -> Iterator[Step]:
    config = read_config(path)
    surfaces = str(sources / "visible_human_surfaces")
    yield Step("training.atlas", ("--surfaces", surfaces), ATLAS)
    for checkpoint in (config.start_from, config.teacher):
        yield from _trained(checkpoint, path, sources)
    for table in config.real:
        if asked := ANSWERS.get(table.source):
            for checkpoint in asked:
                yield from _trained(checkpoint, path, sources)
            several = (argument for checkpoint in asked for argument in ("--checkpoint", checkpoint))
            questions = (*several, "--data", str(sources), "--not-thigh", *NOT_THIGH)
            yield Step("training.pseudo", questions, table.source)
        elif what := PREPARED.get(table.source):
            yield Step("training.prepare", (what, "--data", str(sources)), table.source)
    yield Step("training.train", (str(path), "--resume"), str(_run_of(path)))


def _trained(checkpoint: str, path: Path, sources: Path) -> Iterator[Step]:
    """runs/manet-synthetic/last: the steps of manet-synthetic.toml beside `path`. Shipped weights are there, those of
    an earlier commit are fetched."""
    run = str(Path(checkpoint).parent)
    if run in EARLIER:
        yield Step("training.earlier", EARLIER[run], run)
    elif checkpoint.startswith("runs/"):
        yield from _needed(path.with_name(f"{Path(checkpoint).parent.name}.toml"), sources)


def _run_of(path: Path) -> Path:
    return Path("runs") / path.stem


def carry_out(step: Step) -> None:
    """Run the step; a folder that it makes at one go appears only when it is whole."""
    command = [sys.executable, "-m", step.module, *step.arguments]
    made = Path(step.makes)
    if step.module == "training.train":
        subprocess.run([*command, "--run", step.makes], check=True)
        shutil.copy(made / "log.jsonl", Path("training/logs") / f"{made.name}.jsonl")
    elif not made.is_dir():
        part = made.with_name(made.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run([*command, "--output", str(part)], check=True)
        part.rename(made)


def ship(config: TrainConfig, run: Path) -> None:
    """The latest weights of the run become those that the project ships."""
    shutil.copytree(run / "last", Path("thighseg_core/weights") / config.network, dirs_exist_ok=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--sources", type=Path, default=Path("../shared/data"))
    parser.add_argument("--plan", action="store_true", help="only say what would be done")
    arguments = parser.parse_args()
    for one in steps_to(arguments.config, sources=arguments.sources):
        print(f"{one.makes}: {one.module} {' '.join(one.arguments)}", flush=True)
        if not arguments.plan:
            carry_out(one)
    asked = read_config(arguments.config)
    if not arguments.plan and arguments.config.stem == asked.network:  # the others are steps, or measure something
        ship(asked, _run_of(arguments.config))
