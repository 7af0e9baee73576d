"""Seeded draws for synthesis: independent in every slice for training, or belonging together along a whole scan."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Slab:
    """`n` slices from `start` of a scan of `total`: values are shared, fields run smoothly through the whole scan."""

    start: int
    total: int


@dataclass(frozen=True)
class Draw:
    """Random numbers for `n` slices: each by itself, or all of one scan when `slab` says which part of it they are.

    Slabs of one scan that start from equal generators fit together; only `noise` comes from a generator of its own.
    """

    n: int
    generator: torch.Generator
    slab: Slab | None = None
    noise_generator: torch.Generator | None = None

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
        if self.slab is None:
            knots = torch.randn(self.n, channels, cells, cells, generator=self.generator)
        else:
            depth = max(3, cells)
            whole = torch.randn(1, channels, depth, cells, cells, generator=self.generator)
            shape = (self.slab.total, cells, cells)
            stretched = F.interpolate(whole, size=shape, mode="trilinear", align_corners=True)
            knots = stretched[0, :, self.slab.start : self.slab.start + self.n].transpose(0, 1)
        return F.interpolate(knots, size=size, mode="bicubic", align_corners=True)

    def noise(self, size: tuple[int, int]) -> Tensor:
        """(n, 1, *size) white noise, independent in every slice also of one scan."""
        return torch.randn(self.n, 1, *size, generator=self.noise_generator or self.generator)

    @property
    def _count(self) -> int:
        return self.n if self.slab is None else 1

    def _spread(self, values: Tensor) -> Tensor:
        return values if self.slab is None else values.expand(self.n, *values.shape[1:])
