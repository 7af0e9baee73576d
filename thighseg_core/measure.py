"""Label map and attenuation to measurements: per region and side, over the whole field of view and standard extents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from thighseg_core.census import Census, refuse_other_grid, take_census
from thighseg_core.extents import find_stretches, label_shares
from thighseg_core.facts import Scene, fact
from thighseg_core.histogram import Histogram, histograms_of
from thighseg_core.labels import SIDES, LabelMap
from thighseg_core.landmarks import Landmarks, Levels, find_landmarks
from thighseg_core.measurement import Measurement
from thighseg_core.metrics import EXTENT_DESCRIPTIONS, FULL, METRICS, REGIONS
from thighseg_core.sections import cross_sections
from thighseg_core.structure import cut_ends, leg_slices, middle_slice
from thighseg_core.tissue import DEFAULT_PRESET, HUPreset
from thighseg_core.volume import CTVolume

__all__ = ["FULL", "Measured", "cut_ends", "leg_slices", "measure", "measure_all", "middle_slice"]


@dataclass(frozen=True)
class Measured:
    """What was measured in a label map, and what it was measured with."""

    measurements: tuple[Measurement, ...]
    landmarks: Landmarks
    histograms: tuple[Histogram, ...]
    census: Census


def measure(
    volume: CTVolume, label_map: LabelMap, *, preset: HUPreset = DEFAULT_PRESET, levels: Levels | None = None
) -> tuple[Measurement, ...]:
    """Every metric of `METRICS` for every region, side and extent it applies to, present or not, in a fixed order.

    A structure that is absent gives "missing" with the reason; one that is cut off keeps its value over the whole field
    of view, "flagged" with the reason, and has no size over a standard extent.
    """
    return measure_all(volume, label_map, preset=preset, levels=levels).measurements


def measure_all(
    volume: CTVolume, label_map: LabelMap, *, preset: HUPreset = DEFAULT_PRESET, levels: Levels | None = None
) -> Measured:
    """Measurements, landmarks and histograms; `levels` as in `find_landmarks`.

    Raises GeometryMismatchError when scan and label map do not lie on one grid.
    """
    refuse_other_grid(volume, label_map)
    landmarks = find_landmarks(volume, label_map, levels=levels)
    stretches = find_stretches(landmarks)
    census = take_census(volume, label_map, shares=label_shares(stretches), quiet_hu=preset.quiet_hu)
    sections = cross_sections(label_map, landmarks)
    scene = Scene(census=census, preset=preset, landmarks=landmarks, stretches=stretches, sections=sections)
    return Measured(
        measurements=tuple(_measurements(scene)),
        landmarks=landmarks,
        histograms=tuple(histograms_of(census, stretches)),
        census=census,
    )


def _measurements(scene: Scene) -> Iterator[Measurement]:
    for extent in EXTENT_DESCRIPTIONS:
        for region in REGIONS:
            for side in (*SIDES, "both"):
                metrics = [metric for metric in METRICS.values() if metric.applies(region, side, extent)]
                if not metrics:
                    continue
                structure = scene.structure(region, side, extent)
                for metric in metrics:
                    found = fact(metric.name, structure, scene)
                    status = "missing" if found.value is None else "flagged" if found.reasons else "ok"
                    yield Measurement(
                        region=region,
                        side=side,
                        extent=extent,
                        metric=metric.name,
                        value=found.value,
                        unit=metric.unit,
                        status=status,
                        reason="; ".join(found.reasons),
                    )
