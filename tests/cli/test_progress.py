"""Bars: one per stage, full at its end, with the speed where many things are counted."""

from __future__ import annotations

import pytest

from interp.cli.progress import bars, rate


@pytest.mark.parametrize(
    ("speed", "total", "said"),
    [
        (None, 500, ""),
        (0.0, 500, ""),
        (3.0, 10, ""),
        (3.0, None, ""),
        (0.4123, 500, "0.41/s,"),
        (9.96, 20, "10/s,"),
        (132.4, 500, "132/s,"),
    ],
)
def test_the_speed_is_said_where_many_are_counted(speed: float | None, total: int | None, said: str) -> None:
    assert rate(speed, total) == said


def test_a_stage_that_gives_way_to_the_next_is_full(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as tick:
        tick("first", 3, 40)
        tick("second", 40, 40)
    lines = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert [line[0] for line in lines] == ["first", "second"]
    assert all("40/40" in line for line in lines)


def test_where_nothing_is_done_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), bars():
        raise KeyError
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
