"""The demo study: six made-up people, both sexes, two visits each, written as real DICOM with a list to import.

Of every first visit the phantom's true label map is brought along as a reading, by a reader who is named as no person.

python -m training.demo --output data/demo/dicom
python -m db.import_list data/demo/dicom/subjects.csv --study Demo --wait
"""

from __future__ import annotations

import argparse
import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

from thighseg_core.labels import LabelMap
from thighseg_core.nifti import write_labels
from training.dicom_factory import write_ct_series
from training.phantom import Acquisition, Person, Scan, at_next_visit, thigh_scan

LIST_NAME = "subjects.csv"
READER = "phantom truth (no person)"
VISIT_WITH_TRUTH = 1


@dataclass(frozen=True)
class DemoSubject:
    """A made-up participant; `loss_mm` and `fat_gain` are what changes until the second visit."""

    code: str
    person: Person
    birth_year: int
    height_cm: float
    weight_kg: float
    loss_mm: float
    fat_gain: float


SUBJECTS = (
    DemoSubject("DEMO-01", Person("female", 11, 0.97, 16.0, -0.4, 0.03, 58.0), 1988, 163.0, 58.0, 0.1, 0.005),
    DemoSubject("DEMO-02", Person("female", 12, 0.96, 20.0, 0.5, 0.08, 53.0), 1961, 160.0, 63.0, 0.4, 0.015),
    DemoSubject("DEMO-03", Person("female", 13, 0.95, 15.0, 1.3, 0.15, 47.0), 1948, 157.0, 54.0, 0.8, 0.03),
    DemoSubject("DEMO-04", Person("male", 21, 0.97, 7.0, -0.4, 0.02, 60.0), 1990, 179.0, 77.0, -0.2, 0.0),
    DemoSubject("DEMO-05", Person("male", 22, 0.93, 9.0, 0.6, 0.07, 54.0), 1959, 174.0, 79.0, 0.4, 0.015),
    DemoSubject("DEMO-06", Person("male", 23, 0.90, 10.0, 1.4, 0.14, 48.0), 1945, 170.0, 71.0, 0.9, 0.03),
)
VISIT_YEARS = (2024, 2026)
COLUMNS = (
    "path", "subject_code", "sex", "birth_year", "visit_number", "visit_date", "height_cm", "weight_kg",
    "reading", "reader",
)  # fmt: skip


def write_demo_study(output: Path, *, subjects: tuple[DemoSubject, ...] = SUBJECTS, slice_mm: float = 8.0) -> Path:
    """Write a DICOM folder for every subject and visit, and the list of them; returns the list.

    A folder that is complete already is kept, so that a second call is quick.
    """
    rows = []
    for number, subject in enumerate(subjects):
        later = at_next_visit(subject.person, atrophy_mm=subject.loss_mm, fat_share=subject.fat_gain)
        for visit, (person, year) in enumerate(zip((subject.person, later), VISIT_YEARS, strict=True), start=1):
            folder = output / subject.code / f"visit-{visit}"
            truth = output / subject.code / f"visit-{visit}-truth.nii.gz" if visit == VISIT_WITH_TRUTH else None
            if not folder.exists() or (truth and not truth.exists()):
                how = Acquisition(slice_mm=slice_mm, seed=10 * number + visit, rotation_deg=3.0 + visit)
                scan = thigh_scan(person, how)
                if truth:
                    _write_truth(truth, scan)
                if not folder.exists():
                    _write_scan(folder, subject, scan, year=year)
                print(f"{subject.code} visit {visit}: written", flush=True)
            rows.append(
                {
                    "path": folder.relative_to(output).as_posix(),
                    "subject_code": subject.code,
                    "sex": subject.person.sex,
                    "birth_year": subject.birth_year,
                    "visit_number": visit,
                    "visit_date": f"{year}-03-{5 + number:02d}",
                    "height_cm": subject.height_cm,
                    "weight_kg": subject.weight_kg,
                    "reading": truth.relative_to(output).as_posix() if truth else "",
                    "reader": READER if truth else "",
                }
            )
    with (output / LIST_NAME).open("w", encoding="utf-8", newline="") as handle:
        table = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return output / LIST_NAME


def _write_truth(path: Path, scan: Scan) -> None:
    unfinished = path.with_name(f".{path.name}")
    write_labels(unfinished, LabelMap(scan.labels, scan.geometry))
    unfinished.rename(path)


def _write_scan(folder: Path, subject: DemoSubject, scan: Scan, *, year: int) -> None:
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_ct_series(
        unfinished,
        scan.attenuation_hu,
        scan.geometry.affine,
        series_description="Thighs, synthetic",
        patient_name=f"Demo^{subject.code}",
        patient_id=subject.code,
        patient_birth_date=f"{subject.birth_year}0615",
        patient_sex=subject.person.sex[0].upper(),
        patient_age=f"{year - subject.birth_year:03d}Y",
        patient_size_m=f"{subject.height_cm / 100:.2f}",
        patient_weight_kg=f"{subject.weight_kg:.0f}",
        acquisition_date=f"{year}0310",
        manufacturer="ThighSeg phantom",
    )
    unfinished.rename(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("data/demo/dicom"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(write_demo_study(arguments.output))
