"""Numbers of filters against closed forms, and the test for noise against noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from scipy import stats

from interp.core.model import Model
from interp.errors import Unsupported
from interp.kernels import Kernels, duplicates, factors, noise, ranks, statistics, tuning, verdicts
from interp.kernels import of as kernels_of
from interp.kernels.factors import Factoring
from interp.kernels.noise import Null, Statistic
from interp.kernels.verdicts import Fault
from interp.zoo import load


def kernels(weights: np.ndarray, groups: int = 1) -> Kernels:
    return Kernels("layer", "Conv2d", np.asarray(weights, dtype=np.float32), groups)


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def area(higher: np.ndarray, lower: np.ndarray) -> float:
    """Under the ROC curve: how often one of ``higher`` is above one of ``lower``."""
    result: float = (higher[:, None] > lower[None]).mean() + (higher[:, None] == lower[None]).mean() / 2
    return result


def test_norms_and_ranks_in_closed_form() -> None:
    one = np.zeros((3, 2, 2, 2), dtype=np.float32)
    one[0, 0] = [[3, 0], [0, -4]]
    one[1] = [[[1, 0], [0, 0]], [[0, 1], [0, 0]]]  # two orthogonal kernels of one size
    found = statistics.measured(kernels(one))
    assert found.l1.tolist() == [7, 2, 0]
    np.testing.assert_allclose(found.l2, [5, np.sqrt(2), 0])
    np.testing.assert_allclose(found.stable_rank, [1, 2, np.nan])
    np.testing.assert_allclose(found.effective_rank, [1, 2, np.nan])
    np.testing.assert_allclose(found.sparsity, [0.5, 0, 1])
    assert found.copies.nearest_of[2] == -1


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_ranks_are_those_of_the_singular_values(inputs: int, rows: int, cols: int, seed: int) -> None:
    weights = drawn(3, inputs, rows, cols, seed=seed)
    values = ranks.singular_values(weights)
    for filter_, own in zip(weights, values, strict=True):
        matrix = filter_.reshape(inputs, -1).astype(float)
        s = np.linalg.svd(matrix, compute_uv=False)
        np.testing.assert_allclose(own, s, atol=1e-6)
        np.testing.assert_allclose(ranks.stable_rank(own), (matrix**2).sum() / np.linalg.norm(matrix, 2) ** 2, rtol=1e-6)
        shares = s / s.sum()
        np.testing.assert_allclose(ranks.effective_rank(own), np.exp(-(shares * np.log(shares)).sum()), rtol=1e-5)


def test_variance_entropy_counts_patterns() -> None:
    pattern = np.array([1.0, 2, -1, 0])
    assert ranks.variance_entropy(np.outer([1.0, 2, 5], pattern)) == pytest.approx(0, abs=1e-6)
    # Both ends of each of four axes: all directions alike.
    assert ranks.variance_entropy(np.concatenate([np.eye(4), -np.eye(4)])) == pytest.approx(np.log10(4))
    assert np.isnan(ranks.variance_entropy(np.ones((5, 4))))


def test_orthogonality_is_the_mean_overlap_within_a_group() -> None:
    half = np.sqrt(0.5)
    weights = np.array([[1.0, 0], [1, 1], [0, 1], [0, 2]]).reshape(4, 2, 1, 1)
    np.testing.assert_allclose(
        1 - statistics.measured(kernels(weights)).orthogonality, [half / 3, half, (half + 1) / 3, (half + 1) / 3], rtol=1e-6
    )
    grouped = statistics.measured(kernels(weights, groups=2))
    np.testing.assert_allclose(1 - grouped.orthogonality, [half, half, 1, 1], rtol=1e-6)


@pytest.mark.parametrize("dimensions", [2, 3, 27, 147])
def test_chance_cosine_is_that_of_random_directions(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.standard_normal((40_000, dimensions)) for _ in range(2))
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosines.std() == pytest.approx(1 / np.sqrt(dimensions), rel=0.02)
    assert stats.kstest(duplicates.tail(np.abs(cosines), dimensions), "uniform").pvalue > 0.01
    # A tenth of the level for each of ten pairs.
    assert (np.abs(cosines) > duplicates.chance_cosine(dimensions, 10)).mean() == pytest.approx(duplicates.LEVEL / 10, abs=6e-4)
    assert duplicates.chance_cosine(1, 10) == 1.0


def test_duplicates_and_their_clusters() -> None:
    weights = drawn(8, 3, 5, 5)
    weights[3] = 2 * weights[1] + 0.1 * drawn(3, 5, 5, seed=1)
    weights[6] = -weights[3]
    weights[7] = 0
    found = duplicates.of(kernels(weights))
    assert found.clusters == [[1, 3, 6]]
    assert found.cluster_of.tolist() == [-1, 1, -1, 1, -1, -1, 1, -1]
    assert (found.nearest_of[[3, 6]].tolist(), found.nearest[6] < -0.999) == ([6, 3], True)
    assert np.isnan(found.nearest[7])
    # On three colours parallel directions are no surprise, so more is asked for.
    few = duplicates.of(kernels(drawn(64, 3, 1, 1)))
    assert few.threshold == few.chance > 0.999
    # Of two groups, each has its own inputs.
    assert duplicates.of(kernels(np.tile(weights[:1], (4, 1, 1, 1)), groups=2)).clusters == [[0, 1], [2, 3]]


def test_p_of_noise_is_uniform() -> None:
    found = noise.of(kernels(drawn(200, 4, 5, 5)))
    for one in (Statistic.FLATNESS, Statistic.MORAN, Statistic.CONCENTRATION):
        for null in Null:
            assert stats.kstest(found.ps[one, null], "uniform").pvalue > 0.005, (one, null)
    assert found.share < 0.02


def test_trained_layers_are_told_from_fresh_ones() -> None:
    trained, fresh = load("embedded"), load("embedded", random_weights=True)
    for layer in ("stem.conv", "stage1.block2.conv"):
        one, other = noise.of(kernels_of(trained, layer)), noise.of(kernels_of(fresh, layer))
        places = {"stem.conv": 49}.get(layer, 9)
        for statistic in (Statistic.FLATNESS, Statistic.MORAN):
            far, near = (noise.distance(statistic, each.values[statistic], places) for each in (one, other))
            assert area(far, near) > 0.97, (layer, statistic)
        assert one.share > 0.95 > other.share == 0


@pytest.mark.parametrize(("name", "flat", "moran"), [("resnet20", 0.96, 0.95), ("resnet56", 0.96, 0.95)])
def test_cifar_networks_are_told_from_fresh_weights(assets: Path, name: str, flat: float, moran: float) -> None:
    """The mean over 3x3 layers of the AUC, filter by filter; the median is above .98."""
    areas: dict[Statistic, list[float]] = {Statistic.FLATNESS: [], Statistic.MORAN: []}
    for weights in load_file(assets / f"{name}_cifar10.safetensors").values():
        if weights.ndim == 4 and weights.shape[2] == 3:
            fresh = drawn(*weights.shape, seed=1)
            for one, measure in ((Statistic.FLATNESS, noise.flatness), (Statistic.MORAN, noise.neighbour_correlation)):
                areas[one].append(area(*(noise.distance(one, measure(each), 9) for each in (weights, fresh))))
    assert np.mean(areas[Statistic.FLATNESS]) > flat
    assert np.mean(areas[Statistic.MORAN]) > moran


def test_a_dot_is_structure_though_its_spectrum_is_flat() -> None:
    weights = 0.01 * drawn(40, 16, 3, 3)
    weights[:20, :, 1, 1] = drawn(20, 16, seed=1)
    found = noise.of(kernels(weights))
    assert found.structured.tolist() == [True] * 20 + [False] * 20
    assert (found.values[Statistic.FLATNESS][:20] > 0.9).all()


def test_benjamini_hochberg() -> None:
    assert noise.discoveries(np.array([0.01, 0.9, 0.03, 0.02]), 0.05).tolist() == [True, False, True, True]
    assert noise.discoveries(np.array([0.04, 0.9]), 0.05).tolist() == [False, False]
    assert noise.rank(np.array([2.5, 0.0, np.nan]), np.array([[1.0], [2], [3]])).tolist() == [0.5, 1, 1]


@pytest.mark.parametrize("shape", [(3, 4, 3, 3), (5, 2, 7, 7), (4, 3, 5, 2), (2, 1, 1, 4), (3, 3, 16, 16)])
def test_flatness_is_that_of_the_fourier_transform(shape: tuple[int, int, int, int]) -> None:
    weights = drawn(*shape)
    power = np.square(np.abs(np.fft.fft2(weights.astype(np.float64)))).mean(axis=1)
    expected = np.exp(np.log(power).mean(axis=(1, 2))) / power.mean(axis=(1, 2))
    np.testing.assert_allclose(noise.flatness(weights), expected, rtol=2e-5)
    assert noise.flatness(np.zeros((1, 2, 3, 3), np.float32)).tolist() == pytest.approx([np.nan], nan_ok=True)


def test_draws_that_are_kept_change_no_answer() -> None:
    noise._drawn.cache_clear()
    first, other = kernels(drawn(6, 4, 3, 3)), kernels(drawn(9, 4, 3, 3) + 1)
    fresh = noise.of(other).p
    noise._drawn.cache_clear()
    noise.of(first)
    assert noise._drawn.cache_info().misses == 1
    np.testing.assert_array_equal(noise.of(other).p, fresh)
    assert noise._drawn.cache_info().hits == 1
    assert (noise.of(other, seed=1).p != fresh).any()


def test_what_cannot_be_asked_is_said() -> None:
    found = statistics.measured(kernels(drawn(4, 5, 1, 1)))
    assert (found.structure, found.noisy, found.no_structure) == (None, None, "kernels of 1x1 have no neighbouring places")
    assert "flatness" not in found.columns()
    assert np.isnan(found.variance_entropy).all()
    with pytest.raises(Unsupported, match=r"'layer' cannot be told from noise: kernels of 1x1 have no neighbouring places; choose"):
        noise.of(kernels(drawn(4, 5, 1, 1)))
    with pytest.raises(Unsupported, match=r"the weights hold NaN"):
        noise.of(kernels(np.full((2, 2, 3, 3), np.nan)))
    one = statistics.measured(kernels(drawn(6, 5, 3, 3)))
    assert {len(column) for column in one.columns().values()} == {6}
    assert (one.columns()["noise"] == one.noisy).all()


def test_statistics_of_a_model_and_of_what_has_no_kernels(trap_model: Model) -> None:
    np.testing.assert_allclose(statistics.of(trap_model, "conv1").l2, kernels_of(trap_model, "conv1").norms, rtol=1e-6)
    with pytest.raises(Unsupported, match=r"layer 'relu' .* has no kernels"):
        statistics.of(trap_model, "relu")


def test_tuning_of_a_grating_is_its_own() -> None:
    down, right = np.mgrid[:11, :11]
    cases = [(0.0, 0.2, down), (90.0, 0.1, right), (45.0, 0.2, (down + right) / np.sqrt(2)), (135.0, 0.3, (right - down) / np.sqrt(2))]
    weights = np.stack([np.tile(np.cos(2 * np.pi * f * across), (3, 1, 1)) for _, f, across in cases])
    found = tuning.of(kernels(weights), frequencies=(0.05, 0.1, 0.2, 0.3, 0.4))
    orientations, frequencies = found.preferred
    assert orientations.tolist() == [case[0] for case in cases]
    assert frequencies.tolist() == [case[1] for case in cases]
    assert (found.selectivity > 0.3).all()
    dot = np.zeros((1, 1, 5, 5))
    dot[0, 0, 2, 2] = 1
    assert tuning.of(kernels(dot)).selectivity[0] == pytest.approx(0, abs=1e-9)
    # By hand: |sum w exp(2 pi i f x)| at the phase that fits best.
    assert found.responses[1, tuning.ORIENTATIONS.index(90.0), 1] == pytest.approx(
        abs((weights[1].sum(0) * np.exp(2j * np.pi * 0.1 * right)).sum())
    )


def test_factors_find_planted_groups_of_inputs() -> None:
    rng = np.random.default_rng(0)
    groups = np.zeros((3, 12))
    for k in range(3):
        groups[k, 4 * k : 4 * k + 4] = rng.uniform(0.5, 1, 4)
    parts = rng.standard_normal((20, 3, 3, 3)) * [3, 2, 1]
    weights = kernels(np.moveaxis(parts @ groups, 3, 1))
    for by in Factoring:
        found = factors.of(weights, by)
        assert found.explained == pytest.approx(1, abs=2e-3)
        np.testing.assert_allclose(np.moveaxis(found.parts @ found.channels, 3, 1), weights.weights, atol=0.2)
    assert (found.channels >= 0).all()
    # Each factor is one of the groups.
    cosines = found.channels @ (groups / np.linalg.norm(groups, axis=1, keepdims=True)).T
    assert sorted(cosines.argmax(1).tolist()) == [0, 1, 2]
    assert (cosines.max(1) > 0.95).all()
    assert (found.rgb().min(), found.rgb().max()) >= (0, 0.5)
    with pytest.raises(Unsupported, match=r"has 2 groups"):
        factors.of(kernels(drawn(4, 4, 3, 3), groups=2))
    assert (factors.of(kernels(np.zeros((2, 2, 3, 3)))).rgb() == 0.5).all()


def test_verdicts_name_test_statistic_and_threshold() -> None:
    weights = np.tile(np.hanning(7)[1:-1, None] * np.ones(5), (12, 4, 1, 1)) * drawn(12, 4, 1, 1) + 0.05 * drawn(12, 4, 5, 5)
    weights[2], weights[5], weights[9] = 1e-4 * weights[2], drawn(4, 5, 5, seed=3), -weights[8]
    found = {(v.channel, v.fault): v for v in verdicts.by_weights(statistics.measured(kernels(weights)))}
    assert {k for k in found if k[1] is not Fault.DUPLICATE} == {(2, Fault.DEAD), (5, Fault.NOISE)}
    assert found[2, Fault.DEAD].statistic < found[2, Fault.DEAD].threshold == verdicts.FAINT
    assert found[9, Fault.DUPLICATE].detail.startswith("opposite of 8, cluster")
    assert found[9, Fault.DUPLICATE].statistic == pytest.approx(1)
    assert found[5, Fault.NOISE].p > found[5, Fault.NOISE].threshold
    gammas = np.ones(12)
    gammas[4] = 1e-5
    again = verdicts.by_weights(statistics.measured(kernels(weights)), gammas)
    assert [(v.channel, v.test) for v in again if v.fault is Fault.DEAD][1] == (4, "|BatchNorm gamma| / median of the layer")


def test_sensitivity_is_judged_within_the_layer() -> None:
    gains = np.exp(np.random.default_rng(0).normal(0, 0.2, 50))
    gains[7], gains[8] = 20.0, np.nan
    (only,) = verdicts.by_sensitivity("layer", gains)
    logs = np.log(np.delete(gains, 8))
    middle = np.median(logs)
    assert (only.channel, only.fault, only.statistic) == (7, Fault.SENSITIVE, 20.0)
    assert only.threshold == pytest.approx(np.exp(middle + 5 * 1.4826 * np.median(np.abs(logs - middle))))
    assert verdicts.by_sensitivity("layer", np.array([1.0, 1, 99])) == []


def test_noise_gain_of_a_linear_layer_is_its_norm_over_the_spread(network: Callable[[str], Model]) -> None:
    from interp.kernels.gain import NOISE, noise_gains

    model = network("embedded")
    rng = torch.Generator().manual_seed(0)
    images = [torch.rand(3, 64, 64, generator=rng) for _ in range(6)]
    steps: list[tuple[int, int]] = []
    gains = noise_gains(model, images, ["stem.conv"], 0, lambda done, total: steps.append((done, total)))["stem.conv"]
    # White noise pictures have a spread of sqrt(1/12) in every pixel, so both go through the same filter.
    np.testing.assert_allclose(gains, NOISE * np.sqrt(12), rtol=0.06)
    assert steps[-1] == (6, 6)
    again = noise_gains(model, images[::-1], ["stem.conv"], 0, lambda done, total: None)["stem.conv"]
    np.testing.assert_allclose(gains, again, rtol=1e-9)
