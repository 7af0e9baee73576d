"""Leave patients out: train on the drawn slices of the others, score theirs, until every patient was left out once.

    python -m training.leave_out training/configs/manet.toml --output runs/manet-left-out [--folds 8] [--only 0 1]

Without `--folds` every patient is a fold (leave one patient out). Each fold is a run that the same command resumes;
`--only` shares the folds out to several processes, the last of which to end joins the scores.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from thighseg_core.checkpoint import read_card
from training.atlas import AtlasLeg
from training.config import TrainConfig, read_config
from training.evaluate import evaluate, update_card, write_summary
from training.evaluation_summary import SLICE_REFERENCE
from training.real_data import load_scans
from training.splits import by_name, held_out, refuse_seen
from training.synthesis import Atlas
from training.train import train


def left_out_sets(config: TrainConfig, *, folds: int) -> tuple[frozenset[str], list[frozenset[str]]]:
    """The patients with drawn slices, and for each fold the patients kept out of it.

    folds: number of folds that all patients of the inputs are dealt to; 0: one for each patient with drawn slices.
    """
    scans = [scan for table in config.real for scan in load_scans(Path(table.source))]
    drawn = frozenset(scan.patient for scan in scans if scan.kind == "drawn")
    if not folds:
        return drawn, [frozenset({patient}) for patient in sorted(drawn)]
    sites = {scan.patient: scan.site for scan in scans}
    sets = [held_out(sites, replace(config.split, folds=folds, fold=fold)) for fold in range(folds)]
    return drawn, [patients for patients in sets if patients & drawn]


def leave_out(
    config: TrainConfig, *, folds: int, only: list[int], atlas: Atlas, output: Path, data: Path, card: Path | None
) -> None:
    """Train and score the folds `only` of `folds` (0: one a patient); joins the scores when all folds have theirs.

    card: model.json of the shipped network that the joined summary is stored in.
    """
    drawn, sets = left_out_sets(config, folds=folds)
    runs = [output / f"fold-{fold}" for fold in range(len(sets))]
    for fold in only or range(len(sets)):
        patients = tuple(sorted(sets[fold] & drawn))
        if (runs[fold] / "scores.csv").is_file():
            continue
        device = "cuda" if torch.cuda.is_available() else "cpu"
        train(replace(config, split=by_name(sets[fold])), atlas=atlas, run=runs[fold], resume=True, device=device)
        refuse_seen(read_card("last", folder=runs[fold]).training, patients)
        evaluate("last", folder=runs[fold], data=data, output=runs[fold], patients=patients)
    tables = [pd.read_csv(run / "scores.csv") for run in runs if (run / "scores.csv").is_file()]
    if len(tables) == len(sets):
        joined = pd.concat(tables, ignore_index=True)
        joined.to_csv(output / "scores.csv", index=False, float_format="%.4f")
        judge = f"{SLICE_REFERENCE}; each patient scored by a network that knew no drawing of it, {len(sets)} folds"
        title = f"{config.network}, patients left out"
        summary = write_summary(joined, output, model=title, data_set="slices", reference=judge)
        if card is not None:
            update_card(card, summary)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--atlas", type=Path, default=Path("cache/atlas"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="*", default=[])
    parser.add_argument("--teacher", help="checkpoint that teaches instead, for the configuration's knows drawings")
    parser.add_argument("--update-card", type=Path, help="model.json of the shipped network")
    arguments = parser.parse_args()
    legs = tuple(AtlasLeg.load(path) for path in sorted(arguments.atlas.glob("*.npz")))
    chosen = read_config(arguments.config)
    chosen = replace(chosen, teacher=arguments.teacher or chosen.teacher)
    leave_out(
        chosen, folds=arguments.folds, only=arguments.only, atlas=Atlas(legs), output=arguments.output,
        data=arguments.data, card=arguments.update_card,
    )  # fmt: skip
