"""What was typed about the series of an upload and is not stored yet. It lies with the upload and goes with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import date
from typing import Any

from db.storage import write_atomically
from db.uploads import Upload

DRAFT = "draft.json"  # {key of a series: {field of db.entry.Entry, or "store": what was typed}}
_one_at_a_time = threading.Lock()

Fields = dict[str, Any]


def read_drafts(upload: Upload) -> dict[str, Fields]:
    """By key of the series (`SeriesCandidate.key`), the fields that were typed; dates as ISO text."""
    try:
        return dict(json.loads((upload.folder / DRAFT).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def keep_drafts(upload: Upload, typed: Mapping[str, Mapping[str, Any]]) -> None:
    """Add what was typed to the drafts; a field typed again replaces the former one. Writes only what is new."""
    with _one_at_a_time:
        before = read_drafts(upload)
        after = {key: dict(fields) for key, fields in before.items()}
        for key, fields in typed.items():
            plain = {name: value.isoformat() if isinstance(value, date) else value for name, value in fields.items()}
            after.setdefault(key, {}).update(plain)
        if after == before or not upload.folder.is_dir():  # removed meanwhile
            return
        text = json.dumps(after)
        write_atomically(upload.folder / DRAFT, lambda temporary: _write(temporary, text))


def _write(path: Any, text: str) -> None:
    path.write_text(text, encoding="utf-8")
