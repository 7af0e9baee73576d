"""From the counts of a structure to each metric's value, with the reasons to doubt it or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thighseg_core.census import HU_MIN, Census
from thighseg_core.extents import SLAB_MM, Stretches
from thighseg_core.labels import GROUPS, SIDES, label_value
from thighseg_core.landmarks import Landmarks
from thighseg_core.metrics import REGIONS
from thighseg_core.sections import CrossSection
from thighseg_core.structure import Structure, mean_hu, middle_slice, structure, within
from thighseg_core.tissue import HUPreset, Range

CORTEX_HU: Range = (600, -HU_MIN - 1)  # our convention: the commonly used limit's source was not read
SAME_LEVEL = 0.02  # our convention: of the femur's length, by which the ends of two legs' scans may differ
_WHOLE: Range = (HU_MIN, -HU_MIN - 1)
_CM_OF_SLAB = SLAB_MM / 10


@dataclass(frozen=True)
class Fact:
    """A value with the reasons to doubt it, or None with the reasons why there is none."""

    value: float | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """Everything that a value is worked out from."""

    census: Census
    preset: HUPreset
    landmarks: Landmarks
    stretches: Stretches
    sections: Mapping[str, CrossSection]

    def structure(self, region: str, side: str, extent: str) -> Structure:
        """Another region or side over the same extent."""
        return structure(self.census, region, side, extent, stretches=self.stretches)


def fact(name: str, found: Structure, scene: Scene) -> Fact:
    """The value of the metric `name` of a structure."""
    if name in _OF_THE_FEMUR:
        return _OF_THE_FEMUR[name](found, scene)
    return Fact(None, (found.absent,)) if found.absent else _FACTS[name](found, scene)


def _size(found: Structure, value: float, reasons: tuple[str, ...] = ()) -> Fact:
    """A value that is too small when the structure was not seen whole."""
    if found.cut_away:
        return Fact(None, (found.cut_away,))
    return Fact(value, found.incomplete + found.doubts + reasons)


def _volume(found: Structure, _: Scene) -> Fact:
    return _size(found, found.volume_cm3(), found.metal_reasons() if found.region == "femur" else ())


def _ranged(found: Structure, hu: Range) -> Fact:
    return _size(found, found.volume_cm3(hu), found.metal_reasons())


def _area(found: Structure, hu: Range | None = None) -> Fact:
    return _size(found, found.volume_cm3(hu) / _CM_OF_SLAB, found.metal_reasons() if hu else ())


def _excluded(found: Structure, scene: Scene) -> Fact:
    preset = scene.preset
    left_over = found.volume_cm3() - found.volume_cm3(preset.lean_hu) - found.volume_cm3(preset.fat_hu)
    return _size(found, max(left_over, 0.0), found.metal_reasons())  # the difference of equal sums may be -1e-17


def _fat_percent(found: Structure, scene: Scene) -> Fact:
    fat, lean = within(found.histogram, scene.preset.fat_hu), within(found.histogram, scene.preset.lean_hu)
    if fat + lean == 0:
        return Fact(None, ("no voxel in the lean or the fat range",))
    return Fact(100.0 * fat / (fat + lean), found.incomplete + found.doubts + found.metal_reasons())


def _attenuation(found: Structure, hu: Range) -> Fact:
    mean = mean_hu(found.histogram, hu)
    if mean is None:
        return Fact(None, ("no voxel in the lean range",))
    return Fact(mean, found.incomplete + found.doubts + found.metal_reasons())


def _eroded(found: Structure, scene: Scene) -> Fact:
    mean = mean_hu(found.inner, scene.preset.lean_hu)
    if mean is None:
        return Fact(None, ("no voxel in the lean range inside the edge",))
    return Fact(mean, found.incomplete + found.doubts + found.metal_reasons())


def _csa_max(found: Structure, scene: Scene) -> Fact:
    return Fact(float(found.voxels.max()) * scene.census.view.face_area_mm2 / 100, found.incomplete)


def _csa_max_z(found: Structure, scene: Scene) -> Fact:
    order = scene.census.view.caudal_to_cranial()  # of equal slices the most caudal, whatever the order in the array
    index = max(order, key=lambda k: int(found.voxels[k]))
    return Fact(float(scene.census.view.z_mm[index]), found.incomplete)


def _mid(found: Structure, census: Census) -> tuple[int | None, tuple[str, ...]]:
    """The middle slice and what is wrong with the structure there."""
    index = middle_slice(census, found.leg)
    if index is None:
        return None, ("the two legs share no slice",)
    if not found.seen[index]:
        return None, (f"no {found.region} on the middle slice of the leg",)
    return index, ("touches the edge of the image on that slice",) if found.at_border[index] else ()


def _csa_mid(found: Structure, scene: Scene) -> Fact:
    index, reasons = _mid(found, scene.census)
    if index is None:
        return Fact(None, reasons)
    return Fact(float(found.voxels[index]) * scene.census.view.face_area_mm2 / 100, reasons)


def _csa_mid_z(found: Structure, scene: Scene) -> Fact:
    index, reasons = _mid(found, scene.census)
    return Fact(None, reasons) if index is None else Fact(float(scene.census.view.z_mm[index]), reasons)


def _csa_perpendicular(found: Structure, scene: Scene) -> Fact:
    sides = SIDES if found.side == "both" else (found.side,)
    total = 0.0
    for side in sides:
        section = scene.sections[side]
        if section.absent:
            return Fact(None, (section.absent,))
        values = [label_value(name, side) for name in REGIONS[found.region]]
        if section.cut[values].any():
            return Fact(None, ("cut away by the end of the scan or the edge of the image on the section",))
        total += float(section.area_cm2[values].sum())
    return _size(found, total)


def _share(found: Structure, scene: Scene) -> Fact:
    muscles = [scene.structure(name, found.side, found.extent) for name in (*GROUPS, "sartorius")]
    lost = [muscle.absent or muscle.cut_away for muscle in muscles if muscle.absent or muscle.cut_away]
    if lost:
        return Fact(None, (lost[0],))
    total = sum(muscle.volume_cm3() for muscle in muscles)
    return _size(found, 100.0 * found.volume_cm3() / total, _all_reasons(muscles))


def _all_reasons(found: list[Structure]) -> tuple[str, ...]:
    """What is wrong with any of these, each said once, with the region's name."""
    return tuple(f"{each.region}: {reason}" for each in found for reason in each.incomplete)


def _ratio(found: Structure, scene: Scene) -> Fact:
    extensor, flexor = (scene.structure(name, found.side, found.extent) for name in ("extensor", "flexor"))
    for each in (extensor, flexor):
        if each.absent or each.cut_away:
            return Fact(None, (each.absent or each.cut_away,))
    return Fact(extensor.volume_cm3() / flexor.volume_cm3(), _all_reasons([extensor, flexor]) + found.doubts)


def _asymmetry(found: Structure, scene: Scene, hu: Range | None = None) -> Fact:
    left, right = (scene.structure(found.region, side, found.extent) for side in SIDES)
    for each in (left, right):
        if each.cut_away:
            return Fact(None, (f"{each.side}: {each.cut_away}",))
    ends_cut = any("cut off" in reason for each in (left, right) for reason in each.incomplete)
    if ends_cut and not _same_levels(scene):
        return Fact(None, ("left and right are not known to be seen over the same length",))
    first, second = left.volume_cm3(hu), right.volume_cm3(hu)
    if first + second == 0:
        return Fact(None, ("no voxel in the range",))
    reasons = found.incomplete + found.doubts + (found.metal_reasons() if hu else ())
    return Fact(100.0 * (first - second) / ((first + second) / 2), reasons)


def _same_levels(scene: Scene) -> bool:
    """Whether the scan's ends lie at the same levels of both femurs."""
    left, right = (scene.landmarks.legs[side].slice_level for side in SIDES)
    return bool((abs(left - right) <= SAME_LEVEL).all())  # never where one is not known


def _imat(found: Structure, scene: Scene, *, slab: bool) -> Fact:
    hu = scene.preset.fat_hu
    parts = [found, *(scene.structure(name, found.side, found.extent) for name in ("sartorius", "intermuscular"))]
    lost = [part.absent or part.cut_away for part in parts if part.absent or part.cut_away]
    if lost:
        return Fact(None, (lost[0],))
    total = sum(part.volume_cm3(hu) for part in parts)
    reasons = _all_reasons(parts) + found.doubts + found.metal_reasons()
    return Fact(total / _CM_OF_SLAB if slab else total, reasons)


def _length(found: Structure, scene: Scene) -> Fact:
    leg = scene.landmarks.legs[found.side]
    return Fact(leg.femur_length_mm, (leg.length_reason,) if leg.femur_length_mm is None else ())


def _coverage(found: Structure, scene: Scene) -> Fact:
    leg = scene.landmarks.legs[found.side]
    doubts = () if leg.femur_length_mm is not None else (f"levels estimated by {leg.level_method}",)
    return Fact(leg.femur_cov_pct, (leg.level_reason,) if leg.femur_cov_pct is None else doubts)


def _midthigh_z(found: Structure, scene: Scene) -> Fact:
    leg, stretch = scene.landmarks.legs[found.side], scene.stretches["midthigh", found.side]
    if leg.midthigh_z_mm is None or stretch.absent:
        return Fact(None, (stretch.absent or "the femur is not seen around mid-thigh",))
    return Fact(leg.midthigh_z_mm, stretch.doubts)


_OF_THE_FEMUR: dict[str, Callable[[Structure, Scene], Fact]] = {
    "femur_length": _length,
    "femur_coverage": _coverage,
    "midthigh_z": _midthigh_z,
}
_FACTS: dict[str, Callable[[Structure, Scene], Fact]] = {
    "volume": _volume,
    "lean_volume": lambda s, c: _ranged(s, c.preset.lean_hu),
    "intramuscular_fat_volume": lambda s, c: _ranged(s, c.preset.fat_hu),
    "intramuscular_fat_percent": _fat_percent,
    "excluded_volume": _excluded,
    "low_attenuation_volume": lambda s, c: _ranged(s, c.preset.low_hu),
    "normal_attenuation_volume": lambda s, c: _ranged(s, c.preset.normal_hu),
    "lean_attenuation": lambda s, c: _attenuation(s, c.preset.lean_hu),
    "mask_attenuation": lambda s, _: _attenuation(s, _WHOLE),
    "eroded_attenuation": _eroded,
    "csa_max": _csa_max,
    "csa_max_z": _csa_max_z,
    "csa_mid": _csa_mid,
    "csa_mid_z": _csa_mid_z,
    "fat_volume": lambda s, c: _ranged(s, c.preset.fat_hu),
    "imat_volume": lambda s, c: _imat(s, c, slab=False),
    "imat_csa": lambda s, c: _imat(s, c, slab=True),
    "share_percent": _share,
    "extensor_flexor_ratio": _ratio,
    "volume_asymmetry": _asymmetry,
    "lean_volume_asymmetry": lambda s, c: _asymmetry(s, c, c.preset.lean_hu),
    "csa_asymmetry": _asymmetry,
    "csa": lambda s, _: _area(s),
    "csa_perpendicular": _csa_perpendicular,
    "lean_csa": lambda s, c: _area(s, c.preset.lean_hu),
    "intramuscular_fat_csa": lambda s, c: _area(s, c.preset.fat_hu),
    "low_attenuation_csa": lambda s, c: _area(s, c.preset.low_hu),
    "normal_attenuation_csa": lambda s, c: _area(s, c.preset.normal_hu),
    "fat_csa": lambda s, c: _area(s, c.preset.fat_hu),
    "cortical_area": lambda s, _: _area(s, CORTEX_HU),
}
