"""R, which shares no line with us, reads the export and finds the trend that the cohort page shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import study_of_values
from cohort_frames import simulated

from db import queries
from db.engine import open_database
from db.export import Choice, write_export
from thighseg_core.cohort_statistics.trend import Trend, fit_trend

NUMBER = r"(-?[0-9.e+-]+)"


def exported(people: pd.DataFrame, folder: Path) -> tuple[Path, Trend]:
    """The unpacked export of these people, and the trend of the frame that the cohort page asks for."""
    database = open_database(folder / "study.db")
    study_of_values.fill(database, people)
    with database.read() as session:
        write_export(session, folder / "export.zip", Choice(study_id=1))
        frame = queries.frame(
            session,
            queries.measurements(region="extensor", metric="volume", extent="full", include_rejected=False),
        )
    database.close()
    with zipfile.ZipFile(folder / "export.zip") as archive:
        archive.extractall(folder / "export")
    return folder / "export", fit_trend(frame[frame["side"] == "left"])


def in_r(folder: Path) -> str:
    """What read.R of the export prints."""
    command = ["Rscript", "--vanilla", str(folder / "read.R"), str(folder), "extensor", "left", "volume"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def _r_with_nlme() -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("no R here; on Debian: apt-get install r-base-core r-cran-nlme")
    done = subprocess.run(["Rscript", "--vanilla", "-e", "library(nlme)"], capture_output=True, timeout=120)
    if done.returncode != 0:
        pytest.skip("this R has no nlme; on Debian: apt-get install r-cran-nlme")


@pytest.mark.usefixtures("_r_with_nlme")
@pytest.mark.parametrize(
    ("visits", "own_slopes"), [(4, True), (2, False)], ids=["slopes of their own", "two visits, one slope"]
)
def test_r_finds_the_change_per_year_that_the_cohort_page_shows(visits: int, own_slopes: bool, tmp_path: Path) -> None:
    folder, trend = exported(simulated(visits=visits, n_subjects=30), tmp_path)
    assert trend.converged
    assert trend.random_slope is own_slopes
    printed = in_r(folder)
    assert f"values {trend.n_values} subjects {trend.n_subjects} random_slope {str(own_slopes).upper()}" in printed
    pattern = (
        rf"change per year {NUMBER} cm3, standard error {NUMBER}, 95% CI {NUMBER} to {NUMBER}, df (\d+), p {NUMBER}"
    )
    found = re.search(pattern, printed)
    assert found, printed
    slope, error, low, high, df, p = map(float, found.groups())
    ours = trend.slope
    assert slope == pytest.approx(ours.estimate, rel=1e-4)
    assert error == pytest.approx(ours.standard_error, rel=1e-3)
    assert (low, high) == pytest.approx((ours.ci_low, ours.ci_high), rel=1e-3)
    assert df == ours.df
    assert p == pytest.approx(ours.p, rel=2e-2, abs=1e-12)


def test_python_reads_the_export_by_the_script_in_it(tmp_path: Path) -> None:
    folder, trend = exported(simulated(visits=2, n_subjects=5), tmp_path)
    done = subprocess.run(
        [sys.executable, str(folder / "read.py"), str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("long 20 wide 10 scans 10\n")  # 5 people x 2 visits, 2 metrics each
    assert trend.n_values == 10
