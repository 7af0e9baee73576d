"""Labelled slices of real CT as training input: one file a scan, with the classes each pixel may have.

Prepared by `training.prepare` (drawings of muscle groups), `training.labelled` (label maps of one's own) and
`training.pseudo` (a network's sure answers); read by `training.train` through `[[real]]` tables of its TOML file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RealScan:
    """Labelled slices of one patient, in canonical order (rows to posterior, columns to the patient's left).

    attenuation_hu: (n, J, I) int16. allowed: (n, J, I) uint16 bit sets of `training.allowed`. slice_index: (n,) of the
    canonical stack. spacing_mm: of rows and columns. site: where the scan was made, "" unknown. kind: "drawn",
    "read" (by the project's readers: teaches, judges nothing) or "pseudo" (a network's answers). drawings_of: patients
    whose drawings went into `allowed`, by way of a network too; None: this patient's.
    """

    patient: str
    attenuation_hu: NDArray[np.int16]
    allowed: NDArray[np.uint16]
    slice_index: NDArray[np.int64]
    spacing_mm: tuple[float, float]
    site: str = ""
    kind: str = "drawn"
    drawings_of: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.attenuation_hu.shape != self.allowed.shape or len(self.slice_index) != len(self.allowed):
            raise ValueError(
                f"{self.patient}: images {self.attenuation_hu.shape}, labels {self.allowed.shape} and "
                f"{len(self.slice_index)} slice numbers do not belong together; prepare the scan again"
            )

    def drawings(self) -> frozenset[str]:
        """Patients whose drawings went into the labels."""
        return frozenset((self.patient,) if self.drawings_of is None else self.drawings_of)

    def save(self, folder: Path, *, name: str = "") -> Path:
        """Write `<name>.npz` into `folder`; the name is the patient's where none is given (one scan a patient)."""
        folder.mkdir(parents=True, exist_ok=True)
        values: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("patient", "attenuation_hu", "allowed", "slice_index", "spacing_mm", "site", "kind")
        }
        values["drawings_of"] = np.array(sorted(self.drawings()), dtype=np.str_)
        path = folder / f"{name or self.patient}.npz"
        np.savez_compressed(path, allow_pickle=False, **values)
        return path


def load_scan(path: Path) -> RealScan:
    """One patient's file."""
    with np.load(path, allow_pickle=False) as stored:
        row_mm, column_mm = (float(value) for value in stored["spacing_mm"])
        return RealScan(
            patient=str(stored["patient"]),
            attenuation_hu=stored["attenuation_hu"],
            allowed=stored["allowed"],
            slice_index=stored["slice_index"],
            spacing_mm=(row_mm, column_mm),
            site=str(stored["site"]),
            kind=str(stored["kind"]),
            drawings_of=tuple(stored["drawings_of"].tolist()) if "drawings_of" in stored else None,
        )


def load_scans(folder: Path) -> tuple[RealScan, ...]:
    """Every patient of a prepared folder, sorted by name. An empty folder is a ValueError that says how to fill it."""
    scans = tuple(load_scan(path) for path in sorted(folder.glob("*.npz")))
    if not scans:
        raise ValueError(f"{folder} holds no prepared scans (*.npz); write them with `python -m training.prepare`")
    return scans
