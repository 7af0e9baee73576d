"""Storing many series of an upload, one after the other, in a thread: it goes on when the page is closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from db.intake import Stored
from thighseg_core.errors import ThighSegError


@dataclass
class Batch:
    """How far it is. Written by the storing thread only, read by pages."""

    total: int
    done: int = 0
    stored: list[Stored] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    ended: bool = False


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
