"""The open data of a site: what the pages show stands in it, in the units that its description says, and it is described whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_site import LAYERS, building, write_inputs

from interp import kernels
from interp.core.model import Model
from interp.kernels import connections, gabor, neighbours, statistics
from interp.microscope import build
from interp.microscope.fitting import Fit, fitted
from interp.microscope.natural import Natural
from interp.microscope.stimuli import families
from interp.microscope.unit_tables import numbers
from interp.parallel import Here

LINKS = 3


class Made:
    """A site of the small network, its model and its tables."""

    def __init__(self, folder: Path) -> None:
        write_inputs(folder)
        asked = building(folder, folder / "site", links=LINKS, units=4)
        build(asked, Here())
        self.model: Model = asked.model
        self.site = folder / "site"
        self.size = asked.plan(folder).size
        self.tables = {path.stem: pd.read_parquet(path) for path in (self.site / "data").glob("*.parquet")}

    def rows(self, table: str, **where: Any) -> pd.DataFrame:
        found = self.tables[table]
        for column, value in where.items():
            found = found[found[column] == value]
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("data"))


def described(text: str) -> dict[str, list[str]]:
    """The columns of each table, by its file's name, as the description lists them."""
    found = {}
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        title = part.partition("\n")[0]
        if title.endswith(".parquet"):
            cells = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
            found[title.removesuffix(".parquet")] = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    return found


def test_every_table_and_column_is_described_and_no_other(made: Made) -> None:
    told = described((made.site / "data" / "README.md").read_text(encoding="utf-8"))
    # Kernels of 3 x 3 have no fits.
    assert set(told) == {*made.tables, "gabor"}
    for name, table in made.tables.items():
        assert sorted(table.columns) == sorted(told[name]), name


def test_fits_are_described_and_are_those_of_the_filters(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import nn

    from interp.images import Preprocess
    from interp.zoo import load

    monkeypatch.setattr(gabor, "DRAWS", 2)
    network = nn.Sequential(nn.Conv2d(3, 2, 5), nn.ReLU(), nn.Conv2d(2, 2, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    model = load(network, preprocess=Preprocess((16, 16), 16, (0.5,) * 3, (0.5,) * 3))
    # Of the layer that sees the picture alone, and not of kernels that are too small.
    assert [fitted(model, name) for name in ("0", "2", "5")] == [True, False, False]
    assert not fitted(made.model, "one")
    arrays = {name: np.asarray(values) for name, values in Fit("0", 0).arrays(model).items()}
    expected = gabor.of(kernels.of(model, "0"), 0)
    np.testing.assert_array_equal(arrays["r2"], expected.r2)
    np.testing.assert_array_equal(arrays["orientation"], [one.orientation for one in expected.fits])
    table = numbers("0", arrays)
    told = described((made.site / "data" / "README.md").read_text(encoding="utf-8"))
    assert sorted(table.column_names) == sorted(told["gabor"])
    assert table["gabor_like"].to_pylist() == expected.gabor_like.tolist()


def test_neighbours_and_connections_are_those_of_the_weights(made: Made) -> None:
    for layer in LAYERS:
        found = neighbours.of(made.model, layer, LINKS)
        for channel in range(made.model.layer(layer).channels):
            near = made.rows("weight_neighbours", layer=layer, channel=channel)
            there = found.indices[channel] >= 0
            assert near["neighbour"].tolist() == found.indices[channel][there].tolist()
            np.testing.assert_array_equal(near["cosine"], found.cosines[channel][there])
            assert near["rank"].tolist() == list(range(len(near)))
    between = connections.of(made.model, "one", "two", LINKS)
    for channel in range(5):
        coming = made.rows("connections", layer="two", channel=channel, direction="in")
        assert set(coming["other_layer"]) == {"one"}
        assert coming["other_channel"].tolist() == between.incoming[channel].tolist()
        np.testing.assert_array_equal(coming["strength"], between.incoming_values[channel])
    leaving = made.rows("connections", layer="one", channel=2, direction="out")
    assert leaving["other_channel"].tolist() == between.outgoing[2].tolist()
    assert made.rows("connections", layer="one", direction="in").empty


def test_filters_have_the_numbers_of_kernel_statistics(made: Made) -> None:
    for layer in LAYERS:
        found = made.rows("filters", layer=layer)
        for name, values in statistics.of(made.model, layer, 0).columns().items():
            if name in ("nearest", "duplicate_of"):
                assert [None if np.isnan(value) else int(value) for value in found[name]] == [int(v) if v >= 0 else None for v in values]
            else:
                np.testing.assert_array_equal(found[name].to_numpy(np.float64), np.asarray(values, np.float64), err_msg=f"{layer} {name}")
    assert made.rows("filters", layer="fc")["noise_p"].isna().all()


def test_curves_are_at_positions_in_their_units(made: Made) -> None:
    units = {"orientation": "degrees", "spatial frequency": "cycles per pixel", "hue": "degrees", "size": "pixels"}
    for family in families(*made.model.preprocess.size):
        curve = made.rows("tuning", layer="two", channel=3, family=family.name)
        assert curve["position"].tolist() == list(family.positions)
        assert set(curve["unit"]) == {units[family.name]}
    frequencies = made.rows("tuning", layer="two", channel=3, family="spatial frequency")["position"]
    # The finest grating has a period of 3 pixels.
    assert frequencies.max() == pytest.approx(1 / 3)


def test_the_most_on_photographs_stands_beside_the_score(made: Made) -> None:
    optimized = made.tables["optimized"]
    assert len(optimized) == 4 + 4 + 3
    ratio = optimized["score"] / optimized["natural_maximum"]
    told = optimized["natural_ratio"].notna()
    np.testing.assert_allclose(optimized["natural_ratio"][told], ratio[told], rtol=1e-6)
    assert (optimized["natural_maximum"][~told] <= 0).all()
    from interp import datasets

    photos = datasets.open(made.site.parent / "pictures")
    shown = [photos.photo(k) for k in range(len(photos)) if "broken" not in photos.name(k)]
    stage = Natural(LAYERS, made.size, tuple((one.name, made_visible(made.model, one)) for one in shown))
    for layer, values in stage.arrays(made.model).items():
        np.testing.assert_array_equal(made.rows("optimized", layer=layer)["natural_maximum"], values[:4])
    page = (made.site / "one" / "2" / "index.html").read_text(encoding="utf-8")
    value = float(made.rows("optimized", layer="one", channel=2)["natural_maximum"].iloc[0])
    assert f"<dt>most on photographs</dt><dd>{value:.4g}</dd>" in page


def made_visible(model: Model, photo: Any) -> np.ndarray:
    """What the network is given of a photograph, as pixels."""
    from interp.microscope.pictures import visible

    return visible(model.preprocess(photo)[0])


def test_units_say_where_they_are_read_and_examples_whether_they_are_shown(made: Made) -> None:
    read = {"one": "relu", "two": "up", "fc": "fc"}
    assert dict(zip(made.tables["layers"]["layer"], made.tables["layers"]["read_at"], strict=True)) == read
    assert made.tables["layers"]["kind"].tolist() == ["Conv2d", "Conv2d", "Linear"]
    units = made.tables["units"]
    assert (units["read_at"] == units["layer"].map(read)).all()
    assert units[units["layer"] == "fc"]["class"].tolist() == ["ant", "bee", "cat"]
    assert units[units["layer"] != "fc"]["class"].isna().all()
    behind = units[units["layer"] != "fc"]
    assert (behind["minimum"] >= 0).all()
    assert behind["zeros"].mean() > 0.1
    examples = made.tables["examples"]
    # Of the layer itself, before the activation.
    assert examples[(examples["layer"] == "one") & (examples["side"] == "bottom")]["value"].min() < 0
    shown = examples[examples["shown"]]
    assert set(shown["channel"]) == {0, 1, 2, 3}
    assert (shown.groupby(["layer", "channel", "side"]).size().unstack() == [1, 3]).all(axis=None)
    page = (made.site / "one" / "2" / "index.html").read_text(encoding="utf-8")
    assert "Statistics are read behind relu; examples, optimized images and tuning are of one itself." in page
    assert "are read behind" not in (made.site / "fc" / "2" / "index.html").read_text(encoding="utf-8")
    assert "<dt>rare units</dt>" in (made.site / "one" / "index.html").read_text(encoding="utf-8")
