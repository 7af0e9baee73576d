"""What is typed on the upload page in a real Chromium is there after the page is loaded again."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import phantom_study
from browsing import NEEDS_CHROMIUM, drawn, opened, until
from playwright.sync_api import Page, TimeoutError, expect
from test_browser import dropped, zipped

from db.drafts import DRAFT
from db.settings import Settings

pytestmark = NEEDS_CHROMIUM


def test_a_code_typed_in_the_table_is_there_after_a_reload(
    page: Page, address: str, study: Settings, tmp_path: Path
) -> None:
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
    drawn(page)
    entry = page.locator("textarea.gdg-input")
    for _ in range(10):  # a table that is laid out anew takes no click
        place = table.bounding_box()
        assert place is not None
        page.mouse.click(place["x"] + 270, place["y"] + 70)
        page.keyboard.press("Enter")
        with suppress(TimeoutError):
            entry.wait_for(timeout=20_000)
            break
    entry.fill("S-11")
    page.keyboard.press("Enter")
    expect(code).to_have_text("S-11")
    # the editor sends what was typed after a moment, the page keeps it beside the upload
    until(page, lambda: any("S-11" in path.read_text(encoding="utf-8") for path in study.data_dir.rglob(DRAFT)))
    opened(page, f"{address}/upload")
    expect(page.get_by_role("button", name="Store 2 scans and segment")).to_be_visible()
    expect(code).to_have_text("S-11")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("button", name="Store 2 scans and segment")).to_have_count(0)
