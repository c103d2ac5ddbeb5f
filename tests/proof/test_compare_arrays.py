"""How far a repeated array may be from the recorded one: both sides of every bound."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from interp.proof.arrays import array_gap, course_gap, similarity
from interp.proof.gap import SAME
from interp.runs.tolerance import Tolerance

EXACT, COMPUTED, DERIVED, OPTIMIZED, TOLD = Tolerance


def f32(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def f64(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def u8(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint8)


@pytest.mark.parametrize(
    ("tolerance", "away", "holds"),
    [
        (COMPUTED, 0.00019, True),
        (COMPUTED, 0.00021, False),
        (DERIVED, 0.039, True),
        (DERIVED, 0.041, False),
        (OPTIMIZED, 0.199, True),
        (OPTIMIZED, 0.201, False),
        (TOLD, 100.0, True),
        (EXACT, 1e-12, False),
    ],
)
def test_a_float_may_be_a_share_of_the_largest_magnitude_away(tolerance: Tolerance, away: float, holds: bool) -> None:
    first, second = f64(0.5, -2.0, 1.0), f64(0.5 + away, -2.0, 1.0)
    assert array_gap("a", first, second, tolerance).holds is holds


def test_the_share_is_what_was_found_over_what_is_allowed() -> None:
    gap = array_gap("a", f64(0, 0, -2), f64(0.0001, 0, -2), COMPUTED)
    assert gap.share == pytest.approx(0.5)
    assert gap.detail == "1 of 3 values differ, by at most 0.0001 at [0], 5e-05 of the largest magnitude; 0.0001 allowed"


def test_the_magnitude_is_that_of_the_recorded_array() -> None:
    assert not array_gap("a", f64(1e-3, 0), f64(1e-3, 10), COMPUTED).holds


@pytest.mark.parametrize("tolerance", [COMPUTED, DERIVED, OPTIMIZED])
def test_zeros_must_stay_zeros(tolerance: Tolerance) -> None:
    gap = array_gap("a", f64(0, 0), f64(0, 1e-30), tolerance)
    assert not gap.holds
    assert gap.share is None
    assert array_gap("a", f64(0, 0), f64(0, -0.0), tolerance).holds


@pytest.mark.parametrize("tolerance", [COMPUTED, DERIVED, OPTIMIZED])
@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (f32(1, np.nan), f32(1, 2), r"2.0 at \[1\], nan was recorded"),
        (f32(1, 2), f32(np.nan, 2), r"nan at \[0\], 1.0 was recorded"),
        (f32(1, np.inf), f32(1, -np.inf), r"-inf at \[1\], inf was recorded"),
        (f32(1, np.inf), f32(1, 3e38), r"at \[1\], inf was recorded"),
    ],
)
def test_what_is_no_number_must_be_so_in_the_same_places(tolerance: Tolerance, first: np.ndarray, second: np.ndarray, words: str) -> None:
    gap = array_gap("a", first, second, tolerance)
    assert not gap.holds
    assert re.search(words, gap.detail)


def test_beside_what_is_no_number_the_others_are_judged() -> None:
    first = f64(np.nan, np.inf, -np.inf, 2)
    assert array_gap("a", first, f64(np.nan, np.inf, -np.inf, 2 + 1e-4), COMPUTED).share == pytest.approx(0.5)
    assert not array_gap("a", first, f64(np.nan, np.inf, -np.inf, 2 + 3e-4), COMPUTED).holds


def test_a_half_may_be_off_by_one_step_of_its_rounding() -> None:
    first = np.array([1, 2], dtype=np.float16)
    assert array_gap("a", first, np.nextafter(first, np.float16(9)), COMPUTED).holds
    assert not array_gap("a", first, first + np.float16(0.01), COMPUTED).holds


@pytest.mark.parametrize(("tolerance", "levels"), [(COMPUTED, 1), (DERIVED, 4)])
def test_an_eight_bit_value_may_be_levels_away(tolerance: Tolerance, levels: int) -> None:
    first = u8(200, 7)
    assert array_gap("a", first, u8(200, 7 + levels), tolerance).share == 1
    assert array_gap("a", first, u8(200, 7 - levels), tolerance).holds
    assert not array_gap("a", first, u8(200, 8 + levels), tolerance).holds


def test_levels_do_not_wrap_around() -> None:
    gap = array_gap("a", u8(0), u8(255), COMPUTED)
    assert gap.share == 255


@pytest.mark.parametrize("tolerance", [EXACT, COMPUTED, DERIVED, OPTIMIZED])
@pytest.mark.parametrize(("first", "second"), [(np.array([3, 5]), np.array([3, 6])), (np.array([True, False]), np.array([True, True]))])
def test_integers_and_truths_are_equal_or_different(tolerance: Tolerance, first: np.ndarray, second: np.ndarray) -> None:
    gap = array_gap("a", first, second, tolerance)
    assert not gap.holds
    assert "1 of 2 values differ" in gap.detail
    assert gap.detail.endswith("at [1]; it is to be equal everywhere")


def test_a_complex_value_is_judged_by_its_distance() -> None:
    first = np.array([3 + 4j], dtype=np.complex64)
    assert array_gap("a", first, first + np.complex64(4e-4j), COMPUTED).holds
    assert not array_gap("a", first, first + np.complex64(6e-4j), COMPUTED).holds


@pytest.mark.parametrize("tolerance", Tolerance)
def test_another_shape_or_dtype_is_another_array(tolerance: Tolerance) -> None:
    assert array_gap("a", f32(1, 2), f64(1, 2), tolerance).detail == "float64 [2], float32 [2] was recorded"
    assert array_gap("a", f32(1, 2), f32(1, 2, 3), tolerance).detail == "float32 [3], float32 [2] was recorded"
    assert not array_gap("a", f32(1, 2), f32(1, 2).reshape(1, 2), tolerance).holds


class TestOptimized:
    def test_an_image_is_told_and_not_judged(self) -> None:
        generator = np.random.default_rng(0)
        first, second = generator.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
        gap = array_gap("features/u/image", first, second, OPTIMIZED)
        assert gap.holds
        assert gap.share is None
        assert gap.detail == f"structural similarity {similarity(first, second):.2f}; judged by its score"

    def test_a_small_image_is_told_by_its_values(self) -> None:
        gap = array_gap("image", u8(1, 2), u8(1, 9), OPTIMIZED)
        assert gap.detail == "1 of 2 values differ, by at most 7 at [1]; judged by its score"

    def test_a_course_is_judged_by_the_mean_of_its_last_tenth(self) -> None:
        first = np.full(20, 2.0)
        second = first.copy()
        second[-2:] = 2.0 + 0.2 + np.array([-0.5, 0.5])
        assert array_gap("features/u/scores", first, second, OPTIMIZED).share == pytest.approx(1)
        second[-1] += 0.001
        gap = array_gap("features/u/scores", first, second, OPTIMIZED)
        assert not gap.holds
        assert gap.detail == "score 2.2 at the end, 2 was recorded"

    def test_what_is_no_course_is_judged_in_every_value(self) -> None:
        first = f64(*[2.0] * 20)
        second = first.copy()
        second[0] = 3
        assert not array_gap("way/activations", first, second, OPTIMIZED).holds
        assert array_gap("features/u/scores", first, second, OPTIMIZED).holds

    def test_other_steps_to_the_same_end_are_another_course(self) -> None:
        generator = np.random.default_rng(0)
        rise, views, others = np.linspace(1, 5, 64), *generator.normal(0, 0.3, (2, 64))
        views[-6:] = others[-6:] = 0
        assert course_gap(rise + views, rise + views * 0.9).holds
        gap = course_gap(rise + views, rise + others)
        assert gap.share == pytest.approx(0, abs=1e-9)
        assert not gap.holds
        assert gap.detail.endswith(": other steps")

    def test_few_steps_and_steps_without_change_do_not_correlate(self) -> None:
        assert course_gap(f64(1, 2, 1, 2), f64(2, 1, 2, 2)).holds
        assert course_gap(np.full(64, 2.0), np.full(64, 2.01)).detail == "score 2.01 at the end, 2 was recorded"

    def test_a_course_that_ends_in_no_number_is_another(self) -> None:
        assert not course_gap(f64(1, 2), f64(1, np.nan)).holds
        assert course_gap(f64(1, 2, np.nan), f64(1, 2, 3)).detail == "3.0 at [2], nan was recorded"

    def test_a_silent_course_must_stay_silent(self) -> None:
        assert not course_gap(f64(0, 0), f64(0, 0.1)).holds


class TestSimilarity:
    def test_of_an_image_and_itself_is_one(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        assert similarity(image, image) == pytest.approx(1)

    def test_of_several_is_their_mean(self) -> None:
        images = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
        apart = similarity(images[0], images[1])
        assert similarity(images, images[[0, 0]]) == pytest.approx((1 + (apart or 0)) / 2)

    def test_there_is_none_below_its_window(self) -> None:
        grey = np.zeros((6, 9), dtype=np.uint8)
        assert similarity(grey, grey) is None
        assert similarity(np.zeros((7, 9), dtype=np.uint8), np.zeros((7, 9), dtype=np.uint8)) == pytest.approx(1)


ANY = arrays(
    st.sampled_from([np.float32, np.float64, np.uint8, np.int64, np.bool_]),
    array_shapes(max_dims=3, max_side=4),
)


@given(ANY, st.sampled_from(Tolerance))
def test_an_array_is_the_same_as_itself(array: np.ndarray, tolerance: Tolerance) -> None:
    assert array_gap("a", array, array.copy(order="F"), tolerance) is SAME


@given(
    arrays(np.float32, array_shapes(max_dims=3, max_side=4), elements=st.floats(-100, 100, width=32)),
    st.sampled_from([COMPUTED, DERIVED]),
    st.data(),
)
def test_any_one_element_beyond_its_tolerance_is_found_and_its_place_named(
    array: np.ndarray, tolerance: Tolerance, data: st.DataObject
) -> None:
    place = tuple(data.draw(st.integers(0, side - 1)) for side in array.shape)
    changed = array.copy()
    changed[place] += max(float(np.abs(array).max()), 1) * {COMPUTED: 2e-4, DERIVED: 0.03}[tolerance]
    gap = array_gap("a", array, changed, tolerance)
    assert not gap.holds
    assert f"1 of {array.size} values differ" in gap.detail
    assert f"at {list(place)}" in gap.detail
