"""The worker as a real process on a real data folder: killed, stopped, crashed, cancelled. No upload is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
from db_scans import LEFT_CM3, PATIENT_NAME, RIGHT_CM3, store_phantom, store_upload, upload_files
from serving import PATIENCE_S
from sqlalchemy import select

from db import jobs, queries
from db.child import DEFAULT_ANALYSIS, STAGES
from db.engine import Database, open_database
from db.models import Job, Measurement, Run, Scan
from db.settings import Settings
from db.storage import file_sha256, load_volume
from db.supervisor import ensure_worker_running, stop_worker, worker_lock, worker_pid
from db.worker import serve
from thighseg_core.analyse import analyse
from thighseg_core.checkpoint import DEFAULT_MODEL, available_models
from thighseg_core.reading import find_series, load_series
from training.dicom_factory import write_ct_series
from training.phantom import Acquisition, Person, thigh_scan

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Place:
    """A data folder with one queued scan, and the workers that a test starts on it."""

    settings: Settings
    database: Database
    started: list[subprocess.Popen[bytes]]

    @property
    def hold(self) -> Path:
        """While this file is there, the analyses that take their time stay in the middle of a scan."""
        return self.settings.data_dir / "hold"

    def start(self, analysis: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "db.worker", "--data", str(self.settings.data_dir), *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "tests"), "THIGHSEG_TEST_HOLD": str(self.hold)}
        with self.settings.worker_log_path.open("ab") as log:
            worker = subprocess.Popen(
                [*command, "--analysis", analysis],
                cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.started.append(worker)
        return worker

    def end(self) -> None:
        """Kill what still runs."""
        for worker in self.started:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()

    def serve(self, analysis: str) -> None:
        """Be the worker until the queue is empty: quicker than to start one; the child is a process all the same."""
        with worker_lock(self.settings):
            serve(self.database, self.settings, stop=Event(), once=True, analysis=analysis)

    def job(self, job_id: int = 1) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    def runs(self) -> list[Run]:
        with self.database.read() as session:
            return list(session.scalars(select(Run).order_by(Run.id)))

    def log(self) -> str:
        return self.settings.worker_log_path.read_text()

    def add_scan(self, folder: Path, *, muscle_hu: int) -> int:
        return store_phantom(self.database, self.settings, folder, muscle_hu=muscle_hu).scan_id


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    settings = Settings(data_dir=tmp_path / "data")
    database = open_database(settings.database_path)
    made = Place(settings=settings, database=database, started=[])
    made.add_scan(tmp_path / "dicom", muscle_hu=50)
    yield made
    made.end()
    database.close()


def wait_for(what: Callable[[], bool], *, seconds: float = PATIENCE_S) -> None:
    give_up_at = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up_at, "waited too long"
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    """Process ids of the analysis children (multiprocessing's resource tracker is none)."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            command = (path / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid and b"spawn_main" in command:
            found.append(int(path.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def in_mid_scan(place: Place) -> bool:
    job = place.job()
    return job.status == "running" and job.stage == "segment" and job.progress > 0.12


def assert_stored_once(place: Place) -> None:
    """One run, complete and right, of a scan whose files are as they were."""
    assert len(place.runs()) == 1, (place.job().status, place.job().error, place.log())
    (run,) = place.runs()
    with place.database.read() as session:
        volumes = select(Measurement.side, Measurement.value).where(
            Measurement.run_id == run.id, Measurement.region == "extensor", Measurement.metric == "volume"
        )
        by_side = {row.side: row.value for row in session.execute(volumes)}
        scan = session.scalars(select(Scan)).one()
    assert by_side["left"] == pytest.approx(LEFT_CM3)
    assert by_side["right"] == pytest.approx(RIGHT_CM3)
    labels = sorted((place.settings.data_dir / scan.storage_path / "labels").iterdir())
    assert [path.name for path in labels] == ["v0001.nii.gz"]
    assert file_sha256(labels[0]) == run.label_map_sha256
    assert load_volume(place.settings, scan.storage_path).info.digest_sha256 == scan.digest_sha256


SLOW = "worker_analyses:slow"
QUICK = "worker_analyses:quick"


def test_a_worker_killed_with_all_its_processes_in_mid_scan_repeats_the_scan_and_stores_it_once(place: Place) -> None:
    place.hold.touch()
    worker = place.start(SLOW)
    wait_for(lambda: in_mid_scan(place))
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert (place.job().status, place.job().attempts, place.runs()) == ("running", 1, [])  # as it fell

    place.hold.unlink()
    assert place.start(SLOW, "--once").wait(PATIENCE_S) == 0
    assert (place.job().status, place.job().attempts, place.job().progress) == ("done", 2, 1.0)
    assert_stored_once(place)


def test_a_child_killed_alone_is_replaced_and_one_whose_worker_is_killed_dies_too(place: Place) -> None:
    place.hold.touch()
    worker = place.start("worker_analyses:silent", "--once")
    wait_for(lambda: in_mid_scan(place))
    (child,) = children_of(worker.pid)
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: place.job().attempts == 2 and in_mid_scan(place))
    assert "SIGKILL" in place.log()

    (second,) = children_of(worker.pid)
    assert second != child
    os.kill(worker.pid, signal.SIGKILL)  # the worker alone
    wait_for(lambda: not is_alive(second))
    assert place.runs() == []

    assert place.start(QUICK, "--once").wait(PATIENCE_S) == 0
    assert (place.job().status, place.job().attempts) == ("done", 3)
    assert_stored_once(place)


def test_a_stopped_worker_gives_its_job_back_and_the_next_one_does_it(place: Place) -> None:
    place.hold.touch()
    worker = place.start(SLOW)
    wait_for(lambda: in_mid_scan(place))
    (child,) = children_of(worker.pid)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_S) == 0
    assert not is_alive(child)
    assert (place.job().status, place.job().attempts, place.job().owner) == ("queued", 0, None)
    assert worker_pid(place.settings) is None

    assert place.start(QUICK, "--once").wait(PATIENCE_S) == 0
    assert_stored_once(place)


def test_a_cancelled_job_stops_at_once_and_the_next_one_is_done(place: Place, tmp_path: Path) -> None:
    place.add_scan(tmp_path / "second", muscle_hu=60)
    place.hold.touch()
    worker = place.start(SLOW, "--once")
    wait_for(lambda: in_mid_scan(place))
    with place.database.write() as session:
        jobs.cancel(session, job_id=1)
    wait_for(lambda: place.job().status == "cancelled")
    place.hold.unlink()
    assert worker.wait(PATIENCE_S) == 0
    assert place.job(2).status == "done"
    assert [run.job_id for run in place.runs()] == [2]


def test_a_scan_that_kills_its_process_every_time_fails_in_words_and_does_not_hold_up_the_queue(
    place: Place, tmp_path: Path
) -> None:
    place.serve("worker_analyses:out_of_memory")
    job = place.job()
    assert (job.status, job.attempts) == ("failed", 3)
    assert "too little memory" in job.error
    assert "tried 3 times" in job.error
    with place.database.write() as session:
        jobs.retry(session, job_id=1)
    place.serve(QUICK)
    assert_stored_once(place)


def test_a_scan_that_cannot_be_used_fails_once_with_its_reason(place: Place) -> None:
    place.serve("worker_analyses:refusing")
    assert (place.job().status, place.job().attempts) == ("failed", 1)
    assert place.job().error == "the scan is not in Hounsfield units; export it again"


def test_an_unexpected_error_is_repeated_and_its_details_stay_in_the_log(place: Place) -> None:
    assert place.start("worker_analyses:broken", "--once").wait(PATIENCE_S) == 0
    assert (place.job().status, place.job().attempts) == ("failed", 3)
    assert "RuntimeError" in place.job().error
    assert "tensor" not in place.job().error
    assert "tensor a (3) must match tensor b (4)" in place.log()
    assert "Musterfrau" not in place.log()
    assert PATIENT_NAME not in place.log()


def test_only_one_worker_runs_on_a_data_folder_and_the_app_can_start_and_stop_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    started = [ensure_worker_running(settings, idle_exit_s=60) for _ in range(2)]  # the second may start one, too
    assert started[0] is True
    try:
        wait_for(lambda: worker_pid(settings) is not None)
        first = worker_pid(settings)
        assert ensure_worker_running(settings) is False
        command = [sys.executable, "-m", "db.worker", "--data", str(settings.data_dir)]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
        assert second.returncode == 3
        assert "running already" in second.stderr
        assert worker_pid(settings) == first
    finally:
        assert stop_worker(settings)
    assert worker_pid(settings) is None


def test_an_idle_worker_ends_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "db.worker", "--data", str(tmp_path / "data"), "--idle-exit", "0.2"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=PATIENCE_S).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(DEFAULT_MODEL not in available_models(), reason="no trained weights are shipped")
def test_the_shipped_network_killed_in_mid_scan_repeats_it_and_stores_what_the_command_line_measures(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path / "data", default_device="cpu")
    database = open_database(settings.database_path)
    legs = thigh_scan(Person(sex="female", seed=3), Acquisition(slice_mm=12.0, pixel_mm=1.6, levels=(0.3, 0.7)))
    files = write_ct_series(tmp_path / "dicom", legs.attenuation_hu, legs.geometry.affine, patient_name=PATIENT_NAME)
    store_upload(database, settings, upload_files(settings, files))
    place = Place(settings=settings, database=database, started=[])
    try:
        worker = place.start(DEFAULT_ANALYSIS)
        wait_for(lambda: in_mid_scan(place))
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        assert (place.job().status, place.runs()) == ("running", [])
        assert place.start(DEFAULT_ANALYSIS, "--once").wait(PATIENCE_S) == 0
    finally:
        place.end()
    (run,) = place.runs()
    assert (place.job().status, place.job().attempts, run.model_name) == ("done", 2, DEFAULT_MODEL)
    assert {"segment", "measure"} <= set(run.seconds)

    volume = load_series(find_series(tmp_path / "dicom", work_dir=tmp_path / "work").series[0])
    stages: set[str] = set()
    expected = analyse(volume, model=DEFAULT_MODEL, device="cpu", progress=lambda stage, _: stages.add(stage))
    assert stages <= set(STAGES)  # each has its share of the progress bar
    with database.read() as session:
        stored = queries.rows(session, queries.measurements(run_id=run.id))
    names = ("region", "side", "extent", "metric", "value", "status")
    assert [tuple(row[name] for name in names) for row in stored] == [
        tuple(getattr(fact, name) for name in names) for fact in expected.measurements
    ]
    assert any(fact.region == "extensor" and fact.metric == "volume" and fact.value for fact in expected.measurements)
    database.close()
