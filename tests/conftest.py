"""What the browser tests share: a made-up study, the dashboard served on it, and one Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import phantom_study
import pytest
from playwright.sync_api import Browser, sync_playwright
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
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()
