"""The files of an analysis: labels.nii.gz, measurements.csv, histograms.csv, preview.png and, last, manifest.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thighseg_core import landmarks
from thighseg_core.export import csv_text, long_rows, scan_id
from thighseg_core.histogram import HISTOGRAM_COLUMNS, histogram_rows
from thighseg_core.labels import GROUP_MAP, LABELS
from thighseg_core.nifti import write_labels
from thighseg_core.preview import preview
from thighseg_core.tissue import PRESETS

if TYPE_CHECKING:
    from thighseg_core.analyse import Analysis
    from thighseg_core.volume import CTVolume

LABELS_FILE = "labels.nii.gz"
MEASUREMENTS_FILE = "measurements.csv"
HISTOGRAMS_FILE = "histograms.csv"
MANIFEST_FILE = "manifest.json"
PREVIEW_FILE = "preview.png"

_UNIT_NOTES = {
    "volume": "cm3, on the scan's own grid",
    "area": "cm2, in the plane of the slice as acquired",
    "attenuation": "HU; float attenuation is rounded to whole HU first",
    "position": "mm, z of the slice's centre in the scan's LPS coordinates (more is nearer the head)",
}


def write_results(analysis: Analysis, volume: CTVolume, folder: Path) -> None:
    """Write the files of an analysis of `volume` into `folder`, made when it is not there.

    Every file appears complete or not at all; manifest.json comes last, so a folder that has one is finished.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_FILE).unlink(missing_ok=True)  # of an earlier run: this folder is not finished any more
    with _complete(folder / LABELS_FILE) as part:
        write_labels(part, analysis.label_map)
    rows = long_rows(analysis.measurements, manifest=analysis.manifest, digest_sha256=analysis.info.digest_sha256)
    with _complete(folder / MEASUREMENTS_FILE) as part:
        part.write_bytes(csv_text(rows).encode("utf-8"))
    counted = histogram_rows(analysis.histograms, scan_id=scan_id(analysis.info.digest_sha256))
    with _complete(folder / HISTOGRAMS_FILE) as part:
        part.write_bytes(csv_text(counted, columns=HISTOGRAM_COLUMNS).encode("utf-8"))
    with _complete(folder / PREVIEW_FILE) as part:
        preview(volume, analysis.label_map).save(part, format="PNG")
    with _complete(folder / MANIFEST_FILE) as part:
        part.write_bytes((json.dumps(manifest_dict(analysis), indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def manifest_dict(analysis: Analysis) -> dict[str, Any]:
    """What manifest.json holds."""
    geometry = analysis.label_map.geometry
    preset = PRESETS.get(analysis.manifest.hu_preset)
    return {
        "scan_id": scan_id(analysis.info.digest_sha256),
        "run": analysis.manifest.as_dict(),
        "labels": {str(value): name for value, name in LABELS.items() if value},
        "groups": {name: list(muscles) for name, muscles in GROUP_MAP.items()},
        "hu_preset": asdict(preset) if preset else None,
        "units": _UNIT_NOTES,
        "series": asdict(analysis.info),
        "geometry": {
            "shape": list(geometry.shape),
            "spacing_mm": list(geometry.spacing_mm),
            "affine_lps_mm": geometry.affine.tolist(),
        },
        "landmarks": landmarks.as_dict(analysis.landmarks) if analysis.landmarks else None,
        "flags": [asdict(flag) for flag in analysis.flags],
        "seconds": {stage: round(seconds, 3) for stage, seconds in analysis.seconds.items()},
    }


@contextmanager
def _complete(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, renamed to it when all went well."""
    part = path.with_name(f".part-{path.name}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
