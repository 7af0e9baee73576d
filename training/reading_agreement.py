"""How well the project's readers agree with the reference: slices that they drew without knowing them as such.

    python -m training.reading_agreement [--data ../shared/data]

prints CSV, one line a slice and group: Dice within the tissue near what the reference draws, as networks are scored
(reference.py); pixels that the reader called unsure do not count. unsure: their share of the group in the reference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from thighseg_core.overlap import overlap
from training.prepare import series_of
from training.readings import FOLDER, load_reading, painted
from training.reference import NEAR_MM, NOT_ANNOTATED, REFERENCE_CLASSES, SMALLEST_PIXELS, TISSUE_HU

BLIND = FOLDER / "blind"


def agreement(patient: str, data: Path) -> Iterator[dict[str, object]]:
    """Rows of every slice of this patient that a reader drew unknowing; groups under `SMALLEST_PIXELS` are left out."""
    series = series_of(patient, data)
    reference = series.on_grid(data / "reference" / f"{patient}.nii.gz")
    tumour = series.on_grid(data / "ct_sarcoma" / patient / "tumour_mask.nii.gz") > 0
    for k, polygons in load_reading(BLIND / f"{patient}.json").items():
        hu = series.attenuation_hu[k]
        read = painted(hu, polygons, tumour=tumour[k])
        drawn = (reference[k] > 0) & (reference[k] != NOT_ANNOTATED)
        near = ndimage.distance_transform_edt(~drawn, sampling=series.spacing_mm) <= NEAR_MM
        unsure = read == NOT_ANNOTATED
        within = near & (reference[k] != NOT_ANNOTATED) & ~unsure & (hu >= TISSUE_HU[0]) & (hu <= TISSUE_HU[1])
        for name, value in REFERENCE_CLASSES.items():
            truth = reference[k] == value
            if truth.sum() >= SMALLEST_PIXELS:
                dice = overlap(truth & within, (read == value) & within, within=within).dice
                share = np.count_nonzero(unsure & truth) / np.count_nonzero(truth)
                yield {"patient": patient, "slice_index": k, "group": name, "dice": dice, "unsure": share}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    rows = [row for path in sorted(BLIND.glob("STS_*.json")) for row in agreement(path.stem, arguments.data)]
    pd.DataFrame(rows).to_csv(sys.stdout, index=False, float_format="%.3f", na_rep="NA")
