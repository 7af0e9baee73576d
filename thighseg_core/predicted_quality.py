"""How far a segmentation can be trusted, from the network itself: its answer to an image against its answer to the
mirror image, shown larger. Where they differ it is wrong more often; the slope is fitted on slices with a truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.labels import GROUPS
from thighseg_core.measurement import QualityFlag

DOUBTFUL_DICE = 0.85  # our convention: of the two answers, over a group and the whole scan
DOUBTFUL_SLICE_DICE = 0.7  # our convention: over all groups of one slice
FEWEST_PIXELS = 40  # of both answers together: fewer say nothing


@dataclass(frozen=True)
class MirrorAgreement:
    """Pixels at the network's resolution, (K, 3): slices from caudal to cranial, the groups of `labels.GROUPS`.

    both: called the group in both answers. answers: called it in the one plus in the other.
    """

    both: NDArray[np.int64]
    answers: NDArray[np.int64]

    def slice_dice(self) -> NDArray[np.float64]:
        """(K,) Dice of the two answers over the groups of a slice; NaN where there are none."""
        return _dice(self.both.sum(axis=1), self.answers.sum(axis=1))

    def group_dice(self) -> dict[str, float | None]:
        """Dice of the two answers for each group over the whole scan; None where it is not seen."""
        values = _dice(self.both.sum(axis=0), self.answers.sum(axis=0))
        return {name: None if np.isnan(value) else float(value) for name, value in zip(GROUPS, values, strict=True)}

    def flags(self) -> tuple[QualityFlag, ...]:
        """What is doubtful: groups over the whole scan, and single slices."""
        groups = self.group_dice().items()
        found = [_of_group(name, dice) for name, dice in groups if dice is not None and dice < DOUBTFUL_DICE]
        slices = self.slice_dice()
        low = np.flatnonzero(slices < DOUBTFUL_SLICE_DICE)
        if low.size:
            found.append(_of_slices(low, int(np.isfinite(slices).sum())))
        return tuple(found)


def _dice(both: NDArray[np.int64], answers: NDArray[np.int64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(answers >= FEWEST_PIXELS, 2 * both / answers, np.nan)


def _of_group(name: str, dice: float) -> QualityFlag:
    return QualityFlag(
        code="network_disagreement",
        severity="warning",
        message=f"{name}: the network's answers to the image and to its mirror image agree with a Dice of {dice:.2f}, "
        f"less than {DOUBTFUL_DICE:.2f}",
        consequence="the network is unsure of this group: look at the overlay before using its numbers",
        region=name,
    )


def _of_slices(low: NDArray[np.int64], n_slices: int) -> QualityFlag:
    return QualityFlag(
        code="network_disagreement",
        severity="info",
        message=f"on {low.size} of {n_slices} slices the network's answers to the image and to its mirror image agree "
        f"with a Dice below {DOUBTFUL_SLICE_DICE:.2f} (slices {low[0] + 1} to {low[-1] + 1} from the feet)",
        consequence="look at the overlay there",
    )
