"""Seconds until a browser that was here before paints the first page, and until the page's own heading stands.

.venv/bin/python -m tests.benchmarks.first_page DATA_FOLDER
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from db.settings import Settings
from tests.serving import CHROMIUM, PATIENCE_S, serving

VISITS = 5
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime / 1000"


def main() -> None:
    settings = Settings(data_dir=Path(sys.argv[1]).resolve())
    painted, drawn = [], []
    with serving(settings) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(1000 * PATIENCE_S)
        for visit in range(VISITS + 1):
            began = time.monotonic()
            page.goto(server.address)
            page.get_by_role("heading", level=1).wait_for()
            if visit:  # the first one is cold
                drawn.append(time.monotonic() - began)
                painted.append(page.evaluate(_PAINT))
            page.goto("about:blank")
        browser.close()
    sys.stdout.write(
        f"first contentful paint {statistics.median(painted):.2f} s, heading {statistics.median(drawn):.2f} s "
        f"(medians of {VISITS} warm visits; {os.getloadavg()[0]:.0f} processes waited for {os.cpu_count()} cores)\n"
    )


if __name__ == "__main__":
    main()
