"""Sparseness and complexity: closed forms, Quantus, and their invariances."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from interp.metrics.complexity import Complexity, Sparseness, complexity, sparseness
from interp.metrics.evidence import Better


def test_values_by_hand() -> None:
    maps = np.zeros((3, 2, 2))
    maps[0, 0, 1] = -3  # one place
    maps[1] = 2  # a constant
    maps[2] = [[1, 2], [-3, 4]]
    assert sparseness(maps) == pytest.approx([1 - 1 / 4, 0, 0.25])
    assert complexity(maps) == pytest.approx([0, np.log(4), -sum(p * np.log(p) for p in (0.1, 0.2, 0.3, 0.4))])


def test_the_gini_index_is_half_the_relative_mean_difference() -> None:
    a = np.random.default_rng(0).random((1, 5, 6))
    pairs = np.abs(a.reshape(-1, 1) - a.reshape(1, -1))
    assert sparseness(a) == pytest.approx([pairs.mean() / (2 * a.mean())])


@pytest.mark.parametrize("metric", [sparseness, complexity])
def test_what_is_not_defined_is_nan_and_leaves_the_others_alone(metric: Any) -> None:
    maps = np.random.default_rng(0).normal(size=(4, 3, 3))
    maps[0], maps[1, 0, 0], maps[2, 0, 0] = 0, np.nan, np.inf
    found = metric(maps)
    assert np.isnan(found).tolist() == [True, True, True, False]
    assert found[3] == metric(maps[3:])[0]


def test_quantus_agrees() -> None:
    maps = np.abs(np.random.default_rng(0).normal(size=(4, 1, 8, 8)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus

        options = {"normalise": False, "disable_warnings": True}
        gini = quantus.Sparseness(**options).evaluate_batch(x_batch=maps.copy(), a_batch=maps.copy())
        entropy = quantus.Complexity(**options).evaluate_batch(x_batch=maps.copy(), a_batch=maps.copy())
    np.testing.assert_allclose(sparseness(maps[:, 0]), gini, atol=1e-6)
    np.testing.assert_allclose(complexity(maps[:, 0]), entropy, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float64, (2, 3, 4), elements=st.integers(-99, 99).map(float)))
def test_properties(maps: np.ndarray) -> None:
    for metric, most in ((sparseness, 1 - 1 / 12), (complexity, np.log(12))):
        found = metric(maps)
        assert np.isnan(found).tolist() == [not a.any() for a in maps]
        assert ((found >= -1e-12) & (found <= most + 1e-12) | np.isnan(found)).all()
        for same in (-maps, maps * 1e-310, maps * 1e306, maps[:, ::-1], maps.reshape(2, 4, 3)):
            np.testing.assert_allclose(metric(same), found, atol=1e-9)


def test_they_describe_and_rank_nothing() -> None:
    assert Sparseness.better is Complexity.better is Better.NEITHER
