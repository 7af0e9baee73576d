"""What browser tests share: how patient they are, when a page is drawn, what counts as an error on its console."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import ConsoleMessage, Page
from serving import CHROMIUM, PATIENCE_S

PATIENCE_MS = PATIENCE_S * 1000
NEEDS_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.timeout(5 * PATIENCE_S),  # several waits, each as long as it takes on a busy machine
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed (apt-get install chromium)"),
]
_DRAWN = """() => {
    const app = document.querySelector('[data-testid=stApp]');
    return app?.dataset.testScriptState === 'notRunning' && app.dataset.testConnectionState === 'CONNECTED'
        && !document.querySelector('[data-testid=stSkeleton]')
}"""


def opened(page: Page, url: str) -> Page:
    """Go there and wait until the page is drawn."""
    page.goto(url)
    drawn(page)
    if "/viewer" in url:
        page.locator(".thighseg-viewer[data-ready]").wait_for()
    return page


def drawn(page: Page) -> Page:
    """Wait until the script has come to its end; the viewer loads its scan by itself."""
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_function(_DRAWN)
    return page


def until(page: Page, what: Callable[[], bool]) -> None:
    """Wait for a fact that Playwright has no words for."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < give_up_at, "waited too long"
        page.wait_for_timeout(200)


def is_error(message: ConsoleMessage) -> bool:
    """Streamlit looks for its server below the page's path before it looks at the root: those two 404 are its habit."""
    return message.type == "error" and "/_stcore/" not in str(message.location.get("url", ""))
