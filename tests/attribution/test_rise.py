import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interp.attribution.rise import RISE, upsampled
from interp.core.baseline import Baseline
from interp.core.method import Fault
from interp.core.model import Model, ModelSpec
from interp.core.rng import content, generator
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.images import Preprocess

PLAIN = {"mean": (0.0,) * 3, "std": (1.0,) * 3}


class Corner(nn.Module):
    """Class 0: the mean of the upper left quarter; class 1: its negative; class 2: nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 1, 1, bias=False), nn.Linear(1, 3, bias=False)
        self.conv.weight.data.fill_(1 / 3)
        self.fc.weight.data = torch.tensor([[1.0], [-1.0], [0.0]])

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x)[:, :, : x.shape[2] // 2, : x.shape[3] // 2].mean((2, 3)))


@pytest.fixture
def corner() -> Model:
    return trace(Corner(), ModelSpec("corner"), Preprocess(size=(28, 28), resize=28, **PLAIN))


def images(n: int = 2, rows: int = 28, cols: int = 28) -> Tensor:
    return torch.rand(n, 3, rows, cols, generator=torch.Generator().manual_seed(2))


def test_the_formula_by_hand(corner: Model) -> None:
    """Masks drawn, upsampled and cut one by one, as the paper's section 3.2 and the authors' code do."""
    x, n, cells = images(1), 40, 4
    heatmap = RISE(n, cells, baseline=Baseline.BLACK, seed=3, batch_size=7)(corner, x, [Unit("fc", 0)])[0]
    draws = generator(3, "rise", content(x[0]))
    grids = (torch.rand(n, 1, cells, cells, generator=draws) < 0.5).float()
    rows = torch.randint(7, (n,), generator=draws)
    cols = torch.randint(7, (n,), generator=draws)
    masks, scores = [], []
    for grid, row, col in zip(grids, rows.tolist(), cols.tolist(), strict=True):
        large = F.interpolate(grid[None], (35, 35), mode="bilinear")[0, 0]
        mask = large[row : row + 28, col : col + 28]
        masks.append(mask.double().numpy())
        scores.append(float(corner(x * mask)[0, 0]))
    expected = sum(f * m for f, m in zip(scores, masks, strict=True)) / sum(masks)
    np.testing.assert_allclose(heatmap.values, expected - np.mean(scores), atol=1e-6)
    np.testing.assert_allclose(dict(heatmap.measures)["mean score"], np.mean(scores), atol=1e-6)


def test_what_raises_the_score_is_positive_where_it_is(corner: Model) -> None:
    white = torch.ones(2, 3, 28, 28)
    up, down = RISE(600, baseline=Baseline.BLACK)(corner, white, [Unit("fc", 0), Unit("fc", 1)])
    np.testing.assert_allclose(up.values, -down.values, atol=1e-6)
    assert up.values[:14, :14].mean() > 0.02
    assert up.values[:10, :10].min() > np.abs(up.values[18:, 18:]).max()


def test_a_score_that_nothing_changes_gives_exactly_zero(corner: Model) -> None:
    corner.module.fc.bias = nn.Parameter(torch.full((3,), 0.3))
    heatmap = RISE(30)(corner, images(1), [Unit("fc", 2)])[0]
    assert not heatmap.values.any()
    assert [d.fault for d in heatmap.degenerations] == [Fault.ZERO]
    assert dict(heatmap.measures)["mean score"] == pytest.approx(0.3)


def test_a_place_that_no_mask_shows_has_the_value_zero(corner: Model) -> None:
    # One mask of four cells, some off: far from the cells that are on it is exactly 0.
    method = RISE(1, 2, seed=1, baseline=Baseline.BLACK)
    grids, shifts = method._draw(images(1)[0])
    hidden = (upsampled(grids, shifts, (28, 28))[0] == 0).numpy()
    assert hidden.any()
    assert not hidden.all()
    values = method(corner, images(1), [Unit("fc", 0)])[0].values
    assert np.isfinite(values).all()
    assert not values[hidden].any()


def test_masks_have_the_asked_size_and_mean() -> None:
    grids = (torch.rand(400, 1, 7, 7, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    shifts = torch.randint(4, (400, 2), generator=torch.Generator().manual_seed(1))
    masks = upsampled(grids, shifts, (28, 45))
    assert masks.shape == (400, 28, 45)
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert abs(float(masks.mean()) - 0.3) < 0.02


def test_draws_depend_on_seed_and_image_alone(corner: Model) -> None:
    x, units = images(3), [Unit("fc", 0), Unit("fc", 1), Unit("conv", 0, (3, 4))]
    state, numpys = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index, union-attr]  # noqa: NPY002
    together = RISE(50)(corner, x, units)
    torch.testing.assert_close(torch.random.get_rng_state(), state, rtol=0, atol=0)
    np.testing.assert_array_equal(np.random.get_state()[1], numpys)  # type: ignore[index]  # noqa: NPY002
    torch.rand(5)
    for i, unit in enumerate(units):
        alone = RISE(50, batch_size=9)(corner, x[i : i + 1], [unit])[0].values
        np.testing.assert_allclose(together[i].values, alone, atol=1e-6)
        assert np.abs(alone - RISE(50, seed=1)(corner, x[i : i + 1], [unit])[0].values).max() > 1e-3
    same = RISE(50)(corner, x[[0, 0]], [Unit("fc", 0)] * 2)
    np.testing.assert_array_equal(same[0].values, same[1].values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "`n_samples` is 0: give at least 1"),
        ({"cells": 0}, "`cells` is 0: give at least 1"),
        ({"batch_size": -2}, "`batch_size` is -2: give at least 1"),
        ({"keep": 1.0}, "`keep` is 1.0: give the probability with which a cell is shown, between 0 and 1"),
    ],
)
def test_bad_options(options: dict[str, int | float], message: str) -> None:
    with pytest.raises(InterpError, match=re.escape(message)):
        RISE(**options)  # type: ignore[arg-type]


def test_scores_that_are_not_finite(corner: Model) -> None:
    corner.module.fc.weight.data[0] = torch.nan  # type: ignore[union-attr, index]
    with pytest.raises(InterpError, match=r"the score of 'fc:0' is nan"):
        RISE(4)(corner, images(1), [Unit("fc", 0)])
