"""R, which shares no line with us, reads the export and finds the trend that the cohort page shows."""

# ruff: noqa: F811 - a test's parameter is the imported fixture
from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import study_of_values
from cohort_frames import simulated
from test_app import database, settings, start, text  # noqa: F401 - fixtures

from db import queries
from db.engine import Database
from db.export import Choice, write_export
from thighseg_core.cohort_statistics.trend import Trend, fit_trend

NUMBER = r"([-+]?[0-9.]+(?:e[-+][0-9]+)?)"
IN_R = rf"change per year {NUMBER} cm3, standard error {NUMBER}, 95% CI {NUMBER} to {NUMBER}, df (\d+), p {NUMBER}"
ON_THE_PAGE = rf"Change per year: {NUMBER} \S+ \({NUMBER} to {NUMBER}\)"
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def _r_with_nlme() -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("no R here; on Debian: apt-get install r-base-core r-cran-nlme")
    done = subprocess.run(["Rscript", "--vanilla", "-e", "library(nlme)"], capture_output=True, timeout=300)
    if done.returncode != 0:
        pytest.skip("this R has no nlme; on Debian: apt-get install r-cran-nlme")


def exported(database: Database, people: pd.DataFrame, folder: Path) -> tuple[Path, Trend]:
    """The unpacked export of these people, and the trend by sex of what is stored."""
    study_of_values.fill(database, people)
    with database.read() as session:
        write_export(session, folder / "export.zip", Choice(study_id=1))
        stored = queries.frame(
            session, queries.measurements(region="extensor", metric="volume", extent="full", include_rejected=False)
        )
    with zipfile.ZipFile(folder / "export.zip") as archive:
        archive.extractall(folder / "export")
    return folder / "export", fit_trend(stored, covariates=("sex",))


def in_r(folder: Path) -> str:
    """What read.R of the export prints."""
    command = ["Rscript", "--vanilla", str(folder / "read.R"), str(folder), "extensor", "left", "volume"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("_r_with_nlme")
@pytest.mark.parametrize("visits", [4, 2], ids=["slopes of their own", "two visits, one slope"])
def test_r_finds_the_change_per_year_that_the_cohort_page_shows(
    visits: int, database: Database, tmp_path: Path
) -> None:
    folder, trend = exported(database, simulated(visits=visits, n_subjects=30), tmp_path)
    assert trend.converged
    own_slopes = visits > 2
    assert trend.random_slope is own_slopes
    printed = in_r(folder)
    assert f"values {trend.n_values} subjects {trend.n_subjects} random_slope {str(own_slopes).upper()}" in printed
    found = re.search(IN_R, printed)
    assert found, printed
    slope, error, low, high, df, p = map(float, found.groups())
    ours = trend.slope
    assert slope == pytest.approx(ours.estimate, rel=1e-4)
    assert error == pytest.approx(ours.standard_error, rel=1e-3)
    assert (low, high) == pytest.approx((ours.ci_low, ours.ci_high), rel=1e-3)
    assert df == ours.df
    assert p == pytest.approx(ours.p, rel=2e-2, abs=1e-12)
    assert tuple(f"{value:+.3g}" for value in (slope, low, high)) == shown_on_the_cohort_page()


def shown_on_the_cohort_page() -> tuple[str, ...]:
    """Change per year and its interval, as the page's caption has them once the model is fitted."""
    app = start("cohort", side="left", show="Change")
    until = time.monotonic() + PATIENCE_S
    while not (found := re.search(ON_THE_PAGE, text(app))):
        assert time.monotonic() < until, text(app)
        time.sleep(0.5)
        app.run()
    return found.groups()


def test_python_reads_the_export_by_the_script_in_it(database: Database, tmp_path: Path) -> None:
    folder, trend = exported(database, simulated(visits=2, n_subjects=5), tmp_path)
    done = subprocess.run(
        [sys.executable, str(folder / "read.py"), str(folder)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("long 20 wide 10 scans 10\n")  # 5 people x 2 visits, 2 metrics each
    assert trend.n_values == 10
