"""The numbers of metrics.json: what each tolerance allows, and what must be equal under all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.proof.gap import SAME, Gap
from interp.proof.numbers import named, number_gap
from interp.runs.tolerance import Tolerance

EXACT, COMPUTED, DERIVED, OPTIMIZED, TOLD = Tolerance


def gap(first: object, second: object, tolerance: Tolerance) -> Gap:
    return number_gap(named(first, "m")["m"], named(second, "m")["m"], tolerance)


@pytest.mark.parametrize(
    ("tolerance", "second", "holds"),
    [
        (EXACT, -2.0000000000000004, False),
        (COMPUTED, -2.00019, True),
        (COMPUTED, -2.00021, False),
        (DERIVED, -1.961, True),
        (DERIVED, -1.959, False),
        (OPTIMIZED, -2.19, True),
        (OPTIMIZED, -2.21, False),
        (TOLD, 50.0, True),
    ],
)
def test_a_float_may_be_a_share_of_itself_away(tolerance: Tolerance, second: float, holds: bool) -> None:
    assert gap(-2.0, second, tolerance).holds is holds


def test_the_share_and_the_words() -> None:
    found = gap(0.5, 0.505, DERIVED)
    assert (found.holds, found.share, found.detail) == (True, pytest.approx(0.5), "0.505, 0.5 was recorded")


@pytest.mark.parametrize(("second", "holds"), [(0.9e-10, True), (1.1e-10, False), (-0.9e-10, True)])
def test_below_the_rounding_of_one_there_is_nothing_to_judge(second: float, holds: bool) -> None:
    assert gap(0.0, second, COMPUTED).holds is holds


@pytest.mark.parametrize("tolerance", [EXACT, COMPUTED, DERIVED, OPTIMIZED])
@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (3, 4, "4, 3 was recorded"),
        (True, False, "False, True was recorded"),
        ("cat", "dog", "'dog', 'cat' was recorded"),
        (None, 0.5, "0.5, None was recorded"),
        (0.5, None, "None, 0.5 was recorded"),
        (1, 1.0, "1, 1 was recorded"),
        (1, True, "True, 1 was recorded"),
    ],
)
def test_counts_ranks_flags_and_names_are_equal_under_every_tolerance(
    tolerance: Tolerance, first: object, second: object, words: str
) -> None:
    assert gap(first, second, tolerance) == Gap(False, None, words)


def test_what_is_only_told_may_be_anything() -> None:
    assert gap("near noise", "fragile", TOLD) == Gap(True, None, "'fragile', 'near noise' was recorded; not judged")
    assert gap(None, 2.0, TOLD).holds


def test_bounds_of_an_interval_are_judged_by_the_largest_of_them() -> None:
    first, second = {"mean": 0.1, "low": 0.001, "high": 0.2, "total": 6}, {"mean": 0.1, "low": -0.0029, "high": 0.2, "total": 6}
    one, other = named(first, "m"), named(second, "m")
    assert number_gap(one["m/low"], other["m/low"], DERIVED).share == pytest.approx(0.0039 / 0.004)
    second["low"] = -0.0031
    assert not number_gap(one["m/low"], named(second, "m")["m/low"], DERIVED).holds


def test_what_stands_beside_an_interval_is_judged_by_itself() -> None:
    first, second = {"mean": 100.0, "p": 0.01}, {"mean": 100.0, "p": 0.02}
    assert not number_gap(named(first, "m")["m/p"], named(second, "m")["m/p"], DERIVED).holds


def test_every_value_has_its_name() -> None:
    found = named({"a": {"b": [1.5, {"c": None}], "d": {}, "e": []}}, "metrics")
    assert {name: leaf[0] for name, leaf in found.items()} == {
        "metrics/a/b/0": 1.5,
        "metrics/a/b/1/c": None,
        "metrics/a/b/length": 2,
        "metrics/a/d": {},
        "metrics/a/e/length": 0,
    }


def test_two_values_of_one_name_are_both_kept() -> None:
    found = named({"a/b": 1, "a": {"b": 2}}, "m")
    assert {name: leaf[0] for name, leaf in found.items()} == {"m/a/b": 1, "m/a/b#2": 2}


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.sampled_from(Tolerance))
def test_a_value_is_the_same_as_itself(value: object, tolerance: Tolerance) -> None:
    found, again = named(value, "m"), named(json.loads(json.dumps(value)), "m")
    assert found.keys() == again.keys()
    assert all(number_gap(found[name], again[name], tolerance) is SAME for name in found)
