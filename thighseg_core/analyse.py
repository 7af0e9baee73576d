"""The whole way of one scan: `analyse` segments and measures, `measure_only` measures labels that exist already."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from thighseg_core.checkpoint import DEFAULT_MODEL
from thighseg_core.errors import ModelError
from thighseg_core.histogram import Histogram
from thighseg_core.labels import GROUP_MAP_VERSION, LabelMap
from thighseg_core.landmarks import Landmarks
from thighseg_core.levels import SliceLevels
from thighseg_core.manifest import RunManifest, git_commit, software_version, utc_now
from thighseg_core.measure import Measured, measure_all
from thighseg_core.measurement import Measurement, QualityFlag
from thighseg_core.quality import flags
from thighseg_core.results import write_results
from thighseg_core.tissue import DEFAULT_PRESET, HUPreset
from thighseg_core.volume import CTVolume, SeriesInfo

__all__ = ["Analysis", "analyse", "measure_only", "write_results"]

log = logging.getLogger(__name__)
Progress = Callable[[str, float], None]
EXTERNAL = "external"  # model name of a label map that was handed in


@dataclass(frozen=True)
class Analysis:
    """Everything about one scan; `seconds` is the time of each stage that was reported.

    landmarks: None only where an analysis was put together without measuring.
    """

    label_map: LabelMap
    measurements: tuple[Measurement, ...]
    flags: tuple[QualityFlag, ...]
    manifest: RunManifest
    info: SeriesInfo
    seconds: dict[str, float] = field(default_factory=dict)
    landmarks: Landmarks | None = None
    histograms: tuple[Histogram, ...] = ()


def analyse(
    volume: CTVolume,
    *,
    model: str = DEFAULT_MODEL,
    device: str = "auto",
    progress: Progress | None = None,
    preset: HUPreset = DEFAULT_PRESET,
) -> Analysis:
    """Segment a scan with the shipped network `model` and measure it.

    progress: called with the stage and the share of it that is done (0 to 1).
    Raises ModelError when the network has no usable checkpoint.
    """
    from thighseg_core.segment import segment  # torch loads when it is needed

    started_at, clock = utc_now(), _Clock(progress)
    segmentation = segment(volume, model=model, device=device, progress=clock)
    measured, found = _measured(volume, segmentation.label_map, preset=preset, progress=clock)
    return Analysis(
        label_map=segmentation.label_map,
        measurements=measured.measurements,
        flags=(*segmentation.flags, *found),
        manifest=_manifest(
            segmentation.label_map,
            preset=preset,
            started_at=started_at,
            model_name=model,
            model_version=segmentation.model_version,
            weights_sha256=segmentation.weights_sha256,
            device=segmentation.device,
        ),
        info=volume.info,
        seconds=clock.seconds(),
        landmarks=measured.landmarks,
        histograms=measured.histograms,
    )


def measure_only(
    volume: CTVolume, label_map: LabelMap, *, preset: HUPreset = DEFAULT_PRESET, progress: Progress | None = None
) -> Analysis:
    """Measure a label map that was handed in or corrected; nothing is segmented.

    Raises GeometryMismatchError when it does not lie on the scan's grid.
    """
    started_at, clock = utc_now(), _Clock(progress)
    measured, found = _measured(volume, label_map, preset=preset, progress=clock)
    return Analysis(
        label_map=label_map,
        measurements=measured.measurements,
        flags=found,
        manifest=_manifest(
            label_map,
            preset=preset,
            started_at=started_at,
            model_name=EXTERNAL,
            model_version="",
            weights_sha256="",
            device="cpu",
        ),
        info=volume.info,
        seconds=clock.seconds(),
        landmarks=measured.landmarks,
        histograms=measured.histograms,
    )


class _Clock:
    """Passes progress on and notes when each stage began."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._began: dict[str, float] = {"load": time.perf_counter()}  # torch and the network, before the first report

    def __call__(self, stage: str, share: float) -> None:
        self._began.setdefault(stage, time.perf_counter())
        if self._progress is not None:
            self._progress(stage, share)

    def seconds(self) -> dict[str, float]:
        """Seconds from the start of each stage to the start of the next, the last one until now, and in total."""
        times = [*self._began.values(), time.perf_counter()]
        stages = {name: end - start for name, (start, end) in zip(self._began, pairwise(times), strict=True)}
        return {**stages, "total": times[-1] - times[0]}


def _measured(
    volume: CTVolume, label_map: LabelMap, *, preset: HUPreset, progress: Progress
) -> tuple[Measured, tuple[QualityFlag, ...]]:
    progress("measure", 0.0)
    measured = measure_all(volume, label_map, preset=preset, levels=lambda: _estimated_levels(volume, label_map))
    found = flags(volume, label_map, census=measured.census)
    progress("measure", 1.0)
    return measured, found


def _estimated_levels(volume: CTVolume, label_map: LabelMap) -> SliceLevels | None:
    """Levels from the images of the slices; None, with a line in the log, where the level network cannot be read."""
    from thighseg_core.level_estimate import estimate_levels  # torch loads when it is needed

    try:
        return estimate_levels(volume, label_map)
    except ModelError as error:
        log.warning("no levels were estimated: %s", error)
        return None


def _manifest(
    label_map: LabelMap,
    *,
    preset: HUPreset,
    started_at: str,
    model_name: str,
    model_version: str,
    weights_sha256: str,
    device: str,
) -> RunManifest:
    return RunManifest(
        software_version=software_version(),
        git_commit=git_commit(),
        model_name=model_name,
        model_version=model_version,
        weights_sha256=weights_sha256,
        label_scheme=label_map.scheme,
        group_map_version=GROUP_MAP_VERSION,
        hu_preset=preset.name,
        device=device,
        started_at=started_at,
    )
