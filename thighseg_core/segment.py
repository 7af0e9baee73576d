"""CT in, label map out: `segment` strings preprocessing, network, sides and post-processing together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thighseg_core.body import body_box, body_mask
from thighseg_core.checkpoint import DEFAULT_MODEL, load_checkpoint, read_card
from thighseg_core.knee import without_tibia
from thighseg_core.labels import LabelMap
from thighseg_core.legs import find_legs, without_sliver
from thighseg_core.measurement import QualityFlag
from thighseg_core.pelvis import without_pelvis
from thighseg_core.postprocess import refine
from thighseg_core.predicted_quality import MirrorAgreement
from thighseg_core.preprocess import canonical_axes, canonical_geometry, cropped_geometry
from thighseg_core.sides import name_sides, paint
from thighseg_core.thigh import find_thigh, without_groups
from thighseg_core.volume import CTVolume

if TYPE_CHECKING:
    from torch import Tensor

    from thighseg_core.checkpoint import Model
    from thighseg_core.inference import InferenceOptions

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Segmentation:
    """label_map: on the grid of the scan. flags: findings of the segmentation. mirror: how far the network agrees with
    itself on the mirror image, where it was asked and found a thigh. The rest says what made it."""

    label_map: LabelMap
    flags: tuple[QualityFlag, ...]
    model_version: str
    weights_sha256: str
    device: str
    mirror: MirrorAgreement | None = None


def segment(
    volume: CTVolume, *, model: str = DEFAULT_MODEL, device: str = "auto", progress: Progress | None = None
) -> Segmentation:
    """Segment a CT with the shipped network `model` on `device` ("auto", "cpu" or "cuda").

    progress: called with the stage and the share of it that is done (0 to 1).
    Raises ModelError when the network has no usable checkpoint.
    """
    read_card(model)  # says in words what is missing, before torch is imported
    from thighseg_core.inference import resolve_device

    chosen = resolve_device(device)
    return segment_with(volume, load_checkpoint(model, device=chosen), device=chosen, progress=progress)


def segment_with(
    volume: CTVolume,
    model: Model,
    *,
    device: str,
    options: InferenceOptions | None = None,
    progress: Progress | None = None,
    observe: Callable[[int, Tensor], None] | None = None,
) -> Segmentation:
    """As `segment`, with a network that is loaded already.

    observe: see `inference.predict`; its slices are canonical and cut to `body.body_box`.
    """
    from thighseg_core.inference import predict

    def report(stage: str, share: float) -> None:
        if progress is not None:
            progress(stage, share)

    axes = canonical_axes(volume.geometry)
    geometry = canonical_geometry(volume.geometry, axes)
    attenuation_hu = axes.apply(volume.attenuation_hu)
    labels = np.zeros(attenuation_hu.shape, dtype=np.uint8)
    flags: list[QualityFlag] = []
    mirror: MirrorAgreement | None = None

    report("find body", 0.0)
    body = body_mask(attenuation_hu, geometry.spacing_mm)
    box = body_box(body, geometry.spacing_mm)
    if box is None:
        flags.append(_not_a_thigh("the image shows no body, only air"))
        used_device = device
    else:
        region = (slice(None), *box)
        hu, inside = attenuation_hu[region], body[region]
        prediction = predict(
            hu,
            spacing_mm=geometry.spacing_mm,
            network=model.network,
            preprocessing=model.card.preprocessing,
            device=device,
            options=options,
            progress=lambda share: report("segment", share),
            observe=observe,
        )
        used_device = prediction.device
        flags += [_computing(note) for note in prediction.notes]
        classes = np.where(inside, prediction.classes, 0).astype(np.uint8)
        report("refine", 0.0)
        evidence = find_thigh(classes, hu, body=inside, spacing_mm=geometry.spacing_mm)
        if evidence.is_thigh:
            classes = without_groups(classes, evidence.beyond)
            legs = find_legs(
                classes, inside, spacing_mm=geometry.spacing_mm, femur_pairs=evidence.pairs, crotch=evidence.crotch,
                pelvis=min((hip.first for hip in evidence.hips), default=None), attenuation_hu=hu,
            )  # fmt: skip
            classes = without_pelvis(classes, hu, evidence.hips, spacing_mm=geometry.spacing_mm)
            classes = without_tibia(classes, legs.numbers, spacing_mm=geometry.spacing_mm)
            classes = refine(classes, hu, legs.numbers, body=inside, spacing_mm=geometry.spacing_mm)
            sides = name_sides(classes, legs, geometry=cropped_geometry(geometry, box))
            labels[region] = paint(without_sliver(classes, legs), legs, sides)
            flags += sides.flags
            mirror = prediction.mirror
            flags += mirror.flags() if mirror else ()
        else:
            flags.append(_not_a_thigh(evidence.reason))
    report("refine", 1.0)
    source = np.ascontiguousarray(axes.undo(labels))
    return Segmentation(
        label_map=LabelMap(source, volume.geometry),
        flags=tuple(flags),
        model_version=model.card.version,
        weights_sha256=model.card.weights_sha256,
        device=used_device,
        mirror=mirror,
    )


def _not_a_thigh(reason: str) -> QualityFlag:
    return QualityFlag(
        code="not_a_thigh",
        severity="error",
        message=f"the scan shows no thigh: {reason}",
        consequence="no muscle was painted and nothing was measured",
    )


def _computing(note: str) -> QualityFlag:
    return QualityFlag(
        code="computing", severity="info", message=note, consequence="the result is the same, it took longer"
    )
