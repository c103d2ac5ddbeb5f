"""Passes that are had again: which pass a layer is from makes no difference, and only what no pass kept is looked at anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

from interp import datasets
from interp.activations import stream
from interp.activations.stream import LayerStatistics, Scan, ScanConfig, Side
from interp.core.model import Model
from interp.datasets import DataSet
from interp.images import Preprocess
from interp.microscope import telling
from interp.microscope.scanning import read_behind, scanned
from interp.zoo import load

PICTURES = 20


@pytest.fixture
def model() -> Model:
    """Two convolutions, the first with more filters than neighbours are asked for; its second channel is never above 0 behind the ReLU."""
    first = (nn.Conv2d(3, 20, 3, stride=2), nn.BatchNorm2d(20), nn.ReLU())
    network = nn.Sequential(*first, nn.Conv2d(20, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    network[1].running_mean[1] = 1e3
    return load(network, preprocess=Preprocess((12, 12), 12, (0.0,) * 3, (1.0,) * 3))


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    draw = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for k in range(PICTURES):
        Image.fromarray(draw.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(tmp_path / "pictures" / f"{k:02}.png")
    return datasets.open(tmp_path / "pictures")


@pytest.fixture
def looked(model: Model, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Scan, int]]:
    """A scan with so many examples and neighbours, by passes in a folder; and how many pictures were read for it."""
    count = 0
    photo = type(data).photo

    def counting(self: DataSet, index: int) -> Any:
        nonlocal count
        count += 1
        return photo(self, index)

    monkeypatch.setattr(type(data), "photo", counting)

    def look(top: int, nearest: int, layers: tuple[str, ...] = ("0", "3"), folder: str = "one") -> tuple[Scan, int]:
        nonlocal count
        count = 0
        asked, kept = (ScanConfig(top=max(top, least), nearest=max(nearest, least)) for least in (1, 16))
        return scanned(model, data, layers, asked, kept, tmp_path / folder, lambda done, total: None), count

    return look


def assert_same(found: LayerStatistics, expected: LayerStatistics) -> None:
    """That all numbers of a layer are equal, and no list is longer."""
    for name, value in vars(expected).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)
    for side in Side:
        for name, value in vars(expected.examples(side)).items():
            np.testing.assert_array_equal(getattr(found.examples(side), name), value, err_msg=name)


def test_fewer_examples_and_neighbours_are_had_without_a_pass_and_are_those_of_one(
    looked: Callable[..., tuple[Scan, int]], model: Model, data: DataSet
) -> None:
    assert looked(9, 8)[1] == PICTURES
    for top, nearest in ((9, 8), (4, 2), (16, 16), (1, 1)):
        found, read = looked(top, nearest)
        assert read == 0
        alone = stream.scan(model, data, ["0", "3"], ScanConfig(top=top, nearest=nearest))
        for layer in ("0", "3"):
            assert found.layers[layer].top.images.shape[1] == top
            assert_same(found.layers[layer], alone.layers[layer])
        assert found.key == alone.key


def test_only_more_than_is_kept_is_looked_at_anew_and_serves_all_that_follow(looked: Callable[..., tuple[Scan, int]]) -> None:
    first, _ = looked(9, 8)
    more, read = looked(18, 8)
    assert read == PICTURES
    assert more.layers["0"].top.images.shape[1] == 18
    assert looked(17, 16)[1] == 0
    assert looked(9, 17)[1] == PICTURES
    again, read = looked(9, 8)
    assert read == 0
    assert again.key == first.key
    assert_same(again.layers["3"], first.layers["3"])


def test_which_pass_a_layer_is_from_makes_no_difference(looked: Callable[..., tuple[Scan, int]]) -> None:
    assert looked(18, 18, ("3",))[1] == PICTURES
    # The other layer is not in that pass; together they are of two.
    found, read = looked(5, 4)
    assert read == PICTURES
    assert looked(5, 4)[1] == 0
    fresh, _ = looked(5, 4, folder="two")
    assert found.key == fresh.key
    assert list(found.layers) == list(fresh.layers)
    for layer in fresh.layers:
        assert_same(found.layers[layer], fresh.layers[layer])


def test_a_list_of_passes_that_cannot_be_read_is_begun_anew(looked: Callable[..., tuple[Scan, int]], tmp_path: Path) -> None:
    before, _ = looked(3, 3)
    (index,) = (tmp_path / "one").glob("*.json")
    # As an earlier version wrote it, and as no version does.
    for text in ('[["0", "3"]]', "{", '[{"layers": ["0"], "top": 3}]'):
        index.write_text(text)
        assert looked(3, 3)[0].key == before.key


def test_it_is_said_where_statistics_are_read_and_of_how_many_values(model: Model, data: DataSet) -> None:
    scan = stream.scan(model, data, ["0", "1", "2"])
    itself = "examples, optimized images and tuning are of 0 itself."
    assert telling.read_at("0", (), scan.layers["0"]) == ""
    assert telling.read_at("0", ("1", "2"), scan.layers["2"]) == f"Statistics are read behind 1, 2; {itself}"
    alone = telling.read_at("0", ("1",), scan.layers["1"])
    assert (
        alone
        == f"Statistics are read behind 1; {itself} No activation that could be read by itself follows: the share of zeros says little."
    )
    # 20 pictures of 5 x 5 places.
    sampled = telling.read_at("0", (), replace(scan.layers["0"], counted=400))
    assert sampled == "Quantiles and histogram are of a sample: 400 of a unit's 500 values."


def test_statistics_are_those_behind_and_examples_those_of_the_layer(model: Model, data: DataSet) -> None:
    scan = stream.scan(model, data, ["0", "2", "3"], ScanConfig(top=4))
    found = read_behind(scan, {"0": "2", "3": "3"})
    assert list(found.layers) == ["0", "3"]
    one, behind = found.layers["0"], scan.layers["2"]
    assert one.layer == "0"
    for name in ("mean", "zeros", "active", "quantiles", "counts", "nearest"):
        np.testing.assert_array_equal(getattr(one, name), getattr(behind, name))
    for side in Side:
        assert one.examples(side) is scan.layers["0"].examples(side)
    # Behind a ReLU a channel that is never above 0 is dead, though it changes at the layer itself.
    assert one.dead[1]
    assert not scan.layers["0"].dead[1]
    assert (one.zeros > 0.1).any()
    assert scan.layers["0"].zeros.max() == 0
    assert_same(found.layers["3"], scan.layers["3"])
