"""The addresses below /scan-data as a browser asks them: scripts, volumes, corrections, and who is turned away."""

# ruff: noqa: F811 - a test's parameter is the imported fixture
from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import nibabel
import numpy as np
import phantom_study
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from test_app import settings  # noqa: F401 - a fixture

from db import queries
from db.agreement import readings
from db.engine import Database, open_database
from db.settings import Settings
from pages.parts import cache, scan_routes, tickets
from thighseg_core.labels import label_value


@pytest.fixture
def database(settings: Settings, tmp_path: Path) -> Database:
    phantom_study.fill(settings, tmp_path, phantom_study.TWO_PEOPLE[:1])
    return open_database(settings.database_path)


@pytest.fixture
def browser() -> TestClient:
    return TestClient(Starlette(routes=scan_routes.routes()))


def ticket(database: Database, purpose: tickets.Purpose, *, now_s: float | None = None) -> str:
    with database.read() as session:
        scan = queries.rows(session, queries.scans(scan_id=1))[0]
    return tickets.issue(
        cache.ticket_key(),
        purpose=purpose,
        scan_id=1,
        storage_path=scan["storage_path"],
        label_map_path=scan["label_map_path"],
        run_id=scan["run_id"],
        now_s=now_s,
    )


def array(content: bytes) -> np.ndarray:
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
    return np.asarray(image.dataobj).transpose(2, 1, 0)


def shown_labels(browser: TestClient, database: Database) -> np.ndarray:
    answer = browser.get(f"/scan-data/labels/{ticket(database, 'labels')}/labels.nii.gz")
    assert answer.status_code == 200
    return array(answer.content)


def versions(database: Database) -> list[tuple[int, str, str]]:
    with database.read() as session:
        return [(r["version"], r["kind"], r["author"]) for r in queries.rows(session, queries.runs(scan_id=1))]


def test_scan_and_labels_come_on_one_grid_and_stay_private(browser: TestClient, database: Database) -> None:
    answer = browser.get(f"/scan-data/image/{ticket(database, 'image')}/image.nii.gz")
    assert answer.status_code == 200
    assert "private" in answer.headers["cache-control"]
    hu, labels = array(answer.content), shown_labels(browser, database)
    assert hu.shape == labels.shape
    # the phantom's attenuation of each tissue, without noise
    assert set(hu[labels == label_value("flexor", "left")]) == {55}
    assert set(hu[labels == label_value("femur", "right")]) == {290}
    left, right = (np.argwhere(labels == label_value("femur", side))[:, 2].mean() for side in ("left", "right"))
    assert left < right, "columns run to the patient's right"


@pytest.mark.parametrize("kind", ["image", "labels"])
def test_without_a_ticket_or_with_an_old_one_there_is_nothing(
    browser: TestClient, database: Database, kind: tickets.Purpose
) -> None:
    for bad in ("x", ticket(database, kind, now_s=0), ticket(database, "correct")):
        answer = browser.get(f"/scan-data/{kind}/{bad}/{kind}.nii.gz")
        assert (answer.status_code, list(answer.json())) == (403, ["error"])


def test_a_painted_voxel_becomes_a_version_by_its_author(browser: TestClient, database: Database) -> None:
    painted = shown_labels(browser, database).copy()
    painted[0, 0, 0] = label_value("adductor", "left")
    url = f"/scan-data/correction/{ticket(database, 'correct')}"
    answer = browser.post(url, content=gzip.compress(painted.tobytes()), headers={"X-Author": "J%C3%B8rgen"})
    assert answer.status_code == 200, answer.text
    assert versions(database) == [(2, "corrected", "Jørgen"), (1, "automatic", "")]
    again = browser.post(url, content=gzip.compress(painted.tobytes()), headers={"X-Author": "Y"})
    assert (again.status_code, "version 2 is stored already" in again.json()["error"]) == (422, True)


def test_a_blind_reading_is_stored_beside_the_result_that_counts(browser: TestClient, database: Database) -> None:
    painted = shown_labels(browser, database).copy()
    painted[0, 0, 0] = label_value("adductor", "left")
    url = f"/scan-data/reading/{ticket(database, 'reading')}"
    answer = browser.post(url, content=gzip.compress(painted.tobytes()), headers={"X-Author": "R2"})
    assert answer.status_code == 200, answer.text
    assert versions(database) == [(1, "automatic", "")]
    with database.read() as session:
        (reading,) = queries.rows(session, readings(scan_id=1))
    assert reading["reader"] == "R2"


@pytest.mark.parametrize(
    ("content", "author", "words"),
    [
        (lambda labels: gzip.compress(labels.tobytes()), "A", "nothing was painted"),
        (lambda labels: gzip.compress((labels + 1).tobytes()[:-1]), "A", "were shown"),
        (lambda labels: gzip.compress(labels.tobytes() + b"x" * 99), "A", "were shown"),
        (lambda labels: gzip.compress(np.full_like(labels, 200).tobytes()), "A", "not in scheme"),
        (lambda _: b"no gzip", "A", "damaged"),
        (lambda labels: gzip.compress((labels * 0).tobytes()), "", "needs its author"),
    ],
)
def test_what_is_no_correction_is_refused_in_words(
    browser: TestClient,
    database: Database,
    content,  # type: ignore[no-untyped-def]
    author: str,
    words: str,
) -> None:
    url = f"/scan-data/correction/{ticket(database, 'correct')}"
    sent = content(shown_labels(browser, database))
    answer = browser.post(url, content=sent, headers={"X-Author": author})
    assert (answer.status_code, words in answer.json()["error"]) == (422, True), answer.json()
    assert versions(database) == [(1, "automatic", "")]


def test_scripts_are_the_vendored_ones_and_nothing_else_is_given(browser: TestClient) -> None:
    version = scan_routes.scripts_version()
    bundle = browser.get(f"/scan-data/scripts/{version}/niivue.min.js")
    assert bundle.headers["content-type"].startswith("text/javascript")
    said = (scan_routes.ASSETS / "niivue" / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(bundle.content).hexdigest() in said
    for name in ("..%2F..%2Fapp.py", "README.md", "viewer.css"):
        assert browser.get(f"/scan-data/scripts/{version}/{name}").status_code == 404
    own = {path.name for path in (scan_routes.ASSETS / "viewer").glob("*.js")}
    for name in own:
        assert browser.get(f"/scan-data/scripts/{version}/{name}").status_code == 200
