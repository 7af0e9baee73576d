"""Storing series of an upload, one after the other, in a process of its own: it goes on when the page is closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from db.engine import connect_database
from db.entry import Entry
from db.intake import Stored, store_series
from db.settings import Settings
from pages.parts import apart
from thighseg_core.candidate import SeriesCandidate
from thighseg_core.errors import ThighSegError


@dataclass(frozen=True)
class Order:
    """A series to store, and what of; `name` is what messages call it. The rest as `db.intake.store_series` has it."""

    name: str
    candidate: SeriesCandidate
    entry: Entry
    model: str
    on_conflict: str = "refuse"


@dataclass
class Batch:
    """How far it is. Written by the storing thread only, read by pages."""

    total: int
    done: int = 0
    stored: list[Stored] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    ended: bool = False


def store_all(batch: Batch, settings: Settings, orders: Sequence[Order]) -> None:
    """Store every order in one child process; to be called in a thread."""
    with apart.process() as call:
        run(batch, [(order.name, partial(call, store_one, settings, order)) for order in orders])


def store_apart(settings: Settings, order: Order) -> Stored:
    """Store one series in a child process; to be called in a thread."""
    with apart.process() as call:
        return call(store_one, settings, order)


def store_one(settings: Settings, order: Order) -> Stored:
    """Store one series here. Raises what `db.intake.store_series` raises."""
    with closing(connect_database(settings.database_path)) as database:
        return store_series(
            database, settings, order.candidate, entry=order.entry, model=order.model, on_conflict=order.on_conflict
        )


def run(batch: Batch, works: Sequence[tuple[str, Callable[[], Stored]]]) -> None:
    """Do every (name, work). What fails is a sentence that begins with its name, and stops nothing."""
    try:
        for name, work in works:
            try:
                batch.stored.append(work())
            except (ThighSegError, OSError) as error:
                batch.failed.append(f"{name}: {error}")
            batch.done += 1
    finally:
        batch.ended = True
