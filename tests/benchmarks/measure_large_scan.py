"""Seconds and memory to measure and judge a scan of 400 slices of 512 x 512 (no segmentation).

Everything is measured: landmarks, standard extents, sections across the femur, histograms, quality flags. The scan
shows two whole femurs, so that nothing is left out because an end is not in view.

.venv/bin/python -m tests.benchmarks.measure_large_scan
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from tests.whole_femur import legs_scan
from thighseg_core.analyse import measure_only
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.volume import CTVolume, SeriesInfo

SLICES, PIXELS, RUNS = 400, 512, 3
SPACING_MM = (1.27, 360 / PIXELS, 360 / PIXELS)


def main() -> None:
    small, small_map = legs_scan(spacing_mm=SPACING_MM, z_mm=(-40.0, -40.0 + SLICES * SPACING_MM[0]))
    rows = PIXELS - small.geometry.shape[1]
    around = ((0, 0), (rows // 2, rows - rows // 2), (0, 0))
    geometry = Geometry((SLICES, PIXELS, PIXELS), small.geometry.affine)
    attenuation = np.pad(small.attenuation_hu, around, constant_values=-1000)
    attenuation += np.random.default_rng(0).integers(-35, 36, attenuation.shape, dtype=np.int16)  # 20 HU: smoothed
    volume = CTVolume(attenuation, geometry, SeriesInfo("1", "NIfTI", "0" * 64))
    label_map = LabelMap(np.pad(small_map.labels, around), geometry)
    del small, small_map
    share = float((label_map.labels > 0).mean())
    sys.stdout.write(f"{SLICES} x {PIXELS} x {PIXELS} voxels, {share:.0%} labelled\n")
    for _ in range(RUNS):
        start, processor = time.perf_counter(), time.process_time()
        analysis = measure_only(volume, label_map)
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        found = sum(m.value is not None for m in analysis.measurements)
        sys.stdout.write(
            f"{len(analysis.measurements)} measurements ({found} with a value), {len(analysis.histograms)} histograms "
            f"in {seconds:.2f} s ({processor:.2f} s of one processor)\n"
        )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    own_mb = (volume.attenuation_hu.nbytes + label_map.labels.nbytes) / 2**20
    sys.stdout.write(f"peak memory {peak_mb:.0f} MB, of which image and labels {own_mb:.0f} MB\n")


if __name__ == "__main__":
    main()
