"""Test and retest: the same made-up person scanned in different positions, fields, noise and slice thickness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from thighseg_core.labels import GROUPS, SIDES, LabelMap
from thighseg_core.measure import measure
from thighseg_core.metrics import FEMUR_20_80, FULL
from thighseg_core.volume import CTVolume
from training.validation_people import PEOPLE, validation_person
from training.voxel_phantom import Scanner, VoxelPerson, scan_person

Labeller = Callable[[CTVolume, LabelMap], LabelMap]
REGIONS = (*GROUPS, "total")
ATTENUATIONS = ("lean_attenuation", "mask_attenuation", "eroded_attenuation")
METRICS = ("volume", *ATTENUATIONS)
EXTENTS = (FULL, FEMUR_20_80)
SCANS = (
    Scanner(slice_mm=5.0, pixel_mm=0.95, noise_hu=8.0, seed=11),  # 1 mm meets all pixels of the object at one place
    Scanner(slice_mm=5.0, pixel_mm=1.2, noise_hu=14.0, turn_deg=(4.0, -3.0, 6.0), shift_mm=(20, -15, 30), seed=12),
    Scanner(slice_mm=3.0, pixel_mm=1.1, noise_hu=18.0, shift_mm=(-12, 10, 7), seed=13),
    Scanner(slice_mm=4.0, pixel_mm=0.9, noise_hu=10.0, turn_deg=(-3.0, 4.0, -5.0), seed=14),
)
OTHER_KERNEL = replace(SCANS[-1], blur_mm=0.9)  # the last scan again, with a softer kernel
_FIELDS_MM = ((40, 40), (110, 120), (60, 80), (100, 100), (100, 100))  # around the object: rows, columns
_MARGIN_MM = 40.0


def true_labels(_: CTVolume, truth: LabelMap) -> LabelMap:
    """The phantom's own: what repeats then is the measuring alone."""
    return truth


def retest_table(
    *, people: tuple[str, ...] = tuple(PEOPLE), label: Labeller = true_labels, output: Path | None = None
) -> pd.DataFrame:
    """One row a person, scan, side, region, extent and metric; written to `output` as it grows. The scan after those of
    `SCANS` is that of `OTHER_KERNEL`."""
    rows = []
    for name in people:
        person = validation_person(name)
        for number in range(len(SCANS) + 1):
            volume, truth = scan_person(person, _scanner(person, number))
            facts = {(m.extent, m.region, m.side, m.metric): m.value for m in measure(volume, label(volume, truth))}
            for (extent, region, side, metric), value in facts.items():
                if extent in EXTENTS and region in REGIONS and side in SIDES and metric in METRICS:
                    where = {"person": name, "scan": number, "side": side, "region": region, "extent": extent}
                    rows.append({**where, "metric": metric, "value": value})
            print(f"retest: {name}, scan {number + 1}", flush=True)
            if output is not None:
                pd.DataFrame(rows).to_csv(output, index=False, float_format="%.4f", lineterminator="\n")
    return pd.DataFrame(rows)


def _scanner(person: VoxelPerson, number: int) -> Scanner:
    bottom = float(person.geometry.affine[2, 3]) - person.geometry.spacing_mm[0] / 2
    top = bottom + person.geometry.shape[0] * person.geometry.spacing_mm[0]
    size_mm = np.array(person.geometry.shape[1:]) * np.array(person.geometry.spacing_mm[1:])
    rows_mm, columns_mm = size_mm + np.array(_FIELDS_MM[number])
    return replace(
        (*SCANS, OTHER_KERNEL)[number], z_mm=(bottom - _MARGIN_MM, top + _MARGIN_MM), field_mm=(rows_mm, columns_mm)
    )


def precision(table: pd.DataFrame) -> pd.DataFrame:
    """By extent and region: RMS CV of the volume in % and RMS SD of the attenuation in HU, over people and sides."""
    rows = []
    table = table[table["scan"] < len(SCANS)]
    for extent in EXTENTS:
        for region in REGIONS:
            part = table[(table["region"] == region) & (table["extent"] == extent)]
            groups = {m: part[part["metric"] == m].dropna().groupby(["person", "side"])["value"] for m in METRICS}
            cv = 100 * groups["volume"].std(ddof=1) / groups["volume"].mean()
            scatter = {f"{m}: RMS SD HU": float(np.sqrt((groups[m].std(ddof=1) ** 2).mean())) for m in ATTENUATIONS}
            rows.append(
                {
                    "extent": extent,
                    "region": region,
                    "thighs": int(cv.notna().sum()),
                    "scans": int(groups["volume"].size().sum()),
                    "volume: RMS CV %": float(np.sqrt((cv**2).mean())),
                    "volume: largest CV %": float(cv.max()),
                    **scatter,
                }
            )
    return pd.DataFrame(rows)


def kernel_effect(table: pd.DataFrame) -> pd.DataFrame:
    """By region, over the whole scan: what the softer kernel alone changes, mean over people and sides (% of the
    volume, HU)."""
    keys = ["person", "side", "region", "extent", "metric"]
    pair = [table[table["scan"] == len(SCANS) - 1 + more].set_index(keys)["value"] for more in (0, 1)]
    change = (pair[1] - pair[0]).rename("change").reset_index()
    change["of"] = pair[0].to_numpy()
    whole = change[change["extent"] == FULL]
    rows = []
    for region in REGIONS:
        part = whole[whole["region"] == region].set_index("metric")
        volume = part.loc["volume"]
        row = {"region": region, "volume: change %": float((100 * volume["change"] / volume["of"]).mean())}
        rows.append(row | {f"{name}: change HU": float(part.loc[name, "change"].mean()) for name in ATTENUATIONS})
    return pd.DataFrame(rows)
