"""A look into an upload before anything is stored: what each series is, a thumbnail, what is wrong, what is known.

`Reading` has it done in a process of its own (`apart`): reading a large series takes longer than a page may.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from db.upload_names import patient_id, source_of
from db.uploads import Upload, inspect
from pages.parts import apart
from pages.parts.picture import thumbnail_jpeg
from thighseg_core.axial import axial_view
from thighseg_core.candidate import Rejection, SeriesCandidate
from thighseg_core.errors import InputError
from thighseg_core.reading import load_series
from thighseg_core.volume import CTVolume, SeriesInfo


@dataclass(frozen=True)
class ReadySeries:
    """A series that was read to its last voxel. `info` pre-fills the form; `length_mm` is the length it covers.

    source: where it lay in the upload; patient_id: of the header, to find the row of a subject list. Never stored.
    """

    candidate: SeriesCandidate
    info: SeriesInfo
    thumbnail_jpeg: bytes
    length_mm: float
    source: str = ""
    patient_id: str = ""


@dataclass(frozen=True)
class Inspection:
    """All of an upload: what can be stored, and what cannot with its reason."""

    ready: tuple[ReadySeries, ...]
    rejected: tuple[Rejection, ...]


@dataclass(frozen=True)
class Progress:
    """How many series of an upload are read; `total` is None until they are found."""

    done: int = 0
    total: int | None = None


class Reading:
    """A look that goes on elsewhere; `progress` is how far it is."""

    def __init__(self, upload: Upload, threads: ThreadPoolExecutor) -> None:
        self.progress = Progress()
        self.result: Future[Inspection] = threads.submit(self._follow, upload)

    def _follow(self, upload: Upload) -> Inspection:
        with apart.process() as call:
            return call(inspect_upload, upload, heard=self._hear)

    def _hear(self, progress: Progress) -> None:
        self.progress = progress


def inspect_upload(upload: Upload, *, report: Callable[[Progress], None] = lambda _: None) -> Inspection:
    """Find every series of an upload and read it once, one after the other, so that memory holds only one."""
    found = inspect(upload)
    ready: list[ReadySeries] = []
    rejected = list(found.rejected)
    for number, candidate in enumerate(found.series):
        report(Progress(done=number, total=len(found.series)))
        try:
            ready.append(_read(candidate, upload=upload))
        except InputError as error:
            rejected.append(Rejection(name=candidate.description or candidate.key, reason=str(error)))
    return Inspection(ready=tuple(ready), rejected=tuple(rejected))


def _read(candidate: SeriesCandidate, *, upload: Upload) -> ReadySeries:
    volume = load_series(candidate)
    view = axial_view(volume.geometry)
    return ReadySeries(
        candidate=candidate,
        info=volume.info,
        thumbnail_jpeg=_middle(volume),
        length_mm=view.n_slices * view.slice_mm,
        source=source_of(upload, candidate),
        patient_id=patient_id(candidate),
    )


def _middle(volume: CTVolume) -> bytes:
    view = axial_view(volume.geometry)
    plane = view.picture(volume.attenuation_hu, view.n_slices // 2)
    return thumbnail_jpeg(plane, row_mm=view.row_mm, column_mm=view.column_mm)
