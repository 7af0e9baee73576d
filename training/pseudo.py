"""Self-training: what trained networks are sure of on scans without labels, as training input.

    python -m training.pseudo --checkpoint runs/manet/last --data ../shared/data --output cache/real/pseudo \\
        [--every 2] [--sure 0.9] [--possible 0.05] [--not-thigh STS_005]

Every slice of every series that nobody drew on goes through the same `segment` that users get (flip-averaged). A pixel
is of one class where the probability reaches `--sure` and the finished label map agrees; elsewhere it may have any
class above `--possible`; a tumour (tumour_mask.nii.gz beside the CT) and what lies within 10 mm of it is left open.
Several checkpoints answer together, by the mean of their probabilities.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from thighseg_core.body import body_box, body_mask
from thighseg_core.checkpoint import Model, load_checkpoint
from thighseg_core.labels import class_of_label
from thighseg_core.preprocess import canonical_axes, canonical_geometry
from thighseg_core.segment import segment_with
from thighseg_core.volume import CTVolume
from training.allowed import ALL_BITS, N_CLASSES, bits_of
from training.drawings import NONE_OF_THE_GROUPS
from training.prepare import load_scan_of
from training.real_data import RealScan
from training.reference import NOT_ANNOTATED, read_drawing
from training.splits import drawings_seen

TUMOUR_MARGIN_MM = 10.0


class MeanAnswer(nn.Module):
    """Several networks as one: the log of their mean probability."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, image: Tensor) -> Tensor:
        return torch.stack([network(image).softmax(dim=1) for network in self.networks]).mean(dim=0).log()


def load_together(folders: Sequence[Path], *, device: str) -> Model:
    """The checkpoints in these folders as one model; they must share their preprocessing."""
    models = [load_checkpoint(folder.name, device=device, folder=folder.parent) for folder in folders]
    if len({model.card.preprocessing for model in models}) > 1:
        raise ValueError("the checkpoints were trained with different preprocessing; use one at a time")
    if len(models) == 1:
        return models[0]
    seen = sorted(set().union(*(drawings_seen(model.card.training) for model in models)))
    card = replace(models[0].card, training={"drawn_patients_seen": seen})
    return Model(MeanAnswer([model.network for model in models]).eval(), card)


def sure_sets(
    probability: NDArray[np.float32], finished: NDArray[np.uint8], *, sure: float, possible: float
) -> NDArray[np.uint16]:
    """(C, J, I) probabilities and (J, I) classes of the finished label map -> (J, I) bit sets."""
    powers = (1 << np.arange(N_CLASSES, dtype=np.uint16))[:, None, None]
    best = probability.argmax(axis=0)
    several = ((probability >= possible) * powers).sum(axis=0).astype(np.uint16)
    one = (1 << finished.astype(np.uint16)).astype(np.uint16)
    certain = (probability.max(axis=0) >= sure) & (best == finished)
    return np.where(certain, one, several | one).astype(np.uint16)


def pseudo_labels(volume: CTVolume, model: Model, *, device: str, sure: float, possible: float) -> NDArray[np.uint16]:
    """(K, J, I) bit sets in canonical order; outside the body background."""
    axes = canonical_axes(volume.geometry)
    geometry = canonical_geometry(volume.geometry, axes)
    box = body_box(body_mask(axes.apply(volume.attenuation_hu), geometry.spacing_mm), geometry.spacing_mm)
    out = np.full(geometry.shape, bits_of("background"), dtype=np.uint16)
    if box is None:
        return out
    seen: list[NDArray[np.float16]] = []
    result = segment_with(
        volume, model, device=device, observe=lambda _, probability: seen.append(probability.cpu().half().numpy())
    )
    finished = class_of_label()[axes.apply(result.label_map.labels)][(slice(None), *box)]
    for k, probability in enumerate(seen):
        sets = sure_sets(probability.astype(np.float32), finished[k], sure=sure, possible=possible)
        out[(k, *box)] = sets
    return out


def pseudo_scan(
    patient: str, data: Path, model: Model, *, device: str, every: int, sure: float, possible: float, thigh: bool
) -> RealScan:
    """The slices of a patient of `data` that nobody drew on; of a scan that is no thigh only what is not a group."""
    volume = load_scan_of(data / "ct_sarcoma" / patient / "CT")
    axes = canonical_axes(volume.geometry)
    spacing_mm = canonical_geometry(volume.geometry, axes).spacing_mm
    drawn = _of_same_grid(data / "reference" / f"{patient}.nii.gz", volume)
    tumour = _of_same_grid(data / "ct_sarcoma" / patient / "tumour_mask.nii.gz", volume)
    if thigh:
        allowed = pseudo_labels(volume, model, device=device, sure=sure, possible=possible)
        around_mm = ndimage.distance_transform_edt(tumour == 0, sampling=spacing_mm) if tumour.any() else np.inf
        allowed[around_mm <= TUMOUR_MARGIN_MM] = ALL_BITS
    else:
        allowed = np.full(drawn.shape, NONE_OF_THE_GROUPS, dtype=np.uint16)
    free = ~((drawn > 0) & (drawn != NOT_ANNOTATED)).any(axis=(1, 2))
    chosen = np.flatnonzero(free)[::every]
    return RealScan(
        patient=patient,
        attenuation_hu=np.round(axes.apply(volume.attenuation_hu)[chosen]).astype(np.int16),
        allowed=allowed[chosen],
        slice_index=chosen.astype(np.int64),
        spacing_mm=(spacing_mm[1], spacing_mm[2]),
        kind="pseudo",
        drawings_of=tuple(sorted(drawings_seen(model.card.training))),
    )


def _of_same_grid(path: Path, volume: CTVolume) -> NDArray[np.uint8]:
    """Values of a mask in canonical order; zeros where there is no file."""
    if not path.is_file():
        return np.zeros(canonical_geometry(volume.geometry, canonical_axes(volume.geometry)).shape, dtype=np.uint8)
    return canonical_axes(volume.geometry).apply(read_drawing(path, like=volume.geometry))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, action="append", required=True, help="folder; may be repeated")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--output", type=Path, default=Path("cache/real/pseudo"))
    parser.add_argument("--patients", nargs="*", default=None, help="default: all below ct_sarcoma but --not-thigh")
    parser.add_argument("--not-thigh", nargs="*", default=[], help="patients whose scan shows no group at all")
    parser.add_argument("--every", type=int, default=2, help="take every n-th slice")
    parser.add_argument("--sure", type=float, default=0.9)
    parser.add_argument("--possible", type=float, default=0.05)
    arguments = parser.parse_args()
    on = "cuda" if torch.cuda.is_available() else "cpu"
    teacher = load_together(arguments.checkpoint, device=on)
    everyone = sorted(path.name for path in (arguments.data / "ct_sarcoma").iterdir() if (path / "CT").is_dir())
    for name in arguments.patients or everyone:
        scan = pseudo_scan(
            name, arguments.data, teacher, device=on, every=arguments.every, sure=arguments.sure,
            possible=arguments.possible, thigh=name not in arguments.not_thigh,
        )  # fmt: skip
        scan.save(arguments.output)
        single = np.isin(scan.allowed, 1 << np.arange(N_CLASSES))
        print(f"{name}: {len(scan.allowed)} slices, {single.mean():.0%} of the pixels of one class", flush=True)
