"""Units that keep their places, filters that move, the first sign of structure: as equations."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.films.axis import MOST_PLACES, even
from interp.films.matching import assigned, cosines, identity, own_cosines
from interp.films.moved import moved
from interp.films.onset import LEAST_P, NEVER, onset
from interp.films.timeline import Curve
from interp.kernels import Kernels, noise


def filters(seed: int, out: int = 4, inputs: int = 3, side: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((out, inputs, side, side)).astype(np.float32)


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 2, 2.0, np.pi])
@pytest.mark.parametrize("size", [0.2, 1.0, 7.0])
def test_a_filter_that_is_turned_has_the_cosine_of_the_angle(angle: float, size: float) -> None:
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((27, 2)))[0].T.reshape(2, 3, 3, 3)
    before, after = axes[:1], size * (np.cos(angle) * axes[:1] + np.sin(angle) * axes[1:])
    assert own_cosines(before, after) == pytest.approx([np.cos(angle)], abs=1e-12)
    found = moved("conv", np.stack([before, after]))
    assert found.cosine == pytest.approx([np.cos(angle)], abs=1e-12)
    assert found.size == pytest.approx([size])
    assert found.distance == pytest.approx([np.sqrt(1 + size**2 - 2 * size * np.cos(angle))], abs=1e-7)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_distance_size_and_cosine_hold_together(one: int, other: int) -> None:
    found = moved("conv", np.stack([filters(one), filters(other)]))
    assert np.square(found.distance) == pytest.approx(1 + np.square(found.size) - 2 * found.size * found.cosine, abs=1e-5)
    assert list(found.distance[found.order]) == sorted(found.distance, reverse=True)


def test_filters_that_only_grow_do_not_turn() -> None:
    found = moved("conv", np.stack([filters(1), 3 * filters(1)]))
    assert found.cosine == pytest.approx(np.ones(4))
    assert found.distance == pytest.approx(np.full(4, 2.0))


def test_a_filter_of_zeros_has_no_cosine_and_comes_last() -> None:
    start = filters(0)
    start[2] = 0
    found = moved("conv", np.stack([start, filters(1)]))
    assert np.isnan(found.distance[2])
    assert np.isnan(found.cosine[2])
    assert found.order[-1] == 2
    assert not identity(np.stack([start, filters(1)])).jumped[0, 2]


def test_an_exchange_of_two_filters_is_a_jump_of_both_and_of_no_other() -> None:
    weights = np.stack([filters(0), filters(0) + 0.05 * filters(1), filters(0)[[0, 2, 1, 3]], filters(0)[[0, 2, 1, 3]]])
    found = identity(weights)
    assert found.jumped.tolist() == [[False] * 4, [False, True, True, False], [False] * 4]
    table = cosines(weights[1], weights[2])
    assert found.cosine[1] == pytest.approx(np.diagonal(table))
    assert found.other[1] == pytest.approx([max(table[i, k] for i in range(4) if i != k) for k in range(4)])


def test_a_slow_turn_is_no_jump_though_start_and_end_have_nothing_in_common() -> None:
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((18, 4)))[0].T.reshape(4, 2, 3, 3)
    turn = np.linspace(0, np.pi / 2, 12)[:, None, None, None, None]
    weights = np.cos(turn) * axes[None, :2] + np.sin(turn) * axes[None, 2:]
    assert not identity(weights).jumped.any()
    assert moved("conv", weights).cosine == pytest.approx([0, 0], abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_assignment_is_the_best_of_all(seed: int) -> None:
    before, after = filters(seed, 5), filters(seed + 1, 5)
    table = cosines(before, after)
    best = max(permutations(range(5)), key=lambda order: sum(table[k, order[k]] for k in range(5)))
    assert tuple(assigned(before, after)) == best


def test_a_permutation_with_noise_is_undone() -> None:
    before = filters(3, 16)
    order = np.random.default_rng(0).permutation(16)
    after = (before + 0.2 * filters(4, 16))[np.argsort(order)]
    assert assigned(before, after).tolist() == np.argsort(np.argsort(order)).tolist()
    assert np.square(after[assigned(before, after)] - before).mean() == pytest.approx(0.04, rel=0.2)


def accepted(p: np.ndarray) -> float:
    """Benjamini & Hochberg's threshold by brute force: the largest p with p <= 0.05 rank / n."""
    values = sorted(p.ravel())
    return max((value for rank, value in enumerate(values, 1) if value <= 0.05 * rank / len(values)), default=0.0)


def test_the_first_moment_is_the_one_from_which_on_it_stays_structured() -> None:
    low, high = LEAST_P, 0.7
    p = np.array(
        [
            [high, low, low, high, high],
            [low, low, high, high, high],
            [low, low, low, high, high],
            [low, low, low, low, high],
        ]
    )
    found = onset(p)
    assert found.thresholds.tolist() == [accepted(own) for own in p] == [low] * 4
    assert found.first.tolist() == [1, 0, 2, 3, NEVER]
    relapsed = p.copy()
    relapsed[-1, 0] = high
    assert onset(relapsed).first.tolist() == [NEVER, 0, 2, 3, NEVER]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 8), st.floats(0, 1))
def test_the_threshold_of_a_moment_is_that_of_its_filters(seed: int, moments: int, count: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    p = np.where(rng.random((moments, count)) < share, LEAST_P, rng.random((moments, count)))
    found = onset(p)
    assert found.thresholds.tolist() == [accepted(own) for own in p]
    for k in range(count):
        stays = [all(p[t:, k] <= found.thresholds[t:]) for t in range(moments)]
        assert found.first[k] == (stays.index(True) if True in stays else NEVER)


def test_filters_that_were_not_asked_do_not_count() -> None:
    p = np.array([[0.5, np.nan, LEAST_P], [LEAST_P, np.nan, LEAST_P]])
    found = onset(p)
    assert found.tested.tolist() == [True, False, True]
    assert found.first.tolist() == [1, NEVER, 0]
    assert found.thresholds.tolist() == [accepted(own) for own in p[:, [0, 2]]]


def test_noise_shows_no_structure_and_an_edge_does_from_the_moment_it_is_there() -> None:
    weights = np.repeat(np.random.default_rng(0).standard_normal((1, 8, 4, 7, 7)), 5, axis=0).astype(np.float32)
    edge = np.where(np.arange(7) < 3, -1.0, 1.0)[None, None, :] * np.ones((4, 7, 1))
    weights[2:, :6] = edge + 0.1 * weights[2:, :6]
    p = np.stack([noise.of(Kernels("conv", "Conv2d", each)).p for each in weights])
    assert onset(p).first.tolist() == [2] * 6 + [NEVER, NEVER]


def test_pure_noise_is_never_structured() -> None:
    weights = np.random.default_rng(5).standard_normal((4, 12, 3, 5, 5)).astype(np.float32)
    found = onset(np.stack([noise.of(Kernels("conv", "Conv2d", each)).p for each in weights]))
    assert (found.thresholds == 0).all()
    assert (found.first == NEVER).all()


def curve(steps: list[int], values: list[float]) -> Curve:
    return Curve("x", np.array(steps, np.int64), np.array(values, np.float64))


def test_a_curve_goes_through_its_points_and_straight_between_them() -> None:
    found = even(curve([0, 10, 40], [0.0, 1.0, -2.0]), 0, 60)
    assert found.tolist()[:5] == [0, 1, 0, -1, -2]
    assert np.isnan(found[5:]).all()
    assert len(found) == 7


def test_what_is_not_finite_leaves_a_gap_and_of_one_step_the_last_value_counts() -> None:
    found = even(curve([0, 1, 2, 3, 3], [1.0, np.nan, 3.0, 4.0, 5.0]), 0, 3)
    assert np.isnan(found[1])
    assert found[[0, 2, 3]].tolist() == [1, 3, 5]


def test_a_long_training_has_no_more_places_than_a_figure_has_pixels() -> None:
    steps = np.arange(0, 1_000_000, 7)
    found = even(Curve("x", steps, steps.astype(np.float64)), 0, int(steps[-1]))
    assert len(found) == MOST_PLACES
    assert found == pytest.approx(np.linspace(0, steps[-1], MOST_PLACES))
