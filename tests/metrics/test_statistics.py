"""Intervals cover what they should, in whichever order the images come; ranks follow from intervals alone."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from interp.errors import InterpError
from interp.metrics.evidence import Better
from interp.metrics.statistics import Interval, bootstrap_interval, paired_difference, ranks


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=40)
    ours = bootstrap_interval(values, n_resamples=20_000)
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)).confidence_interval
    spread = theirs.high - theirs.low
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * spread)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * spread)


def test_a_level_is_covered_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    found = [bootstrap_interval(rng.normal(size=40), level=0.8, n_resamples=300, seed=i) for i in range(300)]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in found])
    assert 0.72 < covered < 0.86


def test_the_whole_sample_space_of_two_values() -> None:
    """Means 0, 0.5 and 1 with chances 1/4, 1/2 and 1/4: an interval of 40% is the middle one alone."""
    values = np.array([0.0, 1.0])
    assert bootstrap_interval(values) == Interval(0.5, 0.0, 1.0, 2, 2)
    assert bootstrap_interval(values, level=0.4) == Interval(0.5, 0.5, 0.5, 2, 2)


def test_nan_is_left_out_and_counted() -> None:
    values = np.array([0.2, 0.4, 0.9])
    with_nan = np.array([np.nan, 0.4, 0.2, np.nan, 0.9])
    a, b = bootstrap_interval(values), bootstrap_interval(with_nan)
    assert (a.mean, a.low, a.high) == (b.mean, b.low, b.high)
    assert (b.defined, b.total) == (3, 5)


def test_too_few_values() -> None:
    one = bootstrap_interval(np.array([0.3, np.nan]))
    assert (one.mean, one.defined, one.total, one.known) == (0.3, 1, 2, False)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    none = bootstrap_interval(np.array([np.nan]))
    assert math.isnan(none.mean)
    assert (none.defined, none.total, none.known) == (0, 1, False)
    assert bootstrap_interval(np.zeros(0)).total == 0


def test_the_global_generators_are_left_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    bootstrap_interval(np.arange(5.0))
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state[1], np.random.get_state()[1])  # noqa: NPY002


def test_many_images_are_drawn_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random(50)
    whole = bootstrap_interval(values)
    monkeypatch.setattr("interp.metrics.statistics._MOST_INDICES", 333)
    assert bootstrap_interval(values) == whole


values_of = st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=2, max_size=12)


@settings(max_examples=40, deadline=None)
@given(values_of, st.integers(0, 3), st.randoms())
def test_properties(listed: list[float], seed: int, random: object) -> None:
    values = np.array(listed)
    found = bootstrap_interval(values, n_resamples=200, seed=seed)
    shuffled = listed.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert repr(bootstrap_interval(np.array(shuffled), n_resamples=200, seed=seed)) == repr(found)
    if found.known:
        defined = values[~np.isnan(values)]
        slack = 1e-9 * (1 + np.abs(defined).max())
        assert defined.min() - slack <= found.low <= found.high <= defined.max() + slack


def test_the_seed_counts() -> None:
    values = np.random.default_rng(0).random(20)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_pairs_tell_apart_what_two_intervals_cannot() -> None:
    """A method that beats the control by a little on every image, while images differ by much."""
    rng = np.random.default_rng(0)
    control = rng.random(30)
    values = control + 0.05 + 0.01 * rng.random(30)
    assert bootstrap_interval(values).low < bootstrap_interval(control).high
    assert paired_difference(values, control).low > 0.05
    assert paired_difference(values, control).mean == pytest.approx((values - control).mean())
    control[0] = np.nan
    assert paired_difference(values, control).defined == 29


def interval(low: float | int, high: float | int) -> Interval:
    return Interval((low + high) / 2, float(low), float(high), 10, 10)


UNKNOWN = Interval(0.9, math.nan, math.nan, 1, 10)
UNDEFINED = Interval(math.nan, math.nan, math.nan, 0, 10)


def test_ranks_by_hand() -> None:
    far, chain = interval(0.0, 0.1), [interval(0.8, 0.9), interval(0.65, 0.82), interval(0.5, 0.7)]
    assert ranks([far, *chain], Better.HIGHER) == [4, 1, 1, 3]
    assert ranks([far, *chain], Better.LOWER) == [1, 4, 2, 2]
    assert ranks([interval(0, 1)] * 3, Better.HIGHER) == [1, 1, 1]
    assert ranks([interval(0, 1), interval(1, 2)], Better.HIGHER) == [1, 1], "touching intervals overlap"
    assert ranks([far, *chain], Better.NEITHER) == [None] * 4
    assert ranks([], Better.HIGHER) == []


def test_ranks_of_what_is_not_known() -> None:
    assert ranks([interval(0.5, 0.6), UNKNOWN, interval(0.1, 0.2), UNDEFINED], Better.HIGHER) == [1, None, 2, None]
    assert ranks([UNKNOWN, interval(0, 0.1)], Better.LOWER) == [None, 1]
    assert ranks([bootstrap_interval(np.array([value])) for value in (0.1, 0.9)], Better.HIGHER) == [None, None], "one image ranks nobody"


bounds = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda pair: interval(float(min(pair)), float(max(pair))))


@settings(max_examples=100, deadline=None)
@given(st.lists(bounds, max_size=8), st.sampled_from([Better.HIGHER, Better.LOWER]))
def test_a_better_mean_never_has_a_worse_rank(intervals: list[Interval], better: Better) -> None:
    found = [rank for rank in ranks(intervals, better) if rank is not None]
    sign = 1 if better is Better.HIGHER else -1
    assert len(found) == len(intervals)
    order = sorted(range(len(intervals)), key=lambda i: (found[i], -sign * intervals[i].mean))
    means = [sign * intervals[i].mean for i in order]
    assert means == sorted(means, reverse=True)
    leaders: dict[int, Interval] = {}
    for i in order:
        leaders.setdefault(found[i], intervals[i])
    for rank, one in zip(found, intervals, strict=True):
        leader = leaders[rank]
        assert one.low <= leader.high, "within a group every interval overlaps the leader's"
        assert leader.low <= one.high, "within a group every interval overlaps the leader's"
        assert rank == 1 + sum(other < rank for other in found)
    led = [leaders[rank] for rank in sorted(leaders)]
    assert all(sign * (a.low if sign > 0 else a.high) > sign * (b.high if sign > 0 else b.low) for a, b in pairwise(led))


def test_bad_input() -> None:
    with pytest.raises(InterpError, match=r"`level` is 1.0 and `n_resamples` 2000: give a level between 0 and 1"):
        bootstrap_interval(np.arange(3.0), level=1.0)
    with pytest.raises(InterpError, match=r"and `n_resamples` 0: give a level"):
        bootstrap_interval(np.arange(3.0), n_resamples=0)
    with pytest.raises(InterpError, match="`values` holds an infinite value"):
        bootstrap_interval(np.array([1.0, np.inf]))
