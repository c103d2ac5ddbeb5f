"""The test of where maps lie, on networks whose answer is known: it must pass what is right, and fail what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from coverage_alignment import Alignment, answering, judged, masks, of, pictures
from torch import Tensor, nn

from interp.core.layout import ChannelsLast, Layout, Maps, Tokens
from interp.core.model import Model
from interp.images import Preprocess
from interp.zoo.loading import load

SIZE = (48, 48)


class Turned(nn.Module):
    """A convolution of stride 4, then ``how`` its output is turned, then a class head."""

    def __init__(self, how: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.how = Applied(how)
        self.head = nn.LazyLinear(5)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.how(self.stem(x)).flatten(1))
        return scores


class Applied(nn.Module):
    def __init__(self, how: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        return self.how(x)


def tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def windows(x: Tensor, side: int = 3) -> Tensor:
    """Tokens window by window, as Hiera and Swin have them within."""
    n, c, rows, cols = x.shape
    return x.view(n, c, rows // side, side, cols // side, side).permute(0, 2, 4, 3, 5, 1).reshape(n, rows * cols, c)


def network(how: Callable[[Tensor], Tensor], layout: Layout | None = None, size: tuple[int, int] = SIZE) -> Model:
    """`Turned`, its middle layer called ``layout`` whatever was found out about it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Turned(how)
        net(torch.zeros(1, 3, *size))
    model = load(net, preprocess=Preprocess(size=size, resize=None))
    if layout is None:
        return model
    return replace(model, layers=tuple(replace(each, layout=layout, problem="") if each.name == "how" else each for each in model.layers))


def at(model: Model, name: str = "how") -> Alignment:
    return {found.layer: found for found in of(model, model.preprocess.size)}[name]


@pytest.mark.parametrize("size", [(48, 48), (36, 60)])
@pytest.mark.parametrize(
    ("how", "layout"),
    [
        (lambda x: x, Maps()),
        (lambda x: x.permute(0, 2, 3, 1), ChannelsLast()),
        (tokens, Tokens(0, (12, 12))),
        (lambda x: torch.cat([x.mean((2, 3))[:, None], tokens(x)], dim=1), Tokens(1, (12, 12))),
    ],
)
def test_maps_in_their_places_pass(how: Callable[[Tensor], Tensor], layout: Layout, size: tuple[int, int]) -> None:
    model = network(how, size=size)
    found = at(model)
    grid = (size[0] // 4, size[1] // 4)
    assert model.layer("how").layout == (replace(layout, grid=grid) if isinstance(layout, Tokens) else layout)
    assert found.aligned
    assert found.grid == grid
    assert all(each.aligned for each in of(model, size))


@pytest.mark.parametrize(
    ("how", "claimed"),
    [
        (lambda x: x.transpose(2, 3), Maps()),
        (lambda x: x.flip(2), Maps()),
        (lambda x: x.flip(3), Maps()),
        (lambda x: x.flip(2, 3), Maps()),
        (lambda x: x.roll((6, 6), (2, 3)), Maps()),
        (lambda x: x.transpose(2, 3).flatten(2).transpose(1, 2), Tokens(0, (12, 12))),
        (windows, Tokens(0, (12, 12))),
        (lambda x: tokens(x)[:, torch.randperm(144, generator=torch.Generator().manual_seed(1))], Tokens(0, (12, 12))),
        (lambda x: (tokens(x) @ tokens(x).transpose(1, 2))[:, None], Maps()),
        (lambda x: tokens(x).transpose(1, 2).roll(5, 2).transpose(1, 2).unflatten(1, (12, 12)).flip(1).flatten(1, 2), Tokens(0, (12, 12))),
    ],
)
def test_maps_out_of_place_fail_and_are_refused(how: Callable[[Tensor], Tensor], claimed: Layout) -> None:
    """The test fails where a wrong layout is claimed, and the trace does not claim it."""
    assert at(network(how, claimed)).aligned is False
    traced = network(how).layer("how")
    assert traced.layout is None
    assert "places" in traced.problem


@pytest.mark.parametrize(
    ("how", "claimed"),
    [
        (lambda x: x.transpose(2, 3), Maps()),
        (lambda x: x.flip(2), Maps()),
        (lambda x: x.flip(3), Maps()),
        (lambda x: x.flip(2, 3), Maps()),
        (lambda x: x.roll((2, 2), (2, 3)), Maps()),
        (lambda x: windows(x, 2), Tokens(0, (4, 4))),
        (lambda x: tokens(x)[:, torch.randperm(16, generator=torch.Generator().manual_seed(1))], Tokens(0, (4, 4))),
        (lambda x: tokens(x)[:, torch.randperm(16, generator=torch.Generator().manual_seed(2))], Tokens(0, (4, 4))),
    ],
)
def test_maps_of_few_places_fail_too_where_they_are_out_of_place(how: Callable[[Tensor], Tensor], claimed: Layout) -> None:
    """They are asked in more rounds, by patches further apart."""
    assert at(network(how, claimed, (16, 16))).aligned is False


def test_a_shift_by_a_part_of_a_patch_is_no_matter() -> None:
    assert at(network(lambda x: x.roll(1, 3), Maps())).aligned


def test_places_that_are_mixed_fail() -> None:
    mixing = torch.randn(144, 144, generator=torch.Generator().manual_seed(0))
    model = network(lambda x: (x.flatten(2) @ mixing).view(x.shape), Maps())
    assert at(model).aligned is False


def test_what_does_not_answer_is_not_judged() -> None:
    assert at(network(lambda x: x * 0, Maps())).why == "it does not depend on the picture"
    same = at(network(lambda x: x.mean((2, 3), keepdim=True).expand_as(x), Maps()))
    assert (same.aligned, same.why) == (None, "the same change everywhere")
    # Of the nine pictures of the test alone: a network that gives them for any is not loaded.
    assert at(network(lambda x: x / (len(x) != 9), Maps())).why == "values are not finite"


def test_the_score_is_that_of_chance_without_places() -> None:
    """Random energies: a share of diagonals far below one in a thousand passes."""
    layer = network(lambda x: x).layer("how")
    draws = np.random.default_rng(0).lognormal(size=(2000, 8, 8))
    logs = np.log(draws)
    logs = logs - logs.mean(axis=1, keepdims=True) - logs.mean(axis=2, keepdims=True) + logs.mean(axis=(1, 2), keepdims=True)
    found = [judged(layer, one) for one in logs]
    scores = np.array([one.score for one in found])
    assert abs(scores.mean()) < 0.1
    assert 0.8 < scores.std() < 1.3
    assert sum(bool(one.aligned) for one in found) <= 2
    assert judged(layer, np.eye(8)).aligned


def test_pictures_differ_in_the_patch_alone() -> None:
    images, where = pictures(3, (40, 56)), masks((40, 56))
    assert images.shape == (9, 3, 40, 56)
    assert where.sum((1, 2)).unique().tolist() == [5 * 7]
    for image, mask in zip(images[1:], where, strict=True):
        assert torch.equal(image != images[0], (mask == 1).expand(3, -1, -1))
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1


def test_weights_that_answer_leave_no_branch_silent() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    nn.init.zeros_(net[1].weight)
    nn.init.zeros_(net[3].weight)
    kernels = net[0].weight.detach().clone()
    answering(net)
    assert torch.equal(net[1].weight, torch.ones(4))
    assert bool(net[3].weight.ne(0).all())
    assert not torch.equal(net[0].weight, kernels)
