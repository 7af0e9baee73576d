"""Predicted quality against the truth: how the network's agreement with itself on the mirror image goes with its Dice,
on the reference slices of real CT and on slices of phantoms.

    python -m training.calibrate_quality --left-out runs/manet-left-out --data ../shared/data --output docs/validation

A drawn slice is answered by the fold of `training.leave_out` that never saw its patient: on what it has learnt, a
network agrees with itself and with the truth. The phantoms are answered by the network that is shipped.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from thighseg_core.body import body_box, body_mask
from thighseg_core.checkpoint import DEFAULT_MODEL, Model, load_checkpoint
from thighseg_core.inference import predict
from thighseg_core.labels import CLASS_INDEX, CLASSES, GROUPS, LabelMap, class_of_label, label_value
from thighseg_core.predicted_quality import MirrorAgreement
from thighseg_core.preprocess import canonical_axes, canonical_geometry
from thighseg_core.reading import find_series, load_series
from thighseg_core.volume import CTVolume
from training.reference import NOT_ANNOTATED, read_drawing, score_scan
from training.splits import refuse_seen
from training.validation_people import validation_person
from training.voxel_phantom import Scanner, scan_person

PHANTOMS = {
    "noise 8 HU": Scanner(noise_hu=8.0, pixel_mm=1.0),
    "noise 35 HU, blurred": Scanner(noise_hu=35.0, blur_mm=2.0, pixel_mm=1.0, seed=8),
}
PHANTOM_STEP = 8  # every so many slices
GOOD_DICE = 0.85


def slice_rows(source: str, name: str, mirror: MirrorAgreement, dice: dict[tuple[int, str], float]) -> list[dict]:
    """One row a group and slice: dice holds the truth by (position in `mirror`, group)."""
    rows = []
    for (k, group), true_dice in dice.items():
        column = GROUPS.index(group)
        answers = int(mirror.answers[k, column])
        if answers:
            agreement = 2 * int(mirror.both[k, column]) / answers
            rows.append(
                {"source": source, "scan": name, "slice": k, "group": group, "mirror": agreement, "dice": true_dice}
            )
    return rows


def on_slices(volume: CTVolume, wanted: np.ndarray, model: Model) -> tuple[MirrorAgreement, LabelMap, list[int]]:
    """The network on slices of a volume alone: agreement, a label map (all of it named left) and where in the
    agreement each wanted slice is."""
    axes = canonical_axes(volume.geometry)
    spacing_mm = canonical_geometry(volume.geometry, axes).spacing_mm
    hu = axes.apply(volume.attenuation_hu)
    marked = np.zeros(volume.geometry.shape, dtype=np.uint8)
    marked[wanted] = 1
    chosen = np.flatnonzero(axes.apply(marked).any(axis=(1, 2)))
    body = body_mask(hu[chosen], spacing_mm)
    box = body_box(body, spacing_mm)
    if box is None:
        raise ValueError("the slices show no body")
    found = predict(
        hu[chosen][:, box[0], box[1]],
        spacing_mm=spacing_mm,
        network=model.network,
        preprocessing=model.card.preprocessing,
        device="cpu",
    )
    if found.mirror is None:
        raise ValueError("flip averaging is off: there is no second answer")
    to_label = np.array([0] + [label_value(name, "left") for name in CLASSES[1:]], dtype=np.uint8)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    for position, k in enumerate(chosen):
        labels[k][box] = np.where(body[position][box], to_label[found.classes[position]], 0)
    reversed_slices = axes.flipped[0]
    order = [len(wanted) - 1 - n if reversed_slices else n for n in range(len(wanted))]
    return found.mirror, LabelMap(np.ascontiguousarray(axes.undo(labels)), volume.geometry), order


def networks_without(left_out: Path) -> dict[str, Model]:
    """For each patient with drawn slices the network of the fold that kept this patient out."""
    networks = {}
    for run in sorted(left_out.glob("fold-*")):
        model = load_checkpoint("last", device="cpu", folder=run)
        for patient in model.card.training["real_patients_held_out"]:
            refuse_seen(model.card.training, [patient])
            networks[patient] = model
    return networks


def real_rows(data: Path, left_out: Path) -> list[dict]:
    """`slice_rows` of the drawn slices of real CT."""
    networks, rows = networks_without(left_out), []
    for path in sorted((data / "reference").glob("*.nii.gz")):
        patient = path.name.removesuffix(".nii.gz")
        with tempfile.TemporaryDirectory() as work:
            volume = load_series(find_series(data / "ct_sarcoma" / patient / "CT", work_dir=Path(work)).series[0])
        drawn = read_drawing(path, like=volume.geometry)
        wanted = np.flatnonzero(((drawn > 0) & (drawn != NOT_ANNOTATED)).any(axis=(1, 2)))
        mirror, label_map, order = on_slices(volume, wanted, networks[patient])
        place = {int(k): order[n] for n, k in enumerate(wanted)}
        scores = score_scan(patient, volume, label_map, data / "reference")
        dice = {(place[s.slice_index], s.structure): s.dice for s in scores if s.structure in GROUPS}
        rows += slice_rows("real", patient, mirror, dice)
        print(f"real: {patient}, {len(wanted)} slices", flush=True)
    return rows


def phantom_rows(model: Model, *, people: tuple[str, ...] = ("woman-lean", "man-fat")) -> list[dict]:
    """`slice_rows` of slices of phantoms."""
    rows = []
    for name in people:
        for how, scanner in PHANTOMS.items():
            volume, truth = scan_person(validation_person(name), scanner)
            wanted = np.arange(12, volume.geometry.shape[0] - 12, PHANTOM_STEP)
            mirror, label_map, order = on_slices(volume, wanted, model)
            classes, true_classes = (class_of_label()[one.labels[wanted]] for one in (label_map, truth))
            dice = {}
            for n in range(len(wanted)):
                for group in GROUPS:
                    a, b = (each[n] == CLASS_INDEX[group] for each in (classes, true_classes))
                    if b.sum() >= 100:
                        dice[order[n], group] = 2 * float((a & b).sum()) / float(a.sum() + b.sum())
            rows += slice_rows("phantom", f"{name}, {how}", mirror, dice)
            print(f"phantom: {name}, {how}", flush=True)
    return rows


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """By source: rank correlation, Dice that the agreement predicts, and how well it finds what is below 0.85."""
    rows = []
    for source in ("real", "phantom"):
        part = table[table["source"] == source]
        bad = part["dice"] < GOOD_DICE
        row: dict[str, object] = {"source": source, "n": len(part), "below 0.85": int(bad.sum())}
        row["Spearman"] = stats.spearmanr(part["mirror"], part["dice"]).statistic
        if bad.any() and not bad.all():
            test = stats.mannwhitneyu(part["mirror"][~bad], part["mirror"][bad])
            row["AUROC"] = test.statistic / (bad.sum() * (~bad).sum())
        for low, high in ((0.0, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1.01)):
            inside = part[(part["mirror"] >= low) & (part["mirror"] < high)]
            row[f"agreement {low:.2f} to {min(high, 1):.2f}"] = (
                f"{inside['dice'].mean():.2f} (n {len(inside)})" if len(inside) else "none"
            )
        rows.append(row)
    return pd.DataFrame(rows)


def calibrate(model_name: str, *, left_out: Path, data: Path, output: Path) -> pd.DataFrame:
    """All rows as predicted_quality.csv; returns the summary."""
    shipped = load_checkpoint(model_name, device="cpu")
    table = pd.DataFrame(real_rows(data, left_out) + phantom_rows(shipped))
    table.to_csv(output / "predicted_quality.csv", index=False, float_format="%.4f", lineterminator="\n")
    return summary(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--left-out", type=Path, required=True, help="folder of training.leave_out for this network")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--output", type=Path, default=Path("docs/validation"))
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    print(calibrate(given.model, left_out=given.left_out, data=given.data, output=given.output).T.to_string())
