"""Faults planted in phantom scans, and which quality flags they raise: the confusion table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from thighseg_core.labels import GROUPS, SIDES, LabelMap, label_value
from thighseg_core.quality import FLAG_DESCRIPTIONS, flags
from thighseg_core.quality_labels import SHARE_BOUNDS_PERCENT
from thighseg_core.volume import CTVolume
from training.validation_people import PEOPLE, validation_person
from training.voxel_phantom import Scanner, VoxelPerson, scan_person

Scene = tuple[CTVolume, LabelMap]
Finding = tuple[str, str, str]  # code, region, side
STRUCTURES = (*GROUPS, "sartorius", "femur", "intermuscular", "subcutaneous")
NO_FAULT = ("noise_smoothed",)  # says what was done
BY_STRUCTURE = ("truncated", "touches_border")  # expected for every structure by itself, from the object


@dataclass(frozen=True)
class Planted:
    """A fault: `codes` it must raise, and may raise as well (`also`: what follows from it by definition).

    of_object, of_scanner, of_scan change the object, the way of scanning and the scan with its labels.
    """

    name: str
    codes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    of_object: Callable[[VoxelPerson], VoxelPerson] | None = None
    of_scanner: Callable[[Scanner, VoxelPerson], Scanner] | None = None
    of_scan: Callable[[CTVolume, LabelMap], Scene] | None = None


def _span_mm(person: VoxelPerson) -> tuple[float, float]:
    low = float(person.geometry.affine[2, 3]) - person.geometry.spacing_mm[0] / 2
    return low, low + person.geometry.shape[0] * person.geometry.spacing_mm[0]


def _part(low: float, high: float) -> Callable[[Scanner, VoxelPerson], Scanner]:
    def change(scanner: Scanner, person: VoxelPerson) -> Scanner:
        bottom, top = _span_mm(person)
        return replace(scanner, z_mm=(bottom + low * (top - bottom), bottom + high * (top - bottom)))

    return change


def _nine_slices(scanner: Scanner, person: VoxelPerson) -> Scanner:
    bottom, top = _span_mm(person)
    middle = (bottom + top) / 2
    return replace(scanner, z_mm=(middle, middle + 9 * scanner.slice_mm))


def _narrow(scanner: Scanner, person: VoxelPerson) -> Scanner:
    columns_mm = person.geometry.shape[2] * person.geometry.spacing_mm[2]
    return replace(scanner, field_mm=(person.geometry.shape[1] * person.geometry.spacing_mm[1] + 16, 0.72 * columns_mm))


def _nail(person: VoxelPerson) -> VoxelPerson:
    """Metal along the marrow of the left femur."""
    hu = person.attenuation_hu.copy()
    for k, plane in enumerate(person.labels == label_value("femur", "left")):
        if plane.any():
            deep = ndimage.distance_transform_edt(plane)
            hu[k][deep >= 0.8 * deep.max()] = 6000
    return replace(person, attenuation_hu=hu)


def _enhanced(person: VoxelPerson) -> VoxelPerson:
    """Blood at 200 HU: what is lean and thick between the muscles."""
    hu = person.attenuation_hu.copy()
    between = np.isin(person.labels, [label_value("intermuscular", side) for side in SIDES])
    lean = between & (hu > 0) & (hu < 80)
    for k, plane in enumerate(lean):
        hu[k][ndimage.binary_opening(plane, structure=np.ones((3, 3)))] = 200
    return replace(person, attenuation_hu=hu)


def _hu_shift(by_hu: int, *, only: str | None = None) -> Callable[[CTVolume, LabelMap], Scene]:
    def change(volume: CTVolume, labels: LabelMap) -> Scene:
        where = np.ones(labels.labels.shape, dtype=bool)
        if only is not None:
            where = np.isin(labels.labels, [label_value(only, side) for side in SIDES])
        hu = np.where(where, volume.attenuation_hu + by_hu, volume.attenuation_hu).astype(np.int16)
        return replace(volume, attenuation_hu=hu), labels

    return change


def _relabelled(change: Callable[[np.ndarray], None]) -> Callable[[CTVolume, LabelMap], Scene]:
    def changed(volume: CTVolume, labels: LabelMap) -> Scene:
        copy = labels.labels.copy()
        change(copy)
        return volume, replace(labels, labels=copy)

    return changed


def _swap_sides(labels: np.ndarray) -> None:
    sided = (labels > 0) & (labels < 17)
    labels[sided] = np.where(labels[sided] % 2 == 1, labels[sided] + 1, labels[sided] - 1)


def _adductor_to_flexor(labels: np.ndarray) -> None:
    for side in SIDES:
        place = labels == label_value("adductor", side)
        middle = np.argwhere(place)[:, 1].mean()
        behind = place & (np.arange(labels.shape[1])[None, :, None] > middle - 8)
        labels[behind] = label_value("flexor", side)


def _wasted_left(labels: np.ndarray) -> None:
    for k, plane in enumerate(labels):
        for name in GROUPS:
            mask = plane == label_value(name, "left")
            labels[k][mask & ~ndimage.binary_erosion(mask, iterations=3)] = label_value("intermuscular", "left")


def _broken(labels: np.ndarray) -> None:
    left = label_value("extensor", "left")
    held = np.flatnonzero((labels == left).any(axis=(1, 2)))
    for share in (0.35, 0.65):
        middle = held[0] + int(share * len(held))
        part = labels[middle - 1 : middle + 1]
        part[part == left] = label_value("intermuscular", "left")


def _fragment(labels: np.ndarray) -> None:
    right = label_value("flexor", "right")
    held = np.flatnonzero((labels == right).any(axis=(1, 2)))
    keep = held[len(held) // 2]
    gone = labels == right
    column = int(np.quantile(np.nonzero(gone[keep])[1], 0.2))
    gone[keep, :, : column + 1] = False
    labels[gone] = label_value("intermuscular", "right")


PLANTED = (
    Planted("nothing"),
    Planted("nothing, thinner slices", of_scanner=lambda s, _: replace(s, slice_mm=3.0, noise_hu=14.0)),
    Planted("nothing, turned", of_scanner=lambda s, _: replace(s, turn_deg=(3.0, -4.0, 5.0))),
    Planted("scan of the shaft only", codes=("truncated",), of_scanner=_part(0.25, 0.75)),
    Planted("narrow field of view", codes=("touches_border",), of_scanner=_narrow),
    Planted("metal", codes=("metal",), of_object=_nail),
    Planted("slices of 8 mm", codes=("thick_slices",), of_scanner=lambda s, _: replace(s, slice_mm=8.0)),
    Planted("80 kV", codes=("tube_voltage",), of_scanner=lambda s, _: replace(s, tube_voltage_kvp=80.0)),
    Planted(
        "contrast agent recorded",
        codes=("contrast_agent",),
        of_scan=lambda v, m: (replace(v, info=replace(v.info, contrast_agent="iohexol")), m),
    ),
    Planted("contrast in the vessels", codes=("contrast_vessels",), of_object=_enhanced),
    Planted("noise of 28 HU", codes=("noise",), of_scanner=lambda s, _: replace(s, noise_hu=28.0)),
    Planted(
        "scale off by 45 HU",
        codes=("air_attenuation", "subcutaneous_attenuation"),
        also=("contrast_vessels",),
        of_scan=_hu_shift(45),
    ),
    Planted(
        "subcutaneous fat too dense", codes=("subcutaneous_attenuation",), of_scan=_hu_shift(40, only="subcutaneous")
    ),
    Planted(
        "flexor reduced to a fragment",
        codes=("small_volume",),
        also=("group_shares",),
        of_scan=_relabelled(_fragment),
    ),
    Planted(
        "adductors called flexor", codes=("group_shares",), also=("pieces",), of_scan=_relabelled(_adductor_to_flexor)
    ),
    Planted(
        "left muscles eroded",
        codes=("asymmetry",),
        also=("group_shares", "pieces"),
        of_scan=_relabelled(_wasted_left),
    ),
    Planted("extensor in three pieces", codes=("pieces",), of_scan=_relabelled(_broken)),
    Planted("nine slices", codes=("few_slices", "truncated"), of_scanner=_nine_slices),
    Planted("sides swapped", codes=("side_order",), of_scan=_relabelled(_swap_sides)),
    Planted("nothing labelled", codes=("nothing_labelled",), of_scan=_relabelled(lambda labels: labels.fill(0))),
)  # fmt: skip


def base_scanner(person: VoxelPerson) -> Scanner:
    """The way of scanning that raises nothing: the whole object with air around it."""
    bottom, top = _span_mm(person)
    rows_mm, columns_mm = (
        n * step + 60 for n, step in zip(person.geometry.shape[1:], person.geometry.spacing_mm[1:], strict=True)
    )
    return Scanner(pixel_mm=2.0, noise_hu=10.0, z_mm=(bottom - 30, top + 30), field_mm=(rows_mm, columns_mm))


def planted_rows(person: VoxelPerson, planted: Planted, *, base: Scene) -> list[dict[str, object]]:
    """One row for every flag, of every structure where it is raised for each: whether planted, whether raised.

    base: the scan of `base_scanner`, which faults that are planted in the scan itself start from.
    """
    scanner, scene = base_scanner(person), base
    if planted.of_scanner:
        scanner = planted.of_scanner(scanner, person)
    if planted.of_scanner or planted.of_object:
        scene = scan_person(planted.of_object(person) if planted.of_object else person, scanner)
    if planted.of_scan:
        scene = planted.of_scan(*scene)
    cut = _expected_cuts(person, scanner) if planted.of_scanner else set()
    raised = {(flag.code, flag.region, flag.side) for flag in flags(*scene)}
    not_judged = {*planted.also, *(_of_itself(person) - set(planted.codes))}
    rows: list[dict[str, object]] = []
    for code in FLAG_DESCRIPTIONS:
        if code in BY_STRUCTURE:
            for name in STRUCTURES:
                for side in SIDES:
                    one = (code, name, side)
                    rows.append(_row(planted, code, f"{name} {side}", one in cut, one in raised))
        elif code not in (*not_judged, *NO_FAULT):
            rows.append(_row(planted, code, "scan", code in planted.codes, any(one[0] == code for one in raised)))
    return rows


def _of_itself(person: VoxelPerson) -> set[str]:
    """Flags that the object deserves without a fault: its legs differ so much, its shares are so unusual."""
    cm3 = {(name, side): person.volume_cm3(name, side) for name in (*GROUPS, "sartorius") for side in SIDES}
    found = set()
    for name in GROUPS:
        left, right = cm3[name, "left"], cm3[name, "right"]
        if abs(left - right) / ((left + right) / 2) > 0.22:  # 0.25, less what the scan's own error may add
            found.add("asymmetry")
    for name, (low, high) in SHARE_BOUNDS_PERCENT.items():
        for side in SIDES:
            share = 100 * cm3[name, side] / sum(cm3[one, side] for one in (*GROUPS, "sartorius"))
            if not low + 0.5 <= share <= high - 0.5:
                found.add("group_shares")
    return found


def _row(planted: Planted, code: str, where: str, expected: bool, raised: bool) -> dict[str, object]:
    return {"scan": planted.name, "flag": code, "where": where, "planted": expected, "raised": raised}


def _expected_cuts(person: VoxelPerson, scanner: Scanner) -> set[Finding]:
    """What the scan's box cuts of the object: structures with voxels in the box and voxels just beyond one of its
    faces, from the object's own coordinates. At the sides, what reaches the middle of the outermost pixel touches the
    edge: the scan cannot tell whether it goes on."""
    turn, shift = scanner.pose()
    low, high = scanner.z_mm or _span_mm(person)
    middle = person.geometry.to_lps_mm((np.array(person.geometry.shape) - 1) / 2)
    centre = scanner.moved(np.array([middle[0], middle[1], (low + high) / 2]))
    half = np.array([(scanner.field_mm or (0, 0))[1], (scanner.field_mm or (0, 0))[0], high - low]) / 2
    reach = np.array([2.5, 2.5, scanner.slice_mm])  # beyond a face
    names = {label_value(name, side): (name, side) for name in STRUCTURES for side in SIDES}
    index = np.argwhere(np.isin(person.labels, list(names)))
    labels = person.labels[tuple(index.T)]
    off = np.abs(person.geometry.to_lps_mm(index.astype(np.float64)) @ turn.T + shift - centre) - half
    in_plane, in_z = (off[:, :2] < 0).all(axis=1), off[:, 2] < 0
    above = in_plane & (off[:, 2] > 0) & (off[:, 2] < reach[2])
    outermost = (scanner.pixel_mm + person.geometry.spacing_mm[1]) / 2  # from a voxel's middle to the face
    beside = in_z & ((off[:, :2] > -outermost) & (off[:, :2] < reach[:2])).any(axis=1)
    held = set(labels[in_plane & in_z].tolist())
    found = {("truncated", *names[value]) for value in set(labels[above].tolist()) & held}
    return found | {("touches_border", *names[value]) for value in set(labels[beside].tolist()) & held}


def confusion(table: pd.DataFrame) -> pd.DataFrame:
    """One row a flag: how often planted and raised, missed, raised without being planted, quiet."""
    rows = []
    for code in (each for each in FLAG_DESCRIPTIONS if each not in NO_FAULT):
        part = table[table["flag"] == code]
        planted, raised = part["planted"].astype(bool), part["raised"].astype(bool)
        rows.append(
            {
                "flag": code,
                "planted and raised": int((planted & raised).sum()),
                "planted, missed": int((planted & ~raised).sum()),
                "raised, not planted": int((~planted & raised).sum()),
                "neither": int((~planted & ~raised).sum()),
            }
        )
    return pd.DataFrame(rows)


def flag_table(
    *, people: tuple[str, ...] = tuple(PEOPLE), planted: tuple[Planted, ...] = PLANTED, output: Path | None = None
) -> pd.DataFrame:
    """The rows of all people and planted faults; those that were planted or raised are written to `output`, and the
    confusion table beside it, after each person."""
    rows: list[dict[str, object]] = []
    for name in people:
        person = validation_person(name)
        base = scan_person(person, base_scanner(person))
        for one in planted:
            rows += [{"person": name} | row for row in planted_rows(person, one, base=base)]
            print(f"flags: {name}, {one.name}", flush=True)
        if output is not None:
            table = pd.DataFrame(rows)
            heard = table[table["planted"] | table["raised"]]
            heard.to_csv(output.with_name(f"{output.stem}_planted.csv"), index=False, lineterminator="\n")
            confusion(table).to_csv(output, index=False, lineterminator="\n")
    return pd.DataFrame(rows)
