"""Units and patterns: the strings at the edge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.core.unit import Unit, UnitPattern
from interp.errors import InterpError

LAYERS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}(\.[A-Za-z0-9_]{1,8}){0,4}", fullmatch=True)
NUMBERS = st.integers(0, 10**8)
UNITS = st.builds(Unit, LAYERS, NUMBERS, st.none() | st.tuples(NUMBERS, NUMBERS))


@given(UNITS)
def test_parse_undoes_str(unit: Unit) -> None:
    assert Unit.parse(str(unit)) == unit


@given(UNITS)
def test_str_undoes_parse(unit: Unit) -> None:
    text = str(unit)
    assert str(Unit.parse(f"  {text}\n")) == text


@given(UNITS)
def test_a_unit_is_a_pattern_of_one(unit: Unit) -> None:
    pattern = UnitPattern.parse(str(unit))
    assert (pattern.layer, pattern.at) == (unit.layer, unit.at)
    assert pattern.channels_of(10**8 + 1) == [unit.channel]


@pytest.mark.parametrize(
    "text", ["", "conv1", ":3", "conv1:", "conv1:-1", "conv1:03", "conv1:1.5", "conv1:3@1", "conv1:3@1,-2", "a:b:3", "conv1:*"]
)
def test_what_is_no_unit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InterpError, match=r"is no unit: write 'layer:channel'.*layer4\.1\.conv2:37@3,5"):
        Unit.parse(text)


def test_ranges_lists_and_all() -> None:
    assert UnitPattern.parse("a.*:0-2,7,1").channels_of(9) == [0, 1, 2, 7]
    assert UnitPattern.parse("a:*").channels_of(3) == [0, 1, 2]
    assert UnitPattern.parse("a:4-6").channels_of(6) == [4, 5, 6], "out of range is kept, to be refused"


def test_a_huge_range_costs_nothing() -> None:
    assert len(UnitPattern.parse("a:0-999999999").channels_of(8)) == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv1", r"'conv1' names no units: write 'layer:channel', 'layer:0-15', 'layer:\*' or 'layer:top8'"),
        ("a:b:1", "names no units"),
        ("conv1:x", r"'x' in 'conv1:x' is no channel, range of channels or '\*'"),
        ("conv1:9-3", r"the range '9-3' in 'conv1:9-3' is empty: write '3-9'"),
        ("conv1:1-2@3,4", "is no unit"),
        ("conv1:top0", "'top0' in 'conv1:top0' asks for no channel: write 'top1' or more"),
        ("conv1:top", "'top' in 'conv1:top' is no channel.*'top8'"),
        ("conv1:top8,3", "'top8' in 'conv1:top8,3' is no channel"),
    ],
)
def test_what_is_no_pattern_is_refused(text: str, message: str) -> None:
    with pytest.raises(InterpError, match=message):
        UnitPattern.parse(text)


def test_the_strongest_are_picked_by_strength_in_order() -> None:
    pattern = UnitPattern.parse("features.*:top3")
    assert (pattern.layer, pattern.top, pattern.glob) == ("features.*", 3, True)
    assert pattern.strongest([0.5, 2.0, float("nan"), -1.0, 2.0]) == [1, 4, 0]
    assert pattern.strongest([0.0, 1.0]) == [1, 0], "of a glob's layers, all there are"


def test_a_named_layer_with_too_few_channels_is_refused() -> None:
    with pytest.raises(InterpError, match=r"'conv1:top3' asks for 3 channels, but there are 2: write 'top2'"):
        UnitPattern.parse("conv1:top3").strongest([0.0, 1.0])


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("layer4:3", True),
        ("layer4.*:*", True),
        ("a:top8", True),
        ("a:0-3,7", True),
        ("a:3@1,2", True),
        ("a:9-3", True),
        ("a:3x", True),
        ("resnet18", False),
        ("net.py:factory", False),
        ("nets/net.py:top8", False),
        ("timm/convnext_tiny", False),
        ("a:factory", False),
        (":3", False),
        ("a:", False),
    ],
)
def test_what_looks_like_units(text: str, units: bool) -> None:
    """A mistake in what was meant as units is theirs, to be told as one; a function in a file never is one."""
    assert UnitPattern.looks_like(text) is units


@given(UNITS)
def test_every_unit_looks_like_one(unit: Unit) -> None:
    assert UnitPattern.looks_like(str(unit))


def test_units_sort_by_layer_then_channel() -> None:
    assert sorted([Unit("b", 0), Unit("a", 2), Unit("a", 1)]) == [Unit("a", 1), Unit("a", 2), Unit("b", 0)]
