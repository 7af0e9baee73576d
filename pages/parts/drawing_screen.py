"""A `Drawing` as a Plotly figure. Every clickable point carries its scan as the first of its custom data."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import translucent
from pages.parts.drawing import Axis, Band, Bars, Boxes, Drawing, Line, Points, Rule

_GRID = "rgba(128, 134, 160, 0.22)"
_SMALL_FROM = 400  # points
_WEBGL_FROM = 2_000  # points; below it SVG is sharper and needs no graphics card
_EVERY_WORD_UP_TO = 20_000


def plotly_figure(drawing: Drawing) -> go.Figure:
    """The figure for the page; the caption stands beside it, not in it."""
    figure = go.Figure()
    named: set[str] = set()
    for mark in drawing.marks:
        legend = drawing.legend and mark.name not in named and bool(mark.name) and getattr(mark, "legend", True)
        if legend:
            named.add(mark.name)
        for trace in _traces(mark, drawing):
            trace.update(showlegend=legend and trace.showlegend is not False, legendgroup=mark.name)
            figure.add_trace(trace)
    figure.update_layout(
        height=drawing.height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        showlegend=drawing.legend,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "left", "x": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left"},
        barmode="stack",
        bargap=0.35,
    )
    figure.update_xaxes(**_axis(drawing.x))
    figure.update_yaxes(**_axis(drawing.y))
    return figure


def _axis(axis: Axis) -> dict[str, Any]:
    options: dict[str, Any] = {
        "title": axis.title, "showgrid": axis.grid, "gridcolor": _GRID, "zeroline": False, "automargin": True,
    }  # fmt: skip
    if axis.ticks:
        options |= {"tickvals": [at for at, _ in axis.ticks], "ticktext": [text for _, text in axis.ticks]}
    if axis.limits:
        options["range"] = list(axis.limits)
    return options


def _traces(mark: object, drawing: Drawing) -> list[Any]:
    match mark:
        case Points():
            return [_points(mark)]
        case Line():
            return [
                (go.Scattergl if len(mark.x) > _WEBGL_FROM else go.Scatter)(
                    x=mark.x,
                    y=mark.y,
                    mode="lines",
                    name=mark.name,
                    opacity=mark.opacity,
                    line={"color": mark.colour, "width": mark.width, "dash": mark.dash},
                    hoverinfo="skip",
                )
            ]
        case Band():
            around = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
            fill = translucent(mark.colour, mark.opacity)
            return [
                go.Scatter(x=mark.x, y=mark.low, showlegend=False, **around),
                go.Scatter(x=mark.x, y=mark.high, name=mark.name, fill="tonexty", fillcolor=fill, **around),
            ]
        case Boxes():
            return [
                go.Box(
                    x=mark.positions,
                    lowerfence=mark.low,
                    q1=mark.quartile_1,
                    median=mark.median,
                    q3=mark.quartile_3,
                    upperfence=mark.high,
                    name=mark.name,
                    width=mark.width,
                    line={"color": mark.colour, "width": 1.6},
                    fillcolor=translucent(mark.colour, 0.14),
                    hoverinfo="skip",
                )
            ]
        case Rule():
            low, high = _extent(drawing, "x" if mark.axis == "y" else "y")
            along, at = np.array([low, high]), np.full(2, mark.value)
            x, y = (along, at) if mark.axis == "y" else (at, along)
            line = {"color": mark.colour, "width": 1.5, "dash": mark.dash}
            return [go.Scatter(x=x, y=y, mode="lines", name=mark.name, line=line, hoverinfo="skip")]
        case Bars():
            return [
                go.Bar(
                    y=mark.positions,
                    x=mark.lengths,
                    name=mark.name,
                    orientation="h",
                    marker={"color": mark.colour},
                    hovertext=mark.words or None,
                    hovertemplate=f"{mark.name} %{{x:.1f}}<extra>%{{hovertext}}</extra>",
                )
            ]
    raise TypeError(f"a drawing has no mark of type {type(mark).__name__}")


def _points(mark: Points) -> Any:
    kind = go.Scattergl if len(mark.x) > _WEBGL_FROM else go.Scatter
    fill = translucent(mark.colour, 0.75 if mark.filled else 0.15)
    many = len(mark.x) > _SMALL_FROM
    return kind(
        x=mark.x,
        y=mark.y,
        mode="markers",
        name=mark.name,
        customdata=None if mark.scan_ids is None else mark.scan_ids[:, None],
        text=mark.words if mark.words and len(mark.words) <= _EVERY_WORD_UP_TO else None,
        hovertemplate="%{text}<br>%{y:.4g}<extra></extra>" if mark.words else "%{y:.4g}<extra></extra>",
        marker={
            "symbol": mark.symbol,
            "size": 5 if many else 9,
            "color": fill,
            "line": {"width": 0.8 if many else 1.6, "color": mark.colour},
        },
    )


def _extent(drawing: Drawing, axis: str) -> tuple[float, float]:
    """Lowest and highest value that the other marks have on an axis, or the axis's own limits."""
    limits = (drawing.x if axis == "x" else drawing.y).limits
    if limits:
        return limits
    found = []
    for mark in drawing.marks:
        if isinstance(mark, (Points, Line)):
            found.append(mark.x if axis == "x" else mark.y)
        elif isinstance(mark, Band):
            found += [mark.x] if axis == "x" else [mark.low, mark.high]
    values = np.concatenate([np.asarray(part, float) for part in found]) if found else np.array([0.0, 1.0])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
