"""The command line: `segment` scans into a folder of results, `measure` a label map again.

Exit 0: all done. 1: some inputs failed, the others are finished. 2: nothing usable in the input.
Results' folders go to stdout, one a line; progress, notes and failures to stderr, each failure one line.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from thighseg_core import __version__
from thighseg_core.analyse import Analysis, analyse, measure_only
from thighseg_core.candidate import Found, SeriesCandidate
from thighseg_core.checkpoint import DEFAULT_MODEL, read_card
from thighseg_core.errors import GeometryMismatchError, InputError, NothingUsableError, ThighSegError
from thighseg_core.nifti import read_labels
from thighseg_core.reading import find_series, load_series
from thighseg_core.results import write_results
from thighseg_core.volume import CTVolume

MODELS = ("segformer", "manet", "dense-unet")
DEVICES = ("auto", "cpu", "cuda")
ALL_DONE, SOME_FAILED, NOTHING_USABLE, INTERRUPTED = 0, 1, 2, 130

Progress = Callable[[str, float], None]
Analyse = Callable[[CTVolume, Progress], Analysis]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(name)s: %(message)s")
    logging.captureWarnings(True)  # the libraries' remarks are no failures of ours
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=options.output, prefix=".unpacked-") as work_dir:
            session = _Session(output=options.output, work_dir=Path(work_dir))
            if options.command == "segment":
                _segment(session, options.input, model=options.model, device=options.device)
            else:
                _measure(session, options.scan, options.labels)
            return session.exit_status()
    except KeyboardInterrupt:
        _say("interrupted; finished series are complete")
        return INTERRUPTED
    except OSError as error:
        _say(f"failed: {options.output}: {error.strerror or error}; choose another folder for --output")
        return SOME_FAILED


class _Session:
    """What has been done and what has failed in one call."""

    def __init__(self, *, output: Path, work_dir: Path) -> None:
        self.output = output
        self.work_dir = work_dir
        self._used: set[str] = set()
        self._failures: list[Exception] = []

    def exit_status(self) -> int:
        if not self._failures:
            return ALL_DONE
        unusable = all(isinstance(error, InputError) for error in self._failures)
        return NOTHING_USABLE if unusable and not self._used else SOME_FAILED

    def fail(self, what: object, error: Exception) -> None:
        """Note a failure and say it in one line."""
        self._failures.append(error)
        known = isinstance(error, ThighSegError)
        _say(f"failed: {what}: {error if known else f'unexpected error, {type(error).__name__}: {error}'}")

    def find(self, source: Path) -> tuple[SeriesCandidate, ...]:
        """The usable series of one input; what is not usable is noted."""
        try:
            found = find_series(source, work_dir=self.work_dir)
            series = found.usable_series()
        except Exception as error:  # an input must not stop the others
            self.fail(source, error)
            return ()
        self._report_rejections(source, found)
        return series

    def _report_rejections(self, source: Path, found: Found) -> None:
        for rejection in found.rejected:
            if rejection.harmless:
                _say(f"skipped: {source}: {rejection}")
            else:
                self.fail(source, NothingUsableError(str(rejection)))

    def finish(self, candidate: SeriesCandidate, source: Path, run: Analyse) -> None:
        """Load, analyse and write one series."""
        name = f"{source}: {candidate.key} ({candidate.description})"
        try:
            with ThreadPoolExecutor(max_workers=1) as beside:
                loading = beside.submit(load_series, candidate)
                import thighseg_core.inference  # noqa: F401  # torch loads meanwhile, on the thread that will compute
            volume = loading.result()
            self.write(candidate, volume, run(volume, progress_printer(candidate.key)))
        except Exception as error:  # a series must not stop the others
            self.fail(name, error)

    def write(self, candidate: SeriesCandidate, volume: CTVolume, analysis: Analysis) -> None:
        """Write one analysis into a folder of its own and name it on stdout."""
        folder = self.output / self._folder_name(candidate.key)
        write_results(analysis, volume, folder)
        self._used.add(folder.name)
        for note in volume.info.notes:
            _say(f"note: {candidate.key}: {note}")
        for flag in analysis.flags:
            if flag.severity == "error":
                _say(f"note: {candidate.key}: {flag.message}; {flag.consequence}")
        sys.stdout.write(f"{folder}\n")
        sys.stdout.flush()

    def _folder_name(self, key: str) -> str:
        """The key, with a number when an earlier input of this call had a series of that key."""
        name, number = key, 1
        while name in self._used:
            number += 1
            name = f"{key}-{number}"
        return name


def _segment(session: _Session, inputs: Sequence[Path], *, model: str, device: str) -> None:
    try:
        read_card(model)
    except ThighSegError as error:
        session.fail(f"--model {model}", error)
        return
    for source in inputs:
        for candidate in session.find(source):
            session.finish(
                candidate, source, lambda volume, report: analyse(volume, model=model, device=device, progress=report)
            )


def _measure(session: _Session, scan: Path, labels: Path) -> None:
    """Measure the labels on every series of the scan whose grid they lie on."""
    mismatches: list[Exception] = []
    series = session.find(scan)
    for candidate in series:
        try:
            volume = load_series(candidate)
            label_map = read_labels(labels, like=volume.geometry)
            analysis = measure_only(volume, label_map, progress=progress_printer(candidate.key))
            session.write(candidate, volume, analysis)
        except GeometryMismatchError as error:
            mismatches.append(error)
        except Exception as error:  # as in finish
            session.fail(labels, error)
    if series and len(mismatches) == len(series):
        session.fail(labels, mismatches[0])


def progress_printer(name: str) -> Progress:
    """A function that shows a stage and its share on stderr: in place on a terminal, a line per stage elsewhere."""
    shown = ""

    def show(stage: str, share: float) -> None:
        nonlocal shown
        if sys.stderr.isatty():
            end = "\n" if share >= 1 else ""
            sys.stderr.write(f"\r\x1b[K{name}: {stage} {share:.0%}{end}")
        elif stage != shown:
            sys.stderr.write(f"{name}: {stage}\n")
        shown = stage
        sys.stderr.flush()

    return show


def _say(text: str) -> None:
    """One line on stderr, whatever the text holds."""
    sys.stderr.write(" ".join(text.split()) + "\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m thighseg_core",
        description="Segment thigh muscle groups on CT and measure them. For research, not a medical device.",
        epilog="Exit status: 0 all done, 1 some inputs failed, 2 nothing usable in the input.",
    )
    parser.add_argument("--version", action="version", version=f"thighseg {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    segment = commands.add_parser(
        "segment", help="segment and measure scans", description="Segment and measure every CT series in the inputs."
    )
    segment.add_argument(
        "input",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help="a DICOM folder (searched recursively), a .zip of one, or a .nii or .nii.gz in HU",
    )
    segment.add_argument("--model", choices=MODELS, default=DEFAULT_MODEL, help="network (default: %(default)s)")
    segment.add_argument("--device", choices=DEVICES, default=DEVICES[0], help="where it runs (default: %(default)s)")

    measure = commands.add_parser(
        "measure",
        help="measure a label map again",
        description="Measure a label map, for example a corrected one, without segmenting.",
    )
    measure.add_argument("scan", type=Path, metavar="SCAN", help="the scan: as INPUT of segment")
    measure.add_argument("labels", type=Path, metavar="LABELS", help="label map on the scan's grid, .nii or .nii.gz")

    for command in (segment, measure):
        command.add_argument(
            "--output",
            type=Path,
            required=True,
            metavar="DIR",
            help="results go to DIR/<series>/: labels.nii.gz, measurements.csv, histograms.csv, manifest.json, "
            "preview.png",
        )
    return parser
