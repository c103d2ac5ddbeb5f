"""Path similarity: ranks, anchors, and images that take the natural path."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis.quality.natural import views
from interp.featurevis.quality.path import best_views, channel_means, choose, path_similarity, ranks, similarity_at, spearman
from interp.featurevis.quality.scoring import score_of, table
from interp.featurevis.regularizers import L2
from interp.featurevis.units import Channel

from .conftest import Apart, noise, photo

UP, DOWN = np.arange(6.0), -np.arange(6.0)


def test_spearman_is_scipys() -> None:
    values = np.random.default_rng(0).integers(0, 5, (6, 12)).astype(np.float64)
    for i in range(3):
        for j in range(3):
            assert spearman(values[:3], values[3:])[i, j] == pytest.approx(spearmanr(values[i], values[3 + j]).statistic)
    assert spearman(UP[None], np.exp(UP)[None])[0, 0] == pytest.approx(1)
    assert spearman(UP[None], np.ones((1, 6)))[0, 0] == 0


@given(st.lists(st.floats(-10, 10), min_size=4, max_size=8))
def test_spearman_is_bounded_and_reflexive(row: list[float]) -> None:
    values = np.array([row])
    own = spearman(values, values)[0, 0]
    assert own == pytest.approx(1) if len(set(row)) > 1 else own == 0
    assert spearman(values, -values)[0, 0] == pytest.approx(-own)


def test_one_view_of_each_photograph() -> None:
    scores = np.array([[1.0, 5.0, 4.0, 2.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 9.0]])
    photo_of = np.array([0, 0, 0, 1, 1, 2])
    np.testing.assert_array_equal(best_views(scores, photo_of, 2), [[1, 4], [5, 0]])
    np.testing.assert_array_equal(best_views(scores, photo_of, 3), [[1, 4, 5], [5, 0, 3]])


def test_choice_of_natural_images() -> None:
    four = np.arange(4)
    mine, others = choose(np.array([4.0, 3.0, 2.0, 1.0]), np.array([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 1.0, 2.0]]), four, 5)
    assert (list(mine), list(others)) == ([0, 1], [2, 3])
    assert (
        choose(np.ones(3), np.ones((1, 3)), np.arange(3), 5)
        == "path similarity needs at least 4 photographs, 2 for the unit and 2 to compare with"
    )
    assert (
        choose(np.array([4.0, 3.0, 2.0, 1.0]), np.array([[4.0, 3.0, 2.0, 1.0]]), four, 5)
        == "no other unit of the layer likes other natural images best"
    )
    assert choose(np.full(4, np.nan), np.ones((1, 4)), four, 5) == "an activation of a natural image is no finite number"


def test_anchors() -> None:
    """The unit's images all alike, the others their opposite: 1 on the path, 0 off it."""
    seen = ranks(np.stack([UP, UP, DOWN, DOWN]))
    where = (np.array([0, 1]), np.array([2, 3]), np.arange(4))
    assert similarity_at(ranks(UP[None])[0], seen, *where) == pytest.approx(1)
    assert similarity_at(ranks(DOWN[None])[0], seen, *where) == pytest.approx(0)
    assert similarity_at(np.zeros(6), seen, *where) == pytest.approx(0.5)
    assert similarity_at(ranks(UP[None])[0], ranks(np.stack([UP] * 4)), *where) is None
    assert similarity_at(ranks(np.full((1, 6), np.nan))[0], seen, *where) is None


def photographs(count: int) -> list:  # type: ignore[type-arg]
    return [photo(str(k), 255 * noise(40, 40, 3, seed=k) ** (k + 1) * noise(3, seed=99 + k)) for k in range(count)]


def test_the_natural_path_has_similarity_1(cnn: Model) -> None:
    """By hand, from the definition, in each layer; and the unit's own natural image lies at 1 or above."""
    natural = views(cnn, photographs(6), (32, 32))
    objective = Channel(Unit("conv2", 2))
    scores = score_of(cnn, objective, natural.images)
    top = best_views(scores[None], natural.photo, 3)[0]
    images = np.stack([natural.images[top[0]], noise(32, 32, 3)])
    (own, _), (other, _) = path_similarity(cnn, [objective, objective], images, natural)
    assert own is not None
    assert other is not None
    assert [name for name, _ in own] == ["conv1", "conv2"]
    assert all(value is None or value >= 1 - 1e-9 for _, value in own)
    assert any(value is not None for _, value in own)
    means = channel_means(cnn, ["conv1", "conv2"], natural.images)
    image_means = channel_means(cnn, ["conv1", "conv2"], images)
    rivals = table(cnn, [Channel(Unit("conv2", k)) for k in range(8) if k != 2], natural.images)
    others = sorted({int(i) for row in rivals for i in best_views(row[None], natural.photo, 3)[0]} - set(top.tolist()))
    for name, value in other:
        rho = lambda a, b: spearmanr(a, b).statistic  # noqa: E731
        a, mine = means[name], image_means[name][1]
        raw = np.mean([rho(mine, a[t]) for t in top])
        same = np.mean([rho(a[t], a[u]) for t in top for u in top if natural.photo[t] != natural.photo[u]])
        apart = np.mean([rho(a[t], a[o]) for t in top for o in others if natural.photo[t] != natural.photo[o]])
        assert (value is None) == (same - apart < 0.1)
        if value is not None:
            assert value == pytest.approx((raw - apart) / (same - apart))


def test_layers_end_at_the_units(cnn: Model) -> None:
    natural = views(cnn, photographs(4), (32, 32))
    objectives = [Channel(Unit("relu1", 0)), Channel(Unit("fc", 1)), L2(), Apart(Unit("conv1", 0))]
    found = path_similarity(cnn, objectives, np.stack([noise(32, 32, 3)] * 4), natural)
    assert [name for name, _ in found[0][0] or ()] == ["conv1", "relu1"]
    assert [name for name, _ in found[1][0] or ()] == ["conv1", "relu1", "conv2", "fc"]
    assert found[2] == (None, "the objective looks at no layer, so there is no path to it")
    assert found[3] == (None, "the objective compares 2 images, and one natural image alone has no value under it")
    few = path_similarity(cnn, objectives[:1], noise(1, 32, 32, 3), views(cnn, photographs(3), (32, 32)))
    assert few[0][0] is None
    assert "at least 4 photographs" in few[0][1]
