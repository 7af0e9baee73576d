"""Real labelled scans -> files that training reads.

python -m training.prepare reference --data ../shared/data --output cache/real/reference
python -m training.prepare readings --data ../shared/data --output cache/real/readings
and in the same way `readings-at-tumour`
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
from training.readings import VALUES, load_reading, near, painted
from training.real_data import RealScan
from training.reference import NOT_ANNOTATED, read_drawing

# What a tumour flattens into a rim, the sartorius, taught worse outlines elsewhere (LOG.md, 1 December).
READ = {
    "readings": "slices that readers drew for this project, those that cut no tumour",
    "readings-at-tumour": "those that cut the tumour, without the sartorius",
}


def load_scan_of(source: Path) -> CTVolume:
    """The one CT series in `source` (DICOM folder, zip or NIfTI); several are a ValueError."""
    with tempfile.TemporaryDirectory() as work:
        found = find_series(source, work_dir=Path(work))
        if len(found.series) != 1:
            raise ValueError(f"{source} holds {len(found.series)} CT series, expected one; name its folder or file")
        return load_series(found.series[0])


@dataclass(frozen=True)
class Series:
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


def series_of(patient: str, data: Path) -> Series:
    """The CT series of a patient of `data`."""
    volume = load_scan_of(data / "ct_sarcoma" / patient / "CT")
    axes = canonical_axes(volume.geometry)
    row_mm, column_mm = canonical_geometry(volume.geometry, axes).spacing_mm[1:]
    return Series(volume, axes, axes.apply(volume.attenuation_hu), (row_mm, column_mm))


def reference_scan(patient: str, data: Path) -> RealScan:
    """The drawn slices of one patient of `data` (ct_sarcoma and reference side by side)."""
    series = series_of(patient, data)
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


def read_scan(patient: str, data: Path, which: str = "readings") -> RealScan | None:
    """Slices of one patient that the project's readers drew; None where there are none. which: a name of `READ`."""
    series = series_of(patient, data)
    tumour = series.on_grid(data / "ct_sarcoma" / patient / "tumour_mask.nii.gz") > 0
    reading, cut = load_reading(READINGS / f"{patient}.json"), tumour.any(axis=(1, 2))
    at_tumour = which == "readings-at-tumour"
    slices = np.array(sorted(k for k in reading if cut[k] == at_tumour), dtype=np.int64)
    if not len(slices):
        return None
    allowed = []
    for k in slices:
        drawn = painted(series.attenuation_hu[k], reading[k], tumour=tumour[k])
        if at_tumour:
            drawn[near(drawn == VALUES["sartorius"])] = NOT_ANNOTATED
        allowed.append(allowed_of_drawing(series.attenuation_hu[k], drawn, fascia=None, spacing_mm=series.spacing_mm))
    return series.scan(patient, slices, allowed, "read")


def prepare_readings(data: Path, output: Path, which: str) -> list[Path]:
    """Every patient with such a reading; returns the files written."""
    scans = (read_scan(path.stem, data, which) for path in sorted(READINGS.glob("STS_*.json")))
    return [scan.save(output) for scan in scans if scan is not None]


def prepare_reference(data: Path, output: Path) -> list[Path]:
    """Every patient with a drawing; returns the files written."""
    patients = sorted(path.name.removesuffix(".nii.gz") for path in (data / "reference").glob("*.nii.gz"))
    return [reference_scan(patient, data).save(output) for patient in patients]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="what", required=True)
    for what, text in (("reference", "slices with hand-drawn muscle groups"), *READ.items()):
        part = parts.add_parser(what, help=text)
        part.add_argument("--data", type=Path, default=Path("../shared/data"))
        part.add_argument("--output", type=Path, default=Path("cache/real") / what)
    arguments = parser.parse_args()
    if arguments.what == "reference":
        written = prepare_reference(arguments.data, arguments.output)
    else:
        written = prepare_readings(arguments.data, arguments.output, arguments.what)
    print(f"{len(written)} patients written to {arguments.output}")
