"""The export page in a real Chromium: what is chosen there is in the zip that comes down."""

from __future__ import annotations

import csv
import io
import zipfile

from browsing import NEEDS_CHROMIUM, opened
from playwright.sync_api import Page

pytestmark = NEEDS_CHROMIUM


def test_the_zip_that_comes_down_holds_what_was_chosen(page: Page, address: str) -> None:
    opened(page, f"{address}/export")
    page.get_by_text("3 scans of 2 subjects").wait_for()
    page.get_by_role("button", name="REDCap").click()
    page.get_by_text("Shift dates", exact=True).click()
    page.get_by_text("Dates are shifted by an amount").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download Phantoms.zip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        names = set(archive.namelist())
        long = list(csv.DictReader(io.StringIO(archive.read("long.csv").decode("utf-8"))))
        readme = archive.read("README.txt").decode("utf-8")
    assert {"long.csv", "histograms.csv", "normalised.csv", "redcap_import.csv", "read.R", "manifest.json"} <= names
    assert {row["subject_id"] for row in long} == {"P01", "P02"}
    assert {row["visit_date"] for row in long} & {"2026-03-01", "2026-09-01"} == set()
    assert "Dates are shifted" in readme
