"""A figure on a page: the plot, its caption, its downloads; a click on a point opens the scan."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from pages.parts import words
from pages.parts.drawing import Drawing
from pages.parts.drawing_paper import FORMATS, figure_file
from pages.parts.drawing_screen import plotly_figure
from thighseg_core.export import csv_text

_BAR = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def card(drawing: Drawing, *, key: str) -> None:
    """Draw the figure in a frame of its own. `key` names it on the page and must not change between reruns."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{drawing.title}**", width="content")
            st.space("stretch")
            downloads(drawing, key=key)
        if not len(drawing.data):
            st.markdown("No value to draw with these filters.")
            return
        clicked = st.plotly_chart(
            plotly_figure(drawing),
            config=_BAR,
            key=f"figure-{key}",
            alt=f"{drawing.title}. {drawing.caption}",
            on_select="rerun",
            selection_mode="points",
        )
        st.caption(words.plain(drawing.caption))
        for note in drawing.notes:
            st.caption(note)
        open_clicked(clicked)


def downloads(drawing: Drawing, *, key: str) -> None:
    """The figure as PNG, SVG and PDF with its caption, and what it shows as CSV; each file is made on the click."""
    with st.popover("Download", icon=":material/download:", type="tertiary", help="The figure, or the numbers in it"):
        for kind, mime in FORMATS.items():
            st.download_button(
                f"Figure ({kind})",
                data=partial(figure_file, drawing, kind),
                file_name=f"{drawing.file_stem}.{kind.lower()}",
                mime=mime,
                key=f"{kind}-{key}",
                on_click="ignore",
                width="stretch",
            )
        st.download_button(
            "Data (CSV)",
            data=partial(data_csv, drawing),
            file_name=f"{drawing.file_stem}.csv",
            mime="text/csv",
            key=f"csv-{key}",
            on_click="ignore",
            width="stretch",
        )


def data_csv(drawing: Drawing) -> bytes:
    """The drawing's data as CSV: NA for what is missing, nothing that a spreadsheet would run as a formula."""
    table = drawing.data.astype(object).where(drawing.data.notna(), None)
    columns = [str(name) for name in table.columns]
    rows = [dict(zip(columns, row, strict=True)) for row in table.itertuples(index=False, name=None)]
    return csv_text(rows, columns=columns).encode("utf-8")


def open_clicked(clicked: Any) -> None:
    """Go to the viewer with the scan of the point that was clicked, if one was."""
    scan_id = clicked_scan(clicked)
    if scan_id is not None:
        st.switch_page("pages/views/viewer.py", query_params={"scan": str(scan_id)})


def clicked_scan(clicked: Any) -> int | None:
    """Scan of the first selected point of a Plotly selection; None without one."""
    for point in (clicked or {}).get("selection", {}).get("points", []):
        data = point.get("customdata")
        if data:
            first = data[0] if isinstance(data, (list, tuple)) else data.get("0", next(iter(data.values())))
            return int(first)
    return None
