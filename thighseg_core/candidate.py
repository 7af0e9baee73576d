"""What a look into an input finds: series that can be loaded, and reasons for the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from thighseg_core.errors import NothingUsableError


@dataclass(frozen=True)
class SeriesCandidate:
    """One CT series that passed every check on its headers. No pixel was decoded yet.

    key: safe folder name, unique within `Found`, the same for the same series on every look.
    spacing_text: for people, "0.98 x 0.98 x 3.27 mm" (columns, rows, slices).
    files: in slice order (DICOM), or the one NIfTI file.
    warnings: sentences for the user; they return in `SeriesInfo.notes`.
    """

    key: str
    description: str
    modality: str
    n_slices: int
    spacing_text: str
    source_format: str  # "DICOM" or "NIfTI"
    files: tuple[Path, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rejection:
    """Something in the input that is not used: what it is called, and the reason and remedy in plain words.

    harmless: it never was a CT of tissue (scout, report, stray file), so leaving it out is no failure.
    """

    name: str
    reason: str
    harmless: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Found:
    """All that an input holds."""

    series: tuple[SeriesCandidate, ...]
    rejected: tuple[Rejection, ...]

    def usable_series(self) -> tuple[SeriesCandidate, ...]:
        """`series`, or NothingUsableError with every reason when there is none."""
        if self.series:
            return self.series
        reasons = "; ".join(str(rejection) for rejection in self.rejected) or "it holds no DICOM and no NIfTI file"
        raise NothingUsableError(
            f"expected at least one CT series of the thighs (DICOM folder, zip or NIfTI), found none. {reasons}"
        )
