"""Seconds a slice from files to label map, beside a 2-D nnU-Net tile and beside what the processor can do at best.

.venv/bin/python -m tests.benchmarks.segment_speed [SCAN] [--model manet] [--threads 2]

SCAN: a DICOM folder, zip or NIfTI; without it 150 slices of 512 x 512 with two thighs are made up. The whole command
`python -m thighseg_core segment` is timed, start of Python and writing of files included. The nnU-Net is the network
that its planner makes for such slices (8 stages of 32 to 512 channels, two 3 x 3 convolutions each, instance norm,
deep supervision off), one pass without its own mirroring. The limit is the operations of our network's passes over the
rate of a large matrix product. Wall seconds need a quiet machine; processor seconds hold on a busy one as well.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tests.analytic_legs import paint
from thighseg_core.body import body_box, body_mask
from thighseg_core.checkpoint import DEFAULT_MODEL, load_checkpoint
from thighseg_core.geometry import Geometry
from thighseg_core.inference import seen_larger
from thighseg_core.networks import SIZE_MULTIPLE
from thighseg_core.nifti import write_ct
from thighseg_core.preprocess import canonical_axes, canonical_geometry, working_shape
from thighseg_core.volume import CTVolume, SeriesInfo
from training.dicom_factory import axial_affine
from training.prepare import load_scan_of

SLICES, REPEATS = 150, 15
STAGES = (32, 64, 128, 256, 512, 512, 512, 512)


class PlainUNet(nn.Module):
    """The 2-D network of nnU-Net (Isensee et al. 2021) with random weights: its time does not depend on them."""

    def __init__(self, n_classes: int = 18) -> None:
        super().__init__()
        before = 1
        self.down, self.up, self.join = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for index, width in enumerate(STAGES):
            self.down.append(_two(before, width, stride=1 if index == 0 else 2))
            before = width
        for width in STAGES[-2::-1]:
            self.up.append(nn.ConvTranspose2d(before, width, 2, stride=2))
            self.join.append(_two(2 * width, width, stride=1))
            before = width
        self.head = nn.Conv2d(before, n_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        kept = []
        for stage in self.down:
            image = stage(image)
            kept.append(image)
        for up, join, beside in zip(self.up, self.join, kept[-2::-1], strict=True):
            image = join(torch.cat([up(image), beside], dim=1))
        out: Tensor = self.head(image)
        return out


def _two(before: int, width: int, *, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inner, step in ((before, stride), (width, 1)):
        layers += [nn.Conv2d(inner, width, 3, stride=step, padding=1), nn.InstanceNorm2d(width, affine=True)]
        layers.append(nn.LeakyReLU(0.01, inplace=True))
    return nn.Sequential(*layers)


def best_of(work: Callable[[], object], *, repeats: int) -> tuple[float, float]:
    """Least wall and processor seconds of some repeats, after one that does not count."""
    work()
    wall, processor = [], []
    for _ in range(repeats):
        begin, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - begin)
        processor.append(time.process_time() - used)
    return min(wall), min(processor)


def made_up(folder: Path) -> Path:
    thick = axial_affine(spacing_mm=(3.0 * REPEATS, 0.8, 0.8), origin_mm=(-204.0, -204.0, -90.0))
    thin = axial_affine(spacing_mm=(3.0, 0.8, 0.8), origin_mm=(-204.0, -204.0, -90.0))
    attenuation, _ = paint(Geometry((SLICES // REPEATS, 512, 512), thick))
    attenuation = np.repeat(attenuation, REPEATS, axis=0)
    noise = np.random.default_rng(1).normal(0, 10, attenuation.shape)
    geometry = Geometry((SLICES, 512, 512), thin)
    volume = CTVolume((attenuation + noise).astype(np.int16), geometry, SeriesInfo("1", "NIfTI", "0" * 64))
    write_ct(folder / "scan.nii.gz", volume)
    return folder / "scan.nii.gz"


def network_gflop(scan: CTVolume, model_name: str) -> tuple[float, tuple[int, int]]:
    """Operations of one slice, image and larger mirror image, in units of 1e9, and the size of the network's image."""
    axes = canonical_axes(scan.geometry)
    spacing_mm = canonical_geometry(scan.geometry, axes).spacing_mm
    hu = axes.apply(scan.attenuation_hu)
    box = body_box(body_mask(hu, spacing_mm), spacing_mm)
    if box is None:
        raise SystemExit("the scan shows no body")
    model = load_checkpoint(model_name, device="cpu")
    cut = hu[0][box].shape
    pixels = working_shape((cut[0], cut[1]), (spacing_mm[1], spacing_mm[2]), model.card.preprocessing.spacing_mm)
    size = (pixels[0] + -pixels[0] % SIZE_MULTIPLE, pixels[1] + -pixels[1] % SIZE_MULTIPLE)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        image = torch.zeros(1, 1, *size)
        model.network(image)
        seen_larger(model.network, image)
    return counter.get_total_flops() / 1e9, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path, nargs="?")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    say = sys.stdout.write
    matrix = torch.randn(2048, 2048)
    rate = 2 * 2048**3 / 1e9 / best_of(lambda: matrix @ matrix, repeats=5)[0]
    say(f"matrix product: {rate:.0f} GFLOP/s with {arguments.threads} threads\n")
    network = PlainUNet().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    tiles = {}
    for size in (256, 512):
        image = torch.randn(1, 1, size, size).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            tiles[size] = best_of(lambda image=image: network(image), repeats=2)  # type: ignore[misc]
        say(f"nnU-Net tile {size} x {size}: {tiles[size][0]:.3f} s wall, {tiles[size][1]:.3f} s processor\n")
    with tempfile.TemporaryDirectory() as work:
        source = arguments.scan or made_up(Path(work))
        scan = load_scan_of(source)
        n_slices = canonical_geometry(scan.geometry, canonical_axes(scan.geometry)).shape[0]
        command = [sys.executable, "-m", "thighseg_core", "segment", str(source), "--output", f"{work}/out"]
        command += ["--model", arguments.model, "--device", "cpu"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        wall = (time.perf_counter() - begin) / n_slices
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / n_slices
        (manifest,) = Path(work, "out").glob("*/manifest.json")
        stages = json.loads(manifest.read_text(encoding="utf-8")).get("seconds", {})
    gflop, size_of_image = network_gflop(scan, arguments.model)
    say(f"{arguments.model}, {n_slices} slices {scan.geometry.shape}, network image {size_of_image}\n")
    say(f"whole process: {wall:.3f} s wall, {processor:.3f} s processor a slice; stages, s: {stages}\n")
    say(f"limit: {gflop:.1f} GFLOP a slice (image and larger mirror image) = {gflop / rate:.3f} s\n")
    for size, (tile_wall, tile_processor) in tiles.items():
        say(f"beside the tile of {size}: {tile_wall / wall:.1f} x faster (wall), ")
        say(f"{tile_processor / processor:.1f} x less processor time\n")


if __name__ == "__main__":
    main()
