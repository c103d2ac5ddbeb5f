"""Numbers on axes and scales read as people write them."""

from __future__ import annotations

import pytest

from interp.figures.boxes import number


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
