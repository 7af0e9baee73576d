"""Resident memory of the server before, while and after 1 GB is uploaded through a real browser, and of what stores it.

.venv/bin/python -m tests.benchmarks.upload_memory [MEGABYTES]
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from db.entry import Entry
from db.settings import Settings
from db.uploads import inspect, open_uploads
from pages.parts import batch
from tests.serving import CHROMIUM, serving
from training.dicom_factory import axial_affine, write_ct_series

SLICES = 100  # a series of 512 x 512: 52 MB
SERIES_MB = SLICES * 512 * 512 * 2 / 1e6
WAIT_MS = 900_000


def main() -> None:
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 1000.0
    n_series = max(1, round(megabytes / SERIES_MB))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = _zip_of_series(folder, n_series)
        settings = Settings(data_dir=folder / "data")
        with serving(settings) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
            page = browser.new_page()
            page.set_default_timeout(WAIT_MS)
            page.goto(f"{server.address}/upload")
            page.locator('input[type="file"]').wait_for(state="attached")
            time.sleep(5)
            before = _resident_mb(server.process.pid)
            _say(f"{archive.stat().st_size / 1e6:.0f} MB in one zip of {n_series} series; before: {before:.0f} MB")
            watch = Watch(server.process.pid)
            began = time.monotonic()
            page.locator('input[type="file"]').set_input_files(str(archive))
            page.get_by_text("Waiting to be stored").wait_for()
            _say(f"peak while it is sent: {watch.peak_mb:.0f} MB ({time.monotonic() - began:.0f} s)")
            read = page.get_by_role("button", name="and segment")
            read.or_(page.get_by_test_id("stException")).first.wait_for()
            assert read.is_visible(), page.inner_text('[data-testid="stMain"]')
            _say(f"peak until all series are read: {watch.peak_mb:.0f} MB ({time.monotonic() - began:.0f} s)")
            watch.stop()
            _say(f"after: {_resident_mb(server.process.pid):.0f} MB")
            browser.close()
            time.sleep(60)
            _say(f"the browser closed for a minute: {_resident_mb(server.process.pid):.0f} MB")
            _store(settings)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Watch:
    """Highest resident memory of a process and of its largest child, looked at ten times a second."""

    def __init__(self, process_id: int) -> None:
        self.peak_mb = self.child_peak_mb = 0.0
        self._process_id = process_id
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.1):
            self.peak_mb = max(self.peak_mb, _resident_mb(self._process_id))
            self.child_peak_mb = max([self.child_peak_mb, *_of_children_mb(self._process_id)])

    def stop(self) -> None:
        self._end.set()
        self._thread.join()


def _resident_mb(process_id: int) -> float:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError(f"process {process_id} tells no memory")


def _of_children_mb(process_id: int) -> Iterator[float]:
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, RuntimeError):  # it may end meanwhile
            if int((path / "stat").read_text().rpartition(")")[2].split()[1]) == process_id:
                yield _resident_mb(int(path.name))


def _store(settings: Settings) -> None:
    """What the server's thread does when the button is pressed, here: memory of the caller and of the child."""
    (upload,) = open_uploads(settings)
    orders = [
        batch.Order(f"row {number}", one, Entry(study="Benchmark", subject_code=f"S{number}"), "manet")
        for number, one in enumerate(inspect(upload).series)
    ]
    before, watch, stored = _resident_mb(os.getpid()), Watch(os.getpid()), batch.Batch(total=len(orders))
    batch.store_all(stored, settings, orders)
    watch.stop()
    _say(
        f"storing {len(stored.stored)} of {len(orders)} series: the caller grows by {watch.peak_mb - before:.0f} MB at "
        f"most, its child has {watch.child_peak_mb:.0f} MB at most"
    )


def _zip_of_series(folder: Path, n_series: int) -> Path:
    """Noise in the shape of CT, so that nothing of it can be packed; stored without compression."""
    random = np.random.default_rng(0)
    affine = axial_affine(spacing_mm=(3.0, 0.8, 0.7))
    archive = folder / "upload.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as out:
        for number in range(n_series):
            series = folder / f"series{number}"
            write_ct_series(series, random.integers(-1000, 1000, (SLICES, 512, 512), dtype=np.int16), affine)
            for path in sorted(series.iterdir()):
                out.write(path, f"{series.name}/{path.name}")
                path.unlink()
    return archive


if __name__ == "__main__":
    main()
