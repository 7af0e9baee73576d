"""The dashboard in a real Chromium: from a DICOM series to the CSV, every page wide and narrow, bad input.

Needs Debian's `chromium` (apt-get install chromium); skipped without it.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import phantom_study
import pytest
from axe_playwright_python.sync_playwright import Axe
from bad_inputs import BAD_INPUTS
from browsing import NEEDS_CHROMIUM, PATIENCE_MS, drawn, opened, until
from PIL import Image
from playwright.sync_api import Page, expect
from serving import ROOT, serving

from db.settings import Settings
from pages.parts import navigation
from thighseg_core.checkpoint import available_models

REAL_SERIES = ROOT.parent / "shared" / "data" / "ct_sarcoma" / "STS_047" / "CT"
ADDRESS = {"home": "", "viewer": "viewer?scan=1", "subject": "subject?subject=1"}
PAGES = tuple(ADDRESS.get(entry.view, entry.view) for entry in navigation.ENTRIES)

pytestmark = NEEDS_CHROMIUM


def dropped(page: Page, *files: Path) -> None:
    """Hand files to the uploader."""
    page.locator('input[type="file"]').set_input_files([str(path) for path in files])


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return target


def plain_pictures(page: Page) -> None:
    """Have the server draw the slices, in place of the 3-D viewer."""
    page.get_by_text("Plain pictures", exact=True).click()
    expect(page.locator(".thighseg-viewer")).to_have_count(0)


def shown_picture(page: Page, alt: str) -> np.ndarray:
    """Pixels of the picture whose alternative text begins so."""
    picture = page.locator(f'img[alt^="{alt}"]').first
    picture.wait_for()
    page.wait_for_function(
        "alt => { const i = document.querySelector(`img[alt^='${alt}']`); return i && i.complete && i.naturalWidth }",
        arg=alt,
    )
    return np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB")).astype(int)


def colour(pixels: np.ndarray) -> float:
    """Share of pixels that are not grey."""
    return float((np.ptp(pixels, axis=2) > 40).mean())


def violations(page: Page) -> list[str]:
    """axe-core's findings of impact "serious" and "critical"."""
    return [
        f"{found['id']}, {len(found['nodes'])} times, such as {found['nodes'][0]['html'][:200]}"
        for found in Axe().run(page).response["violations"]
        if found["impact"] in ("serious", "critical")
    ]


def values(text: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    """What a long CSV says of each quantity; the columns that name person, time and review are left out."""
    facts = (
        "value",
        "unit",
        "status",
        "reason",
        "hu_preset",
        "model_name",
        "model_version",
        "weights_sha256",
        "device",
    )
    return {
        (row["scan_id"], row["region"], row["side"], row["extent"], row["metric"]): tuple(row[name] for name in facts)
        for row in csv.DictReader(io.StringIO(text))
    }


# --------------------------------------------------------------------------------------------------------------- tests


def test_a_deep_link_is_answered_by_a_server_that_was_never_asked_before(study: Settings, page: Page) -> None:
    with serving(study) as server:
        opened(page, f"{server.address}/viewer?scan=1")
        expect(page.get_by_role("heading", level=1)).to_have_text("Viewer")
        expect(page.get_by_text("Page not found")).to_have_count(0)
        page.goto("about:blank")  # or the page would miss its server when that stops, and say so


@pytest.mark.parametrize("width", [1400, 420])
def test_every_page_is_drawn_whole_without_a_console_error(width: int, page: Page, address: str) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    for name in PAGES:
        opened(page, f"{address}/{name}")
        excess_px = page.evaluate(
            "() => { const m = document.querySelector('[data-testid=stMain]'); return m.scrollWidth - m.clientWidth }"
        )
        assert excess_px <= 0, f"/{name} is {excess_px} px wider than a window of {width} px"
        assert "Traceback" not in page.inner_text("body")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_accessibility_finding(theme: Literal["light", "dark"], page: Page, address: str) -> None:
    page.emulate_media(color_scheme=theme)
    found = []
    for name in PAGES:
        opened(page, f"{address}/{name}")
        if violations(page):  # once more: while something fades in, its contrast is too low for a moment
            page.wait_for_timeout(3000)
            found += [f"/{name}: {violation}" for violation in violations(drawn(page))]
    assert found == []


def test_home_has_its_name_as_an_address_too(page: Page, address: str) -> None:
    opened(page, f"{address}/home")
    expect(page.get_by_role("heading", level=1)).to_have_text("Thigh muscle from CT")
    expect(page.get_by_text("Page not found")).to_have_count(0)


def test_the_slice_follows_the_slider_and_the_groups_can_be_switched_off(page: Page, address: str) -> None:
    opened(page, f"{address}/viewer?scan=1")
    plain_pictures(page)
    coloured = colour(shown_picture(page, "Axial slice 6 of 12"))
    assert coloured > 0.05
    for _ in range(5):  # as quick as a finger on the key
        page.get_by_role("slider", name="Slice").press("ArrowRight")
    shown_picture(page, "Axial slice 11 of 12")
    page.get_by_role("slider", name="Slice").press("ArrowLeft")
    for group in ("Extensor", "Flexor", "Adductor", "Sartorius"):
        page.get_by_role("button", name=group, exact=True).click()
    until(page, lambda: colour(shown_picture(page, "Axial slice 10 of 12")) < 0.1 * coloured)


@pytest.mark.parametrize("name", ["truncated zip", "zip bomb", "text file", "MR"])
def test_bad_input_is_answered_in_words(name: str, page: Page, address: str, tmp_path: Path) -> None:
    bad = next(bad for bad in BAD_INPUTS if bad.name == name)
    source = bad.make(tmp_path)
    opened(page, f"{address}/upload")
    dropped(page, *([source] if source.is_file() else sorted(source.iterdir())))
    expect(page.get_by_text("Nothing in this upload can be used")).to_be_visible()
    for word in bad.words:
        expect(page.locator("body")).to_contain_text(word, ignore_case=True)
    assert "Traceback" not in page.inner_text("body")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Nothing in this upload can be used")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.skipif(not available_models(), reason="no trained weights in thighseg_core/weights")
def test_a_series_goes_from_the_upload_to_the_csv_of_the_command_line(page: Page, address: str, tmp_path: Path) -> None:
    """The real scan where it is at hand, else a phantom; both ways run the shipped network on this machine's device."""
    source = REAL_SERIES
    if not source.exists():
        source = phantom_study.write_dicom(phantom_study.Visit("x", size=0.97), tmp_path / "dicom", noise_hu=10)
    opened(page, f"{address}/upload")
    dropped(page, zipped(source, tmp_path / "scan.zip"))
    page.get_by_role("button", name="Store and segment").wait_for()
    code = page.get_by_role("combobox", name="Subject code")
    code.fill("NEW-1")
    code.press("Enter")
    expect(code).to_have_value("NEW-1")
    drawn(page)
    page.get_by_role("button", name="Store and segment").click()
    expect(page.get_by_text("Stored as NEW-1, visit 1, and queued")).to_be_visible()

    opened(page, f"{address}/queue")
    done = page.get_by_role("link", name="NEW-1, visit 1")
    expect(done.or_(page.get_by_text("Failed", exact=True))).to_be_visible(timeout=2 * PATIENCE_MS)
    expect(done).to_be_visible()
    done.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Viewer")
    plain_pictures(page)
    assert colour(shown_picture(page, "Axial slice")) > 0.03, "the overlay is not seen"

    with page.expect_download() as download:
        page.get_by_role("button", name="Measurements (CSV)").click()
    from_page = values(download.value.path().read_text(encoding="utf-8"))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "thighseg_core", "segment", str(source), "--output", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=600)
    (from_command_line,) = out.glob("*/measurements.csv")
    assert from_page == values(from_command_line.read_text(encoding="utf-8"))
    assert len(from_page) > 50
