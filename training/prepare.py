"""Real labelled scans -> files that training reads.

python -m training.prepare reference --data ../shared/data --output cache/real/reference
python -m training.prepare readings --data ../shared/data --output cache/real/readings
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighseg_core.preprocess import CanonicalAxes, canonical_axes, canonical_geometry
from thighseg_core.reading import find_series, load_series
from thighseg_core.volume import CTVolume
from training.drawings import allowed_of_drawing
from training.readings import FOLDER as READINGS
from training.readings import load_reading, painted
from training.real_data import RealScan
from training.reference import NOT_ANNOTATED, read_drawing


def load_scan_of(source: Path) -> CTVolume:
    """The one CT series in `source` (DICOM folder, zip or NIfTI); several are a ValueError."""
    with tempfile.TemporaryDirectory() as work:
        found = find_series(source, work_dir=Path(work))
        if len(found.series) != 1:
            raise ValueError(f"{source} holds {len(found.series)} CT series, expected one; name its folder or file")
        return load_series(found.series[0])


@dataclass(frozen=True)
class _Series:
    """One patient's series in canonical order, and how to bring what lies on its grid there."""

    volume: CTVolume
    axes: CanonicalAxes
    attenuation_hu: NDArray[Any]
    spacing_mm: tuple[float, float]

    def on_grid(self, path: Path) -> NDArray[np.uint8]:
        return self.axes.apply(read_drawing(path, like=self.volume.geometry))

    def scan(self, patient: str, slices: NDArray[np.int64], allowed: list[NDArray[np.uint16]], kind: str) -> RealScan:
        return RealScan(
            patient=patient,
            attenuation_hu=np.round(self.attenuation_hu[slices]).astype(np.int16),
            allowed=np.stack(allowed),
            slice_index=slices,
            spacing_mm=self.spacing_mm,
            kind=kind,
        )


def _series(patient: str, data: Path) -> _Series:
    volume = load_scan_of(data / "ct_sarcoma" / patient / "CT")
    axes = canonical_axes(volume.geometry)
    row_mm, column_mm = canonical_geometry(volume.geometry, axes).spacing_mm[1:]
    return _Series(volume, axes, axes.apply(volume.attenuation_hu), (row_mm, column_mm))


def reference_scan(patient: str, data: Path) -> RealScan:
    """The drawn slices of one patient of `data` (ct_sarcoma and reference side by side)."""
    series = _series(patient, data)
    drawn = series.on_grid(data / "reference" / f"{patient}.nii.gz")
    fascia_path = data / "reference" / "fascia" / f"{patient}.nii.gz"
    fascia = series.on_grid(fascia_path) if fascia_path.is_file() else None
    slices = np.flatnonzero(((drawn > 0) & (drawn != NOT_ANNOTATED)).any(axis=(1, 2)))
    allowed = [
        allowed_of_drawing(
            series.attenuation_hu[k], drawn[k], fascia=None if fascia is None else fascia[k],
            spacing_mm=series.spacing_mm,
        )
        for k in slices
    ]  # fmt: skip
    return series.scan(patient, slices.astype(np.int64), allowed, "drawn")


def read_scan(patient: str, data: Path) -> RealScan:
    """The slices of one patient that the project's readers drew."""
    series = _series(patient, data)
    tumour = series.on_grid(data / "ct_sarcoma" / patient / "tumour_mask.nii.gz") > 0
    reading = load_reading(READINGS / f"{patient}.json")
    slices = np.array(sorted(reading), dtype=np.int64)
    allowed = [
        allowed_of_drawing(
            series.attenuation_hu[k], painted(series.attenuation_hu[k], reading[k], tumour=tumour[k]), fascia=None,
            spacing_mm=series.spacing_mm,
        )
        for k in slices
    ]  # fmt: skip
    return series.scan(patient, slices, allowed, "read")


def prepare_readings(data: Path, output: Path) -> list[Path]:
    """Every patient with a reading; returns the files written."""
    return [read_scan(path.stem, data).save(output) for path in sorted(READINGS.glob("*.json"))]


def prepare_reference(data: Path, output: Path) -> list[Path]:
    """Every patient with a drawing; returns the files written."""
    patients = sorted(path.name.removesuffix(".nii.gz") for path in (data / "reference").glob("*.nii.gz"))
    return [reference_scan(patient, data).save(output) for patient in patients]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="what", required=True)
    drawings = parts.add_parser("reference", help="slices with hand-drawn muscle groups")
    drawings.add_argument("--data", type=Path, default=Path("../shared/data"))
    drawings.add_argument("--output", type=Path, default=Path("cache/real/reference"))
    readings = parts.add_parser("readings", help="further slices that readers drew for this project")
    readings.add_argument("--data", type=Path, default=Path("../shared/data"))
    readings.add_argument("--output", type=Path, default=Path("cache/real/readings"))
    arguments = parser.parse_args()
    prepare = prepare_reference if arguments.what == "reference" else prepare_readings
    written = prepare(arguments.data, arguments.output)
    print(f"{len(written)} patients written to {arguments.output}")
