"""The export page in a real Chromium: what is chosen there is in the zip that comes down."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import phantom_study
import pytest
from playwright.sync_api import Page, sync_playwright
from serving import CHROMIUM, serving

from db.settings import Settings

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Debian Chromium (/usr/bin/chromium)"),
]
PATIENCE_MS = 180_000


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    settings = Settings(data_dir=tmp_path / "data")
    phantom_study.fill(settings, tmp_path)
    with serving(settings) as server, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        window = chromium.new_page(viewport={"width": 1400, "height": 1300}, accept_downloads=True)
        window.set_default_timeout(PATIENCE_MS)
        window.goto(f"{server.address}/export")
        yield window
        chromium.close()


def test_the_zip_that_comes_down_holds_what_was_chosen(page: Page, tmp_path: Path) -> None:
    page.get_by_text("3 scans of 2 subjects").wait_for()
    page.get_by_role("button", name="REDCap").click()
    page.get_by_text("Shift dates", exact=True).click()
    page.get_by_text("Dates are shifted by an amount").first.wait_for()
    with page.expect_download(timeout=PATIENCE_MS) as download:
        page.get_by_role("button", name="Download Phantoms.zip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        names = set(archive.namelist())
        long = list(csv.DictReader(io.StringIO(archive.read("long.csv").decode("utf-8"))))
        readme = archive.read("README.txt").decode("utf-8")
    assert {"long.csv", "histograms.csv", "normalised.csv", "redcap_import.csv", "read.R", "manifest.json"} <= names
    assert {row["subject_id"] for row in long} == {"P01", "P02"}
    assert {row["visit_date"] for row in long} & {"2026-03-01", "2026-09-01"} == set()
    assert "Dates are shifted" in readme
