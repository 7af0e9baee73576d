"""The table beside the picture: one row a metric, one column a region, for one side. Pure: rows in, HTML out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from pages.parts import charts, words
from thighseg_core.labels import SIDES
from thighseg_core.metrics import MUSCLE_REGIONS, REGION_DESCRIPTIONS

# What a reader looks at first; the CSV has all of them.
HEADLINE_METRICS = (
    "volume",
    "lean_volume",
    "intramuscular_fat_volume",
    "intramuscular_fat_percent",
    "lean_attenuation",
    "csa_max",
    "csa_mid",
)

_SLIVER = 0.1  # less than this share of the other leg is not a second leg to be read

_STYLE = """
<style>
.numbers { overflow-x: auto; }
.numbers table { border-collapse: collapse; width: 100%; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
.numbers th, .numbers td { padding: 0.42rem 0.3rem; border-bottom: 1px solid rgba(128,134,160,.25); }
.numbers th, .numbers td { text-align: right; }
.numbers th { font-weight: 600; white-space: nowrap; }
.numbers th:first-child { text-align: left; }
.numbers tbody th { font-weight: 400; white-space: normal; min-width: 8.5rem; }
.numbers abbr { text-decoration: underline dotted rgba(128,134,160,.9); text-underline-offset: 3px; cursor: help; }
.numbers .unit { opacity: .65; font-size: .8rem; }
.numbers thead th { border-bottom: 4px solid transparent; }
.numbers .mark { color: #C2410C; font-weight: 700; cursor: help; text-decoration: none; }
@media (prefers-color-scheme: dark) { .numbers .mark { color: #FB923C; } }
@media (max-width: 640px) {
  .numbers table { font-size: 0.74rem; }
  .numbers th, .numbers td { padding: 0.42rem 0.15rem; }
  .numbers tbody th { min-width: 5.5rem; }
}
</style>
"""


def measurement_html(
    rows: Iterable[Mapping[str, Any]],
    *,
    side: str,
    metrics: Sequence[str] = HEADLINE_METRICS,
    regions: Sequence[str] = MUSCLE_REGIONS,
) -> str:
    """Rows of `db.queries.measurements` of one run as an HTML table.

    A flagged value carries a dagger, a missing one is a dash; both tell their reason under the pointer.
    """
    cells = {(row["metric"], row["region"]): row for row in rows if row["side"] == side and row["extent"] == "full"}
    head = "".join(_column_head(region) for region in regions)
    body = "".join(_line(metric, cells, regions) for metric in metrics)
    table = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'{_STYLE}<div class="numbers">{table}</div>'


def side_to_show(rows: Iterable[Mapping[str, Any]]) -> str:
    """ "both" when both legs are there; the side that is, when the other is missing or a mere sliver of it."""
    volumes = {
        row["side"]: row["value"] or 0.0
        for row in rows
        if (row["region"], row["metric"], row["extent"]) == ("extensor", "volume", "full") and row["side"] in SIDES
    }
    largest = max(volumes, key=volumes.__getitem__, default="both")
    return largest if min(volumes.values(), default=0.0) < _SLIVER * volumes.get(largest, 0.0) else "both"


def reasons(rows: Iterable[Mapping[str, Any]], *, side: str, metrics: Sequence[str] = HEADLINE_METRICS) -> list[str]:
    """Each different reason for a flagged or missing value in the table, once, with the regions it concerns."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if (
            row["side"] == side
            and row["extent"] == "full"
            and row["metric"] in metrics
            and row["region"] in MUSCLE_REGIONS
            and row["status"] != "ok"
        ):
            found.setdefault(row["reason"], set()).add(row["region"])
    return [
        f"{', '.join(words.region_title(region) for region in charts.regions_in_order(list(regions)))}: {reason}"
        for reason, regions in found.items()
    ]


def _column_head(region: str) -> str:
    colour = charts.region_colour(region)
    title = escape(REGION_DESCRIPTIONS.get(region, ""), quote=True)
    name = "All three" if region == "total" else words.region_title(region)
    return f'<th scope="col" style="border-bottom-color:{colour}"><abbr title="{title}">{escape(name)}</abbr></th>'


def _line(metric: str, cells: Mapping[tuple[str, str], Mapping[str, Any]], regions: Sequence[str]) -> str:
    unit = next((cells[metric, region]["unit"] for region in regions if (metric, region) in cells), "")
    title = escape(words.metric_definition(metric), quote=True)
    name = f'<abbr title="{title}">{escape(words.metric_title(metric))}</abbr>'
    values = "".join(_cell(cells.get((metric, region))) for region in regions)
    return f'<tr><th scope="row">{name} <span class="unit">{escape(words.unit_text(unit))}</span></th>{values}</tr>'


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "<td>–</td>"
    text = escape(words.number(row["value"]))
    if row["status"] == "ok":
        return f"<td>{text}</td>"
    return f'<td>{text}<abbr class="mark" title="{escape(row["reason"], quote=True)}">†</abbr></td>'
