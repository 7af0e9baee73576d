"""MANet (Fan et al. 2020) with the encoder of EfficientNet-Lite0, the default network.

Lite0 is EfficientNet-B0 (Tan and Le 2019) without weights of channels and with ReLU6; layers are named as in the
published ImageNet weights. The decoder has the layers and names of segmentation_models_pytorch's, written out here
because importing that package takes longer than segmenting a scan. Tests hold the encoder against timm's and the
decoder against that package's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Of EfficientNet-B0's stages: blocks, kernel, stride, expansion, channels out (Tan and Le 2019, table 1).
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _LAST, _UNUSED = 32, 320, 1280
_SKIP_AFTER = {2: 24, 4: 40, 8: 112}  # block -> channels it hands to the decoder, beside the stem's
_DROP = 0.2  # of whole blocks while training, rising with depth
_DECODER = (96, 64, 48, 32, 16)
_ATTENTION = 64


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class _SameConv(nn.Conv2d):
    """Convolution whose output is the input's size over the stride, for even sizes; padded more after than before."""

    def __init__(self, before: int, after: int, kernel: int, *, stride: int = 1, groups: int = 1, bias: bool = False):
        super().__init__(
            before, after, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.groups > 1 and x.dtype == torch.bfloat16 and x.device.type == "cpu":
            # One filter a channel learns several times faster in single precision; all else gains by half precision.
            with torch.autocast("cpu", enabled=False):
                return self.forward(x.float())
        if self.stride == (1, 1):
            return super().forward(x)
        # Two rows and columns of zeros before the filter do what more padding after the picture does, without a copy.
        weight = F.pad(self.weight, (2, 0, 2, 0))
        return F.conv2d(x, weight, self.bias, self.stride, weight.shape[-1] // 2, groups=self.groups)


class _Block(nn.Module):
    """Inverted bottleneck: widen, one filter a channel, narrow."""

    def __init__(self, before: int, after: int, *, kernel: int, stride: int, expansion: int, drop: float) -> None:
        super().__init__()
        wide = before * expansion
        if expansion > 1:
            self._expand_conv: nn.Module = _SameConv(before, wide, 1)
            self._bn0: nn.Module = _norm(wide)
        self._depthwise_conv = _SameConv(wide, wide, kernel, stride=stride, groups=wide)
        self._bn1: nn.Module = _norm(wide)
        self._project_conv = _SameConv(wide, after, 1)
        self._bn2: nn.Module = _norm(after)
        self._expands = expansion > 1
        self._adds = stride == 1 and before == after
        self._drop = drop

    def forward(self, image: Tensor) -> Tensor:
        here = not self.training  # in place
        x = F.relu6(self._bn0(self._expand_conv(image)), inplace=here) if self._expands else image
        x = F.relu6(self._bn1(self._depthwise_conv(x)), inplace=here)
        narrow: Tensor = self._bn2(self._project_conv(x))
        if not self._adds:
            return narrow
        if self.training and self._drop > 0:
            keep = torch.rand(len(narrow), 1, 1, 1, dtype=narrow.dtype, device=narrow.device) >= self._drop
            narrow = narrow * keep / (1 - self._drop)
        return narrow + image


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(1, _STEM, 3, stride=2)
        self._bn0: nn.Module = _norm(_STEM)
        self._blocks = nn.ModuleList()
        n_blocks, before = sum(stage[0] for stage in _STAGES), _STEM
        for repeats, kernel, stride, expansion, after in _STAGES:
            for index in range(repeats):
                drop = _DROP * len(self._blocks) / n_blocks
                step = stride if index == 0 else 1
                self._blocks.append(_Block(before, after, kernel=kernel, stride=step, expansion=expansion, drop=drop))
                before = after
        self._conv_head = _SameConv(_LAST, _UNUSED, 1)  # in the files of weights, never run
        self._bn1: nn.Module = _norm(_UNUSED)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size."""
        x = F.relu6(self._bn0(self._conv_stem(image)), inplace=not self.training)
        features = [x]
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in _SKIP_AFTER:
                features.append(x)
        return [*features, x]


def _normed(before: int, after: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class _PositionAttention(nn.Module):
    """Every place of the deepest features weighs every other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.top_conv = nn.Conv2d(channels, _ATTENTION, 1)
        self.center_conv = nn.Conv2d(channels, _ATTENTION, 1)
        self.bottom_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.out_conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        top = self.top_conv(x).flatten(2)
        centre = self.center_conv(x).flatten(2).transpose(1, 2)
        bottom = self.bottom_conv(x).flatten(2).transpose(1, 2)
        both = torch.matmul(centre, top)
        weights = both.flatten(1).softmax(dim=1).view(both.shape)
        out: Tensor = self.out_conv(x + torch.matmul(weights, bottom).reshape(x.shape))
        return out


def _channel_weights(channels: int) -> nn.Sequential:
    narrow = max(1, channels // 16)
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(channels, narrow, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(narrow, channels, 1),
        nn.Sigmoid(),
    )


class _Fusion(nn.Module):
    """Twice the size, joined with the encoder's features; both say which channels count."""

    def __init__(self, before: int, skip: int, after: int) -> None:
        super().__init__()
        self.hl_conv = nn.Sequential(_normed(before, before, 3), _normed(before, skip, 1))
        self.SE_ll = _channel_weights(skip)
        self.SE_hl = _channel_weights(skip)
        self.conv1 = _normed(2 * skip, after, 3)
        self.conv2 = _normed(after, after, 3)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.hl_conv(x)
        x = F.interpolate(x * (self.SE_hl(x) + self.SE_ll(skip)), scale_factor=2.0)  # a mean is that of the repeats
        out: Tensor = self.conv2(self.conv1(torch.cat([x, skip], dim=1)))
        return out


class _LastBlock(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = _normed(before, after, 3)
        self.conv2 = _normed(after, after, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.conv1(F.interpolate(x, scale_factor=2.0)))
        return out


class _Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.center = _PositionAttention(_LAST)
        skips = [*list(_SKIP_AFTER.values())[::-1], _STEM]
        fusions = zip((_LAST, *_DECODER), skips, _DECODER, strict=False)
        self.blocks = nn.ModuleList([_Fusion(before, skip, after) for before, skip, after in fusions])
        self.blocks.append(_LastBlock(*_DECODER[-2:]))

    def forward(self, features: list[Tensor]) -> Tensor:
        x: Tensor = self.center(features[-1])
        for block, skip in zip(self.blocks, features[-2::-1], strict=False):
            x = block(x, skip)
        out: Tensor = self.blocks[-1](x)
        return out


class MANet(nn.Module):
    """(B, 1, H, W) -> (B, classes, H, W) logits; H and W are multiples of 32. Weights are random until loaded."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.encoder = _Encoder()
        self.decoder = _Decoder()
        head = nn.Conv2d(_DECODER[-1], n_classes, 3, padding=1)
        self.segmentation_head = nn.Sequential(head)
        for part in self.decoder.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_uniform_(part.weight, nonlinearity="relu")
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
        nn.init.xavier_uniform_(head.weight)
        if head.bias is not None:
            nn.init.zeros_(head.bias)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.segmentation_head(self.decoder(self.encoder(image)))
        return out
