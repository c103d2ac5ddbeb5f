"""Crops against the support of the gradient, and the tables as three readers see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch
from streaming import LAYERS, SIDE, InMemory, passed, pictures, small
from torch import nn

from interp.activations.stream import Scan, Side, crop_box, tables
from interp.activations.stream.tables import TABLES, level_name
from interp.core.model import Model
from interp.errors import UnknownName


def positive(*layers: nn.Module) -> Model:
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 0.1)
            nn.init.zeros_(layer.bias)
    return small(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)))


Box = tuple[int, int, int, int]


def supports(model: Model, layer: str, places: Sequence[tuple[int, int]]) -> list[Box]:
    """For each place top, left, bottom, right of the pixels on which its value depends, by the gradient; of all channels and four draws."""
    size = model.preprocess.size
    images = torch.cat([torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]).requires_grad_()
    outputs, _ = model.capture([layer], images, gradients=True, truncate=True)
    maps = model.maps(layer, outputs[layer])
    found: list[Box] = []
    for row, col in places:
        (gradient,) = torch.autograd.grad(maps[:, :, row, col].sum(), images, retain_graph=True)
        pixels = gradient.abs().sum((0, 1)).nonzero()
        (top, left), (bottom, right) = pixels.amin(0).tolist(), (pixels.amax(0) + 1).tolist()
        found.append((top, left, bottom, right))
    return found


STACKS: dict[str, Callable[[], Model]] = {
    "one": lambda: positive(nn.Conv2d(3, 2, 3)),
    "padded": lambda: positive(nn.Conv2d(3, 2, 5, padding=2), nn.Conv2d(2, 2, 3, stride=2, padding=1)),
    "dilated": lambda: positive(nn.Conv2d(3, 2, (2, 3), dilation=(2, 1), stride=(1, 2)), nn.AvgPool2d(2, 1)),
    "even": lambda: positive(nn.Conv2d(3, 2, 4, stride=2, padding=1), nn.AvgPool2d(2, 2)),
}


@pytest.mark.parametrize("name", STACKS)
def test_a_crop_is_the_support_of_the_gradient(name: str) -> None:
    model = STACKS[name]()
    for layer in [layer for layer in model.layers if layer.field is not None and layer.leaf and layer.name in ("0", "1")]:
        _, rows, cols = layer.map_shape
        if (rows, cols) == (1, 1):
            continue
        places = [(row, col) for row in range(rows) for col in range(cols)]
        assert [crop_box(model, layer.name, *place) for place in places] == supports(model, layer.name, places)


@pytest.mark.parametrize("layer", ["conv1", "layer1.0.conv1", "layer1.1.conv2", "layer2.0.conv1"])
def test_crops_of_a_residual_network_hold_the_support(network: Callable[[str], Model], layer: str) -> None:
    """ReLUs that are closed and the windows of max pooling may leave pixels of the hull out, but none lies outside."""
    model = network("resnet18")
    _, rows, cols = model.layer(layer).map_shape
    places = [(0, 0), (rows // 2, cols // 3), (rows - 1, cols - 1)]
    for place, (first_row, first_col, last_row, last_col) in zip(places, supports(model, layer, places), strict=True):
        top, left, bottom, right = crop_box(model, layer, *place)
        assert top <= first_row < last_row <= bottom
        assert left <= first_col < last_col <= right
        if layer == "conv1":
            assert (top, left, bottom, right) == (first_row, first_col, last_row, last_col)


def test_the_whole_image_where_a_place_sees_all_of_it(network: Callable[[str], Model]) -> None:
    model = small()
    assert crop_box(model, "fc", 0, 0) == (0, 0, SIDE, SIDE)
    with pytest.raises(UnknownName, match="no place 12,0 in 'conv1': its maps have 12 rows and 12 columns"):
        crop_box(model, "conv1", 12, 0)


@pytest.fixture(scope="module")
def found() -> Scan:
    return passed(small(), InMemory([*pictures(7), None], ["b", "a", "a", None, "b", "a", "b", "a"]), top=3)


def test_three_readers_see_equal_values(found: Scan, tmp_path: Path) -> None:
    made = tables(found, small())
    assert tuple(made) == TABLES
    for name, table in made.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(table, path)
        frame = pd.read_parquet(path)
        shared = pl.read_parquet(path)
        rows = duckdb.sql(f"select * from '{path}'").fetchall()
        assert list(frame.columns) == shared.columns == table.column_names
        expected = [tuple(row.values()) for row in table.to_pylist()]
        assert shared.rows() == expected
        assert rows == expected
        assert [tuple(None if pd.isna(cell) else cell for cell in row) for row in frame.itertuples(index=False, name=None)] == expected


def test_units_and_examples_hold_what_the_pass_found(found: Scan) -> None:
    model = small()
    made = tables(found, model)
    units = made["units"].to_pylist()
    assert len(units) == sum(layer.channels for layer in found.layers.values())
    assert len({(row["layer"], row["channel"]) for row in units}) == len(units)
    for row in units:
        layer, channel = found.layers[row["layer"]], row["channel"]
        assert row["mean"] == layer.mean[channel]
        assert row["dead"] == layer.dead[channel]
        assert row[level_name(0.5)] == layer.quantiles[channel, layer.levels.index(0.5)]
    examples = {(row["layer"], row["channel"], row["side"], row["rank"]): row for row in made["examples"].to_pylist()}
    assert len(examples) == 2 * 3 * len(units)
    for (name, channel, side, rank), row in examples.items():
        layer = found.layers[name]
        one = layer.examples(Side(side))
        assert row["value"] == one.values[channel, rank]
        assert row["source"] == found.sources[one.images[channel, rank]].name == f"{row['image']}.png"
        box = (row["crop_top"], row["crop_left"], row["crop_bottom"], row["crop_right"])
        assert box == crop_box(model, name, row["row"], row["col"])
    histograms = made["histograms"].to_pandas().groupby(["layer", "channel"])["count"].sum()
    for row in units:
        layer = found.layers[row["layer"]]
        assert histograms[(row["layer"], row["channel"])] == 7 * layer.places[0] * layer.places[1]
    assert [row["skipped"] for row in made["images"].to_pylist()] == [None] * 7 + ["'7.png' is damaged"]
    assert [row["layer"] for row in made["layers"].to_pylist()] == list(LAYERS)


def test_without_a_model_there_are_no_crops(found: Scan) -> None:
    assert tables(found)["examples"]["crop_top"].null_count == tables(found)["examples"].num_rows


def test_names_of_quantiles() -> None:
    assert [level_name(level) for level in (0.0, 0.5, 0.999, 1.0, 0.025)] == [
        "quantile_0",
        "quantile_50",
        "quantile_99_9",
        "quantile_100",
        "quantile_2_5",
    ]


def test_numbers_of_a_channel_that_is_constant_are_null_where_undefined(found: Scan) -> None:
    near = tables(found)["neighbours"].to_pylist()
    assert not any(row["layer"] == "conv2" and 3 in (row["channel"], row["neighbour"]) for row in near)
    assert np.isnan(found.layers["conv2"].correlation[3]).all()  # type: ignore[index]
