"""A scale means one thing: what it spans, where its zero is, and what it clips."""

import numpy as np
import pytest

from interp.errors import InterpError
from interp.figures import Kind, Scale


def test_symmetric_spans_all_arrays_around_zero():
    assert Scale.symmetric([np.array([-3.0, 1.0]), np.array([2.0])]) == Scale(-3.0, 3.0, Kind.DIVERGING)


def test_positive_starts_at_zero_even_if_the_values_do_not():
    assert Scale.positive([np.array([0.5, 2.0])], label="activation") == Scale(0.0, 2.0, Kind.POSITIVE, "activation")


@pytest.mark.parametrize(("percentile", "named"), [(99.0, "99th"), (99.5, "99.5th"), (91.0, "91st"), (11.0, "11th"), (92.0, "92nd")])
def test_a_clip_is_taken_over_all_magnitudes_and_named(percentile, named):
    values = np.linspace(-1, 1, 201)
    scale = Scale.symmetric([values[:100], values[100:]], percentile, "relevance")
    assert scale.high == -scale.low == np.percentile(np.abs(values), percentile)
    assert scale.label == f"relevance, clipped at the {named} percentile"


def test_nothing_is_clipped_at_the_hundredth_percentile():
    assert Scale.symmetric([np.array([1.0, -2.0])], 100.0).label == ""


def test_values_that_are_mostly_zero_keep_their_maximum():
    values = np.zeros(1000)
    values[3] = 5.0
    assert Scale.positive([values], 99.0) == Scale(0.0, 5.0, Kind.POSITIVE)


def test_nan_and_zeros_have_no_reach_of_their_own():
    assert Scale.symmetric([np.array([np.nan, -2.0])]).high == 2.0
    assert Scale.symmetric([np.full(3, np.nan)]) == Scale.symmetric([np.zeros(3)]) == Scale(-1.0, 1.0, Kind.DIVERGING)
    assert Scale.positive([]) == Scale(0.0, 1.0, Kind.POSITIVE)


@pytest.mark.parametrize(
    ("low", "high", "kind", "match"),
    [
        (-1.0, 2.0, Kind.DIVERGING, "zero in the middle; use -2 to 2"),
        (-1.0, 2.0, Kind.POSITIVE, "starts at zero or above; use Scale.symmetric"),
        (1.0, 1.0, Kind.POSITIVE, "low below high"),
        (0.0, float("nan"), Kind.POSITIVE, "must be finite"),
    ],
)
def test_a_scale_that_would_mislead_is_refused(low, high, kind, match):
    with pytest.raises(InterpError, match=match):
        Scale(low, high, kind)


def test_a_positive_scale_does_not_hide_negative_values():
    with pytest.raises(InterpError, match=r"down to -0\.5.*positive part first"):
        Scale.positive([np.array([1.0, -0.5])])


def test_percentile_outside_its_range():
    with pytest.raises(InterpError, match="`percentile` is 0, but runs from above 0 to 100"):
        Scale.symmetric([np.ones(2)], 0.0)
