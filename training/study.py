"""Repeat the published study on one's own labelled scans with one command: k folds inside, other sites outside.

    python -m training.study scans.csv --config training/configs/study.toml --output runs/study \\
        [--folds 5] [--external-site B] [--value 1=extensor ...] [--every 2]

scans.csv: see `training.labelled`. For each fold a network is trained without the fold's patients and without those of
the external sites, then scored on them through the same `segment` that users get. Written to the output folder:
scans/ (prepared slices), fold-0/ ... (runs, each can be resumed by the same command), scores.csv (one row a scan,
class and fold) and summary.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from thighseg_core.checkpoint import Model, load_checkpoint
from thighseg_core.labels import CLASS_INDEX, class_of_label
from thighseg_core.nifti import read_mask
from thighseg_core.overlap import overlap
from thighseg_core.preprocess import canonical_axes
from thighseg_core.segment import segment_with
from training.allowed import bits_of
from training.atlas import AtlasLeg
from training.compact import load_shipped
from training.config import TrainConfig, read_config
from training.labelled import LabelledScan, allowed_of_values, own_values, prepare_list, read_list
from training.prepare import load_scan_of
from training.real_batches import RealInput
from training.reference import NOT_ANNOTATED
from training.splits import Split, by_name, held_out, refuse_seen
from training.synthesis import Atlas
from training.train import train

METRICS = ("dice", "sensitivity", "specificity", "accuracy", "volume_error_percent")


def score_scan(row: LabelledScan, model: Model, named: dict[int, str], *, device: str) -> Iterator[dict[str, object]]:
    """Overlap of each named class over the slices from the first to the last that shows one; 255 does not count."""
    volume = load_scan_of(row.scan)
    values = read_mask(row.labels, like=volume.geometry)
    result = segment_with(volume, model, device=device)
    predicted = class_of_label()[result.label_map.labels]
    allowed = allowed_of_values(values, named)
    shown = np.isin(values, list(named))
    axis = canonical_axes(volume.geometry).permutation[0]
    along = np.flatnonzero(shown.any(axis=tuple(other for other in range(3) if other != axis)))
    inside = np.zeros(values.shape, dtype=bool)
    inside[(slice(None),) * axis + (slice(along[0], along[-1] + 1),)] = True
    inside &= values != NOT_ANNOTATED
    for name in sorted(set(named.values()), key=lambda one: CLASS_INDEX[one]):
        counts = overlap(allowed == bits_of(name), predicted == CLASS_INDEX[name], within=inside)
        yield {"structure": name} | {metric: getattr(counts, metric) for metric in METRICS}


def run_study(
    rows: list[LabelledScan], config: TrainConfig, *, scans: Path, atlas: Atlas, output: Path, split: Split,
    named: dict[int, str], device: str,
) -> pd.DataFrame:  # fmt: skip
    """Train and score every fold (those finished are not trained again); one row a scan, class and fold."""
    sites = {row.patient: row.site for row in rows}
    external = held_out(sites, replace(split, folds=0))
    real = RealInput(source=str(scans)) if not config.real else replace(config.real[0], source=str(scans))
    scores = []
    for fold in range(split.folds):
        part = replace(split, fold=fold)
        run = output / f"fold-{fold}"
        out = held_out(sites, part)
        own = replace(config, split=by_name(out), real=(real, *config.real[1:]))
        train(own, atlas=atlas, run=run, resume=True, device=device)
        model = load_checkpoint("last", device=device, folder=run)
        refuse_seen(model.card.training, out)
        for row in rows:
            if row.patient in out:
                who = {"patient": row.patient, "site": row.site, "fold": fold}
                who["validation"] = "external" if row.patient in external else "internal"
                scores += [who | values for values in score_scan(row, model, named, device=device)]
    return pd.DataFrame(scores)


def as_markdown(scores: pd.DataFrame, *, network: str, folds: int) -> str:
    """Mean and standard deviation over the scans of each fold's held-out patients."""
    lines = [
        f"# {network}, {folds} folds",
        "",
        "| validation | structure | scans | Dice | sensitivity | specificity | accuracy | volume error, % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (where, name), part in scores.groupby(["validation", "structure"], sort=False):
        cells = [f"{part[one].mean():.3f} ± {part[one].std():.3f}" for one in METRICS[:4]]
        cells.append(f"{part['volume_error_percent'].mean():+.1f} ± {part['volume_error_percent'].std():.1f}")
        lines.append(f"| {where} | {name} | {len(part)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--atlas", type=Path, default=Path("cache/atlas"))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--external-site", action="append", default=[])
    parser.add_argument("--value", action="append", default=[], metavar="N=CLASS")
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    meaning = own_values(arguments.value)
    prepare_list(arguments.list, arguments.output / "scans", named=meaning, every=arguments.every)
    stored = tuple(AtlasLeg.load(path) for path in sorted(arguments.atlas.glob("*.npz")))
    settings = read_config(arguments.config)
    table = run_study(
        read_list(arguments.list), settings, scans=arguments.output / "scans", atlas=Atlas(stored or load_shipped()),
        output=arguments.output, named=meaning, device="cuda" if torch.cuda.is_available() else "cpu",
        split=Split(folds=arguments.folds, external_sites=tuple(arguments.external_site)),
    )  # fmt: skip
    table.to_csv(arguments.output / "scores.csv", index=False, float_format="%.4f")
    text = as_markdown(table, network=settings.network, folds=arguments.folds)
    (arguments.output / "summary.md").write_text(text, encoding="utf-8")
    print(text)
