"""Numbers on axes and scales read as people write them."""

from __future__ import annotations

import pytest

from interp.figures.boxes import marks, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (100.0, "100"),
        (-128.0, "\N{MINUS SIGN}128"),
        (512.0, "512"),
        (20_000.0, "2e4"),
        (0.123, "0.12"),
        (1.5e-7, "1.5e\N{MINUS SIGN}7"),
        (-0.0, "0"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((0.45, 0.475, 0.5), ("0.450", "0.475", "0.500")),
        ((0.4, 0.5, 0.6), ("0.4", "0.5", "0.6")),
        ((0.0, 2.5, 5.0), ("0", "2.5", "5")),
        ((-0.125, 0.0, 0.125), ("\N{MINUS SIGN}0.125", "0.000", "0.125")),
        ((101.5, 102.0), ("101.5", "102.0")),
        ((0.0, 23456.0), ("0", "23456")),
        ((0.0, 1e-5, 2e-5), ("0", "1e\N{MINUS SIGN}5", "2e\N{MINUS SIGN}5")),
        ((1.0, 1.0 + 2e-8), ("1", "1.00000002")),
    ],
)
def test_an_axis_says_the_places_that_it_marks(values: tuple[float, ...], texts: tuple[str, ...]) -> None:
    assert marks(values) == texts
