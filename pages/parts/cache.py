"""The only module that caches. Keys are primary keys, digests and plain settings, never arrays or rows."""

from __future__ import annotations

import gc
import hmac
import io
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from db import cohort, queries, subject
from db.engine import Database, open_database
from db.intake import Stored
from db.settings import Settings, deidentification_secret, read_settings
from db.storage import load_label_map, load_volume
from db.supervisor import ensure_worker_running, worker_pid
from db.uploads import open_uploads
from pages.parts import batch, picture, viewer_facts
from pages.parts.change_picture import AreaChange, change_rgb, enlarged, level_at
from pages.parts.inspection import Reading
from pages.parts.picture import Look
from thighseg_core.checkpoint import ModelCard, available_models, read_card
from thighseg_core.label_changes import LabelChange, label_changes
from thighseg_core.labels import LabelMap
from thighseg_core.preview import preview
from thighseg_core.volume import CTVolume

_PATIENCE_S = 0.6  # for scans being read before a page shows those of before


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """The process's settings, read from the environment once."""
    return read_settings()


@st.cache_resource(show_spinner=False)
def database() -> Database:
    """The open database; created or brought up to date at the first call. Raises DatabaseError, which is not cached."""
    return open_database(settings().database_path)


@st.cache_resource(show_spinner=False)
def settle(page: str) -> None:
    """Take what is imported by the first run of a page out of garbage collection.

    Streamlit collects after every run of a script, and looks at some 300,000 objects of modules that never go each
    time: 0.15 to 0.4 s, during which no other page and no thread of the server gets on.
    """
    del page  # it is the key
    gc.collect()
    gc.freeze()


@st.cache_resource(show_spinner=False)
def model_cards() -> tuple[ModelCard, ...]:
    """Cards of the networks shipped with trained weights."""
    return tuple(read_card(name) for name in available_models())


@st.cache_resource(show_spinner=False)
def _background() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="intake")


@st.cache_resource(show_spinner=False, max_entries=32)
def inspection(token: str) -> Reading:
    """The look into a waiting upload, begun at the first call; poll it."""
    upload = next(upload for upload in open_uploads(settings()) if upload.token == token)
    return Reading(upload, _background())


@st.cache_resource(show_spinner=False)
def storing() -> dict[str, Future[Stored]]:
    """Series that are being stored one by one, by upload and series: a reloaded page finds them again."""
    return {}


@st.cache_resource(show_spinner=False)
def batches() -> dict[str, batch.Batch]:
    """Uploads whose table is being stored, by token."""
    return {}


def store_batch(token: str, orders: Sequence[batch.Order]) -> None:
    """Store the rows of an upload's table in the background, so that a closed page does not interrupt it."""
    batches()[token] = batch.Batch(total=len(orders))
    _background().submit(batch.store_all, batches()[token], settings(), orders)


@st.cache_resource(show_spinner=False, max_entries=3)
def volume(storage_path: str) -> CTVolume:
    """A stored scan. Its files never change and its path holds its digest, so the path is the key."""
    return load_volume(settings(), storage_path)


@st.cache_resource(show_spinner=False, max_entries=3)
def label_map(label_map_path: str, storage_path: str) -> LabelMap:
    """A stored label map on its scan's grid. A label map's file never changes, so its path is the key."""
    return load_label_map(settings(), label_map_path, like=volume(storage_path).geometry)


@st.cache_resource(show_spinner=False)
def ticket_key() -> bytes:
    """What the viewer's addresses are signed with: made of the installation's key, and of no use to find that key."""
    return hmac.digest(deidentification_secret(settings()), b"viewer tickets", "sha256")


@st.cache_resource(show_spinner=False, max_entries=20)
def facts(storage_path: str, label_map_path: str | None) -> viewer_facts.ViewerFacts:
    """What the viewer shows beside the picture. Neither file ever changes, so their paths are the key."""
    labels = None if label_map_path is None else label_map(label_map_path, storage_path)
    return viewer_facts.viewer_facts(volume(storage_path), labels)


@st.cache_data(show_spinner=False, max_entries=50)
def changes(storage_path: str, before_path: str, after_path: str) -> tuple[LabelChange, ...]:
    """What one stored label map changed in another of the same scan."""
    return label_changes(label_map(before_path, storage_path), label_map(after_path, storage_path))


def in_background(order: batch.Order) -> Future[Stored]:
    """Store a series in the background, so that a closed page does not interrupt it."""
    return _background().submit(batch.store_apart, settings(), order)


def start_worker() -> None:
    """Start the worker process when there is work and none runs. Cheap, so it may be called often."""
    with database().read() as session:
        waiting = queries.counts(session)
    if waiting["queued"] or waiting["running"]:
        ensure_worker_running(settings())


def worker_is_running() -> bool:
    """Whether the worker process of this data folder lives."""
    return worker_pid(settings()) is not None


@st.cache_data(show_spinner=False, max_entries=400)
def slice_jpeg(storage_path: str, label_map_path: str | None, index: int, look: Look) -> bytes:
    """One slice as the viewer shows it."""
    labels = None if label_map_path is None else label_map(label_map_path, storage_path)
    return picture.slice_jpeg(volume(storage_path), labels, index, look=look)


@st.cache_data(show_spinner=False, max_entries=20)
def overview(storage_path: str, label_map_path: str | None) -> NDArray[np.uint8]:
    """The scan from the front, without the line of the current slice."""
    labels = None if label_map_path is None else label_map(label_map_path, storage_path)
    return picture.overview(volume(storage_path), labels)


@st.cache_data(show_spinner=False, max_entries=20)
def preview_png(storage_path: str, label_map_path: str) -> bytes:
    """The five-slice preview that the command line writes."""
    out = io.BytesIO()
    preview(volume(storage_path), label_map(label_map_path, storage_path)).save(out, "PNG")
    return out.getvalue()


def cohort_scans(newest: int) -> tuple[int, pd.DataFrame]:
    """(revision, `db.cohort.scans_frame` at it). Shared by all sessions: read it, never write into it.

    newest: `db.cohort.revision` now. Reading 150,000 scans takes seconds: a page waits a moment for them, then has
    those of the last revision that was read, and draws itself again later.
    """
    reading, held = _scans(newest), _scans_held()
    wait([reading], timeout=_PATIENCE_S if held else None)
    if reading.done():
        if reading.exception() is not None:
            _scans.clear(newest)  # type: ignore[attr-defined]
        held["newest"] = (newest, reading.result())
    return held["newest"]


def read_ahead() -> None:
    """Begin to read what the first look at the cohort page needs, when there is a study."""
    _cohort().submit(_read_ahead)


def _read_ahead() -> None:
    if not settings().database_path.exists():
        return
    with database().read() as session:
        newest = cohort.revision(session)
    _scans(newest)


@st.cache_resource(show_spinner=False, max_entries=2)
def _scans(revision: int) -> Future[pd.DataFrame]:
    del revision  # it is the key
    return _cohort().submit(_read_scans)


@st.cache_resource(show_spinner=False)
def _scans_held() -> dict[str, tuple[int, pd.DataFrame]]:
    return {}


@st.cache_resource(show_spinner=False)
def _cohort() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="cohort")


def _read_scans() -> pd.DataFrame:
    with database().read() as session:
        return cohort.scans_frame(session)


@st.cache_resource(show_spinner=False, max_entries=24)
def cohort_values(revision: int, quantity: cohort.Quantity) -> pd.DataFrame:
    """`db.cohort.values_frame` at this revision. Shared by all sessions: read it, never write into it."""
    del revision
    with database().read() as session:
        return cohort.values_frame(session, quantity)


@st.cache_resource(show_spinner=False, max_entries=4)
def measured_extents(revision: int) -> frozenset[tuple[str, str, str]]:
    """(region, metric, extent) that the newest run holds."""
    del revision
    with database().read() as session:
        return frozenset(cohort.measured(session))


@st.cache_resource(show_spinner=False, max_entries=32)
def fitted(key: tuple[Hashable, ...], _fit: Callable[[], object]) -> Future[object]:
    """A model being fitted in a thread, begun at the first call with this key; poll it.

    The key has to hold all that the fit depends on: its name, the revision, the measure and the filters.
    """
    del key
    return _models().submit(_fit)


@st.cache_resource(show_spinner=False, max_entries=8)
def table(key: tuple[Hashable, ...], _make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A table worked out once for all that `key` names. Shared by all sessions: read it, never write into it."""
    del key
    return _make()


@st.cache_resource(show_spinner=False)
def _models() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")


@st.cache_resource(show_spinner=False)
def comparisons() -> dict[int, Future[int]]:
    """Readings being compared with results, by study: a reloaded page finds the work again."""
    return {}


@st.cache_resource(show_spinner=False)
def _comparing() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="comparison")


def compare_in_background(study_id: int, work: Callable[[], int]) -> None:
    """Begin to compare in a thread, unless this study's comparisons are being worked out already."""
    begun = comparisons().get(study_id)
    if begun is None or begun.done():
        comparisons()[study_id] = _comparing().submit(work)


@st.cache_resource(show_spinner=False, max_entries=2)
def subjects(revision: int) -> list[queries.Row]:
    """`db.subject.subject_list` at this revision. Shared by all sessions: read it, never write into it."""
    del revision
    with database().read() as session:
        return queries.rows(session, subject.subject_list())


@st.cache_data(show_spinner=False, max_entries=20)
def change_picture(
    before: tuple[str, str, float], after: tuple[str, str, float], classes: tuple[str, ...]
) -> tuple[NDArray[np.uint8], tuple[AreaChange, ...]]:
    """`change_picture.change_rgb` of two visits, cut and enlarged, each (storage path, label map path, z in mm)."""
    levels = [level_at(volume(path), label_map(labels, path), z_mm) for path, labels, z_mm in (before, after)]
    picture_rgb, areas = change_rgb(levels[0], levels[1], classes=classes)
    return enlarged(picture_rgb, levels[1]), areas
