"""Charts: points stand where their values say, marks are round numbers, words say what is seen."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.site.microscope import Curve, Histogram, charts


def test_points_of_a_curve_are_linear_in_position_and_value() -> None:
    chart = charts.of_curve(Curve("orientation", "degrees", (0.0, 90.0, 180.0), (1.0, 3.0, 2.0)))
    (left, low), (middle, high), (right, between) = chart.dots
    assert middle - left == right - middle > 0
    assert high == chart.top
    assert low == pytest.approx(chart.bottom - (chart.bottom - chart.top) / 3, abs=0.1)
    assert between == pytest.approx(chart.bottom - (chart.bottom - chart.top) * 2 / 3, abs=0.1)
    assert [tick.text for tick in chart.across] == ["0", "45", "90", "135", "180"]
    assert chart.across_label == "orientation (degrees)"
    assert chart.alt == "Tuning to orientation: strongest at 90 degrees (3), weakest at 0 degrees (1)"
    assert chart.zero is None


def test_zero_is_on_the_chart_and_marked_where_values_cross_it() -> None:
    chart = charts.of_curve(Curve("size", "pixels", (1.0, 2.0), (-1.0, 3.0)))
    assert chart.zero == pytest.approx(chart.bottom - (chart.bottom - chart.top) / 4, abs=0.1)
    assert charts.of_curve(Curve("size", "pixels", (1.0, 2.0), (5.0, 5.0))).dots[0][1] == chart.top


def test_values_that_are_no_numbers_are_left_out() -> None:
    chart = charts.of_curve(Curve("hue", "degrees", (0.0, 1.0, 2.0), (1.0, math.nan, 2.0)))
    assert len(chart.dots) == 2
    assert "no answer is a number" in charts.of_curve(Curve("hue", "degrees", (0.0, 1.0), (math.nan, math.inf))).alt
    assert charts.of_curve(Curve("hue", "degrees", (0.0, 1.0), (0.0, 0.0))).dots[0][1] > 0


def test_bars_of_a_histogram_are_logarithmic_and_one_count_is_seen() -> None:
    chart = charts.of_histogram(Histogram((0.0, 1.0, 2.0, 3.0, 4.0), (1000, 10, 1, 0)))
    tops = [float(top) for top in re.findall(r"V([\d.]+)", chart.area)][:4]
    base = chart.bottom
    assert tops[0] == chart.top
    assert tops[0] - tops[1] == pytest.approx(2 * (tops[1] - tops[2]), abs=0.4)  # two decades, and one
    assert tops[2] < base - 2
    assert tops[3] == base
    assert [tick.text for tick in chart.up] == ["1", "10", "100", "1k"]
    assert chart.alt == (
        "Histogram of 1,011 activations from 0 to 4, counts on a logarithmic scale; the fullest bin, from 0 to 1, holds 98.9%"
    )
    assert charts.of_histogram(Histogram((0.0, 0.0), (0,))).area.startswith("M")


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
@settings(max_examples=200, deadline=None)
def test_marks_lie_on_the_axis_and_are_few(low: float, extent: float, most: int) -> None:
    high = low + extent
    found = charts.ticks(low, high, most)
    assert len(found) <= max(most, 2)
    margin = 1e-6 * max(abs(low), abs(high), 1.0)
    assert all(low - margin <= value <= high + margin for value in found)
    assert found == sorted(found)


def test_marks_are_round() -> None:
    assert charts.ticks(0.0, 1.0, 5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert charts.ticks(-0.3, 1.8, 4) == [0.0, 0.5, 1.0, 1.5]
    assert charts.ticks(0.0, 360.0, 5) == [0.0, 90.0, 180.0, 270.0, 360.0]
    assert charts.ticks(2.0, 2.0, 5) == [2.0]
