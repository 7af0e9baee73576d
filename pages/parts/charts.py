"""Plotly figures from tidy frames: no Streamlit, no database.

Frames hold one row a value, as `db.queries.measurements` gives them. Sex is told by position and marker
shape, never by colour alone; colour is the muscle group's own (`labels.COLOURS`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from thighseg_core.labels import COLOURS

SEX_ORDER = ("female", "male", "other", "unknown")
_SYMBOLS = {"female": "circle", "male": "diamond", "other": "square", "unknown": "x"}
_TOTAL_COLOUR = "#5B6BC0"  # regions that are no single class (total muscle) take the interface's own hue
_JITTER = 0.16  # half-width of the point cloud beside a box, in categories
_GRID = "rgba(128, 134, 160, 0.22)"


def region_colour(region: str) -> str:
    """Colour of a region: its class colour, or the interface's hue for sums over classes."""
    return COLOURS.get(region, _TOTAL_COLOUR)


def distribution_by_sex(frame: pd.DataFrame, *, axis_title: str, colour: str) -> go.Figure:
    """Box (median, quartiles) and every single point for each sex; the count stands under the name."""
    figure = go.Figure()
    present = _sexes(frame)
    labels = []
    for position, sex in enumerate(present):
        rows = frame[frame["sex"] == sex]
        labels.append(f"{sex}<br>n = {rows['subject'].nunique()}")
        figure.add_trace(
            go.Box(
                x=[position] * len(rows),
                y=rows["value"],
                name=sex,
                boxpoints=False,
                width=0.5,
                line={"color": colour, "width": 1.6},
                fillcolor=translucent(colour, 0.14),
                hoverinfo="skip",
            )
        )
        figure.add_trace(
            go.Scatter(
                x=[position + _jitter(str(key)) for key in rows["scan_id"]],
                y=rows["value"],
                mode="markers",
                name=sex,
                marker=_marker(sex, colour),
                customdata=_hover_columns(rows),
                hovertemplate=_HOVER,
            )
        )
    figure.update_xaxes(
        tickvals=list(range(len(present))), ticktext=labels, range=[-0.6, max(len(present) - 0.4, 0.6)], showgrid=False
    )
    figure.update_yaxes(title=axis_title)
    return _finish(figure, legend=False)


def value_by_age(frame: pd.DataFrame, *, axis_title: str, colour: str) -> go.Figure:
    """Value against age at the visit, one marker shape a sex. Rows without an age are left out."""
    figure = go.Figure()
    aged = frame[frame["age_years"].notna()]
    for sex in _sexes(aged):
        rows = aged[aged["sex"] == sex]
        figure.add_trace(
            go.Scatter(
                x=rows["age_years"],
                y=rows["value"],
                mode="markers",
                name=sex,
                marker=_marker(sex, colour),
                customdata=_hover_columns(rows),
                hovertemplate="%{x:.0f} years · " + _HOVER,
            )
        )
    figure.update_xaxes(title="Age at the visit (years)", showgrid=True)
    figure.update_yaxes(title=axis_title)
    return _finish(figure, legend=True)


def change_between_visits(frame: pd.DataFrame, *, axis_title: str, colour: str) -> go.Figure:
    """One line a subject across visits ("spaghetti"), and the median of each visit as a bar.

    Only subjects with at least two visits are drawn; the median is over the same subjects.
    """
    repeated = with_repeated_visits(frame)
    figure = go.Figure()
    shown: set[str] = set()
    for subject, rows in repeated.sort_values("visit").groupby("subject", sort=True):
        sex = str(rows["sex"].iloc[0])
        figure.add_trace(
            go.Scatter(
                x=rows["visit"],
                y=rows["value"],
                mode="lines+markers",
                name=sex,
                legendgroup=sex,
                showlegend=sex not in shown,
                line={"color": translucent(colour, 0.6), "width": 1.4},
                marker=_marker(sex, colour),
                customdata=_hover_columns(rows),
                hovertemplate=f"{subject} · " + _HOVER,
            )
        )
        shown.add(sex)
    if not repeated.empty:
        medians = repeated.groupby("visit")["value"].median()
        figure.add_trace(
            go.Scatter(
                x=medians.index,
                y=medians.to_numpy(),
                mode="markers",
                name="median of the visit",
                marker={"symbol": "line-ew", "size": 30, "line": {"width": 3.5, "color": "#7A8099"}},
                hovertemplate="median %{y:.4g}<extra></extra>",
            )
        )
        visits = sorted({int(visit) for visit in repeated["visit"]})
        figure.update_xaxes(
            tickvals=visits, ticktext=[f"visit {visit}" for visit in visits], range=[visits[0] - 0.4, visits[-1] + 0.4]
        )
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(title=axis_title)
    return _finish(figure, legend=True)


def group_shares(values: dict[str, dict[str, float]], *, unit: str) -> go.Figure:
    """Stacked horizontal bars, one a side: {"left": {"extensor": 1200.0, ...}, ...} in `unit`."""
    figure = go.Figure()
    regions = list(dict.fromkeys(region for side in values.values() for region in side))
    sides = list(values)
    for region in regions:
        figure.add_trace(
            go.Bar(
                y=sides,
                x=[values[side].get(region, 0.0) for side in sides],
                name=region,
                orientation="h",
                marker={"color": region_colour(region)},
                hovertemplate=f"{region} %{{x:.4g}} {unit}<extra>%{{y}}</extra>",
            )
        )
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_xaxes(title=unit)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return _finish(figure, legend=True, height=190)


def with_repeated_visits(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of subjects that have at least two different visits with a value."""
    if frame.empty:
        return frame
    visits = frame.groupby("subject")["visit"].nunique()
    return frame[frame["subject"].isin(visits[visits >= 2].index)]


def translucent(colour: str, opacity: float) -> str:
    """`#RRGGBB` -> `rgba(r, g, b, opacity)`."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


_HOVER = "%{y:.4g}<br>%{customdata[0]}, visit %{customdata[1]}<br>%{customdata[2]}<extra></extra>"


def _hover_columns(rows: pd.DataFrame) -> list[list[object]]:
    marks = rows["status"].map({"flagged": "has a quality flag"}).fillna("")
    return [list(row) for row in zip(rows["subject"], rows["visit"], marks, strict=True)]


def _sexes(frame: pd.DataFrame) -> list[str]:
    present = set(frame["sex"])
    return [sex for sex in SEX_ORDER if sex in present]


def _marker(sex: str, colour: str) -> dict[str, object]:
    filled = sex != "male"
    return {
        "symbol": _SYMBOLS.get(sex, "x"),
        "size": 9,
        "color": translucent(colour, 0.75) if filled else translucent(colour, 0.15),
        "line": {"width": 1.6, "color": colour},
    }


def _jitter(key: str) -> float:
    """Sideways shift of a point, the same for the same scan on every run."""
    fraction = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    return (2 * fraction - 1) * _JITTER


def _finish(figure: go.Figure, *, legend: bool, height: int = 380) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "left", "x": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left"},
    )
    figure.update_yaxes(gridcolor=_GRID, zeroline=False, automargin=True)
    figure.update_xaxes(gridcolor=_GRID, zeroline=False, automargin=True)
    return figure


def regions_in_order(regions: Sequence[str]) -> list[str]:
    """Regions as the label list orders them; sums and unknown ones last, by name."""
    known = list(COLOURS)
    return sorted(set(regions), key=lambda region: (known.index(region) if region in known else len(known), region))


def swatch_css(key: str, regions: Sequence[str]) -> str:
    """Style that puts each region's colour in front of its button in the Streamlit container of `key`."""
    rules = "".join(
        f".st-key-{key} button:nth-of-type({number})::before{{background:{region_colour(region)}}}"
        for number, region in enumerate(regions, start=1)
    )
    dot = "content:'';display:inline-block;width:.7rem;height:.7rem;border-radius:2px;margin-right:.4rem;flex:none"
    return f"<style>.st-key-{key} [data-testid='stButtonGroup'] button::before{{{dot}}}{rules}</style>"
