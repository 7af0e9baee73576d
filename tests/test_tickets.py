"""Who may fetch a scan: what a ticket allows, for how long, and that it cannot be made or changed by anybody else."""

from __future__ import annotations

import pytest

from pages.parts import tickets
from pages.parts.tickets import LIFETIME_S, TicketError

KEY = b"k" * 32
SCAN = {"scan_id": 3, "storage_path": "scans/0001/abc", "label_map_path": "scans/0001/abc/labels/v0001.nii.gz"}
NOW_S = 1_000_000_000.0


def ticket(*, purpose: tickets.Purpose = "image", now_s: float = NOW_S) -> str:
    return tickets.issue(KEY, purpose=purpose, run_id=7, now_s=now_s, **SCAN)  # type: ignore[arg-type]


def test_a_ticket_says_what_was_put_in() -> None:
    found = tickets.read(KEY, ticket(), purpose="image", now_s=NOW_S)
    assert (found.scan_id, found.storage_path, found.label_map_path, found.run_id) == (3, *list(SCAN.values())[1:], 7)


def test_it_lives_at_least_one_and_at_most_two_lifetimes() -> None:
    life_s = LIFETIME_S["image"]
    text = ticket()
    tickets.read(KEY, text, purpose="image", now_s=NOW_S + life_s)
    with pytest.raises(TicketError, match="too old"):
        tickets.read(KEY, text, purpose="image", now_s=NOW_S + 2 * life_s + 1)


def test_the_same_request_has_the_same_address_for_a_while() -> None:
    begin_s = NOW_S - NOW_S % LIFETIME_S["image"]
    assert ticket(now_s=begin_s) == ticket(now_s=begin_s + LIFETIME_S["image"] - 1)
    assert ticket(now_s=begin_s) != ticket(now_s=begin_s + LIFETIME_S["image"])


def test_a_ticket_to_look_is_none_to_write() -> None:
    with pytest.raises(TicketError, match="for 'image', not for 'correct'"):
        tickets.read(KEY, ticket(), purpose="correct", now_s=NOW_S)


@pytest.mark.parametrize("change", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: "x" + t, lambda _: ""])
def test_a_changed_ticket_is_refused(change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TicketError, match="not made by this dashboard"):
        tickets.read(KEY, change(ticket()), purpose="image", now_s=NOW_S)


def test_another_installation_cannot_make_one() -> None:
    with pytest.raises(TicketError, match="not made by this dashboard"):
        tickets.read(b"other" * 8, ticket(), purpose="image", now_s=NOW_S)
