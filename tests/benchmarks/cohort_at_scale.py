"""Seconds that the server takes to answer on the cohort page, with a large made-up study.

.venv/bin/python -m tests.benchmarks.cohort_at_scale --subjects 5000
.venv/bin/python -m tests.benchmarks.cohort_at_scale --subjects 50000 --few

Each line is one script run of the real page, from the changed widget to the last element sent: wall seconds, and the
seconds of processor time that it took, which a busy machine does not change. `--few` writes 60 measurements a scan
instead of all: the page reads one index, whose part for a measure is the same. `--database` takes a file.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from db import cohort
from db.models import DataRevision
from pages.parts import cache
from tests.benchmarks.large_study import quantities, write_large_study

ROOT = Path(__file__).resolve().parent.parent.parent
SECTIONS = ("distribution", "size", "composition", "function", "change")
FEW = (
    ("volume", "lean_volume", "intramuscular_fat_percent", "lean_attenuation", "csa_mid"),
    ("extensor", "flexor", "adductor", "total"),
)


def main() -> None:
    """Write the study, open the page, and time its answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=5000)
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--database", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "thighseg.sqlite"
        if arguments.database is not None:
            path.symlink_to(arguments.database.resolve())
        else:
            wanted = quantities()
            if arguments.few:
                wanted = [one for one in wanted if one[3] in FEW[0] and one[0] in FEW[1]]
            started = time.perf_counter()
            n = write_large_study(path, subjects=arguments.subjects, wanted=wanted)
            _say(f"{arguments.subjects} subjects x 3 visits, {n} measurements, written", time.perf_counter() - started)
        os.environ["THIGHSEG_DATA"] = folder
        _time_the_page()
        _say_memory()
        shutil.rmtree(folder, ignore_errors=True)


def _time_the_page() -> None:
    cache.read_ahead()  # as the server does before its first page
    time.sleep(2)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
    app.switch_page("pages/views/cohort.py")
    _timed("first look, nothing in memory", app)
    _timed("again", app)
    app.selectbox(key="metric").set_value("lean_volume")
    _timed("another metric, first time", app)
    app.selectbox(key="metric").set_value("volume")
    _timed("a metric seen before", app)
    app.selectbox(key="region").set_value("flexor")
    _timed("another region, first time", app)
    _pills(app, "sex", ["female"])
    _timed("only women", app)
    app.slider(key="age").set_value((60, 80))
    _timed("60 to 80 years old", app)
    app.slider(key="age").set_value((app.slider(key="age").min, app.slider(key="age").max))
    _pills(app, "sex", ["female", "male"])
    app.run()
    for section in SECTIONS[1:]:
        _pills(app, "show", section)
        _timed(f"section {section}, first time", app)
        _timed(f"section {section}, again", app)
    with cache.database().write() as session:
        session.execute(update(DataRevision).values(number=DataRevision.number + 1))
        newest = cohort.revision(session)
    _timed("a new result: what was before, at once", app)
    while cache.cohort_scans(newest)[0] != newest:
        pass
    _timed("a new result: read meanwhile, drawn anew", app)


def _pills(app: AppTest, key: str, value: object) -> None:
    next(widget for widget in (*app.segmented_control, *app.pills) if widget.key == key).set_value(value)


def _timed(what: str, app: AppTest) -> None:
    wall, processor = time.perf_counter(), time.process_time()
    app.run()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    assert not app.exception, [error.message for error in app.exception]
    sys.stdout.write(f"{what:45s} {wall:6.2f} s wall {processor:6.2f} s processor\n")
    sys.stdout.flush()


def _say(what: str, seconds: float) -> None:
    sys.stdout.write(f"{what}: {seconds:.1f} s\n")


def _say_memory() -> None:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"peak memory of the process {peak_mb:.0f} MB\n")


if __name__ == "__main__":
    main()
