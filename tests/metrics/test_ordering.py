"""The order in which places are removed, and what becomes of ties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from interp.errors import InterpError
from interp.metrics.ordering import removal_order, removed_counts

from .asking import distinct

maps = arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-1e6, 1e6, width=32))


def test_by_signed_value_row_by_row() -> None:
    assert removal_order(np.array([[0.4, -9.0, 0.3], [0.1, 0.2, -0.1]])).tolist() == [0, 2, 4, 3, 5, 1]


@settings(deadline=None)
@given(maps)
def test_every_place_once_and_never_clearly_upwards(values: np.ndarray) -> None:
    order = removal_order(values)
    assert sorted(order.tolist()) == list(range(values.size))
    steps = np.diff(values.ravel()[order].astype(np.float64))
    assert (steps <= 1e-5 * np.abs(values).max()).all()


def test_a_monotone_function_of_the_map_changes_nothing() -> None:
    values = distinct(1, 9)[0]
    order = removal_order(values)
    for other in (3e-7 * values, values + 1000, np.exp(values / 5), np.cbrt(values)):
        assert removal_order(other.astype(np.float64)).tolist() == order.tolist()


@pytest.mark.parametrize("constant", [0.0, -0.0, 1.0, -3.7, 1e-30, 1e30])
def test_a_constant_map_is_a_random_order_that_knows_only_seed_and_size(constant: float) -> None:
    order = removal_order(np.full((12, 10), constant))
    assert order.tolist() == removal_order(np.zeros((12, 10))).tolist()
    assert order.tolist() != removal_order(np.zeros((10, 12))).tolist()
    assert order.tolist() != removal_order(np.zeros((12, 10)), seed=1).tolist()
    # No side of the image goes first, as it would with ties in row-major order.
    rows, cols = np.divmod(order[:60], 10)
    assert abs(rows.mean() - 5.5) < 1
    assert abs(cols.mean() - 4.5) < 1


def test_nine_of_ten_values_zero() -> None:
    values = np.zeros((20, 20))
    values.flat[7:47] = np.arange(40, 0, -1)
    order = removal_order(values)
    assert order[:40].tolist() == list(range(7, 47))
    ties = removal_order(np.zeros((20, 20)))
    assert order[40:].tolist() == [place for place in ties.tolist() if not 7 <= place < 47]


def test_the_rounding_of_an_interpolation_breaks_no_tie() -> None:
    small = torch.full((1, 1, 7, 7), 0.1)
    values = F.interpolate(small, size=(50, 45), mode="bilinear", align_corners=False)[0, 0].numpy()
    assert len(np.unique(values)) > 1
    assert removal_order(values).tolist() == removal_order(np.zeros((50, 45))).tolist()


def test_small_values_beside_large_ones_keep_their_order() -> None:
    assert removal_order(np.array([[1e-12, 1.0, 3e-12, 2e-12, -1e-12]])).tolist() == [1, 2, 3, 0, 4]


def test_shares_are_rounded_to_whole_places() -> None:
    assert removed_counts(10, np.array([0, 0.26, 0.5, 1])).tolist() == [0, 3, 5, 10]


def test_no_order_of_what_is_not_finite() -> None:
    with pytest.raises(InterpError, match=r"holds NaN or infinite values, which have no order"):
        removal_order(np.array([[0.0, np.nan]]))
