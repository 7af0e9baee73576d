"""Score a network on the real reference slices, through the same `segment` that users get.

    python -m training.evaluate --model segformer --data ../shared/data --output runs/evaluation [--update-card]

Writes scores.csv (one row a structure and slice), summary.md and one picture a slice, worst first in the table.
`--update-card` stores the summary in the model's model.json, which the interface shows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from thighseg_core.checkpoint import CARD_FILE, DEFAULT_MODEL, WEIGHTS_FOLDER, load_checkpoint
from thighseg_core.overlay import overlay_slice
from thighseg_core.reading import find_series, load_series
from thighseg_core.segment import segment_with
from training.reference import score_scan

STRUCTURES = ("extensor", "flexor", "adductor", "sartorius", "intermuscular")


def evaluate(model_name: str, *, data: Path, output: Path, folder: Path | None) -> pd.DataFrame:
    """One row a structure and slice, of every scan with a reference."""
    output.mkdir(parents=True, exist_ok=True)
    model = load_checkpoint(model_name, device="cpu", folder=folder)
    rows = []
    for path in sorted((data / "reference").glob("*.nii.gz")):
        patient = path.name.removesuffix(".nii.gz")
        with tempfile.TemporaryDirectory() as work:
            found = find_series(data / "ct_sarcoma" / patient / "CT", work_dir=Path(work))
            volume = load_series(found.series[0])
        result = segment_with(volume, model, device="cpu")
        scores = score_scan(patient, volume, result.label_map, data / "reference")
        rows += [asdict(score) | {"flags": " ".join(flag.code for flag in result.flags)} for score in scores]
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


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """Mean and worst Dice over slices for each structure, at shaft level and at all levels."""
    out: dict[str, Any] = {
        "scans": int(table["patient"].nunique()),
        "slices": int(table[["patient", "slice_index"]].drop_duplicates().shape[0]),
        "reference": "hand-drawn slices of the TCIA Soft-tissue-Sarcoma CTs, by an AI reader, not by a radiologist",
    }
    for level, part in (("shaft", table[table["level"] == "shaft"]), ("all", table)):
        out[level] = {name: _of_structure(one) for name in STRUCTURES if len(one := part[part["structure"] == name])}
    return out


def _of_structure(scores: pd.DataFrame) -> dict[str, Any]:
    worst = scores.loc[scores["dice"].idxmin()]
    area_error = (scores["predicted_cm2"] - scores["reference_cm2"]) / scores["reference_cm2"]
    return {
        "dice_mean": round(float(scores["dice"].mean()), 4),
        "dice_worst": round(float(worst["dice"]), 4),
        "worst_case": f"{worst['patient']} slice {worst['slice_index']}",
        "area_error_percent": round(float(area_error.mean() * 100), 2),
        "n": len(scores),
    }


def as_markdown(summary: dict[str, Any], *, title: str) -> str:
    """The summary as a table for people."""
    lines = [
        f"# {title}",
        "",
        f"{summary['slices']} slices of {summary['scans']} scans; reference: {summary['reference']}.",
        "",
        "| level | structure | n | Dice mean | Dice worst | worst case | area error, mean % |",
        "|---|---|---|---|---|---|---|",
    ]
    for level in ("shaft", "all"):
        lines += [
            f"| {level} | {name} | {v['n']} | {v['dice_mean']:.3f} | {v['dice_worst']:.3f} | {v['worst_case']} "
            f"| {v['area_error_percent']:+.1f} |"
            for name, v in summary[level].items()
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--folder", type=Path, default=None, help="folder of checkpoints (default: those shipped)")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--output", type=Path, default=Path("runs/evaluation"))
    parser.add_argument("--update-card", action="store_true")
    arguments = parser.parse_args()
    scores = evaluate(arguments.model, data=arguments.data, output=arguments.output, folder=arguments.folder)
    summary = summarise(scores)
    text = as_markdown(summary, title=f"{arguments.model} on real CT")
    (arguments.output / "summary.md").write_text(text, encoding="utf-8")
    print(text)
    if arguments.update_card:
        card = (arguments.folder or WEIGHTS_FOLDER) / arguments.model / CARD_FILE
        stored = json.loads(card.read_text(encoding="utf-8"))
        stored["validation"]["real"] = summary
        card.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
