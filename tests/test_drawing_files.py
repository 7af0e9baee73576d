"""A drawing on the screen and on paper: what Plotly is handed, what is in the files, what a click means."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from figure_frames import VOLUME, cohort, scan

from pages.parts import balance, distributions
from pages.parts.drawing import Axis, Band, Drawing, Points, Rule
from pages.parts.drawing_paper import figure_file
from pages.parts.drawing_screen import plotly_figure
from pages.parts.figure_card import clicked_scan, data_csv

FRAME = cohort(scan(7, "A", 100.0, age_years=60.0), scan(8, "B", 200.0, sex="male", age_years=70.0))
SHARES = FRAME.assign(extensor=50.0, flexor=20.0, adductor=25.0, sartorius=5.0)


def test_every_point_carries_its_scan_so_that_a_click_can_open_it() -> None:
    figure = plotly_figure(distributions.by_age(FRAME, VOLUME))
    points = [trace for trace in figure.data if trace.mode == "markers"]
    assert [[int(scan_id) for scan_id in trace.customdata[0]] for trace in points] == [[7], [8]]
    assert points[0].text == ("A, visit 1",)


@pytest.mark.parametrize(
    ("selection", "scan_id"),
    [
        ({"selection": {"points": [{"customdata": [7]}]}}, 7),
        ({"selection": {"points": [{"customdata": {"0": 8}}]}}, 8),
        ({"selection": {"points": [{"x": 1.0}]}}, None),
        ({"selection": {"points": []}}, None),
        (None, None),
    ],
)
def test_a_selection_is_read_as_the_scan_of_its_first_point(selection: object, scan_id: int | None) -> None:
    assert clicked_scan(selection) == scan_id


def test_bars_are_stacked_at_the_names_of_sex_and_age() -> None:
    figure = plotly_figure(balance.group_shares(SHARES, VOLUME))
    assert figure.layout.barmode == "stack"
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [list(trace.x) for trace in bars] == [[50.0, 50.0], [20.0, 20.0], [25.0, 25.0], [5.0, 5.0]]
    assert list(bars[0].y) == list(figure.layout.yaxis.tickvals)


def test_a_rule_reaches_over_what_is_drawn_and_a_band_lies_between_its_curves() -> None:
    x = np.array([1.0, 5.0])
    marks = (Points("p", x, x, "#000000"), Rule("two", 2.0), Band("b", x, x - 1, x + 1, "#336699"))
    figure = plotly_figure(Drawing("t", Axis(""), Axis(""), marks, "c", pd.DataFrame({"x": x}), "stem"))
    rule = next(trace for trace in figure.data if trace.name == "two")
    assert (list(rule.x), list(rule.y)) == ([1.0, 5.0], [2.0, 2.0])
    upper = next(trace for trace in figure.data if trace.name == "b")
    assert upper.fill == "tonexty"
    assert list(upper.y) == [2.0, 6.0]


def test_a_name_stands_once_in_the_legend() -> None:
    x = np.array([1.0])
    marks = (Points("same", x, x, "#000000"), Points("same", x, x, "#000000"))
    figure = plotly_figure(Drawing("t", Axis(""), Axis(""), marks, "c", pd.DataFrame({"x": x}), "stem"))
    assert [trace.showlegend for trace in figure.data] == [True, False]


def test_the_files_are_what_they_say_and_hold_the_caption() -> None:
    drawing = balance.group_shares(SHARES, VOLUME)
    assert figure_file(drawing, "PNG")[:8] == b"\x89PNG\r\n\x1a\n"
    assert figure_file(drawing, "PDF")[:5] == b"%PDF-"
    svg = figure_file(drawing, "SVG")
    assert svg == figure_file(drawing, "SVG"), "the same figure is the same file"
    words = " ".join(re.sub("<[^>]+>", " ", svg.decode()).split())
    assert "2 subjects, 2 scans." in words
    with pytest.raises(ValueError, match="PNG, SVG, PDF"):
        figure_file(drawing, "GIF")


def test_the_data_file_runs_no_formula_and_says_na() -> None:
    frame = cohort(scan(1, "=cmd()", 5.0), scan(2, "B", 6.0, age_years=61.5))
    text = data_csv(distributions.by_sex(frame, VOLUME)).decode()
    head, first, second = text.splitlines()
    assert head == "study,subject,visit,visit_date,sex,age_years,scan_id,value,flagged"
    assert first == "S,'=cmd(),1,NA,female,NA,1,5.0,no"
    assert second == "S,B,1,NA,female,61.5,2,6.0,no"
