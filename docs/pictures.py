"""Walks every page of the dashboard in Chromium, wide and narrow, and takes the pictures of this folder.

.venv/bin/python docs/pictures.py --data data/demo [--output docs/images] [--only home viewer] [--prefix real-]

Ends with 1 when a page wrote an error to the console, said an exception, or is wider than its window.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import ConsoleMessage, Page, sync_playwright  # noqa: E402 - the path is set above

from db.settings import Settings  # noqa: E402
from pages.parts import navigation  # noqa: E402
from tests.serving import CHROMIUM, PATIENCE_S, serving  # noqa: E402

WIDTHS_PX = {"wide": 1400, "narrow": 420}
HEIGHT_PX = {"wide": 900, "narrow": 860}
TALLEST_PX = 3200
_ADDRESS = {"home": "", "viewer": "viewer?scan=1", "subject": "subject?subject=1"}
_QUIET = """() => !document.querySelector('[data-testid=stStatusWidget]')
    && !document.querySelector('[data-testid=stSkeleton]')
    && !document.body.innerText.includes('being worked out')
    && [...document.images].every(image => image.complete)"""


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data folder of a study")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--only", nargs="+", default=[entry.view for entry in navigation.ENTRIES])
    parser.add_argument("--prefix", default="")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    findings: list[str] = []
    with serving(Settings(data_dir=arguments.data.resolve())) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for name, width in WIDTHS_PX.items():
            page = browser.new_page(viewport={"width": width, "height": HEIGHT_PX[name]})
            page.set_default_timeout(1000 * PATIENCE_S)
            _listen(page, findings)
            for view in arguments.only:
                target = arguments.output / f"{arguments.prefix}{view}-{name}.png"
                findings += _walk(page, f"{server.address}/{_ADDRESS.get(view, view)}", target)
                sys.stdout.write(f"{target}\n")
                sys.stdout.flush()
                page.set_viewport_size({"width": width, "height": HEIGHT_PX[name]})
            page.close()
        browser.close()
    for finding in findings:
        sys.stderr.write(f"{finding}\n")
    return 1 if findings else 0


def _walk(page: Page, url: str, target: Path) -> list[str]:
    """Draw one page whole and take its picture; returns what is wrong with it."""
    page.goto(url)
    page.get_by_role("heading", level=1).first.wait_for()
    page.wait_for_function(_QUIET)
    page.wait_for_timeout(2500)  # charts fade in
    if "/viewer" in url:
        page.locator(".thighseg-viewer[data-ready]").wait_for()
    height, excess = page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]');"
        " return [m.scrollHeight, m.scrollWidth - m.clientWidth] }"
    )
    size = page.viewport_size or {"width": WIDTHS_PX["wide"], "height": HEIGHT_PX["wide"]}
    page.set_viewport_size({"width": size["width"], "height": min(max(size["height"], height), TALLEST_PX)})
    page.wait_for_function(_QUIET)
    page.wait_for_timeout(1500)
    page.screenshot(path=target)
    wrong = [f"{url}: {excess} px wider than the window"] if excess > 0 else []
    if page.locator("[data-testid=stException]").count():
        wrong.append(f"{url}: an exception is shown")
    return wrong


def _listen(page: Page, findings: list[str]) -> None:
    page.on("console", lambda message: findings.extend(_error(message)))
    page.on("pageerror", lambda error: findings.append(str(error)))


def _error(message: ConsoleMessage) -> list[str]:
    """Streamlit looks for its server below the page's path before it looks at the root: those two 404 are its habit."""
    if message.type != "error" or "/_stcore/" in str(message.location.get("url", "")):
        return []
    return [f"console: {message.text} ({message.location.get('url', '')})"]


if __name__ == "__main__":
    sys.exit(main())
