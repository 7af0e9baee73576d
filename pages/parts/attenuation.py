"""How the voxels of each muscle group spread over attenuation: the histogram beside the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from db.histograms import load_histograms
from pages.parts import cache, words
from thighseg_core.histogram import Histogram
from thighseg_core.labels import COLOURS, GROUPS
from thighseg_core.metrics import FULL
from thighseg_core.tissue import PRESETS

SHOWN_HU = (-200, 200)
STEP_HU = 5
_DASH = {"left": "solid", "right": "dash"}


def panel(run: dict[str, Any]) -> None:
    """The histogram of a result, folded away until it is asked for."""
    with cache.database().read() as session:
        found = [one for one in load_histograms(session, run_id=run["run_id"]) if one.extent == FULL]
    groups = [one for one in found if one.region in GROUPS]
    if not groups:
        return
    with st.expander("Attenuation of each group", icon=":material/bar_chart:"):
        st.plotly_chart(figure(groups, hu_preset=run["hu_preset"]), width="stretch", key=f"histogram-{run['run_id']}")
        st.caption(
            f"Volume at each attenuation in steps of {STEP_HU} HU; left solid, right dashed. {ranges(run['hu_preset'])}"
        )


def binned_cm3(histogram: Histogram) -> NDArray[np.float64]:
    """(bins,) volume in steps of `STEP_HU` over `SHOWN_HU`; what lies outside is left out."""
    low, high = SHOWN_HU
    counts = np.zeros(high - low)
    first = histogram.lowest_hu - low
    kept = np.arange(len(histogram.voxels)) + first
    inside = (kept >= 0) & (kept < len(counts))
    counts[kept[inside]] = histogram.voxels[inside]
    return np.asarray(counts.reshape(-1, STEP_HU).sum(axis=1) * histogram.voxel_volume_cm3)


def ranges(hu_preset: str) -> str:
    """What the shaded bands are."""
    preset = PRESETS.get(hu_preset)
    if preset is None:
        return ""
    (lean_low, lean_high), (fat_low, fat_high) = preset.lean_hu, preset.fat_hu
    return f"Shaded: fat {fat_low} to {fat_high} HU and lean muscle {lean_low} to {lean_high} HU."


def figure(histograms: list[Histogram], *, hu_preset: str) -> go.Figure:
    """One line a group and side, the preset's bands for fat and lean muscle shaded."""
    drawn = go.Figure()
    centres = np.arange(*SHOWN_HU, STEP_HU) + STEP_HU / 2
    for one in histograms:
        drawn.add_scatter(
            x=centres,
            y=binned_cm3(one),
            mode="lines",
            line={"color": COLOURS[one.region], "dash": _DASH[one.side], "shape": "hvh", "width": 2},
            name=f"{words.region_title(one.region)}, {one.side}",
            hovertemplate="%{x:.0f} HU: %{y:.2f} cm³<extra>%{fullData.name}</extra>",
        )
    preset = PRESETS.get(hu_preset)
    if preset is not None:
        for band, colour in ((preset.fat_hu, COLOURS["intermuscular"]), (preset.lean_hu, "#808080")):
            drawn.add_vrect(x0=band[0], x1=band[1], fillcolor=colour, opacity=0.12, line_width=0)
    drawn.update_layout(
        height=260,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"title": "Attenuation (HU)", "range": list(SHOWN_HU)},
        yaxis={"title": "Volume (cm³)", "rangemode": "tozero"},
        legend={"orientation": "h", "y": -0.3},
    )
    return drawn
