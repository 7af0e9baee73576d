"""Signed, short-lived permission to fetch one scan or to correct one result: what stands in the viewer's addresses.

The server's routes know nothing of the page that asked, so the page puts what it allows into the address, signed with
a key of this installation. A ticket names files and rows by their ids, never a person.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from typing import Literal

from itsdangerous import BadSignature, URLSafeSerializer

from thighseg_core.errors import ThighSegError

Purpose = Literal["image", "labels", "correct", "reading"]
# Our choice: long enough to look at a scan or to paint a correction, too short to be worth passing on.
LIFETIME_S: dict[Purpose, int] = {"image": 15 * 60, "labels": 15 * 60, "correct": 12 * 3600, "reading": 12 * 3600}
_SALT = "thighseg viewer ticket 1"


class TicketError(ThighSegError):
    """The address was not made by this server, or it is too old."""


@dataclass(frozen=True)
class Ticket:
    """What its holder may do.

    scan_id, storage_path, label_map_path, run_id: the scan, and the result shown with it where there is one.
    user: who asked, where the dashboard knows; empty where it has no sign-in.
    expires_at: seconds since 1970.
    """

    purpose: Purpose
    scan_id: int
    storage_path: str
    label_map_path: str
    run_id: int
    user: str
    expires_at: int


def issue(
    key: bytes,
    *,
    purpose: Purpose,
    scan_id: int,
    storage_path: str,
    label_map_path: str = "",
    run_id: int = 0,
    user: str = "",
    now_s: float | None = None,
) -> str:
    """A ticket as text for an address.

    The end of its life is rounded up to a whole lifetime, so that the same request has the same address for a while
    and the browser can keep what it fetched; it lives one to two lifetimes.
    """
    lifetime_s = LIFETIME_S[purpose]
    now_s = time.time() if now_s is None else now_s
    expires_at = (int(now_s) // lifetime_s + 2) * lifetime_s
    ticket = Ticket(purpose, scan_id, storage_path, label_map_path, run_id, user, expires_at)
    text = _serializer(key).dumps(list(asdict(ticket).values()))
    return text if isinstance(text, str) else text.decode()


def read(key: bytes, text: str, *, purpose: Purpose, now_s: float | None = None) -> Ticket:
    """The ticket in an address. Raises TicketError when it is forged, for something else, or too old."""
    try:
        ticket = Ticket(*_serializer(key).loads(text))
    except (BadSignature, TypeError) as error:
        raise TicketError("this address was not made by this dashboard; reload the page") from error
    if ticket.purpose != purpose:
        raise TicketError(f"this address is for {ticket.purpose!r}, not for {purpose!r}; reload the page")
    if ticket.expires_at < (time.time() if now_s is None else now_s):
        raise TicketError("this address is too old; reload the page")
    return ticket


def _serializer(key: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(key, salt=_SALT, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256})
