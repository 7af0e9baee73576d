"""The three networks of Kim et al. 2025 behind one contract.

Contract: (B, 1, H, W) float32 normalised attenuation -> (B, len(labels.CLASSES), H, W) logits; H and W are multiples
of 32. Weights are random until loaded; a training run's configuration says whether its encoder began with others'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from thighseg_core.errors import ModelError
from thighseg_core.labels import CLASSES
from thighseg_core.manet import MANet
from thighseg_core.torchvision_guard import make_torchvision_importable

if TYPE_CHECKING:
    from transformers.models.segformer.modeling_segformer import SegformerDecodeHead

SIZE_MULTIPLE = 32  # deepest stride of all three encoders, pixels


@dataclass(frozen=True)
class NetworkSpec:
    """How a network is built; `title` is what people read."""

    name: str
    title: str
    build: Callable[[int], nn.Module]


class _FullSizeSegformer(nn.Module):
    """SegFormer whose half-size logits are brought back to the size of the image (bilinear)."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        make_torchvision_importable()
        from transformers import SegformerConfig, SegformerForSemanticSegmentation

        # B0 of Xie et al., NeurIPS 2021, with patches every second pixel: every fourth, 6 mm, loses small muscles.
        # A decoder half as wide trains in 29 instead of 73 ms an image of 160 x 160.
        # Nothing is dropped: version 3 fitted even the slices it had learnt from worse than the other two did.
        layout = {"num_channels": 1, "num_labels": n_classes, "decoder_hidden_size": 128, "strides": [2, 2, 2, 2]}
        config = SegformerConfig.from_dict(layout | {"drop_path_rate": 0.0, "classifier_dropout_prob": 0.0})
        self.segformer = SegformerForSemanticSegmentation(config)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.segformer.segformer(pixel_values=image, output_hidden_states=True).hidden_states
        logits = _decoded(features, self.segformer.decode_head)
        return nn.functional.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=False)


def _decoded(features: Sequence[torch.Tensor], head: SegformerDecodeHead) -> torch.Tensor:
    """What transformers' decoder gives, for less arithmetic: it makes every stage as large as the first and then mixes
    the channels of all; here each stage's channels are mixed first, and the sum of the stages is the same."""
    fuse = head.linear_fuse
    shares = fuse.weight.flatten(1).chunk(len(features), dim=1)[::-1]  # the head joins the deepest stage first
    total = features[0].new_zeros(()) if fuse.bias is None else fuse.bias[:, None, None]
    for feature, projection, share in zip(features, head.linear_projections, shares, strict=True):
        linear = cast(nn.Linear, projection.proj)
        mixed = nn.functional.conv2d(
            feature.contiguous(memory_format=torch.channels_last), (share @ linear.weight)[:, :, None, None],
            share @ linear.bias,
        )  # fmt: skip
        total = total + nn.functional.interpolate(
            mixed, size=features[0].shape[-2:], mode="bilinear", align_corners=False
        )
    return cast(torch.Tensor, head.classifier(head.dropout(head.activation(head.batch_norm(total)))))


# DenseNet-121's blocks (Huang et al., CVPR 2017) at half its growth rate: 1.8 instead of 7 million parameters.
SLIM_DENSENET = "densenet121-growth16"


def _register_slim_densenet() -> None:
    """Make `SLIM_DENSENET` known to segmentation_models_pytorch beside its own encoders."""
    from segmentation_models_pytorch.encoders import encoders

    published = encoders["densenet121"]
    halves = {
        "out_channels": [3, 32, 128, 256, 512, 512],
        "num_init_features": 32,
        "growth_rate": 16,
        "block_config": (6, 12, 24, 16),
    }
    encoders[SLIM_DENSENET] = {"encoder": published["encoder"], "params": halves, "pretrained_settings": {}}


def _slim_dense_unet(n_classes: int) -> nn.Module:
    make_torchvision_importable()
    import segmentation_models_pytorch as smp

    _register_slim_densenet()
    network = smp.Unet(
        SLIM_DENSENET, encoder_weights=None, in_channels=1, classes=n_classes, decoder_channels=(96, 64, 48, 32, 16)
    )
    return cast(nn.Module, network)


NETWORKS: dict[str, NetworkSpec] = {
    spec.name: spec
    for spec in (
        NetworkSpec("segformer", "SegFormer-B0", _FullSizeSegformer),
        NetworkSpec("manet", "MANet (EfficientNet-Lite0)", MANet),
        NetworkSpec("dense-unet", "Dense U-Net (DenseNet-121, growth 16)", _slim_dense_unet),
    )
}


def build_network(name: str, *, n_classes: int = len(CLASSES)) -> nn.Module:
    """The untrained network `name` in evaluation mode.

    Raises ModelError for an unknown name.
    """
    if name not in NETWORKS:
        raise ModelError(f"unknown network {name!r}; choose one of {', '.join(NETWORKS)}")
    return NETWORKS[name].build(n_classes).eval()
