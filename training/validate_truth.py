"""Measurements of phantom scans with their true label maps, against what counting the object gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from thighseg_core.labels import GROUPS, SIDES
from thighseg_core.landmarks import find_landmarks
from thighseg_core.measure import FULL, measure
from training.validation_people import PEOPLE, validation_person
from training.voxel_phantom import Scanner, VoxelPerson, scan_person

REGIONS = (*GROUPS, "sartorius", "total")
MARGIN_MM, TILTED_MARGIN_MM = 12.0, 45.0  # of air beyond the ends of the object


@dataclass(frozen=True)
class TruthCase:
    """A way of scanning. part: shares of the object's length, from its lower end, that the scan covers."""

    name: str
    scanner: Scanner
    part: tuple[float, float] | None = None


CASES = (
    TruthCase("5 mm, noise 8 HU", Scanner(noise_hu=8.0)),
    TruthCase("5 mm, noise 20 HU", Scanner(noise_hu=20.0, seed=1)),
    TruthCase("2 mm, noise 20 HU", Scanner(slice_mm=2.0, pixel_mm=1.1, noise_hu=20.0, seed=2)),
    TruthCase("7 mm, noise 8 HU", Scanner(slice_mm=7.0, noise_hu=8.0, seed=3)),
    TruthCase("5 mm, tilted 6 and 5 degrees", Scanner(noise_hu=12.0, turn_deg=(6.0, 5.0, 8.0), seed=4)),
    TruthCase("5 mm, shaft only", Scanner(noise_hu=12.0, seed=6), part=(0.3, 0.7)),
)


def truth_table(
    *, people: tuple[str, ...] = tuple(PEOPLE), cases: tuple[TruthCase, ...] = CASES, output: Path | None = None
) -> pd.DataFrame:
    """One row a person, case, side and quantity: truth, measured value and error (% for volumes, points for fat,
    mm for lengths). A quantity that must be missing (a femur's length from a shaft) has error 0 when it is.
    Written to `output` as it grows."""
    rows = []
    for name in people:
        person = validation_person(name)
        for case in cases:
            rows += [{"person": name, "case": case.name} | row for row in case_rows(person, case)]
            print(f"truth: {name}, {case.name}", flush=True)
            if output is not None:
                pd.DataFrame(rows).to_csv(output, index=False, float_format="%.4f", lineterminator="\n")
    return pd.DataFrame(rows)


def case_rows(person: VoxelPerson, case: TruthCase) -> list[dict[str, object]]:
    """The rows of one scan of one person."""
    z_mm = _covered_mm(person, case)
    scanner = replace(case.scanner, z_mm=z_mm, field_mm=_field_mm(person, tilted=any(case.scanner.turn_deg)))
    volume, labels = scan_person(person, scanner)
    facts = {(m.region, m.side, m.metric): m.value for m in measure(volume, labels) if m.extent == FULL}
    landmarks = find_landmarks(volume, labels)
    counted = None if case.part is None else z_mm
    rows: list[dict[str, object]] = []
    for side in SIDES:
        for region in REGIONS:
            true_cm3 = person.volume_cm3(region, side, z_mm=counted)
            rows.append(_row("volume", region, side, true_cm3, facts[region, side, "volume"], relative=True))
            true_fat = person.fat_percent(region, side, z_mm=counted)
            rows.append(_row("fat share", region, side, true_fat, facts[region, side, "intramuscular_fat_percent"]))
        leg, femur = landmarks.legs[side], person.femur_truth(side)
        if case.part is None:
            rows.append(_row("femur length", "femur", side, femur.length_mm, leg.femur_length_mm))
            rows.append(_row("mid-thigh", "femur", side, float(scanner.moved(femur.midthigh_mm)[2]), _middle_z_mm(leg)))
        else:
            missing = leg.femur_length_mm is None
            rows.append(_row("femur length", "femur", side, 0.0, 0.0 if missing else leg.femur_length_mm))
    return rows


def _row(
    quantity: str, region: str, side: str, truth: float, measured: float | None, *, relative: bool = False
) -> dict[str, object]:
    error = float("inf") if measured is None else (100 * (measured / truth - 1) if relative else measured - truth)
    return {
        "quantity": quantity,
        "region": region,
        "side": side,
        "truth": truth,
        "measured": measured,
        "error": error,
    }


def _middle_z_mm(leg) -> float | None:  # type: ignore[no-untyped-def]
    """z at which an axial slice crosses the middle of the femur."""
    return None if leg.scale is None else leg.scale.position_mm(0.5)


def _covered_mm(person: VoxelPerson, case: TruthCase) -> tuple[float, float]:
    """The scan's lower and upper face: on faces of the object's slices and a whole number of the scan's slices."""
    n_slices, step_mm = person.geometry.shape[0], person.geometry.spacing_mm[0]
    bottom = float(person.geometry.affine[2, 3]) - step_mm / 2
    if case.part is None:
        margin_mm = TILTED_MARGIN_MM if any(case.scanner.turn_deg) else MARGIN_MM
        return bottom - margin_mm, bottom + n_slices * step_mm + margin_mm
    both_mm = step_mm * case.scanner.slice_mm  # a multiple of either
    low = bottom + step_mm * round(case.part[0] * n_slices)
    length = both_mm * round((case.part[1] - case.part[0]) * n_slices * step_mm / both_mm)
    return low, low + length


def _field_mm(person: VoxelPerson, *, tilted: bool) -> tuple[float, float]:
    rows, columns = (
        n * step for n, step in zip(person.geometry.shape[1:], person.geometry.spacing_mm[1:], strict=True)
    )
    return (rows + 100, columns + 100) if tilted else (rows + 16, columns + 16)
