"""Seconds and memory to measure and judge a scan of 400 slices of 512 x 512 (no segmentation).

.venv/bin/python -m tests.benchmarks.measure_large_scan
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from tests.analytic_legs import paint
from thighseg_core.analyse import measure_only
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.volume import CTVolume, SeriesInfo
from training.dicom_factory import axial_affine

SLICES, REPEATS, RUNS = 400, 10, 3


def main() -> None:
    thick = axial_affine(spacing_mm=(0.45 * REPEATS, 0.75, 0.75), origin_mm=(-191.6, -191.6, -90.0))
    thin = axial_affine(spacing_mm=(0.45, 0.75, 0.75), origin_mm=(-191.6, -191.6, -90.0))
    attenuation, labels = paint(
        Geometry((SLICES // REPEATS, 512, 512), thick)
    )  # each slice painted once, then repeated
    geometry = Geometry((SLICES, 512, 512), thin)
    volume = CTVolume(np.repeat(attenuation, REPEATS, axis=0), geometry, SeriesInfo("1", "NIfTI", "0" * 64))
    label_map = LabelMap(np.repeat(labels, REPEATS, axis=0), geometry)
    share = float((label_map.labels > 0).mean())
    sys.stdout.write(f"{SLICES} x 512 x 512 voxels, {share:.0%} labelled\n")
    for _ in range(RUNS):
        start = time.perf_counter()
        analysis = measure_only(volume, label_map)
        sys.stdout.write(f"{len(analysis.measurements)} measurements in {time.perf_counter() - start:.2f} s\n")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"peak memory {peak_mb:.0f} MB, of which image and labels {3 * labels.size * REPEATS / 2**20:.0f} MB\n"
    )


if __name__ == "__main__":
    main()
