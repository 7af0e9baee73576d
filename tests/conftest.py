"""What the browser tests share: a made-up study, the dashboard served on it, and one Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import phantom_study
import pytest
from browsing import PATIENCE_MS, is_error
from playwright.sync_api import Browser, Page, expect, sync_playwright
from serving import CHROMIUM, serving

from db.settings import Settings


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two phantom people, measured."""
    folder = tmp_path_factory.mktemp("study")
    settings = Settings(data_dir=folder / "data")
    phantom_study.fill(settings, folder, noise_hu=8)
    return settings


@pytest.fixture(scope="module")
def address(study: Settings) -> Iterator[str]:
    with serving(study) as server:
        yield server.address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"], timeout=PATIENCE_MS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A wide window; at its end nothing may have been written to the console as an error."""
    window = browser.new_page(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    window.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    said: list[str] = []
    window.on("console", lambda message: said.append(message.text) if is_error(message) else None)
    window.on("pageerror", lambda error: said.append(str(error)))
    yield window
    window.close()
    assert said == []
