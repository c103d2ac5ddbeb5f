"""Quantiles and histograms: NumPy's own while values are few; beyond, of a sample of places, whose error is that of its theory."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from streaming import LAYERS, InMemory, maps_of, passed, pictures, small
from torch import nn

from interp.activations.stream import LayerStatistics, ScanConfig, few, scan
from interp.activations.stream.distribution import Distribution
from interp.activations.stream.places import PLACES, counted, drawn, stream_of
from interp.activations.stream.sketch import Sketch, fitting
from interp.core.model import Model

LEVELS = (0.0, 0.001, 0.03, 0.25, 0.5, 0.9, 0.999, 1.0)


@pytest.fixture(scope="module")
def model() -> Model:
    return small()


@pytest.fixture(scope="module")
def data() -> InMemory:
    return InMemory(pictures(11))


@pytest.fixture(scope="module")
def brute(model: Model, data: InMemory) -> Mapping[str, np.ndarray]:
    """(images, channels, places) of every layer."""
    return {name: maps.reshape(*maps.shape[:2], -1) for name, maps in maps_of(model, data).items()}


def rows_of(maps: np.ndarray) -> np.ndarray:
    """(channels, images x places), float64."""
    return np.moveaxis(maps, 1, 0).reshape(maps.shape[1], -1).astype(np.float64)


@pytest.fixture
def not_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of the second picture there are too many values to keep."""
    monkeypatch.setattr(few, "MOST", 1)


@pytest.mark.parametrize("layer", LAYERS)
def test_quantiles_of_few_values_are_numpys(model: Model, data: InMemory, brute: Mapping[str, np.ndarray], layer: str) -> None:
    found = passed(model, data, levels=LEVELS, batch=4).layers[layer]
    values = rows_of(brute[layer])
    assert found.counted == found.values == values.shape[1] <= few.MOST
    assert not found.resolution.any()
    np.testing.assert_allclose(found.quantiles, np.quantile(values, LEVELS, axis=1).T, atol=1e-6 * np.abs(values).max())


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 1000))
def test_quantiles_of_kept_values_are_numpys_to_the_last_bit(channels: int, count: int, seed: int) -> None:
    values = torch.randn(channels, count, generator=torch.Generator().manual_seed(seed)).relu()
    found = Distribution.of(values, ScanConfig(levels=LEVELS, bins=16), fitting(values.amin(1), values.amax(1)))
    np.testing.assert_array_equal(found.quantiles, np.quantile(values.double().numpy(), LEVELS, axis=1).T)
    for channel, numbers in enumerate(values.double().numpy()):
        np.testing.assert_array_equal(found.counts[channel], np.histogram(numbers, found.edges[channel])[0])


@pytest.mark.parametrize("batch", [4, 11])
def test_values_are_kept_up_to_the_limit_whatever_the_batches(
    model: Model, data: InMemory, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """conv1 has 11 x 144 values, relu (the second time) and conv2 11 x 25, fc 11."""
    for most, exact in ((1584, LAYERS), (1583, LAYERS[1:]), (11 * 25, LAYERS[1:]), (11 * 25 - 1, LAYERS[3:]), (10, ())):
        monkeypatch.setattr(few, "MOST", most)
        layers = passed(model, data, batch=batch).layers
        assert tuple(name for name, layer in layers.items() if not layer.resolution.any()) == tuple(exact)
        for name, layer in layers.items():
            assert layer.counted == (layer.values if name in exact or layer.values <= 11 * PLACES else 11 * PLACES)
            assert (layer.counts.sum(1) == layer.counted).all()


@pytest.mark.usefixtures("not_few")
@pytest.mark.parametrize("layer", ["conv2", "fc"])
def test_of_small_maps_all_values_are_counted(model: Model, data: InMemory, brute: Mapping[str, np.ndarray], layer: str) -> None:
    found = passed(model, data, levels=LEVELS).layers[layer]
    values = rows_of(brute[layer])
    assert found.counted == found.values
    assert_in_bins(found, values, values)


@pytest.mark.usefixtures("not_few")
@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("layer", ["0", "1"])
def test_of_large_maps_the_places_drawn_are_counted(data: InMemory, layer: str, seed: int) -> None:
    """Of a convolution, and of a ReLU, whose zeros are quantiles as they are."""
    model = small(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)))
    maps = maps_of(model, data, [layer])[layer].reshape(11, 4, 144)
    found = passed(model, data, [layer], levels=LEVELS, seed=seed, batch=3).layers[layer]
    where = drawn(stream_of(seed, layer), 0, 11, 144)
    sample = rows_of(np.take_along_axis(maps, where[:, None], axis=2))
    assert found.counted == sample.shape[1] == 11 * PLACES
    assert (sample == 0).any() == (layer == "1")
    assert_in_bins(found, sample, rows_of(maps))


def assert_in_bins(found: LayerStatistics, sample: np.ndarray, values: np.ndarray) -> None:
    """Histogram and quantiles are the sample's, the latter up to the width of a bin; the ends are those of all values."""
    expected = np.quantile(sample, LEVELS, axis=1).T
    magnitude = np.abs(values).max(1)
    assert found.resolution is not None
    assert (found.resolution <= np.maximum(magnitude / 128, 2.0**-40)).all()
    assert (np.abs(found.quantiles - expected) <= found.resolution[:, None] * (1 + 1e-6))[:, 1:-1].all()
    np.testing.assert_allclose(found.quantiles[:, 0], values.min(1), atol=1e-6 * magnitude.max())
    np.testing.assert_allclose(found.quantiles[:, -1], values.max(1), atol=1e-6 * magnitude.max())
    assert (found.quantiles[:, 1:-1][expected[:, 1:-1] == 0] == 0).all()
    for channel, numbers in enumerate(sample):
        np.testing.assert_array_equal(found.counts[channel], np.histogram(numbers, found.edges[channel])[0])


@settings(deadline=None, max_examples=40)
@given(st.integers(PLACES + 1, 1 << 20), st.integers(0, 1 << 30), st.integers(1, 5), st.integers(0, 1 << 62))
def test_one_place_of_each_piece_whichever_pictures_are_asked_for(count: int, first: int, pictures: int, stream: int) -> None:
    found = drawn(stream, first, pictures, count)
    pieces = np.arange(PLACES)
    assert found.shape == (pictures, PLACES)
    assert (found >= pieces * count // PLACES).all()
    assert (found <= ((pieces + 1) * count - 1) // PLACES).all()
    for k in range(pictures):
        np.testing.assert_array_equal(drawn(stream, first + k, 1, count)[0], found[k])


@pytest.mark.parametrize("count", [65, 100, 196])
def test_every_place_is_as_likely_as_any_other(count: int) -> None:
    """Pearson's chi-square over the places, of which a value 5 standard deviations above its mean is not to be had by chance."""
    draws = 20_000
    times = np.bincount(drawn(stream_of(0, "conv"), 0, draws, count).ravel(), minlength=count)
    expected = draws * PLACES / count
    assert ((times - expected) ** 2 / expected).sum() < count - 1 + 5 * sqrt(2 * (count - 1))


def test_draws_differ_by_picture_layer_and_seed_and_do_not_hang_together() -> None:
    one = drawn(stream_of(0, "conv1"), 0, 4000, 6400).astype(float)
    others = {
        "layer": drawn(stream_of(0, "conv2"), 0, 4000, 6400),
        "seed": drawn(stream_of(1, "conv1"), 0, 4000, 6400),
        "picture": drawn(stream_of(0, "conv1"), 1, 4000, 6400),
        "piece": np.roll(one, 1, axis=1),
    }
    within = one % 100
    for name, other in others.items():
        assert abs(np.corrcoef(within.ravel(), (other % 100).ravel())[0, 1]) < 5 / sqrt(one.size), name


def test_the_share_below_a_quantile_is_off_by_no_more_than_the_theory_says() -> None:
    """Over 200 seeds: no bias, and a variance of at most q (1 - q) / n, for maps whose neighbouring values are alike."""
    draw = torch.Generator().manual_seed(5)
    coarse = torch.randn(12, 3, 8, 8, generator=draw)
    maps = torch.nn.functional.interpolate(coarse, size=(40, 40), mode="bilinear").flatten(2)
    maps = maps + 0.1 * torch.randn(maps.shape, generator=draw)
    every = rows_of(maps.numpy())
    n, seeds = 12 * PLACES, 200
    for q in (0.01, 0.5, 0.95):
        true = np.quantile(every, q, axis=1)
        share = np.stack([(rows_of(counted(maps, stream_of(seed, "x"), 0).numpy()) < true[:, None]).mean(1) for seed in range(seeds)])
        exact = (every < true[:, None]).mean(1)
        bound = q * (1 - q) / n
        # The mean of 200 draws within 4 standard errors; the variance's own relative error is sqrt(2 / 199), 0.1.
        assert (np.abs(share.mean(0) - exact) < 4 * sqrt(bound / seeds)).all()
        assert (((share - exact) ** 2).mean(0) < 1.4 * bound).all()


@pytest.mark.usefixtures("not_few")
def test_quantiles_of_a_pass_lie_within_five_standard_errors(model: Model) -> None:
    data = InMemory(pictures(40, seed=2))
    levels = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    found = passed(model, data, ["conv1"], levels=levels).layers["conv1"]
    values = rows_of(maps_of(model, data, ["conv1"])["conv1"].reshape(40, 6, -1))
    assert found.counted == 40 * PLACES < found.values
    assert found.resolution is not None
    for k, q in enumerate(levels):
        reach = 5 * sqrt(q * (1 - q) / found.counted)
        low, high = np.quantile(values, [max(0.0, q - reach), min(1.0, q + reach)], axis=1)
        assert (low - found.resolution <= found.quantiles[:, k]).all()
        assert (found.quantiles[:, k] <= high + found.resolution).all()


@pytest.mark.usefixtures("not_few")
def test_the_sample_does_not_hang_on_batches_other_layers_or_an_interruption(model: Model, tmp_path: Path) -> None:
    data = InMemory(pictures(11))
    whole = passed(model, data).layers["conv1"]
    alone = passed(model, data, ["conv1"], batch=2).layers["conv1"]

    def stop(step: object) -> None:
        if getattr(step, "done", 0) >= 6:
            raise KeyboardInterrupt

    config = ScanConfig(batch=3, batches=1)
    with pytest.raises(KeyboardInterrupt):
        scan(model, data, LAYERS, config, stop, tmp_path / "pass")
    again = scan(model, data, LAYERS, config, checkpoint=tmp_path / "pass").layers["conv1"]
    for other in (alone, again):
        np.testing.assert_array_equal(other.counts, whole.counts)
        np.testing.assert_allclose(other.quantiles, whole.quantiles, atol=1e-6)
    assert not np.array_equal(passed(model, data, seed=1).layers["conv1"].counts, whole.counts)


def test_a_pass_of_another_seed_has_another_key(model: Model, data: InMemory) -> None:
    assert passed(model, data, ["fc"]).key == passed(model, data, ["fc"], batch=32).key != passed(model, data, ["fc"], seed=1).key


@pytest.mark.parametrize("magnitude", [1e-30, 3.0, 3.0e38])
def test_values_of_any_magnitude_have_a_bin(magnitude: float) -> None:
    values = torch.tensor([[[-magnitude, 0.0, magnitude / 3, magnitude]]])
    sketch = Sketch.of(values, fitting(values.amin((0, 2)), values.amax((0, 2))))
    assert int(sketch.counts.sum()) == 4
    assert int(sketch.zeros) == 1
    numbers = values.double().numpy().ravel()
    edges = np.arange(-256, 257) * float(sketch.width[0])
    np.testing.assert_array_equal(sketch.counts[0].numpy(), np.histogram(numbers, edges)[0])


def test_of_small_maps_all_places_are_taken_of_larger_ones_so_many() -> None:
    maps = torch.randn(2, 3, PLACES)
    assert counted(maps, stream_of(0, "conv"), 0) is maps
    assert counted(torch.randn(2, 3, PLACES + 1), stream_of(0, "conv"), 0).shape == (2, 3, PLACES)
