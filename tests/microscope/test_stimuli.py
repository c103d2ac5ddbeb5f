"""Stimuli by their equations, and tuning curves of channels whose tuning is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp import kernels
from interp.images import Preprocess
from interp.kernels import gabor, tuning
from interp.microscope.columns import orientation_selectivity
from interp.microscope.stimuli import ORIENTATIONS, PERIODS, PHASES, Family, discs, families, gratings, hues, periods
from interp.microscope.tuning import Tune, tunable
from interp.zoo import load

SIZE = (32, 24)


def test_families_have_positions_that_rise_and_pictures_in_range() -> None:
    for family in families(*SIZE):
        assert family.pictures.shape[1:] == (*SIZE, 3)
        assert family.pictures.min() >= 0
        assert family.pictures.max() <= 1
        assert list(family.positions) == sorted(family.positions)
        assert set(family.place.tolist()) == set(range(len(family.positions)))
        assert len(family.shown) == len(family.positions)


def test_a_grating_is_a_cosine_along_its_direction() -> None:
    by_angle, by_period = gratings(*SIZE)
    lengths = periods(*SIZE)
    number = 5 * PERIODS * PHASES + 2 * PHASES + 1  # 75 degrees, the third period, an eighth later
    angle, period = math.radians(75), lengths[2]
    for row, col in ((0, 0), (7, 20), (31, 3)):
        along = (col - 11.5) * math.sin(angle) + (row - 15.5) * math.cos(angle)
        expected = 0.5 + 0.45 * math.cos(2 * math.pi * (along / period - 0.125))
        assert by_angle.pictures[number, row, col] == pytest.approx(expected, abs=1e-6)
    assert by_angle.positions[by_angle.place[number]] == 75
    assert by_period.positions[by_period.place[number]] == pytest.approx(1 / period)
    assert (lengths[0], lengths[-1]) == (pytest.approx(3.0), pytest.approx(12.0))


def test_at_zero_degrees_stripes_lie_at_ninety_they_stand_and_between_they_rise_to_the_right() -> None:
    family = gratings(*SIZE)[0]
    lying, rising, upright = (family.shown[k] for k in (0, ORIENTATIONS // 4, ORIENTATIONS // 2))
    assert np.ptp(lying, axis=1).max() < 1e-6
    assert np.ptp(upright, axis=0).max() < 1e-6
    # Frequencies are shown by stripes that stand, too.
    assert np.ptp(gratings(*SIZE)[1].shown, axis=1).max() < 1e-6
    # Alike one row up and one column to the right.
    np.testing.assert_allclose(rising[1:, :-1], rising[:-1, 1:], atol=1e-6)
    assert np.ptp(rising, axis=1).max() > 0.5


def turned(one: float, other: float) -> float:
    """The angle between two orientations, [0, 90]."""
    return min(abs(one - other) % 180, 180 - abs(one - other) % 180)


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 120, 150])
def test_oriented_filters_have_one_orientation_by_curves_by_weights_and_by_gabor_fits(degrees: int) -> None:
    down, right = np.mgrid[-4:5, -4:5].astype(np.float64)
    across = right * math.sin(math.radians(degrees)) + down * math.cos(math.radians(degrees))
    plane = np.exp(-(down**2 + right**2) / 12) * np.cos(2 * math.pi * across / 5)
    network = nn.Sequential(nn.Conv2d(3, 1, 9, padding=4, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        network[0].weight.copy_(torch.from_numpy(np.tile(plane, (1, 3, 1, 1))))
    model = load(network, preprocess=Preprocess((32, 32), 32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
    curve = Tune(("0",)).arrays(model)["0/orientation"][0]
    seen = gratings(32, 32)[0].positions[int(curve.argmax())]
    weighed = float(tuning.of(kernels.of(model, "0")).preferred[0][0])
    assert turned(seen, degrees) <= 7.5  # in steps of 15
    assert turned(weighed, degrees) <= 3.75  # in steps of 7.5
    assert turned(gabor.fit(plane).orientation, degrees) < 1


def test_hues_go_round_from_red_over_green_and_blue() -> None:
    family = hues(*SIZE)
    assert family.pictures[0, 5, 5].tolist() == [1, 0, 0]
    assert family.pictures[4, 0, 0].tolist() == [0, 1, 0]
    assert family.pictures[8, 31, 23].tolist() == [0, 0, 1]
    assert family.positions[4] == 120


def test_a_disc_has_its_area_in_both_signs() -> None:
    family = discs(64, 64)
    for k, across in enumerate(family.positions[:-1]):
        white, black = family.pictures[family.place == k]
        assert 2 * (white[..., 0] - 0.5).sum() == pytest.approx(math.pi * across**2 / 4, rel=0.05)
        np.testing.assert_allclose(white - 0.5, 0.5 - black, atol=1e-6)


class Known(nn.Module):
    """Channels whose answers at the centre are known: red, brightness to the right minus to the left, minus green."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, 0, 1, 1] = 1
            self.conv.weight[1, :, 1, 2], self.conv.weight[1, :, 1, 0] = 1, -1
            self.conv.weight[2, 1, 1, 1] = -1
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc(self.conv(x).mean((2, 3)))
        return found


def test_curves_are_the_largest_answers_at_the_centre() -> None:
    model = load(Known(), preprocess=Preprocess(SIZE, 24, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
    assert tunable(model)
    found = Tune(("conv", "fc")).arrays(model)
    reds = [hues(*SIZE).pictures[k, 0, 0, 0] for k in range(12)]
    np.testing.assert_allclose(found["conv/hue"][0], reds, atol=1e-6)
    np.testing.assert_allclose(found["conv/hue"][2], [-hues(*SIZE).pictures[k, 0, 0, 1] for k in range(12)], atol=1e-6)
    family = gratings(*SIZE)[0]
    row, col = SIZE[0] // 2, SIZE[1] // 2
    slopes = 3 * (family.pictures[:, row, col + 1, 0] - family.pictures[:, row, col - 1, 0])
    np.testing.assert_allclose(found["conv/orientation"][1], largest(slopes, family), atol=1e-5)
    # Stripes that lie do not change to the right.
    assert found["conv/orientation"][1][0] == pytest.approx(0, abs=1e-5)
    assert {name.partition("/")[2] for name in found} == {"orientation", "spatial frequency", "hue", "size"}
    assert found["fc/size"].shape == (2, 8)


def largest(answers: np.ndarray, family: Family) -> list[float]:
    return [float(answers[family.place == k].max()) for k in range(len(family.positions))]


def test_orientation_selectivity_is_one_minus_the_circular_variance() -> None:
    one = np.zeros(12)
    one[3] = 2.0
    assert orientation_selectivity(one) == pytest.approx(1)
    assert orientation_selectivity(np.ones(12)) == pytest.approx(0, abs=1e-12)
    two = np.zeros(12)
    two[[0, 6]] = 1.0  # at right angles
    assert orientation_selectivity(two) == pytest.approx(0, abs=1e-12)
    assert orientation_selectivity(-np.ones(12)) is None
