"""Networks scored on whole scans with a true label map: made-up people of the compact atlas (`phantom.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from thighseg_core.checkpoint import load_checkpoint
from thighseg_core.comparison import OVERLAP_METRICS, compare_label_maps
from thighseg_core.digest import scan_digest
from thighseg_core.labels import LabelMap
from thighseg_core.segment import segment_with
from thighseg_core.volume import CTVolume, SeriesInfo
from training.phantom import Acquisition, Person, thigh_scan

REFERENCE = "label maps that made-up people were drawn from; the compact atlas holds two of the four training legs"
_COLUMNS = {"hd95": "hd95_mm", "assd": "assd_mm"}


@dataclass(frozen=True)
class LabelledScan:
    """A scan with its reference label map."""

    patient: str
    sex: str
    volume: CTVolume
    labels: LabelMap


def phantoms(n: int = 6) -> Iterator[LabelledScan]:
    """Made-up people, women and men in turn, who differ in size, muscle, fat and slice thickness."""
    for number in range(n):
        person = Person(
            sex="female" if number % 2 == 0 else "male",
            seed=9000 + number,
            size=(0.92, 1.0, 1.08)[number % 3],
            subcutaneous_mm=(8.0, 14.0, 22.0)[number % 3],
            atrophy_mm=(0.0, 0.8, 1.6)[(number // 2) % 3],
            fat_share=(0.03, 0.10, 0.18)[(number // 2) % 3],
        )
        scan = thigh_scan(person, Acquisition(slice_mm=(5.0, 8.0)[number % 2], seed=number))
        digest = scan_digest(scan.attenuation_hu, scan.geometry.affine)
        info = SeriesInfo(series_uid=f"sha256:{digest}", source_format="phantom", digest_sha256=digest)
        volume = CTVolume(scan.attenuation_hu, scan.geometry, info)
        yield LabelledScan(f"P{number + 1:02d}", person.sex, volume, LabelMap(scan.labels, scan.geometry))


def scan_scores(scan: LabelledScan, predicted: LabelMap) -> list[dict[str, object]]:
    """One row a structure and side of a whole scan, with the columns of the slices' scores; volumes in cm3."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    compared = compare_label_maps(scan.volume, scan.labels, predicted, drawn_slices_only=False)
    for value in compared.values:
        row = rows.setdefault(
            (value.region, value.side),
            {"patient": scan.patient, "sex": scan.sex, "side": value.side, "level": "all", "structure": value.region},
        )
        if value.metric in OVERLAP_METRICS:
            row[_COLUMNS.get(value.metric, value.metric)] = value.value
        elif value.metric == "volume":
            row |= {"reference_cm3": value.reference_value, "predicted_cm3": value.test_value}
    return list(rows.values())


def evaluate_phantoms(model_name: str, *, output: Path, folder: Path | None, n: int = 6) -> pd.DataFrame:
    """scores.csv of a network on `n` phantoms; one row a structure, side and scan."""
    output.mkdir(parents=True, exist_ok=True)
    model = load_checkpoint(model_name, device="cpu", folder=folder)
    rows: list[dict[str, object]] = []
    for scan in phantoms(n):
        result = segment_with(scan.volume, model, device="cpu")
        flags = " ".join(flag.code for flag in result.flags)
        rows += [row | {"flags": flags} for row in scan_scores(scan, result.label_map)]
    table = pd.DataFrame(rows)
    table.to_csv(output / "scores.csv", index=False, float_format="%.4f")
    return table
