"""The NiiVue viewer in a real Chromium: slices, hover, groups, and a brush correction all the way to the CSV."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from browsing import NEEDS_CHROMIUM, PATIENCE_MS, drawn, opened, until
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from db import queries
from db.engine import open_database
from db.settings import Settings
from db.storage import load_label_map, load_volume
from thighseg_core.labels import label_value

pytestmark = NEEDS_CHROMIUM


def line(page: Page) -> str:
    return page.locator(".thighseg-viewer .line").inner_text()


def says(page: Page, words: str) -> None:
    expect(page.locator(".thighseg-viewer .line")).to_contain_text(words)


def picture(page: Page) -> np.ndarray:
    shot = page.locator(".thighseg-viewer canvas.scan").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def settled(page: Page) -> np.ndarray:
    """The picture once it no longer changes."""
    shots = [picture(page)]

    def steady() -> bool:
        page.wait_for_timeout(1500)
        shots.append(picture(page))
        return bool((shots[-1] == shots[-2]).all())

    until(page, steady)
    return shots[-1]


def coloured(pixels: np.ndarray) -> float:
    """Share of pixels that are not grey."""
    return float((np.ptp(pixels, axis=2) > 40).mean())


def measured(settings: Settings, **which: int) -> list[dict[str, object]]:
    database = open_database(settings.database_path)
    with database.read() as session:
        rows = queries.rows(session, queries.measurements(**which))
    database.close()
    return [row for row in rows if row["extent"] == "full"]


def test_wheel_keys_slider_and_profile_move_through_the_slices(page: Page, address: str) -> None:
    opened(page, f"{address}/viewer?scan=1")
    canvas = page.locator("canvas.scan")
    canvas.press("Home")
    says(page, "Slice 1 of 12")
    canvas.press("ArrowUp")
    says(page, "Slice 2 of 12")
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 100)
    says(page, "Slice 3 of 12")
    page.get_by_role("slider", name="Slice, counted from the feet").fill("7")
    says(page, "Slice 7 of 12")
    page.locator(".profile svg").click(position={"x": 2, "y": 40})
    says(page, "Slice 1 of 12")


def test_the_attenuation_and_the_label_under_the_cursor_are_read_out(page: Page, address: str) -> None:
    opened(page, f"{address}/viewer?scan=1")
    box = page.locator("canvas.scan").bounding_box()
    assert box is not None
    # over the whole width of the axial slice: the patient's right leg comes first, then the left one
    said = []
    for share in np.linspace(0.05, 0.65, 40):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
        said.append(line(page))
    sides = [side for text in said for side in ("left", "right") if f", {side}" in text]
    assert "right" in sides
    assert "left" in sides
    assert sides == sorted(sides, reverse=True), "the patient's right is on the left of the picture"
    femur = [float(text.split(" HU")[0].split()[-1]) for text in said if "Femur" in text]
    muscle = [float(text.split(" HU")[0].split()[-1]) for text in said if "Extensor" in text or "Flexor" in text]
    assert muscle, said
    assert max(muscle) < 150
    assert not femur or min(femur) > 150


def test_labels_can_be_switched_off_and_shown_as_outlines(page: Page, address: str) -> None:
    opened(page, f"{address}/viewer?scan=1")
    full = coloured(settled(page))
    assert full > 0.05
    page.get_by_role("button", name="Outline").click()
    until(page, lambda: 0 < coloured(picture(page)) < 0.6 * full)
    page.get_by_role("button", name="Outline").click()
    until(page, lambda: coloured(picture(page)) == pytest.approx(full, rel=0.05))
    page.locator("canvas.scan").press(" ")
    until(page, lambda: coloured(picture(page)) < 0.02)
    page.locator("canvas.scan").press(" ")
    until(page, lambda: coloured(picture(page)) == pytest.approx(full, rel=0.05))


def test_a_brush_correction_becomes_version_2_with_its_author_in_table_and_csv(
    page: Page, address: str, study: Settings
) -> None:
    opened(page, f"{address}/viewer?scan=3")
    before = {
        (r["region"], r["side"], r["metric"]): r["value"] for r in measured(study, scan_id=3) if r["extent"] == "full"
    }
    page.get_by_role("button", name="Correct…").click()
    page.get_by_role("combobox", name="Label").select_option("extensor")
    page.get_by_role("group", name="Side of the patient").get_by_role("button", name="right").first.click()
    page.get_by_role("slider", name="Size").fill("5")
    box = page.locator("canvas.scan").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.10, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.30, y, steps=12)
    page.mouse.up()
    expect(page.get_by_text("voxels changed")).to_be_visible()
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.get_by_text("A correction needs its author")).to_be_visible()
    page.get_by_role("textbox", name="Author").fill("Dr. Brush")
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.get_by_text("Version 2, corrected by Dr. Brush").first).to_be_visible()
    drawn(page)

    # the label map says what the number must be
    database = open_database(study.database_path)
    with database.read() as session:
        new, old = queries.rows(session, queries.runs(scan_id=3))
        storage_path = queries.rows(session, queries.scans(scan_id=3))[0]["storage_path"]
    database.close()
    assert (new["version"], new["kind"], new["author"], new["parent_id"]) == (
        2,
        "corrected",
        "Dr. Brush",
        old["run_id"],
    )
    volume = load_volume(study, storage_path)
    extensor = label_value("extensor", "right")
    maps = [load_label_map(study, run["label_map_path"], like=volume.geometry).labels for run in (old, new)]
    assert len({int(index) for index in np.argwhere(maps[0] != maps[1])[:, 0]}) == 1, "one slice was painted"
    assert set(maps[1][maps[0] != maps[1]]) == {extensor}
    expected_cm3 = float((maps[1] == extensor).sum() * volume.geometry.voxel_volume_cm3)
    key = ("extensor", "right", "volume")
    assert expected_cm3 > before[key]

    with page.expect_download() as download:
        page.get_by_role("button", name="Measurements (CSV)").click()
    table = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    (row,) = [row for row in table if (row["region"], row["side"], row["metric"], row["extent"]) == (*key, "full")]
    assert float(row["value"]) == pytest.approx(expected_cm3)
    assert (row["result_version"], row["result_kind"], row["result_author"]) == ("2", "corrected", "Dr. Brush")
    # the study's export has the new one, the automatic one is kept
    counted = [r for r in measured(study) if r["scan"] == row["scan_id"]]
    assert {(r["run_version"], r["run_author"]) for r in counted} == {(2, "Dr. Brush")}
    kept = {
        (r["region"], r["side"], r["metric"]): r["value"]
        for r in measured(study, run_id=int(old["run_id"]))
        if r["extent"] == "full"
    }
    assert kept == before


def test_a_browser_without_webgl2_gets_plain_pictures(browser: Browser, address: str) -> None:
    window = browser.new_page(viewport={"width": 1400, "height": 1000})
    window.set_default_timeout(PATIENCE_MS)
    window.add_init_script(
        "const real = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind === 'webgl2' ? null : real.call(this, kind, ...rest); }"
    )
    window.goto(f"{address}/viewer?scan=1")
    window.locator('img[alt^="Axial slice"]').first.wait_for()
    expect(window.get_by_text("This browser has no WebGL2")).to_have_count(1, timeout=PATIENCE_MS)
    window.close()
