"""What a map's values alone say about its worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.attribution.degeneration import of_values
from interp.core.method import Fault


def faults(values: np.ndarray) -> list[Fault]:
    return [found.fault for found in of_values(values)]


def filled(share: int, of: int = 16, at: float = 2.0) -> np.ndarray:
    """``share`` of ``of`` places at the value ``at``, the others below, all different."""
    values = np.linspace(0.1, 1.0, of)
    values[:share] = at
    return values.reshape(4, -1)


@pytest.mark.parametrize(
    ("values", "expected", "label", "sentence"),
    [
        (np.zeros((3, 3)), Fault.ZERO, "zero map", "every value is exactly zero: no place speaks for or against the unit"),
        (np.array([[1.0, np.nan], [np.inf, 0]]), Fault.NOT_FINITE, "not finite", "2 of 4 values are NaN or infinite: check the weights"),
        (np.full((2, 2), -3.0), Fault.SATURATED, "constant map", "every place has the same value"),
        (1 + 1e-8 * np.arange(4.0).reshape(2, 2), Fault.SATURATED, "constant map", "every place has the same value"),
        (filled(9), Fault.SATURATED, "saturated", "9 of 16 places have the largest magnitude: the map cannot rank them"),
        (filled(9, at=-2.0), Fault.SATURATED, "saturated", "9 of 16 places"),
    ],
)
def test_faults(values: np.ndarray, expected: Fault, label: str, sentence: str) -> None:
    (found,) = of_values(values)
    assert (found.fault, found.label) == (expected, label)
    assert found.sentence.startswith(sentence)
    assert "\n" not in found.sentence


def test_a_clipped_map_is_saturated_at_both_ends() -> None:
    assert faults(np.clip(np.linspace(-10, 10, 64).reshape(8, 8), -1, 1)) == [Fault.SATURATED]
    assert faults(np.clip(np.linspace(-10, 10, 64).reshape(8, 8), -9, 9)) == []


@pytest.mark.parametrize(
    "values",
    [
        filled(8),  # exactly half
        np.array([[2.0, 2.0, 2.0], [2.0, 2.0, 1.0], [1.0, 1.0, 0.0]]),  # too few places to tell
        np.eye(4),  # mostly zero, but not zero
        np.array([[5.0]]),  # one place: nothing to compare it with
        np.array([[1.0, -1.0]]),
        np.array([[1.0, 1.0 + 1e-4]]),
    ],
)
def test_maps_that_are_in_order(values: np.ndarray) -> None:
    assert faults(values) == []


@given(st.integers(0, 16), st.floats(1e-20, 1e20), st.sampled_from([1.0, -1.0]))
def test_scale_and_sign_change_no_fault(share: int, factor: float, sign: float) -> None:
    expected = [Fault.SATURATED] if share > 8 else []
    assert faults(filled(share)) == faults(sign * factor * filled(share)) == expected
