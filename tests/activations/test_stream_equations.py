"""One pass over a data set against brute force over all maps at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from streaming import LAYERS, InMemory, maps_of, passed, pictures, small
from torch import nn

from interp.activations.stream import Scan, Side, correlation
from interp.activations.stream.classes import ClassSums, activity
from interp.activations.stream.correlation import Comoments
from interp.activations.stream.extremes import Extremes
from interp.activations.stream.moments import Moments
from interp.activations.stream.rows import swept
from interp.activations.stream.sketch import HALF, Sketch, fitting, histogram, quantiles

LABELS = ["b", "a", "c", None, "a", "b", "b", "c", "a", "a", "b"]


def by_channel(maps: np.ndarray) -> np.ndarray:
    """(channels, images x places), float64."""
    return np.moveaxis(maps, 1, 0).reshape(maps.shape[1], -1).astype(np.float64)


@pytest.fixture(scope="module")
def model():  # type: ignore[no-untyped-def]
    return small()


@pytest.fixture(scope="module")
def data() -> InMemory:
    return InMemory(pictures(11), LABELS)


@pytest.fixture(scope="module")
def scanned(model, data) -> Callable[..., Scan]:  # type: ignore[no-untyped-def]
    """A pass over all layers with the options given, done once for all tests."""
    return cache(lambda **options: passed(model, data, **options))


@pytest.fixture(scope="module")
def brute(model, data) -> Mapping[str, np.ndarray]:  # type: ignore[no-untyped-def]
    """The maps of all layers, (images, channels, rows, cols)."""
    return maps_of(model, data)


@pytest.mark.parametrize("batch", [1, 3, 11, 64])
@pytest.mark.parametrize("layer", LAYERS)
def test_statistics_equal_brute_force(scanned: Callable[..., Scan], brute: Mapping[str, np.ndarray], batch: int, layer: str) -> None:
    found = scanned(batch=batch).layers[layer]
    maps = brute[layer]
    values = by_channel(maps)
    largest = np.abs(values).max()
    assert found.images == 11
    assert found.places == maps.shape[2:]
    np.testing.assert_allclose(found.mean, values.mean(1), atol=1e-6 * largest)
    np.testing.assert_allclose(found.sd, values.std(1), atol=1e-5 * largest)
    np.testing.assert_allclose(found.minimum, values.min(1), atol=1e-6 * largest)
    np.testing.assert_allclose(found.maximum, values.max(1), atol=1e-6 * largest)
    np.testing.assert_array_equal(found.zeros, (values == 0).mean(1))
    np.testing.assert_array_equal(found.active, (maps.max((2, 3)) > 0).mean(0))


@pytest.mark.parametrize("bins", [4, 64, 512])
@pytest.mark.parametrize("layer", LAYERS)
def test_the_histogram_is_numpys(scanned: Callable[..., Scan], brute: Mapping[str, np.ndarray], layer: str, bins: int) -> None:
    found = scanned(bins=bins, batch=11).layers[layer]
    values = by_channel(brute[layer])
    assert found.counts.shape == (len(values), bins)
    assert found.counted == found.values == values.shape[1]
    for channel, numbers in enumerate(values):
        np.testing.assert_array_equal(found.counts[channel], np.histogram(numbers, found.edges[channel])[0])
        if numbers.min() < numbers.max() and bins >= 64:  # not all in a few of the bins
            assert (found.counts[channel] > 0).sum() > min(bins, len(set(numbers))) / 8


@pytest.mark.parametrize("batch", [1, 4, 11])
@pytest.mark.parametrize("k", [1, 3, 20])
@pytest.mark.parametrize("layer", LAYERS)
def test_examples_equal_brute_force(scanned: Callable[..., Scan], brute: Mapping[str, np.ndarray], layer: str, k: int, batch: int) -> None:
    found = scanned(top=k, batch=batch).layers[layer]
    maps = brute[layer]
    ends = {Side.TOP: maps.max((2, 3)), Side.BOTTOM: maps.min((2, 3))}
    for side, values in ends.items():
        examples = found.examples(side)
        sign = -1 if side is Side.TOP else 1
        order = np.argsort(sign * values, axis=0, kind="stable")[:k].T
        have = min(k, 11)
        np.testing.assert_allclose(examples.values[:, :have], np.take_along_axis(values.T, order, 1), atol=1e-5)
        assert (examples.images[:, have:] == -1).all()
        assert np.isnan(examples.values[:, have:]).all()
        assert (examples.rows[:, have:] == -1).all()
        for channel in range(maps.shape[1]):
            assert len(set(examples.images[channel, :have])) == have
            for rank in range(have):
                one = maps[examples.images[channel, rank], channel]
                place = (examples.rows[channel, rank], examples.cols[channel, rank])
                assert one[place] == pytest.approx(examples.values[channel, rank], abs=1e-5)


def test_the_dead_channel_and_the_rare_one(model) -> None:  # type: ignore[no-untyped-def]
    black = [np.zeros((12, 12, 3), dtype=np.uint8)] * 150
    white = [np.full((12, 12, 3), 255, dtype=np.uint8)]
    net = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([1.0, -1.0])[:, None, None, None].expand(2, 3, 1, 1))
    one = small(nn.Sequential(net, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)))
    scale = one.preprocess
    # Normalized black is negative, white positive: the channels answer to one of them each.
    found = passed(one, InMemory([*black, *white]), ["0.1"]).layers["0.1"]
    assert scale.mean[0] > 0
    assert found.rare.tolist() == [True, False]
    assert found.dead.tolist() == [False, False]
    assert found.active == pytest.approx([1 / 151, 150 / 151])
    dead = passed(one, InMemory(black), ["0.1"]).layers["0.1"]
    assert dead.dead.tolist() == [True, False] or dead.dead.tolist() == [True, True]
    assert passed(model, InMemory(pictures(5))).layers["conv2"].dead.tolist() == [False, False, False, True, False]


def test_correlations_are_those_of_the_places_on_the_grid(scanned: Callable[..., Scan], brute: Mapping[str, np.ndarray]) -> None:
    found, maps = scanned(batch=4), brute
    for layer in LAYERS:
        one = found.layers[layer]
        rows, cols = (np.arange(side)[(side - 1) % (step := -(-side // 5)) // 2 :: step] for side in maps[layer].shape[2:])
        values = by_channel(maps[layer][:, :, rows][:, :, :, cols])
        with np.errstate(invalid="ignore", divide="ignore"):
            expected = np.corrcoef(values)
        expected[one.dead], expected[:, one.dead] = np.nan, np.nan
        np.testing.assert_allclose(one.correlation, expected, atol=1e-5)
        for channel in range(one.channels):
            others = np.where(np.isnan(expected[channel]), -np.inf, expected[channel])
            others[channel] = -np.inf
            known = one.nearest[channel][one.nearest[channel] >= 0]
            assert len(known) == min(8, np.isfinite(others).sum())
            np.testing.assert_allclose(others[known], np.sort(others)[::-1][: len(known)], atol=1e-5)


def test_selectivity_by_its_definition(scanned: Callable[..., Scan], brute: Mapping[str, np.ndarray]) -> None:
    found = scanned(batch=4)
    assert found.labels == ("a", "b", "c")
    for layer, maps in brute.items():
        activity = np.maximum(maps, 0).astype(np.float64).mean((2, 3))
        means = np.array([activity[[k for k, label in enumerate(LABELS) if label == name]].mean(0) for name in "abc"])
        most, others = means.max(0), (means.sum(0) - means.max(0)) / 2
        index = np.divide(most - others, most + others, out=np.zeros_like(most), where=most + others > 0)
        np.testing.assert_allclose(found.layers[layer].selectivity, index, atol=1e-5)
        alive = most > 0
        np.testing.assert_array_equal(found.layers[layer].preferred[alive], means.argmax(0)[alive])


def test_a_channel_that_is_never_positive_prefers_no_class() -> None:
    maps = -0.3 - torch.rand(6, 2, 4096, generator=torch.Generator().manual_seed(0))
    maps[4, 1, 7] = 2.4e-7
    sums = ClassSums.empty(3, 2)
    sums.add(activity(maps), torch.tensor([0, 1, 2, 0, 1, 2]))
    index, best = sums.selectivity()
    np.testing.assert_array_equal(index, [0, 1])
    np.testing.assert_array_equal(best, [-1, 1])


def test_selectivity_of_a_channel_that_knows_one_class() -> None:
    sums = ClassSums.empty(3, 2)
    sums.add(torch.tensor([[2.0, 1.0], [0.0, 1.0], [0.0, 1.0], [4.0, 7.0]]), torch.tensor([1, 0, 2, -1]))
    index, best = sums.selectivity()
    assert index.tolist() == [1.0, 0.0]
    assert best.tolist() == [1, 0]


def test_equal_values_keep_the_earlier_image_and_place() -> None:
    maps = torch.zeros(4, 1, 6)
    maps[1:, 0, 2:5] = 3.0
    for side, sign in ((Side.TOP, 1), (Side.BOTTOM, -1)):
        ends = torch.full((4, 1), 3.0 * sign)
        ends[0] = 0
        extremes = Extremes.empty(side, 1, 2)
        for start in (0, 2):
            extremes = extremes.extended(ends[start : start + 2], sign * maps[start : start + 2], start)
        found = extremes.examples(3)
        assert found.images.tolist() == [[1, 2]]
        assert found.rows.tolist() == [[0, 0]]
        assert found.cols.tolist() == [[2, 2]]


finite = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


def sketched(maps: torch.Tensor) -> Sketch:
    return Sketch.of(maps, fitting(maps.amin((0, 2)), maps.amax((0, 2))))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1, max_size=9), st.integers(1, 9))
def test_sketches_do_not_depend_on_how_they_are_merged(values: list[list[float]], size: int) -> None:
    maps = torch.tensor(values, dtype=torch.float32)[:, None]
    whole, merged = sketched(maps), Sketch.empty(1, maps.device)
    for start in range(0, len(maps), size):
        merged.add(sketched(maps[start : start + size]))
    numbers = np.sort(maps.numpy().astype(np.float64).ravel())
    width = float(whole.width[0])
    assert torch.equal(whole.counts, merged.counts)
    assert torch.equal(whole.exponents, merged.exponents)
    assert int(merged.zeros[0]) == (numbers == 0).sum()
    np.testing.assert_array_equal(whole.counts[0].numpy(), np.histogram(numbers, np.arange(-HALF, HALF + 1) * width)[0])
    levels = (0.0, 0.2, 0.5, 0.77, 1.0)
    found = quantiles(whole.counts.numpy(), whole.width, merged.zeros.numpy(), numbers[:1], numbers[-1:], levels)[0]
    assert (np.abs(found - np.quantile(numbers, levels)) <= width * (1 + 1e-9)).all()
    edges, counts = histogram(whole.counts.numpy(), whole.width, 16)
    np.testing.assert_array_equal(counts[0], np.histogram(numbers, edges[0])[0])


@settings(deadline=None, max_examples=50)
@given(finite, finite)
def test_bins_are_the_narrowest_that_hold_the_values(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    exponent = int(fitting(torch.tensor([low]), torch.tensor([high]))[0])

    def fits(e: int) -> bool:
        return -HALF * 2.0**e <= low and high < HALF * 2.0**e

    assert fits(exponent)
    assert exponent == -40 or not fits(exponent - 1)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 5), st.sampled_from([0.0, 1.0, 1e4]))
def test_moments_keep_their_digits_far_from_zero(first: int, second: int, seed: int, offset: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    maps = (torch.randn(first + second, 3, 20, generator=draw) + offset).float()
    found = Moments.empty(3)
    for part in (maps[:first], maps[first:]):
        found.add(Moments.of(swept(part.contiguous())))
    values = by_channel(maps.numpy()[..., None])
    np.testing.assert_allclose(found.mean.numpy(), values.mean(1), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(found.squares.numpy() / found.count), values.std(1), rtol=2e-4 if offset == 1e4 else 1e-5)


def test_correlations_far_from_zero_and_of_constant_channels() -> None:
    draw = torch.Generator().manual_seed(3)
    maps = torch.randn(30, 4, 1, 1, generator=draw)
    maps[:, 1] = -2 * maps[:, 0] + 500
    maps[:, 3] = 0.1
    found = Comoments.empty(4)
    for part in maps.split(7):
        found.add(Comoments.of(part))
    matrix = found.correlation()
    assert matrix[0, 1] == pytest.approx(-1, abs=1e-5)
    assert np.isnan(matrix[3]).all()
    assert np.isnan(matrix[:, 3]).all()
    assert matrix[0, 2] == pytest.approx(np.corrcoef(maps[:, 0, 0, 0], maps[:, 2, 0, 0])[0, 1], abs=1e-5)


def test_above_2048_channels_only_neighbours_are_given(monkeypatch: pytest.MonkeyPatch, model, data) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(correlation, "MOST_SHOWN", 5)
    found = passed(model, data)
    assert found.layers["conv1"].correlation is None
    assert found.layers["conv1"].nearest is not None
    assert found.layers["conv2"].correlation is not None
    monkeypatch.setattr(correlation, "MOST", 5)
    assert passed(model, data).layers["conv1"].nearest is None
    assert passed(model, data, correlations=False).layers["conv2"].correlation is None
