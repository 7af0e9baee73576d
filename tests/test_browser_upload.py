"""What is typed on the upload page in a real Chromium is there after the page is loaded again."""

from __future__ import annotations

from pathlib import Path

import phantom_study
import pytest
from playwright.sync_api import Page, expect
from test_browser import dropped, opened, page, pytestmark, zipped  # noqa: F401 - page is a fixture, the mark is used


def test_a_code_typed_in_the_table_is_there_after_a_reload(page: Page, address: str, tmp_path: Path) -> None:  # noqa: F811
    archives = [
        zipped(phantom_study.write_dicom(visit, tmp_path / name, noise_hu=12), tmp_path / f"{name}.zip")
        for name, visit in (
            ("first", phantom_study.Visit("a", size=0.9)),
            ("second", phantom_study.Visit("b", size=0.8)),
        )
    ]
    opened(page, f"{address}/upload")
    dropped(page, *archives)
    table = page.get_by_test_id("stDataFrame")
    expect(page.get_by_role("button", name="Store 2 scans and segment")).to_be_visible()
    code = page.locator("#glide-cell-2-0")
    place = table.bounding_box() or pytest.fail("the table has no place")
    page.mouse.click(place["x"] + 270, place["y"] + 70)
    page.keyboard.press("Enter")
    page.locator("textarea.gdg-input").fill("S-11")
    page.keyboard.press("Enter")
    expect(code).to_have_text("S-11")
    page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')")
    page.wait_for_timeout(1500)  # the editor sends what was typed after a moment
    opened(page, f"{address}/upload")
    expect(page.get_by_role("button", name="Store 2 scans and segment")).to_be_visible()
    expect(code).to_have_text("S-11")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("button", name="Store 2 scans and segment")).to_have_count(0)
