"""Real labelled scans -> files that training reads.

python -m training.prepare reference --data ../shared/data --output cache/real/reference
python -m training.prepare readings --data ../shared/data --output cache/real/readings
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from thighseg_core.preprocess import canonical_axes, canonical_geometry
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


def reference_scan(patient: str, data: Path) -> RealScan:
    """The drawn slices of one patient of `data` (ct_sarcoma and reference side by side)."""
    volume = load_scan_of(data / "ct_sarcoma" / patient / "CT")
    axes = canonical_axes(volume.geometry)
    spacing_mm = canonical_geometry(volume.geometry, axes).spacing_mm[1:]
    attenuation_hu = axes.apply(volume.attenuation_hu)
    drawn = axes.apply(read_drawing(data / "reference" / f"{patient}.nii.gz", like=volume.geometry))
    fascia_path = data / "reference" / "fascia" / f"{patient}.nii.gz"
    fascia = axes.apply(read_drawing(fascia_path, like=volume.geometry)) if fascia_path.is_file() else None
    slices = np.flatnonzero(((drawn > 0) & (drawn != NOT_ANNOTATED)).any(axis=(1, 2)))
    allowed = [
        allowed_of_drawing(
            attenuation_hu[k], drawn[k], fascia=None if fascia is None else fascia[k], spacing_mm=spacing_mm
        )
        for k in slices
    ]
    return RealScan(
        patient=patient,
        attenuation_hu=np.round(attenuation_hu[slices]).astype(np.int16),
        allowed=np.stack(allowed),
        slice_index=slices.astype(np.int64),
        spacing_mm=(spacing_mm[0], spacing_mm[1]),
    )


def read_scan(patient: str, data: Path) -> RealScan:
    """The slices of one patient that the project's readers drew."""
    volume = load_scan_of(data / "ct_sarcoma" / patient / "CT")
    axes = canonical_axes(volume.geometry)
    spacing_mm = canonical_geometry(volume.geometry, axes).spacing_mm[1:]
    attenuation_hu = axes.apply(volume.attenuation_hu)
    tumour_path = data / "ct_sarcoma" / patient / "tumour_mask.nii.gz"
    tumour = axes.apply(read_drawing(tumour_path, like=volume.geometry)) > 0
    reading = load_reading(READINGS / f"{patient}.json")
    slices = np.array(sorted(reading), dtype=np.int64)
    drawn = [painted(attenuation_hu[k], reading[k], tumour=tumour[k]) for k in slices]
    allowed = [
        allowed_of_drawing(attenuation_hu[k], values, fascia=None, spacing_mm=spacing_mm)
        for k, values in zip(slices, drawn, strict=True)
    ]
    return RealScan(
        patient=patient,
        attenuation_hu=np.round(attenuation_hu[slices]).astype(np.int16),
        allowed=np.stack(allowed),
        slice_index=slices,
        spacing_mm=(spacing_mm[0], spacing_mm[1]),
        kind="read",
    )


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
