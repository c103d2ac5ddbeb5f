"""Infidelity: 0 for exact explanations, Captum's values for all others."""

from __future__ import annotations

from dataclasses import replace

import captum.metrics
import numpy as np
import pytest
import torch
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from interp.core.baseline import Baseline
from interp.core.model import Model
from interp.core.rng import content, generator
from interp.errors import InterpError
from interp.metrics.infidelity import Infidelity, Noise, Scaling, Squares, infidelity, responses
from interp.metrics.scoring import Output, scorer

from .asking import (
    Watched,
    check_a_map_that_tells_nothing_is_nan,
    check_each_sample_stands_alone,
    convnet,
    distinct,
    given,
    linear,
    noise,
    total,
    untouched,
)

samples = arrays(np.float64, (1, 8), elements=st.floats(-100, 100))


def weights(seed: int = 7) -> Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", [Baseline.MEAN, Baseline.BLUR, Baseline.WHITE])
def test_contributions_to_a_linear_score_are_exact(kind: Baseline) -> None:
    model, images, perturbation = linear(weights()), noise(2, 8), Squares(baseline=kind)
    nothing = perturbation.baselines(model, images)
    exact = (weights() * (images - nothing)).sum(1).numpy()
    for scaling in Scaling:
        found = Infidelity(perturbation, scaling=scaling)(given(model, images, exact))
        np.testing.assert_allclose(found, 0, atol=1e-8)
    assert (Infidelity(perturbation)(given(model, images, distinct(2, 8))) > 0.01).all()


def test_slopes_of_a_linear_score_are_exact_for_noise() -> None:
    same = weights()[:, :1].expand(-1, 3, -1, -1)  # one slope for all channels of a pixel, as a map has
    model, images = linear(same), noise(2, 8)
    for scaling in Scaling:
        found = Infidelity(Noise(), scaling=scaling)(given(model, images, same[:, 0].numpy()))
        np.testing.assert_allclose(found, 0, atol=1e-8)
    assert (Infidelity(Noise())(given(model, images, distinct(2, 8))) > 0.01).all()


def drawn(perturbation: Squares | Noise, model: Model, images: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The very perturbations that the metric draws, as Captum wants them: (images * samples, c, h, w), and the perturbed images."""
    used, changed = [], []
    for image, nothing in zip(images, perturbation.baselines(model, images), strict=True):
        random = generator(0, "infidelity", content(image))
        for _ in range(count):
            inside, other = perturbation.draw(image, nothing, random)
            used.append(inside.expand_as(image) if isinstance(perturbation, Squares) else image - other)
            changed.append(other)
    return torch.stack(used), torch.stack(changed)


@pytest.mark.parametrize("perturbation", [Squares(0.4), Noise(0.3)])
@pytest.mark.parametrize("scaling", [Scaling.NONE, Scaling.OPTIMAL])
def test_captum(perturbation: Squares | Noise, scaling: Scaling) -> None:
    model, images, maps = convnet(), noise(3), distinct(3) / 100
    drawing = drawn(perturbation, model, images, 12)
    # A square's sum counts each pixel once; a slope belongs to every channel.
    phi = torch.from_numpy(maps)[:, None].expand_as(images) / (3 if isinstance(perturbation, Squares) else 1)
    theirs = captum.metrics.infidelity(
        model, lambda _: drawing, images, phi, target=[0, 1, 2], n_perturb_samples=12, normalize=scaling is Scaling.OPTIMAL
    )
    ours = Infidelity(perturbation, n_samples=12, scaling=scaling)(given(model, images, maps))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_by_hand() -> None:
    predicted, happened = np.array([[1.0, 2.0]]), np.array([[2.0, 2.0]])
    np.testing.assert_allclose(infidelity(predicted, happened, Scaling.NONE), [0.5])
    # beta* = (1 * 2 + 2 * 2) / (1 + 4) = 1.2: errors 0.8 and -0.4
    np.testing.assert_allclose(infidelity(predicted, happened), [(0.64 + 0.16) / 2])
    np.testing.assert_allclose(infidelity(predicted, happened, Scaling.SHARE), [0.1])
    np.testing.assert_allclose(infidelity(predicted, happened, Scaling.OPTIMAL), [0.4])
    # Of the negative map beta* is -1.2, and the best factor that keeps the sign is 0.
    np.testing.assert_allclose(infidelity(-predicted, happened), [4])
    np.testing.assert_allclose(infidelity(-predicted, happened, Scaling.SHARE), [1])
    np.testing.assert_allclose(infidelity(-predicted, happened, Scaling.OPTIMAL), [0.4])


@pytest.mark.parametrize("perturbation", [Squares(), Noise()])
def test_a_map_of_the_wrong_sign_is_worth_no_more_than_a_zero_map(perturbation: Squares | Noise) -> None:
    same = weights()[:, :1].expand(-1, 3, -1, -1)
    model, images = linear(same), noise(2, 8)
    near = (same * (images if isinstance(perturbation, Squares) else 1)).sum(1).numpy() + distinct(2, 8) / 100
    metric = Infidelity(perturbation)
    right, wrong = metric(given(model, images, near)), metric(given(model, images, -near))
    nothing = perturbation.baselines(model, images)
    asked = responses(scorer(given(model, images, near), Output.LOGIT), images, np.zeros_like(near), nothing, perturbation)
    assert (right < 0.5 * wrong).all()
    np.testing.assert_allclose(wrong, infidelity(*asked), rtol=1e-12)
    np.testing.assert_allclose(wrong, np.square(asked[1]).mean(axis=1), rtol=1e-12)
    unsigned = replace(metric, scaling=Scaling.OPTIMAL)
    np.testing.assert_allclose(unsigned(given(model, images, -near)), right, rtol=1e-12)


def test_a_constant_map_is_a_strong_baseline_under_squares() -> None:
    """All weights positive: each square costs about the same, which a constant predicts and a zero map does not."""
    model, images = linear(weights().abs()), noise(2, 8)
    evidence = given(model, images, np.ones((2, 8, 8)))
    score, nothing = scorer(evidence, Output.LOGIT), Squares().baselines(model, images)
    constant, zero = (infidelity(*responses(score, images, np.full((2, 8, 8), v), nothing, Squares())) for v in (1.0, 0.0))
    assert (constant < 0.2 * zero).all()
    assert np.isnan(Infidelity()(evidence)).all()


@settings(deadline=None)
@sampled(samples, samples, st.floats(-3, 3))
def test_no_factor_fits_better_than_the_optimal_one(predicted: np.ndarray, happened: np.ndarray, factor: float) -> None:
    optimal, best = infidelity(predicted, happened, Scaling.OPTIMAL)[0], infidelity(predicted, happened)[0]
    assert optimal <= infidelity(factor * predicted, happened, Scaling.NONE)[0] + 1e-6
    assert best <= infidelity(abs(factor) * predicted, happened, Scaling.NONE)[0] + 1e-6
    assert optimal <= best + 1e-6
    assert best <= np.square(happened).mean() + 1e-6  # a zero map


def test_the_scale_of_a_map_does_not_matter_unless_asked() -> None:
    model, images, maps = convnet(), noise(2), distinct(2)
    plain, scaled = given(model, images, maps), given(model, images, 1000 * maps)
    np.testing.assert_allclose(Infidelity()(plain), Infidelity()(scaled), rtol=1e-5)
    assert (Infidelity(scaling=Scaling.NONE)(scaled) > 100 * Infidelity(scaling=Scaling.NONE)(plain)).all()
    shares = Infidelity(scaling=Scaling.SHARE)(plain)
    assert ((shares > 0) & (shares <= 1)).all()


def test_a_zero_map_predicts_no_change() -> None:
    model, images = convnet(), noise(2)
    evidence, nothing = given(model, images, np.zeros((2, 16, 16))), Squares().baselines(model, images)
    predicted, happened = responses(scorer(evidence, Output.LOGIT), images, evidence.resized(), nothing, Squares())
    assert not predicted.any()
    changed = np.square(happened).mean(axis=1)
    assert (changed > 0).all()
    for scaling in (Scaling.NONE, Scaling.POSITIVE, Scaling.OPTIMAL):
        np.testing.assert_allclose(infidelity(predicted, happened, scaling), changed)
    np.testing.assert_allclose(infidelity(predicted, happened, Scaling.SHARE), 1)


def test_where_nothing_ever_happens_there_is_no_share() -> None:
    model = linear(torch.zeros(2, 1, 8, 8))
    evidence = given(model, noise(1, 8, 1), distinct(1, 8))
    assert np.isnan(Infidelity(scaling=Scaling.SHARE)(evidence)).all()
    np.testing.assert_array_equal(Infidelity()(evidence), [0])


def test_all_maps_of_an_image_meet_the_same_perturbations() -> None:
    model, images = convnet(), noise(2)
    for perturbation in (Squares(), Noise()):
        nothing = perturbation.baselines(model, images)
        first = responses(total, images, distinct(2), nothing, perturbation, n_samples=5)
        other = responses(total, images, distinct(2, seed=1), nothing, perturbation, n_samples=5, batch_size=2)
        reseeded = responses(total, images, distinct(2), nothing, perturbation, n_samples=5, seed=1)
        np.testing.assert_array_equal(first[1], other[1])
        assert not np.array_equal(first[1], reseeded[1])


def test_squares_have_the_size_asked_for_and_reach_every_pixel() -> None:
    image, random = torch.ones(3, 9, 12), torch.Generator().manual_seed(0)
    reached = torch.zeros(9, 12)
    for _ in range(200):
        inside, changed = Squares(0.33).draw(image, torch.zeros_like(image), random)
        assert inside.sum() == 9
        assert torch.equal(changed, (1 - inside).expand_as(image))
        reached += inside
    assert (reached > 0).all()
    inside, _ = Squares(5).draw(image, image, random)
    assert inside.sum() == 81


@pytest.mark.parametrize("metric", [Infidelity(n_samples=8), Infidelity(Noise(), n_samples=8)])
def test_each_sample_stands_alone(metric: Infidelity) -> None:
    evidence = given(convnet(), noise(4), distinct(4))
    check_each_sample_stands_alone(metric, evidence)
    check_a_map_that_tells_nothing_is_nan(metric, evidence)


def test_never_more_than_a_batch_at_once() -> None:
    score, images = Watched(total), noise(2, 8)
    responses(score, images, distinct(2, 8), images, Noise(), n_samples=5, batch_size=5)
    assert score.sizes == [5, 5, 2]


def test_nothing_is_left_in_the_model_or_the_global_generators() -> None:
    model, images = convnet(), noise(1)
    with untouched(model, images):
        Infidelity(n_samples=3)(given(model, images, distinct(1)))
        Infidelity(Noise(), n_samples=3)(given(model, images, distinct(1)))


def test_no_samples_are_refused() -> None:
    evidence = given(convnet(), noise(1), distinct(1))
    with pytest.raises(InterpError, match=r"`n_samples` is 0: give at least 1"):
        replace(Infidelity(), n_samples=0)(evidence)
