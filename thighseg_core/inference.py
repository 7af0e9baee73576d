"""A network over a canonical stack: batches of slices in, one tissue class per native pixel out.

Memory is bounded: class probabilities live at the network's resolution for a few slices only, and on the native grid
for one slice at a time.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from thighseg_core.body import BODY_HU
from thighseg_core.checkpoint import Preprocessing
from thighseg_core.folding import folded
from thighseg_core.labels import CLASS_INDEX, GROUPS
from thighseg_core.networks import SIZE_MULTIPLE
from thighseg_core.predicted_quality import MirrorAgreement
from thighseg_core.preprocess import AIR_HU, HIGHEST_HU, normalise, working_shape

# Muscles that end where the picture ends were mistaken on real slices: adductor of STS_006 had a Dice of 0 and 0.23,
# with a margin of air 0.6 and 0.87.
_CUT_MARGIN = 20  # pixels of the network
# The mirror image is shown so much larger, another look at small muscles: on drawn slices of patients left out adductor
# and sartorius gained 0.01 over one of the same size; 0.8 and 1.4 times were no better.
_SECOND_SCALE = 1.2
_CPU_BATCH = 4  # larger ones are no faster on two cores
_CPU_BESIDE = 2  # batches at a time
_CUDA_BATCH = 64

_Answer = tuple[Tensor, NDArray[np.int64] | None]  # (B, C, H, W) probabilities, pixels of `_agreeing_pixels`


@dataclass(frozen=True)
class InferenceOptions:
    """flip_averaging: mean of the answers to the image and to its mirror image (classes have no side), shown 1.2 times
    as large; at two and a half times the time.
    slice_smoothing_mm: standard deviation of a Gaussian over neighbouring slices' probabilities; 0 for none.
    """

    flip_averaging: bool = True
    slice_smoothing_mm: float = 0.0


@dataclass(frozen=True)
class Prediction:
    """classes: (K, J, I) uint8 indices of `labels.CLASSES`. device: where it ended. notes: what users should know.
    mirror: how far the answers to the image and to its larger mirror image agree; None without flip averaging.
    """

    classes: NDArray[np.uint8]
    device: str
    notes: tuple[str, ...] = ()
    mirror: MirrorAgreement | None = None


def resolve_device(device: str) -> str:
    """ "auto" -> "cuda" when there is one, else "cpu"; other names pass."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def predict(
    attenuation_hu: NDArray[Any],
    *,
    spacing_mm: tuple[float, float, float],
    network: nn.Module,
    preprocessing: Preprocessing,
    device: str,
    options: InferenceOptions | None = None,
    progress: Callable[[float], None] | None = None,
    observe: Callable[[int, Tensor], None] | None = None,
) -> Prediction:
    """Tissue classes of a canonical stack (or a box of its rows and columns), on its own grid.

    observe: called with the index of each slice, in order, and its (C, J, I) class probabilities.
    When the GPU's memory does not suffice, smaller batches are tried, then the CPU; the prediction says so.
    """
    options = options or InferenceOptions()
    batches = _Batches(folded(network), device, options.flip_averaging)
    weights = _gaussian(options.slice_smoothing_mm / spacing_mm[0])
    classes = np.empty(attenuation_hu.shape, dtype=np.uint8)
    in_plane_mm = (spacing_mm[1], spacing_mm[2])
    with torch.inference_mode():
        found = _slice_probabilities(attenuation_hu, in_plane_mm, batches, preprocessing, progress)
        for index, probability in enumerate(_smoothed(found, weights)):
            native = _native_probability(probability, attenuation_hu.shape[1:])
            classes[index] = _most_probable(native)
            if observe is not None:
                observe(index, native)
    return Prediction(classes=classes, device=batches.device, notes=tuple(batches.notes), mirror=batches.agreement())


def _slice_probabilities(
    attenuation_hu: NDArray[Any],
    spacing_mm: tuple[float, float],
    batches: _Batches,
    preprocessing: Preprocessing,
    progress: Callable[[float], None] | None,
) -> Iterator[Tensor]:
    """(C, h, w) class probabilities of each slice at the network's resolution, in order."""
    n_slices, rows, columns = attenuation_hu.shape
    shape = working_shape((rows, columns), spacing_mm, preprocessing.spacing_mm)
    margins = _air_margins(attenuation_hu)
    top, left = margins[0][0], margins[1][0]
    images = (
        _network_images(attenuation_hu[start : start + batches.size], shape, margins, preprocessing)
        for start in range(0, n_slices, batches.size)
    )
    for done, probability in enumerate(batches.run(images), start=1):
        yield probability[:, top : top + shape[0], left : left + shape[1]]
        if progress is not None:
            progress(done / n_slices)


def _native_probability(probability: Tensor, shape: tuple[int, int]) -> Tensor:
    """(C, h, w) probabilities -> (C, J, I) by bilinear interpolation."""
    return F.interpolate(probability[None].contiguous(), size=shape, mode="bilinear", align_corners=False)[0]


def _most_probable(probability: Tensor) -> NDArray[np.uint8]:
    """(C, ...) probabilities -> (...) classes, the first of equal ones."""
    if probability.device.type != "cpu":
        return np.asarray(probability.argmax(dim=0).to(torch.uint8).cpu().numpy())
    planes = probability.numpy()  # class by class: six times as fast as numpy's argmax, 30 times as torch's
    highest, classes = planes[0].copy(), np.zeros(planes.shape[1:], dtype=np.uint8)
    for index, plane in enumerate(planes[1:], start=1):
        np.maximum(classes, (plane > highest).view(np.uint8) * np.uint8(index), out=classes)
        np.maximum(highest, plane, out=highest)
    return classes


def _air_margins(attenuation_hu: NDArray[Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pixels of air to add before and after the rows and the columns: where the picture's edge cuts the body."""
    edges = (attenuation_hu[:, 0], attenuation_hu[:, -1], attenuation_hu[:, :, 0], attenuation_hu[:, :, -1])
    top, bottom, left, right = (_CUT_MARGIN if (edge > BODY_HU).any() else 0 for edge in edges)
    return (top, bottom), (left, right)


def _network_images(
    slab: NDArray[Any],
    shape: tuple[int, int],
    margins: tuple[tuple[int, int], tuple[int, int]],
    preprocessing: Preprocessing,
) -> Tensor:
    """(B, J, I) attenuation -> (B, 1, H, W) normalised images, averaged down, air added: margins, multiples of 32."""
    raw = torch.from_numpy(np.clip(slab, AIR_HU, HIGHEST_HU).astype(np.float32))[:, None]
    small = F.interpolate(raw, size=shape, mode="bilinear", align_corners=False, antialias=True)
    (top, bottom), (left, right) = margins
    bottom += -(shape[0] + top + bottom) % SIZE_MULTIPLE
    right += -(shape[1] + left + right) % SIZE_MULTIPLE
    padded = F.pad(small, (left, right, top, bottom), value=float(AIR_HU))
    return torch.from_numpy(normalise(padded.numpy(), preprocessing))


class _Batches:
    """Runs batches on a device, and steps down (smaller batches, then the CPU) when its memory is exhausted."""

    def __init__(self, network: nn.Module, device: str, flip: bool) -> None:
        self.network = network
        self.device = device
        self.flip = flip
        self.size = _CUDA_BATCH if device.startswith("cuda") else _CPU_BATCH
        self.notes: list[str] = []
        self._pixels: list[NDArray[np.int64]] = []  # (B, 3 groups, in both answers or in the one plus the other)

    def agreement(self) -> MirrorAgreement | None:
        """Of all slices so far."""
        if not self._pixels:
            return None
        pixels = np.concatenate(self._pixels)
        return MirrorAgreement(both=pixels[..., 0], answers=pixels[..., 1])

    def run(self, images: Iterable[Tensor]) -> Iterator[Tensor]:
        """Batches (B, 1, H, W) -> (C, H, W) class probabilities in float32 of every picture, in order."""
        for answers in self._beside(images) if self.device == "cpu" else map(self._answers, images):
            for probability, pixels in answers:
                self._pixels += [] if pixels is None else [pixels]
                yield from probability

    def _beside(self, images: Iterable[Tensor]) -> Iterator[list[_Answer]]:
        """Two batches at a time, each on half of the threads: less waiting for one another than one batch on all."""
        threads, waiting = torch.get_num_threads(), deque[Future[list[_Answer]]]()
        each = max(1, threads // _CPU_BESIDE)
        torch.set_num_threads(each)
        try:
            with ThreadPoolExecutor(min(threads, _CPU_BESIDE), initializer=lambda: torch.set_num_threads(each)) as pool:
                for image in images:
                    waiting.append(pool.submit(self._answers, image))
                    if len(waiting) > _CPU_BESIDE:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
        finally:
            torch.set_num_threads(threads)

    def _answers(self, image: Tensor) -> list[_Answer]:
        """To one batch, in as many parts as memory asks for."""
        done: list[_Answer] = []
        n_done = 0
        while n_done < len(image):
            try:
                with torch.inference_mode():  # holds for one thread only
                    done.append(self._forward(image[n_done : n_done + self.size]))
                n_done += len(done[-1][0])
            except torch.OutOfMemoryError:
                if self.device == "cpu":
                    raise
                self._step_down()
        return done

    def _forward(self, image: Tensor) -> _Answer:
        on_gpu = self.device.startswith("cuda")
        batch = image.to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cuda", dtype=torch.float16) if on_gpu else nullcontext():
            probability: Tensor = self.network(batch).float().softmax(dim=1)
            if not self.flip:
                return probability, None
            mirrored = seen_larger(self.network, batch.flip(-1)).softmax(dim=1).flip(-1)
            return (probability + mirrored) / 2, _agreeing_pixels(probability, mirrored)

    def _step_down(self) -> None:
        torch.cuda.empty_cache()
        if self.size > 1:
            self.size //= 2
            note = "the GPU's memory was short; smaller batches were used"
        else:
            self.network, self.device, self.size = copy.deepcopy(self.network).cpu(), "cpu", _CPU_BATCH
            note = "the GPU's memory did not suffice; the CPU was used"
        if note not in self.notes:
            self.notes.append(note)


def seen_larger(network: nn.Module, image: Tensor) -> Tensor:
    """(B, C, H, W) logits of (B, 1, H, W) pictures from a network that sees them `_SECOND_SCALE` times as large."""
    size = [round(_SECOND_SCALE * n) for n in image.shape[-2:]]
    larger = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
    larger = F.pad(larger, (0, -size[1] % SIZE_MULTIPLE, 0, -size[0] % SIZE_MULTIPLE), mode="replicate")
    logits = network(larger.contiguous(memory_format=torch.channels_last)).float()[..., : size[0], : size[1]]
    return F.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=False)


def _agreeing_pixels(first: Tensor, second: Tensor) -> NDArray[np.int64]:
    """(B, C, H, W) probabilities twice -> (B, groups, 2) counts for `MirrorAgreement`."""
    one, two = _most_probable(first.movedim(1, 0)), _most_probable(second.movedim(1, 0))
    counts = []
    for name in GROUPS:
        a, b = one == CLASS_INDEX[name], two == CLASS_INDEX[name]
        each = [np.count_nonzero(mask, axis=(1, 2)) for mask in (a & b, a, b)]
        counts.append(np.stack([each[0], each[1] + each[2]], axis=1))
    return np.stack(counts, axis=1).astype(np.int64)


def _gaussian(sigma_slices: float) -> list[float]:
    """Weights of the neighbours at distance 0, 1, ... slices; [1.0] for none."""
    reach = math.ceil(2 * sigma_slices) if sigma_slices > 0.2 else 0
    return [1.0] + [math.exp(-0.5 * (n / sigma_slices) ** 2) for n in range(1, reach + 1)]


def _smoothed(slices: Iterable[Tensor], weights: list[float]) -> Iterator[Tensor]:
    """Weighted mean over neighbouring slices, in order, holding only as many slices as the weights reach."""
    reach = len(weights) - 1
    if reach == 0:
        yield from slices
        return
    window: deque[tuple[int, Tensor]] = deque(maxlen=2 * reach + 1)

    def mean(centre: int) -> Tensor:
        members = [(weights[abs(n - centre)], tensor) for n, tensor in window if abs(n - centre) <= reach]
        device = members[-1][1].device  # slices before a step down to the CPU may still be on the GPU
        total = torch.stack([weight * tensor.to(device) for weight, tensor in members]).sum(dim=0)
        return total / sum(weight for weight, _ in members)

    last = -1
    for last, tensor in enumerate(slices):
        window.append((last, tensor))
        if last >= reach:
            yield mean(last - reach)
    for centre in range(max(0, last + 1 - reach), last + 1):
        yield mean(centre)
