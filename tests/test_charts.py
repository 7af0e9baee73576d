"""Figures: what is drawn, where, in which colour; read back from the plotly figure itself."""

from __future__ import annotations

import pandas as pd

from pages.parts import charts
from thighseg_core.labels import COLOURS


def frame(rows: list[tuple[int, str, str, float | None, int, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["scan_id", "subject", "sex", "age_years", "visit", "value"])
    return table.assign(status="ok")


TWO_VISITS = frame(
    [
        (1, "A", "female", 60.0, 1, 100.0),
        (2, "A", "female", 62.0, 2, 90.0),
        (3, "B", "male", None, 1, 200.0),
        (4, "B", "male", 71.0, 2, 160.0),
        (5, "C", "male", 50.0, 1, 300.0),
    ]
)
ORANGE = COLOURS["extensor"]


def points(figure: object) -> list[object]:
    return [trace for trace in figure.data if trace.type == "scatter"]  # type: ignore[attr-defined]


def test_every_value_is_a_point_of_the_distribution_and_the_count_stands_under_the_name() -> None:
    figure = charts.distribution_by_sex(TWO_VISITS, axis_title="Volume (cm3)", colour=ORANGE)
    assert sorted(value for trace in points(figure) for value in trace.y) == [90.0, 100.0, 160.0, 200.0, 300.0]
    assert list(figure.layout.xaxis.ticktext) == ["female<br>n = 1", "male<br>n = 2"]
    assert figure.layout.yaxis.title.text == "Volume (cm3)"


def test_points_beside_a_box_stay_inside_its_category_and_do_not_move_between_runs() -> None:
    first, second = (charts.distribution_by_sex(TWO_VISITS, axis_title="", colour=ORANGE) for _ in range(2))
    for one, other in zip(points(first), points(second), strict=True):
        assert list(one.x) == list(other.x)
        assert all(abs(x - round(x)) < 0.25 for x in one.x)


def test_a_value_without_an_age_is_left_out_of_the_age_plot_only() -> None:
    figure = charts.value_by_age(TWO_VISITS, axis_title="", colour=ORANGE)
    assert sorted(x for trace in figure.data for x in trace.x) == [50.0, 60.0, 62.0, 71.0]


def test_sexes_differ_in_marker_shape_not_only_in_fill() -> None:
    figure = charts.value_by_age(TWO_VISITS, axis_title="", colour=ORANGE)
    assert len({trace.marker.symbol for trace in figure.data}) == 2
    assert {trace.marker.line.color for trace in figure.data} == {ORANGE}


def test_change_draws_one_line_a_subject_with_two_visits_and_the_median_of_those() -> None:
    figure = charts.change_between_visits(TWO_VISITS, axis_title="", colour=ORANGE)
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [list(trace.y) for trace in lines] == [[100.0, 90.0], [200.0, 160.0]]
    (median,) = [trace for trace in figure.data if trace.mode == "markers"]
    assert list(median.y) == [150.0, 125.0]  # C has one visit and does not count


def test_an_empty_frame_gives_an_empty_figure_not_an_error() -> None:
    empty = TWO_VISITS.iloc[:0]
    for figure in (
        charts.distribution_by_sex(empty, axis_title="", colour=ORANGE),
        charts.value_by_age(empty, axis_title="", colour=ORANGE),
        charts.change_between_visits(empty, axis_title="", colour=ORANGE),
    ):
        assert not [trace for trace in figure.data if trace.x]


def test_bars_of_groups_take_the_colours_of_the_labels() -> None:
    figure = charts.group_shares({"left": {"extensor": 2.0, "flexor": 1.0}, "right": {"extensor": 3.0}}, unit="cm3")
    assert {trace.name: trace.marker.color for trace in figure.data} == {
        "extensor": COLOURS["extensor"],
        "flexor": COLOURS["flexor"],
    }
    assert list(figure.data[1].x) == [1.0, 0.0]


def test_a_sum_over_classes_has_a_colour_of_its_own() -> None:
    assert charts.region_colour("total") not in COLOURS.values()
    assert charts.regions_in_order(["total", "flexor", "extensor"]) == ["extensor", "flexor", "total"]
