"""Legs made by hand, drawn in patient coordinates on any grid, with truth; and a network that reads their attenuation.

A leg is a cylinder along z. Around the femur lie an extensor (in front), a flexor (behind), an adductor (on the inner
side) and the sartorius (in front of the adductor). Each tissue has one attenuation, so `ReadsAttenuation` can stand in
for a trained network in tests.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from thighseg_core.checkpoint import Model, ModelCard, Preprocessing
from thighseg_core.geometry import Geometry
from thighseg_core.labels import CLASS_INDEX, CLASSES, LabelMap, label_value
from thighseg_core.volume import CTVolume, SeriesInfo

SKIN_MM, FASCIA_MM, FEMUR_MM = 74.0, 62.0, 14.0
TISSUE_HU = {
    "background": -1000,
    "subcutaneous": -100,
    "extensor": 20,
    "flexor": 55,
    "adductor": 90,
    "sartorius": 125,
    "femur": 290,
}


@dataclass(frozen=True)
class Leg:
    """side: of the patient. x_mm, y_mm: LPS centre of the femur; size scales all radii."""

    side: str
    x_mm: float
    y_mm: float = 0.0
    size: float = 1.0


PAIR = (Leg("left", 95.0), Leg("right", -95.0))


def truth(geometry: Geometry, legs: tuple[Leg, ...] = PAIR) -> LabelMap:
    """The true label map of the legs on a grid."""
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in geometry.shape], indexing="ij"), axis=-1)
    x, y, _ = np.moveaxis(geometry.to_lps_mm(index), -1, 0)
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    for leg in legs:
        inward = (x - leg.x_mm) * (-1 if leg.side == "left" else 1) / leg.size
        backward = (y - leg.y_mm) / leg.size
        radius = np.hypot(inward, backward)
        adductor = (inward > 18) & (backward > -18) & (backward < 40)
        regions = {
            "subcutaneous": radius < SKIN_MM,
            "extensor": (radius < FASCIA_MM) & (backward < 10),
            "flexor": (radius < FASCIA_MM) & (backward >= 10),
            "adductor": (radius < FASCIA_MM) & adductor,
            "sartorius": np.hypot(inward - 38, backward + 30) < 12,
            "femur": radius < FEMUR_MM,
        }
        for name, region in regions.items():
            labels[region] = label_value(name, leg.side)
    return LabelMap(labels, geometry)


def scan(geometry: Geometry, legs: tuple[Leg, ...] = PAIR) -> CTVolume:
    """The CT of the legs on a grid, without noise."""
    names = {label_value(name, side): name for name in CLASSES[1:] for side in ("left", "right")}
    labels = truth(geometry, legs).labels
    hu = np.full(geometry.shape, TISSUE_HU["background"], dtype=np.int16)
    for value in np.unique(labels[labels > 0]):
        hu[labels == value] = TISSUE_HU[names[int(value)]]
    return CTVolume(hu, geometry, SeriesInfo(series_uid="1.2.3", source_format="DICOM", digest_sha256="0" * 64))


def grid(
    shape: tuple[int, int, int] = (12, 90, 190),
    spacing_mm: tuple[float, float, float] = (5.0, 2.0, 2.0),
    *,
    order: tuple[int, int, int] = (0, 1, 2),
    reverse: tuple[bool, bool, bool] = (False, False, False),
    turn_degrees: float = 0.0,
) -> Geometry:
    """A grid around the origin. shape, spacing: (superior, posterior, left). order: where these go in the array;
    reverse: which of them run backwards; turn_degrees: obliquity, about an axis that is none of the three."""
    axis = np.array([1.0, 2.0, 2.0]) / 3
    angle = np.radians(turn_degrees)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    steps = [np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])]
    affine = np.eye(4)
    for position, axis_number in enumerate(order):
        sign = -1 if reverse[axis_number] else 1
        affine[:3, position] = sign * spacing_mm[axis_number] * (turn @ steps[axis_number])
    turned_shape = tuple(shape[axis_number] for axis_number in order)
    centre = (np.array(turned_shape) - 1) / 2
    affine[:3, 3] = -affine[:3, :3] @ centre
    return Geometry((turned_shape[0], turned_shape[1], turned_shape[2]), affine)


class ReadsAttenuation(nn.Module):
    """Stands in for a trained network: the class of a pixel is the tissue whose attenuation is nearest."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        low, high = preprocessing.clip_hu
        self.calls = 0
        self.levels = {name: (min(max(hu, low), high) - low) / (high - low) * 2 - 1 for name, hu in TISSUE_HU.items()}

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        assert image.shape[1] == 1
        assert image.shape[2] % 32 == 0
        assert image.shape[3] % 32 == 0
        self.calls += 1
        logits = torch.full((len(image), len(CLASSES), *image.shape[2:]), -100.0)
        for name, level in self.levels.items():
            logits[:, CLASS_INDEX[name]] = -400 * (image[:, 0] - level).abs()
        return logits


def stand_in(spacing_mm: float = 2.0) -> Model:
    preprocessing = Preprocessing(spacing_mm=spacing_mm)
    card = ModelCard(network="segformer", version="stand-in", preprocessing=preprocessing, weights_sha256="0" * 64)
    return Model(network=ReadsAttenuation(preprocessing), card=card)
