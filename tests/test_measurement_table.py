"""The table beside the picture: which number stands where, and what doubts it."""

from __future__ import annotations

import re

from pages.parts.measurement_table import measurement_html, reasons, side_to_show


def row(region: str, side: str, value: float | None, **other: object) -> dict[str, object]:
    facts = {"region": region, "side": side, "extent": "full", "metric": "volume", "unit": "cm3", "value": value}
    return facts | {"status": "ok", "reason": ""} | other


def cells(html: str) -> list[str]:
    return [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", html)]


ROWS = [
    row("flexor", "left", 20.0),
    row("extensor", "left", 1234.0),
    row("extensor", "right", 99.0),
    row("adductor", "left", None, status="missing", reason='no "adductor" was found'),
    row("total", "left", 7.0, status="flagged", reason="cut at the upper end"),
]


def test_numbers_stand_under_their_region_and_only_of_the_side_asked_for() -> None:
    html = measurement_html(ROWS, side="left", metrics=("volume",))
    assert cells(html) == ["1\u202f234", "20.0", "–†", "–", "7.00†"]


def test_a_doubted_number_tells_its_reason_and_quotes_do_not_break_out() -> None:
    html = measurement_html(ROWS, side="left", metrics=("volume",))
    assert 'title="cut at the upper end"' in html
    assert 'title="no &quot;adductor&quot; was found"' in html


def test_every_row_and_column_is_defined_under_the_pointer() -> None:
    html = measurement_html(ROWS, side="left")
    heads = re.findall(r'<th scope="\w+".*?</th>', html)
    assert len(heads) == 5 + 7
    assert all(re.search(r'title="[A-Z1][^"]+"', head) for head in heads)


def test_reasons_are_listed_once_with_their_regions() -> None:
    rows = [
        row("flexor", "left", 1.0, status="flagged", reason="cut"),
        row("extensor", "left", 1.0, status="flagged", reason="cut"),
        row("extensor", "left", 1.0, status="flagged", reason="cut", metric="lean_volume"),
        row("extensor", "right", 1.0, status="flagged", reason="other side"),
    ]
    assert reasons(rows, side="left") == ["Extensor, Flexor: cut"]


def test_both_sides_are_shown_first_unless_one_leg_is_missing_or_a_sliver() -> None:
    def legs(left: float | None, right: float | None) -> list[dict[str, object]]:
        return [row("extensor", "left", left), row("extensor", "right", right), row("extensor", "both", 9.0)]

    assert side_to_show(legs(500.0, 450.0)) == "both"
    assert side_to_show(legs(None, 450.0)) == "right"
    assert side_to_show(legs(500.0, 12.0)) == "left"
    assert side_to_show([]) == "both"
    assert side_to_show(legs(None, None)) == "both"
