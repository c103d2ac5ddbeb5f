"""Gabor functions are found again, and noise reaches what it is known to reach."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import Unsupported
from interp.kernels import Kernels, gabor
from interp.kernels.gabor import Gabor, fit, principal_planes
from interp.kernels.noise import Null


def kernels(weights: np.ndarray) -> Kernels:
    return Kernels("layer", "Conv2d", np.asarray(weights, dtype=np.float32))


@settings(deadline=None, max_examples=12, derandomize=True)
@given(st.floats(0, 179.9), st.floats(0.12, 0.3), st.floats(-179, 179), st.floats(2.5, 3.5), st.floats(2.5, 3.5))
def test_a_planted_gabor_is_found_again(orientation: float, frequency: float, phase: float, row: float, col: float) -> None:
    planted = Gabor(1.3, row, col, orientation, frequency, phase, 1.5, 2.0, 0.2, 1.0)
    plane = planted.drawn(7, 7)
    found = fit(plane)
    assert found.r2 > 0.9999
    np.testing.assert_allclose(found.drawn(7, 7), plane, atol=5e-3)
    turned = abs(found.orientation - orientation) % 180
    assert min(turned, 180 - turned) < 2
    assert found.frequency == pytest.approx(frequency, abs=0.02)


def test_drawn_is_the_formula() -> None:
    one = Gabor(2.0, 3.0, 2.5, 30.0, 0.15, 40.0, 1.2, 2.2, -0.3, 1.0)
    angle = np.deg2rad(60)  # of the wave, towards lower rows: across stripes that rise to the right by 30 degrees
    down, right = np.mgrid[:7, :7].astype(float)
    down, right = down - 3.0, right - 2.5
    u, v = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
    expected = 2.0 * np.exp(-(u**2) / (2 * 1.2**2) - v**2 / (2 * 2.2**2)) * np.cos(2 * np.pi * 0.15 * u + np.deg2rad(40)) - 0.3
    np.testing.assert_allclose(one.drawn(7, 7), expected, atol=1e-12)


@pytest.mark.parametrize(("across", "orientation"), [("down", 0), ("right", 90), ("both", 45), ("against", 135)])
def test_orientation_is_that_of_the_stripes_as_seen(across: str, orientation: float) -> None:
    down, right = np.mgrid[:9, :9].astype(float)
    waves = {"down": down, "right": right, "both": (down + right) / np.sqrt(2), "against": (down - right) / np.sqrt(2)}
    found = fit(np.cos(2 * np.pi * 0.2 * waves[across] + 0.4))
    assert min(abs(found.orientation - orientation), 180 - abs(found.orientation - orientation)) < 1
    assert found.frequency == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("side", "median", "high"), [(5, 0.51, 0.66), (7, 0.32, 0.42)])
def test_white_noise_reaches_what_was_measured(side: int, median: float, high: float) -> None:
    rng = np.random.default_rng(0)
    r2 = [fit(rng.standard_normal((side, side))).r2 for _ in range(40)]
    assert np.median(r2) == pytest.approx(median, abs=0.05)
    assert np.quantile(r2, 0.95) == pytest.approx(high, abs=0.1)


def test_a_bell_is_a_blob_and_an_edge_is_none() -> None:
    down, right = np.mgrid[:7, :7] - 3.0
    bell = np.exp(-(down**2 + right**2) / 6)
    assert fit(bell).blob(7, 7)
    assert not fit(bell * right).blob(7, 7)
    flat = fit(np.full((7, 7), 3.0))
    assert (flat.r2, flat.amplitude, flat.offset) == (0, 0, 3)


def test_principal_planes_hold_the_most_energy() -> None:
    rng = np.random.default_rng(0)
    plane = rng.standard_normal((1, 5, 5))
    colours = np.array([0.2, -1.0, 0.5]).reshape(3, 1, 1)
    planes, shares = principal_planes((plane * colours)[None])
    np.testing.assert_allclose(planes[0], -plane[0] * np.linalg.norm(colours), rtol=1e-9)
    assert shares[0] == pytest.approx(1)
    weights = rng.standard_normal((4, 3, 5, 5))
    planes, shares = principal_planes(weights)
    np.testing.assert_allclose((planes**2).sum((1, 2)) / (weights**2).sum((1, 2, 3)), shares)


def test_filters_are_judged_beside_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gabor, "DRAWS", 39)
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((6, 3, 5, 5))
    for k in range(3):
        weights[k] = Gabor(3.0, 2.0, 2.0, 60.0 * k, 0.2, 30.0, 1.2, 1.5, 0.0, 1.0).drawn(5, 5) + 0.05 * weights[k]
    steps: list[tuple[int, int]] = []
    found = gabor.of(kernels(weights), 0, lambda done, total: steps.append((done, total)))
    assert found.gabor_like.tolist() == [True] * 3 + [False] * 3
    assert (found.p[:3] == 1 / 40).all()
    assert found.quantile[Null.INITIALIZATION] == np.quantile(found.noise[Null.INITIALIZATION], 0.95) > 0.5
    assert steps[-1] == (84, 84)
    np.testing.assert_array_equal(found.r2, gabor.of(kernels(weights), 0).r2)


def test_small_kernels_are_refused() -> None:
    with pytest.raises(Unsupported, match=r"kernels of 'layer' are 3x3: a Gabor function fits noise too well below 5x5"):
        gabor.of(kernels(np.ones((2, 3, 3, 3))))
    with pytest.raises(Unsupported, match=r"hold NaN or infinite"):
        gabor.of(kernels(np.full((2, 3, 5, 5), np.inf)))
