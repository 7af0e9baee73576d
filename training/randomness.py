"""Seeded draws for synthesis: independent per slice for training, or smooth along a whole scan."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Draw:
    """Random numbers for `n` slices.

    coherent: every slice of the batch belongs to one scan: values are shared, fields vary smoothly along the batch.
    """

    n: int
    generator: torch.Generator
    coherent: bool = False

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """(n, *shape) uniform values."""
        return low + (high - low) * self._spread(torch.rand(self._count, *shape, generator=self.generator))

    def normal(self, mean: float, sd: float, *shape: int) -> Tensor:
        """(n, *shape) normal values."""
        return mean + sd * self._spread(torch.randn(self._count, *shape, generator=self.generator))

    def chance(self, probability: float, *shape: int) -> Tensor:
        """(n, *shape) booleans, true with `probability`."""
        return self.uniform(0.0, 1.0, *shape) < probability

    def field(self, channels: int, cells: int, size: tuple[int, int]) -> Tensor:
        """(n, channels, *size) smooth noise of about unit variance with `cells` knots along each side."""
        if not self.coherent:
            knots = torch.randn(self.n, channels, cells, cells, generator=self.generator)
            return F.interpolate(knots, size=size, mode="bicubic", align_corners=True)
        depth = max(2, round(cells * self.n / 64))
        knots = torch.randn(1, channels, depth, cells, cells, generator=self.generator)
        smooth = F.interpolate(knots, size=(self.n, *size), mode="trilinear", align_corners=True)
        return smooth[0].transpose(0, 1)

    def noise(self, size: tuple[int, int]) -> Tensor:
        """(n, 1, *size) white noise, independent in every slice also of one scan."""
        return torch.randn(self.n, 1, *size, generator=self.generator)

    @property
    def _count(self) -> int:
        return 1 if self.coherent else self.n

    def _spread(self, values: Tensor) -> Tensor:
        return values.expand(self.n, *values.shape[1:]) if self.coherent else values
