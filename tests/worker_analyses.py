"""Analyses that a test worker runs instead of the shipped network. What they measure is measured by the real code."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from thighseg_core.analyse import Analysis, measure_only
from thighseg_core.errors import NotCTError
from thighseg_core.labels import LabelMap, label_value
from thighseg_core.volume import CTVolume

Progress = Callable[[str, float], None] | None


def quick(volume: CTVolume, *, model: str, device: str, progress: Progress = None) -> Analysis:
    """All that has the attenuation of muscle is the extensor, left of the patient where x is positive."""
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in volume.geometry.shape], indexing="ij"), axis=-1)
    left = volume.geometry.to_lps_mm(index)[..., 0] > 0
    muscle = (volume.attenuation_hu >= -29) & (volume.attenuation_hu <= 150)
    labels = np.where(left, label_value("extensor", "left"), label_value("extensor", "right"))
    analysis = measure_only(volume, LabelMap((labels * muscle).astype(np.uint8), volume.geometry), progress=progress)
    return replace(analysis, manifest=replace(analysis.manifest, model_name=model))


def slow(volume: CTVolume, *, model: str, device: str, progress: Progress = None) -> Analysis:
    """As `quick`, after visible work for as long as the file THIGHSEG_TEST_HOLD is there."""
    assert progress is not None
    while Path(os.environ["THIGHSEG_TEST_HOLD"]).exists():
        progress("segment", 0.5)
        time.sleep(0.05)
    return quick(volume, model=model, device=device, progress=progress)


def silent(volume: CTVolume, *, model: str, device: str, progress: Progress = None) -> Analysis:
    """Half of it is visible, then one long computation that says nothing: it cannot notice that nobody listens."""
    assert progress is not None
    progress("segment", 0.5)
    while Path(os.environ["THIGHSEG_TEST_HOLD"]).exists():
        time.sleep(0.05)
    return quick(volume, model=model, device=device, progress=progress)


def out_of_memory(volume: CTVolume, *, model: str, device: str, progress: Progress = None) -> Analysis:
    """What the kernel does to a process that takes too much."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def refusing(volume: CTVolume, *, model: str, device: str, progress: Progress = None) -> Analysis:
    raise NotCTError("the scan is not in Hounsfield units; export it again")


def broken(volume: CTVolume, *, model: str, device: str, progress: Progress = None) -> Analysis:
    raise RuntimeError("tensor a (3) must match tensor b (4)")
