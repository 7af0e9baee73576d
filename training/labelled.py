"""One's own labelled scans as training input: a list of scans (DICOM or NIfTI) and label maps (NIfTI).

    python -m training.labelled scans.csv --output cache/real/own [--value 1=extensor --value 2=flexor ...] [--every 2]

scans.csv has the columns patient, scan, labels and, where there are several, site; paths are relative to the list.
Without `--value` label maps are in ThighSeg's own scheme. With it, 0 and every value not named mean none of the classes
named, and 255 means not annotated. The whole picture counts: both legs must be labelled where both are shown.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thighseg_core.labels import CLASSES, LABELS, class_of_label
from thighseg_core.nifti import read_mask
from thighseg_core.preprocess import canonical_axes, canonical_geometry
from training.allowed import ALL_BITS, bits_of
from training.prepare import load_scan_of
from training.real_data import RealScan
from training.reference import NOT_ANNOTATED

COLUMNS = ("patient", "scan", "labels")


@dataclass(frozen=True)
class LabelledScan:
    """One row of a list."""

    patient: str
    scan: Path
    labels: Path
    site: str = ""


def read_list(path: Path) -> list[LabelledScan]:
    """The rows of scans.csv. Missing columns, cells and files are a ValueError that names the line."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or [])]:
            raise ValueError(f"{path}: columns {', '.join(missing)} are missing; needed are {', '.join(COLUMNS)}")
        rows = []
        for number, cells in enumerate(reader, start=2):
            if empty := [name for name in COLUMNS if not (cells[name] or "").strip()]:
                raise ValueError(f"{path}, line {number}: {', '.join(empty)} is empty")
            scan, labels = (path.parent / cells[name].strip() for name in ("scan", "labels"))
            for one in (scan, labels):
                if not one.exists():
                    raise ValueError(f"{path}, line {number}: {one} does not exist")
            rows.append(LabelledScan(cells["patient"].strip(), scan, labels, (cells.get("site") or "").strip()))
    if not rows:
        raise ValueError(f"{path} lists no scan")
    return rows


def own_values(pairs: list[str]) -> dict[int, str]:
    """["1=extensor", ...] -> {1: "extensor"}; nothing given: ThighSeg's own labels."""
    if not pairs:
        table = class_of_label()
        return {value: CLASSES[table[value]] for value in LABELS if value}
    named = {}
    for pair in pairs:
        value, _, name = pair.partition("=")
        if not value.isdigit() or not 0 < int(value) < NOT_ANNOTATED or name not in CLASSES[1:]:
            raise ValueError(f"{pair!r}: expected a value from 1 to 254, = and one of {', '.join(CLASSES[1:])}")
        named[int(value)] = name
    return named


def allowed_of_values(values: NDArray[np.uint8], named: dict[int, str]) -> NDArray[np.uint16]:
    """Values of a label map -> bit sets: a named value is its class, 255 anything, all others no named class."""
    table = np.full(256, ALL_BITS & ~bits_of(*set(named.values())), dtype=np.uint16)
    table[NOT_ANNOTATED] = ALL_BITS
    for value, name in named.items():
        table[value] = bits_of(name)
    return table[values]


def labelled_scan(row: LabelledScan, named: dict[int, str], *, every: int = 1) -> RealScan:
    """Every n-th slice of a scan from the first to the last that shows a named value."""
    volume = load_scan_of(row.scan)
    axes = canonical_axes(volume.geometry)
    spacing_mm = canonical_geometry(volume.geometry, axes).spacing_mm
    values = axes.apply(read_mask(row.labels, like=volume.geometry))
    shown = np.flatnonzero(np.isin(values, list(named)).any(axis=(1, 2)))
    if not len(shown):
        raise ValueError(f"{row.labels} shows none of the values {', '.join(str(value) for value in sorted(named))}")
    chosen = np.arange(shown[0], shown[-1] + 1)[::every]
    chosen = chosen[(values[chosen] != NOT_ANNOTATED).any(axis=(1, 2))]
    return RealScan(
        patient=row.patient,
        attenuation_hu=np.round(axes.apply(volume.attenuation_hu)[chosen]).astype(np.int16),
        allowed=allowed_of_values(values[chosen], named),
        slice_index=chosen.astype(np.int64),
        spacing_mm=(spacing_mm[1], spacing_mm[2]),
        site=row.site,
    )


def prepare_list(path: Path, output: Path, *, named: dict[int, str], every: int = 1) -> list[Path]:
    """Every scan of a list as `<patient>-<line>.npz`; those that exist already are kept."""
    written = []
    for number, row in enumerate(read_list(path), start=1):
        name = f"{row.patient}-{number}"
        target = output / f"{name}.npz"
        if not target.is_file():
            labelled_scan(row, named, every=every).save(output, name=name)
        written.append(target)
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--value", action="append", default=[], metavar="N=CLASS")
    parser.add_argument("--every", type=int, default=1, help="take every n-th slice")
    arguments = parser.parse_args()
    done = prepare_list(arguments.list, arguments.output, named=own_values(arguments.value), every=arguments.every)
    print(f"{len(done)} scans in {arguments.output}")
