"""Score networks on scans with a reference, through the same `segment` that users get.

    python -m training.evaluate --model manet --data ../shared/data --output runs/evaluation [--update-card CARD]
    python -m training.evaluate --model all --set phantoms --output runs/evaluation
    python -m training.evaluate --scores fold0/scores.csv fold1/scores.csv --output runs/left-out

Writes scores.csv (one row a structure and slice), summary.csv, summary.md, figures (agreement of areas, spread of Dice)
and one picture a scored slice; worst.png shows the worst slice of each structure beside its drawing.
`--update-card` stores the summary in a model.json, which the interface shows, and says with it whether the network has
learnt from the patients scored. `--patients` scores some only, `--scores` puts the scores of several runs together.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from thighseg_core.checkpoint import DEFAULT_MODEL, available_models, load_checkpoint, read_card
from thighseg_core.overlay import overlay_slice
from thighseg_core.reading import find_series, load_series
from thighseg_core.segment import segment_with
from training.evaluation_figures import write_figures, write_worst
from training.evaluation_summary import SLICE_REFERENCE, as_markdown, as_rows, summarise
from training.reference import score_scan
from training.splits import drawings_seen, patients_seen
from training.whole_scans import REFERENCE as PHANTOM_REFERENCE
from training.whole_scans import evaluate_phantoms

SETS = ("slices", "phantoms")


def evaluate(
    model_name: str, *, data: Path, output: Path, folder: Path | None, patients: tuple[str, ...] = ()
) -> pd.DataFrame:
    """One row a structure and slice, of every scan with a reference (of `patients` only, when given)."""
    output.mkdir(parents=True, exist_ok=True)
    model = load_checkpoint(model_name, device="cpu", folder=folder)
    rows = []
    for path in sorted((data / "reference").glob("*.nii.gz")):
        patient = path.name.removesuffix(".nii.gz")
        if patients and patient not in patients:
            continue
        with tempfile.TemporaryDirectory() as work:
            found = find_series(data / "ct_sarcoma" / patient / "CT", work_dir=Path(work))
            volume = load_series(found.series[0])
        result = segment_with(volume, model, device="cpu")
        scores = score_scan(patient, volume, result.label_map, data / "reference")
        more = {"sex": volume.info.patient_sex or "unknown", "flags": " ".join(flag.code for flag in result.flags)}
        rows += [asdict(score) | more for score in scores]
        for k in sorted({score.slice_index for score in scores}):
            picture = overlay_slice(
                volume.attenuation_hu[k],
                result.label_map.labels[k],
                opacity=0.4,
                window_centre_hu=40,
                window_width_hu=400,
            )
            Image.fromarray(picture).resize((picture.shape[1] * 2, picture.shape[0] * 2)).save(
                output / f"{patient}_{k:03d}.png"
            )
    table = pd.DataFrame(rows)
    table.to_csv(output / "scores.csv", index=False, float_format="%.4f")
    return table


def put_together(paths: list[Path]) -> pd.DataFrame:
    """The scores of several runs as one table. Raises ValueError when a slice was scored in two of them."""
    table = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    key = [name for name in ("patient", "slice_index", "side", "structure") if name in table]
    twice = table[table.duplicated(key)]
    if len(twice):
        raise ValueError(f"{twice['patient'].iloc[0]} was scored in more than one of these runs; leave one of them out")
    return table


def write_summary(
    table: pd.DataFrame, output: Path, *, model: str, data_set: str, reference: str | None = None
) -> dict[str, Any]:
    """summary.csv, summary.md and the figures of a table of scores; returns the summary."""
    summary = summarise(table) if reference is None else summarise(table, reference=reference)
    pd.DataFrame(as_rows(summary, model=model, data_set=data_set)).to_csv(
        output / "summary.csv", index=False, na_rep="NA"
    )
    text = as_markdown(summary, title=f"{model} on {'real CT' if data_set == 'slices' else data_set}")
    (output / "summary.md").write_text(text, encoding="utf-8")
    write_figures(table, output)
    print(text)
    return summary


def what_it_knew(training: Mapping[str, Any], patients: Iterable[str]) -> str:
    """In words, which of the patients that judge a network it has learnt from; `training` of its card."""
    if drawn := sorted(drawings_seen(training) & set(patients)):
        return f"has learnt from drawings of {', '.join(drawn)}"
    if unlabelled := patients_seen(training) & set(patients):
        n = len(unlabelled)
        return f"has learnt from no drawing of these patients, from slices of {n} of them that nobody drew on"
    return "has learnt from none of these patients"


def update_card(card: Path, summary: dict[str, Any]) -> None:
    """Store the summary as the card's validation on real scans."""
    stored = json.loads(card.read_text(encoding="utf-8"))
    stored["validation"]["real"] = summary
    card.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line and evaluate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name of a network, or all")
    parser.add_argument("--folder", type=Path, default=None, help="folder of checkpoints (default: those shipped)")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--set", dest="data_set", choices=SETS, default="slices")
    parser.add_argument("--patients", nargs="+", default=[], help="score these only")
    parser.add_argument("--scores", nargs="+", type=Path, default=[], help="scores.csv of earlier runs, put together")
    parser.add_argument("--output", type=Path, default=Path("runs/evaluation"))
    parser.add_argument("--update-card", type=Path, help="model.json to store the summary in")
    arguments = parser.parse_args()
    if arguments.scores:
        arguments.output.mkdir(parents=True, exist_ok=True)
        table = put_together(arguments.scores)
        table.to_csv(arguments.output / "scores.csv", index=False, float_format="%.4f")
        write_summary(table, arguments.output, model=arguments.model, data_set=arguments.data_set)
        return
    several = arguments.model == "all"
    for name in available_models() if several else (arguments.model,):
        output = arguments.output / name if several else arguments.output
        if arguments.data_set == "phantoms":
            table = evaluate_phantoms(name, output=output, folder=arguments.folder)
            write_summary(table, output, model=name, data_set="phantoms", reference=PHANTOM_REFERENCE)
            continue
        table = evaluate(
            name, data=arguments.data, output=output, folder=arguments.folder, patients=tuple(arguments.patients)
        )
        training = read_card(name, folder=arguments.folder).training
        who = f"scored was the run {arguments.folder.name}, which" if arguments.folder else "the network"
        judge = f"{SLICE_REFERENCE}; {who} {what_it_knew(training, set(table['patient']))}"
        summary = write_summary(table, output, model=name, data_set="slices", reference=judge)
        write_worst(table, output, data=arguments.data)
        if arguments.update_card:
            update_card(arguments.update_card, summary)


if __name__ == "__main__":
    main()
