"""Shifting dates before they leave: each subject by an amount of its own, so that intervals stay and dates do not."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

MAX_SHIFT_DAYS = 365


def date_shift(*, key: bytes, subject_code: str) -> timedelta:
    """1 to 365 days to take off every date of this subject; the same for the same key and subject.

    Not the shift that de-identification gives the dates inside DICOM files: knowing one does not tell the other.
    """
    digest = hmac.new(key, b"export:" + subject_code.encode(), hashlib.sha256).digest()
    return timedelta(days=1 + int.from_bytes(digest[:8], "big") % MAX_SHIFT_DAYS)
