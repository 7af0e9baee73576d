"""Cohort and subject in a real Chromium: a click on a point, files to take away, an address that holds the state."""

from __future__ import annotations

import csv
import io
import re
from contextlib import suppress

import pytest
from browsing import NEEDS_CHROMIUM, opened
from playwright.sync_api import Page, TimeoutError, expect

pytestmark = NEEDS_CHROMIUM


def download(page: Page, name: str) -> bytes:
    """The bytes of the first figure's file of that name."""
    with page.expect_download() as found:
        page.get_by_role("button", name=name, exact=True).click()
    return found.value.path().read_bytes()


def test_a_click_on_a_point_opens_its_scan(page: Page, address: str) -> None:
    opened(page, f"{address}/cohort?side=left")
    point = page.locator(".js-plotly-plot .scatterlayer .points path.point").first
    point.wait_for()
    for _ in range(10):  # a chart just drawn does not listen yet
        with suppress(TimeoutError):
            point.click(force=True, timeout=10_000)
            page.wait_for_url("**scan=**", timeout=30_000)
            break
    expect(page.get_by_role("heading", level=1)).to_have_text("Viewer")
    assert "scan=" in page.url


def test_a_figure_leaves_as_png_svg_pdf_and_its_data_as_csv(page: Page, address: str) -> None:
    opened(page, f"{address}/cohort")
    page.get_by_role("button", name="Download").first.click()
    assert download(page, "Figure (PNG)")[:8] == b"\x89PNG\r\n\x1a\n"
    words = " ".join(re.sub("<[^>]+>", " ", download(page, "Figure (SVG)").decode()).split())
    assert "3 scans. Box: median and quartiles" in words, "number and method stand in the caption of the file"
    assert download(page, "Figure (PDF)")[:5] == b"%PDF-"
    rows = list(csv.DictReader(io.StringIO(download(page, "Data (CSV)").decode())))
    assert [row["subject"] for row in rows] == ["P01", "P01", "P02"]


def test_the_address_holds_what_was_chosen(page: Page, address: str) -> None:
    opened(page, f"{address}/cohort")
    page.get_by_role("radio", name="Change").or_(page.get_by_role("button", name="Change", exact=True)).first.click()
    expect(page.get_by_text("Change since the first visit")).to_be_visible()
    page.wait_for_url("**show=Change**")
    linked = page.url
    page.goto("about:blank")
    opened(page, linked)
    expect(page.get_by_text("Change since the first visit")).to_be_visible()


@pytest.mark.parametrize("width", [1400, 420])
def test_every_section_and_the_subject_fit_the_window(width: int, page: Page, address: str) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    sections = ("Size+and+attenuation", "z-+and+T-scores", "Composition+and+balance", "Strength+and+gait", "Change")
    for name in ("subject", *(f"cohort?show={section}" for section in sections)):
        opened(page, f"{address}/{name}")
        excess_px = page.evaluate(
            "() => { const m = document.querySelector('[data-testid=stMain]'); return m.scrollWidth - m.clientWidth }"
        )
        assert excess_px <= 0, f"/{name} is {excess_px} px wider than a window of {width} px"
        assert "Traceback" not in page.inner_text("body")


def test_the_report_of_a_subject_is_a_pdf_of_two_pages(page: Page, address: str) -> None:
    opened(page, f"{address}/subject?subject=1")
    report = download(page, "Report (PDF)")
    assert report[:5] == b"%PDF-"
    assert report.count(b"/Type /Page ") == 2
