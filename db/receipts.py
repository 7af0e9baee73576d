"""Files on their way in: already on disk, while the web server knows only a receipt for each.

A receipt is a line with a random number that we gave out; the number is the folder's name.
What nobody stages is removed by `db.sweep` after a day.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from db.settings import Settings
from db.storage import make_data_folders

_PREFIX = b"thighseg-receipt-"
_DIGITS = 32
LENGTH = len(_PREFIX) + _DIGITS  # bytes of a receipt
_FORM = re.compile(re.escape(_PREFIX) + rb"([0-9a-f]{%d})\Z" % _DIGITS)
_FILE = "content"


@dataclass(frozen=True)
class Receipt:
    """What stands for a file: `content` goes through the web server, `path` is where the bytes are."""

    content: bytes
    path: Path


def new_receipt(settings: Settings) -> Receipt:
    """A place on disk for one file to come."""
    make_data_folders(settings)
    number = secrets.token_hex(_DIGITS // 2)
    path = _path(settings, number)
    path.parent.mkdir(mode=0o700)
    return Receipt(content=_PREFIX + number.encode(), path=path)


def received_file(settings: Settings, content: bytes) -> Path | None:
    """The file that `content` is a receipt for; None when it is no receipt, or its file is gone."""
    form = _FORM.match(content)
    if form is None:
        return None
    path = _path(settings, form[1].decode())
    return path if path.is_file() else None


def discard(path: Path) -> None:
    """Remove a received file and its folder."""
    path.unlink(missing_ok=True)
    if path.parent.exists():
        path.parent.rmdir()


def _path(settings: Settings, number: str) -> Path:
    return settings.data_dir / "uploads" / f"incoming-{number}" / _FILE
