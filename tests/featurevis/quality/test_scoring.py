"""Scores of images as they are, on a network whose scores are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.featurevis.objective import Objective
from interp.featurevis.quality.natural import best, maxima, natural_ratio, views
from interp.featurevis.quality.scoring import own_scores, rounded, score_of, table
from interp.featurevis.regularizers import L2
from interp.featurevis.units import Channel, Logit, Neuron, Token
from interp.images import SAMPLES

from .conftest import Apart, Undefined, expected, flat_photos, noise, photo

IMAGES = noise(7, 32, 32, 3)
SIX: list[Objective] = [Channel(Unit("conv", k)) for k in range(4)] + [Logit(Unit("flat", 1)), Channel(Unit("conv", 1)) * 2 - 1]


def test_scores_are_the_equation(linear_model: Model) -> None:
    for batch in (1, 3, 16):
        np.testing.assert_allclose(score_of(linear_model, Channel(Unit("conv", 1)), IMAGES, batch), expected(1, IMAGES), rtol=1e-5)
    np.testing.assert_allclose(score_of(linear_model, Logit(Unit("flat", 3)), IMAGES), expected(3, IMAGES), rtol=1e-5)
    np.testing.assert_allclose(score_of(linear_model, L2(), IMAGES), -np.square(IMAGES - 0.5).mean((1, 2, 3)), rtol=1e-5)
    combined = 2 * Channel(Unit("conv", 0)) - L2() + 1
    np.testing.assert_allclose(
        score_of(linear_model, combined, IMAGES), 2 * expected(0, IMAGES) + np.square(IMAGES - 0.5).mean((1, 2, 3)) + 1, rtol=1e-5
    )
    place = score_of(linear_model, Neuron(Unit("conv", 0, (3, 5))), IMAGES)
    np.testing.assert_allclose(place, IMAGES[:, 3, 5, 0], rtol=1e-5)


def test_images_that_are_looked_at_together(linear_model: Model) -> None:
    means = expected(1, IMAGES[:6]).reshape(3, 2)
    differences = (means - means[:, ::-1]).ravel()
    for batch in (1, 3, 4, 6):
        np.testing.assert_allclose(score_of(linear_model, Apart(Unit("conv", 1)), IMAGES[:6], batch), differences, rtol=1e-3, atol=1e-5)
    with pytest.raises(InterpError, match="looks at 2 images together, and 7 were given: give a multiple"):
        score_of(linear_model, Apart(Unit("conv", 1)), IMAGES)


def test_each_image_under_its_own_objective(linear_model: Model) -> None:
    """Depths mixed, batches small: every image keeps its own score."""
    objectives = [
        Logit(Unit("flat", 1)),
        Apart(Unit("conv", 1)),
        Channel(Unit("conv", 0)),
        L2(),
        Logit(Unit("flat", 3)),
        Channel(Unit("conv", 1)),
    ]
    wanted = [
        expected(1, IMAGES[0]),
        expected(1, IMAGES[1]) - expected(1, IMAGES[2]),
        expected(1, IMAGES[2]) - expected(1, IMAGES[1]),
        expected(0, IMAGES[3]),
        -np.square(IMAGES[4] - 0.5).mean(),
        expected(3, IMAGES[5]),
        expected(1, IMAGES[6]),
    ]
    for batch in (1, 2, 16):
        np.testing.assert_allclose(own_scores(linear_model, objectives, IMAGES, batch), wanted, rtol=1e-4, atol=1e-5)


def test_every_image_under_every_objective_in_one_pass(linear_model: Model) -> None:
    ran: list[int] = []
    handle = linear_model.module.get_submodule("conv").register_forward_hook(lambda _m, given, _o: ran.append(len(given[0])))
    try:
        found = table(linear_model, SIX, IMAGES, 3)
    finally:
        handle.remove()
    assert ran == [3, 3, 1], "one forward per batch, whatever the number of objectives"
    np.testing.assert_allclose(found, [score_of(linear_model, o, IMAGES) for o in SIX], rtol=1e-5)
    with pytest.raises(Unsupported, match="compares 2 images: one image alone has no value under it"):
        table(linear_model, [*SIX, Apart(Unit("conv", 0))], IMAGES)


def test_tokens_of_a_transformer(vit: Model) -> None:
    layer = "encoder.layers.encoder_layer_0"
    found = score_of(vit, Token(Unit(layer, 3), 0), IMAGES[:3])
    with torch.no_grad():
        outputs, _ = vit.capture([layer], torch.from_numpy(IMAGES[:3]).permute(0, 3, 1, 2))
    np.testing.assert_allclose(found, outputs[layer][:, 0, 3].numpy(), rtol=1e-4, atol=1e-5)


def test_float32_whatever_the_caller_computes_in(cnn: Model) -> None:
    plain = score_of(cnn, Channel(Unit("conv2", 3)), IMAGES)
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(score_of(cnn, Channel(Unit("conv2", 3)), IMAGES), plain)


def test_bad_input(linear_model: Model) -> None:
    with pytest.raises(UnknownName, match="no layer 'conf' in 'linear': did you mean 'conv'"):
        score_of(linear_model, Channel(Unit("conf", 0)), IMAGES)
    with pytest.raises(Unsupported, match=r"the value of '.*Undefined.*' is no finite number for image 0"):
        score_of(linear_model, Undefined(), IMAGES)
    with pytest.raises(InterpError, match="and 0 were given"):
        score_of(linear_model, SIX[0], IMAGES[:0])


def test_rounding_to_8_bits() -> None:
    found = rounded(np.array([0.0, 0.1, 0.5, 1.0, 1.2, -0.1], np.float32).reshape(1, 1, 2, 3))
    np.testing.assert_array_equal(found.ravel(), np.array([0, 26, 128, 255, 255, 0], np.float32) / 255)


def test_natural_maxima_of_flat_photographs(linear_model: Model) -> None:
    natural = views(linear_model, flat_photos(), (32, 32))
    assert natural.images.shape == (5 * 26, 32, 32, 3)
    assert natural.whole == 5
    found = [value for value, _ in maxima(linear_model, SIX[:4], natural)]
    assert [(round(n.maximum, 4), n.image) for n in found if n is not None] == [
        (1.0, "red"),
        (2.5, "green"),
        (0.25, "red"),
        (-0.5, "black"),
    ]
    (nothing, reason), (joint, why) = maxima(linear_model, [Undefined(), Apart(Unit("conv", 0))], natural)
    assert (nothing, reason) == (None, "the objective is no finite number for any natural image")
    assert (joint, why) == (None, "the objective compares 2 images, and one natural image alone has no value under it")
    assert best(np.array([math.nan, 1.0, 3.0, math.inf]), "abcd")[0].image == "c"  # type: ignore[union-attr]


def test_natural_ratio() -> None:
    assert natural_ratio(3.0, 1.5) == (2.0, "")
    assert natural_ratio(3.0, -1.5) == (None, "the maximum over natural images is -1.5, not above 0")


def test_crops_lie_where_their_names_say(linear_model: Model) -> None:
    """On a photograph that holds its own coordinates, a crop's mean is its centre."""
    rows, cols = np.mgrid[:120, :160]
    natural = views(linear_model, [photo("plane", np.stack([rows, cols, 0 * rows], -1))], (24, 48))
    assert natural.images.shape == (26, 24, 48, 3)
    centres = {name: image.mean((0, 1))[:2] * 255 for name, image in zip(natural.names, natural.images, strict=True)}
    # The largest part of the shape 1 : 2 has 80 x 160 px.
    expected_centres = {
        "plane": (59.5, 79.5),
        "plane 1/2 @0,0": (19.5, 39.5),
        "plane 1/2 @1,2": (59.5, 119.5),
        "plane 1/4 @0,3": (9.5, 139.5),
        "plane 1/4 @3,3": (109.5, 139.5),
    }
    for name, centre in expected_centres.items():
        np.testing.assert_allclose(centres[name], centre, atol=1.0)


def test_the_samples(linear_model: Model) -> None:
    natural = views(linear_model, None, (32, 32))
    assert natural.names[:6] == SAMPLES
    assert (natural.photo[:6] == np.arange(6)).all()
    from interp.images import array, sample

    whole = array(linear_model.preprocess(sample("rocket")))[0]
    np.testing.assert_array_equal(natural.images[2], whole)
    with pytest.raises(InterpError, match="no natural image was given to compare with"):
        views(linear_model, [], (32, 32))
