"""Removes what crashes left half-made in the data folder. What a row names, and what waits as an upload, stays."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from sqlalchemy import select

from db.engine import Database
from db.models import Scan
from db.settings import Settings
from db.storage import remove_folder
from db.uploads import MARK

ABANDONED_AFTER_S = 24 * 3600.0  # younger ones may be another process's work in hand

log = logging.getLogger(__name__)


def sweep(database: Database, settings: Settings, *, abandoned_after_s: float = ABANDONED_AFTER_S) -> int:
    """Remove old staging folders, interrupted uploads, scan folders without a row and part files. Returns how many."""
    removed = 0
    before = time.time() - abandoned_after_s

    def old(path: Path) -> bool:
        return path.stat().st_mtime < before

    for folder in (settings.data_dir / "staging").glob("*"):
        if old(folder):
            remove_folder(folder)
            removed += 1
    for folder in (settings.data_dir / "uploads").glob("*"):
        if old(folder) and not (folder / MARK).exists():
            remove_folder(folder)
            removed += 1
    with database.write() as session:  # the write lock: no intake is between its rename and its commit
        named = {settings.data_dir / path for path in session.scalars(select(Scan.storage_path))}
        for folder in (settings.data_dir / "scans").glob("*/*"):
            if old(folder) and folder not in named:
                remove_folder(folder)
                removed += 1
    for part in (settings.data_dir / "scans").glob("*/*/labels/.part-*"):
        if old(part):
            part.unlink(missing_ok=True)
            removed += 1
    if removed:
        log.info("%d things that a crash had left were removed", removed)
    return removed
