"""How much two masks cover each other: Dice, sensitivity, specificity, accuracy, volume error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.errors import GeometryMismatchError


@dataclass(frozen=True)
class Overlap:
    """Counts of voxels in and outside two masks, and what follows from them.

    both, only_reference, only_test, neither: voxels. A ratio without a denominator is None: of two empty masks
    nothing can be said.
    """

    both: int
    only_reference: int
    only_test: int
    neither: int

    @property
    def dice(self) -> float | None:
        """2 |A and B| / (|A| + |B|) (Dice 1945)."""
        return _ratio(2 * self.both, 2 * self.both + self.only_reference + self.only_test)

    @property
    def sensitivity(self) -> float | None:
        """Share of the reference that the test found."""
        return _ratio(self.both, self.both + self.only_reference)

    @property
    def specificity(self) -> float | None:
        """Share of the outside of the reference that the test left out; near 1 whenever the picture is large."""
        return _ratio(self.neither, self.neither + self.only_test)

    @property
    def accuracy(self) -> float | None:
        """Share of all voxels on which both agree; near 1 whenever the picture is large."""
        return _ratio(self.both + self.neither, self.both + self.neither + self.only_reference + self.only_test)

    @property
    def volume_error_percent(self) -> float | None:
        """100 (|test| - |reference|) / |reference|."""
        share = _ratio(self.only_test - self.only_reference, self.both + self.only_reference)
        return None if share is None else 100 * share


def overlap(
    reference: NDArray[np.bool_], test: NDArray[np.bool_], *, within: NDArray[np.bool_] | None = None
) -> Overlap:
    """Count two masks of one shape, where `within` is true (everywhere when None).

    Raises GeometryMismatchError when the shapes differ.
    """
    shapes = {reference.shape, test.shape} | ({within.shape} if within is not None else set())
    if len(shapes) != 1:
        raise GeometryMismatchError(
            f"masks to compare must have one shape, got {sorted(shapes)}; bring them onto the grid of the scan"
        )
    if within is not None:
        reference, test = reference & within, test & within
    total = reference.size if within is None else int(np.count_nonzero(within))
    both = int(np.count_nonzero(reference & test))
    only_reference = int(np.count_nonzero(reference)) - both
    only_test = int(np.count_nonzero(test)) - both
    return Overlap(both, only_reference, only_test, total - both - only_reference - only_test)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
