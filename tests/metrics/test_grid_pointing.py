"""The grid pointing game: who looks into the right cell, who looks nowhere, and grids of whatever images there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from interp.core.method import Family, Heatmap, Place
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.images import Preprocess
from interp.metrics.evidence import Evidence
from interp.metrics.grid_pointing import GridPointingGame, cells, grids, montage

CLASSES = 6


class Levels(nn.Module):
    """Class k sees the pixels whose level is near k / 10; any image size."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flat = nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        return self.flat(self.pool(evidence_maps(x)))


class OneSize(Levels):
    """As a vision transformer: images of 8 x 8 px only."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != (8, 8):
            raise ValueError("wrong size")
        return super().forward(x)


def evidence_maps(x: Tensor) -> Tensor:
    levels = torch.arange(CLASSES).view(1, -1, 1, 1) / 10
    return ((x[:, :1] - levels).abs() < 0.05).float()


class Base:
    name: ClassVar[str] = "test"
    title: ClassVar[str] = "Test"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.CONTROL
    source: ClassVar[str] = "here"
    seen: ClassVar[list[Tensor]] = []

    def __call__(self, model: Model, images: Tensor, units: Sequence[Unit]) -> list[Heatmap]:
        self.seen.append(images)
        maps = self.maps(images, units).numpy()
        return [Heatmap(values, unit, "test") for values, unit in zip(maps, units, strict=True)]

    def maps(self, images: Tensor, units: Sequence[Unit]) -> Tensor:
        raise NotImplementedError


class Perfect(Base):
    def maps(self, images: Tensor, units: Sequence[Unit]) -> Tensor:
        return evidence_maps(images)[torch.arange(len(units)), [unit.channel for unit in units]]


class Inverse(Perfect):
    def maps(self, images: Tensor, units: Sequence[Unit]) -> Tensor:
        return -super().maps(images, units)


class Blind(Base):
    """Looks at the grid, whatever the unit."""

    def maps(self, images: Tensor, units: Sequence[Unit]) -> Tensor:
        return images.sum(1)


class Constant(Base):
    def maps(self, images: Tensor, units: Sequence[Unit]) -> Tensor:
        return torch.ones(len(images), 3, 3)


def model_of(module: nn.Module) -> Model:
    return trace(module, ModelSpec("levels"), Preprocess(size=(8, 8), resize=8, mean=(0.0,) * 3, std=(1.0,) * 3))


def evidence(method: Base, classes: Sequence[int], module: nn.Module | None = None) -> Evidence:
    images = torch.stack([torch.full((3, 8, 8), k / 10) for k in classes])
    units = tuple(Unit("flat", k) for k in classes)
    heatmaps = tuple(method(model_of(Levels()), images, units))
    method.seen.clear()
    return Evidence(model_of(module or Levels()), images, units, heatmaps, method)


def test_who_finds_the_cell_scores_1() -> None:
    np.testing.assert_array_equal(GridPointingGame()(evidence(Perfect(), [0, 1, 2, 3])), 1)
    assert Perfect.seen[0].shape == (4, 3, 16, 16)


def test_a_constant_map_scores_a_quarter() -> None:
    np.testing.assert_allclose(GridPointingGame()(evidence(Constant(), [0, 1, 2, 3])), 0.25)


def test_who_is_blind_to_the_class_scores_what_lies_in_the_cells() -> None:
    found = GridPointingGame()(evidence(Blind(), [1, 2, 3, 4]))
    np.testing.assert_allclose(found, [0.1, 0.2, 0.3, 0.4], rtol=1e-6)


def test_without_positive_attribution_there_is_no_score() -> None:
    assert np.isnan(GridPointingGame()(evidence(Inverse(), [0, 1, 2, 3]))).all()


def test_a_network_of_one_size_sees_the_grid_resized() -> None:
    found = GridPointingGame()(evidence(Perfect(), [0, 1, 2, 3], OneSize()))
    assert Perfect.seen[0].shape == (4, 3, 8, 8)
    # Shrinking mixes pixels along the borders of cells, and nowhere else.
    assert (found > 0.9).all()


def test_images_that_are_left_over_are_joined_by_earlier_ones() -> None:
    classes = [0, 1, 2, 3, 4, 5, 0]
    assert grids([Unit("flat", k) for k in classes]) == [(0, 1, 2, 3), (4, 5, 6, 1)]
    np.testing.assert_array_equal(GridPointingGame()(evidence(Perfect(), classes)), 1)
    assert [len(images) for images in Perfect.seen] == [4, 3], "company is not asked about again"


def test_a_score_that_is_not_defined_stays_so() -> None:
    """The class of image 1 is nowhere in its image: no later grid, in which it is company, fills its place."""
    given = evidence(Perfect(), [0, 1, 2, 3, 4])
    given.images[1] = 0.95
    found = GridPointingGame()(given)
    assert np.isnan(found).tolist() == [False, True, False, False, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=4, max_size=15).filter(lambda classes: len(set(classes)) >= 4))
def test_every_image_is_in_a_grid_of_four_different_units(classes: list[int]) -> None:
    units = [Unit("fc", k) for k in classes]
    found = grids(units)
    assert {i for members in found for i in members} == set(range(len(units)))
    for members in found:
        assert len({units[i] for i in members}) == len(members) == 4
    earlier: set[int] = set()
    for members in found:
        assert not set(members) <= earlier
        earlier |= set(members)


def test_montage_and_cells_agree_on_reading_order() -> None:
    images = torch.arange(1.0, 5.0).view(4, 1, 1, 1).expand(4, 3, 5, 6)
    grid = montage(images)
    assert grid.shape == (1, 3, 10, 12)
    masks = cells((10, 12))
    np.testing.assert_array_equal(masks.sum(axis=0), 1)
    for k in range(4):
        assert set(grid[0, 0].numpy()[masks[k]].tolist()) == {k + 1}


def test_bad_input() -> None:
    with pytest.raises(InterpError, match="needs at least 4 images of different classes, not 3"):
        GridPointingGame()(evidence(Perfect(), [0, 1, 2]))
    with pytest.raises(InterpError, match="needs 4 images of different classes, but 'flat:2' is asked for more than once"):
        GridPointingGame()(evidence(Perfect(), [0, 1, 2, 2]))
    given = evidence(Perfect(), [0, 1, 2, 3])
    placed = Evidence(given.model, given.images, (Unit("flat", 0, (0, 0)), *given.units[1:]), given.heatmaps, given.method)
    with pytest.raises(Unsupported, match="'flat:0@0,0' has a place, which means nothing in a grid of images: choose 'flat:0'"):
        GridPointingGame()(placed)
