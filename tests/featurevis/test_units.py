"""Channels, tokens and classes of a network: what each is, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.featurevis.objective import tokens_of
from interp.featurevis.units import Channel, Logit, Neuron, Probability, Token

from .ascending import check_raised, noise, seen

BLOCK = "encoder.layers.encoder_layer_0"


def test_probability_is_the_logarithm_of_the_softmax(cnn: Model) -> None:
    images = noise(3)
    scores = cnn(images).numpy().astype(np.float64)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    for channel in range(5):
        objective = Probability(Unit("fc", channel))
        np.testing.assert_allclose(objective(seen(cnn, objective, images)).numpy(), np.log(shares[:, channel]), rtol=1e-5)


def test_probability_keeps_a_gradient_where_the_softmax_is_flat() -> None:
    scores = torch.tensor([[200.0, 0.0]]).view(1, 2, 1, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(Probability(Unit("fc", 1))({"fc": scores}).sum(), scores)
    torch.testing.assert_close(gradient.flatten(), torch.tensor([-1.0, 1.0]))


def test_token_counts_the_class_token(vit: Model) -> None:
    images = noise(2)
    raw = vit.capture([BLOCK], images)[0][BLOCK]
    for index in (0, 1, 16):
        objective = Token(Unit(BLOCK, 3), index)
        torch.testing.assert_close(objective(seen(vit, objective, images)), raw[:, index, 3])
    patch = Neuron(Unit(BLOCK, 3, (2, 1)))
    token = Token(Unit(BLOCK, 3), 1 + 2 * 4 + 1)
    torch.testing.assert_close(token(seen(vit, token, images)), patch(seen(vit, patch, images)))


def test_names() -> None:
    unit = Unit("fc", 2)
    assert str(Probability(unit)) == "log p(fc:2)"
    assert str(Token(Unit(BLOCK, 3), 0)) == f"{BLOCK}:3@token0"
    assert str(-Channel(unit)) == "-1 * fc:2"
    signed = [
        Channel(unit),
        -Channel(unit),
        -Channel(Unit("fc", 3)),
        -Neuron(unit),
        -1 * -Channel(unit),
        -Channel(unit) + 1,
        2 * -Channel(unit),
    ]
    assert len({str(objective) for objective in signed}) == len(signed)


def test_what_a_unit_dislikes_is_the_negative(cnn: Model) -> None:
    images = noise(2)
    liked = Channel(Unit("conv2", 3))
    values = liked(seen(cnn, liked, images))
    torch.testing.assert_close((-liked)(seen(cnn, -liked, images)), -values)
    assert liked == Channel(Unit("conv2", 3))


def test_ascent_raises_each(cnn: Model, vit: Model) -> None:
    check_raised(cnn, [Probability(Unit("fc", 2)), -Channel(Unit("conv2", 3)), -Logit(Unit("fc", 1))])
    check_raised(
        vit, [Token(Unit(BLOCK, 3), 0), Token(Unit(f"{BLOCK}.mlp.0", 5), 7), Probability(Unit("heads.head", 4)), -Channel(Unit(BLOCK, 1))]
    )


def test_refusals(cnn: Model, vit: Model) -> None:
    with pytest.raises(Unsupported, match="'conv1:0' is no class of 'tiny': classes are units of 'fc'; use Channel elsewhere"):
        Probability(Unit("conv1", 0)).validate(cnn)
    with pytest.raises(UnknownName, match="no unit 'fc:5': layer 'fc' has 5 channels, 0 to 4"):
        Probability(Unit("fc", 5)).validate(cnn)
    with pytest.raises(Unsupported, match=r"layer 'conv1' \(Conv2d\) gives maps, not tokens: use Neuron for one place"):
        Token(Unit("conv1", 0), 0).validate(cnn)
    with pytest.raises(Unsupported, match=r"layer 'conv_proj' \(Conv2d\) gives maps, not tokens: tokens come out of '"):
        Token(Unit("conv_proj", 0), 0).validate(vit)
    with pytest.raises(UnknownName, match=f"no token 17: at this image size layer '{BLOCK}' has 17 tokens, 0 to 16"):
        Token(Unit(BLOCK, 0), 17).validate(vit)
    with pytest.raises(UnknownName, match=f"no unit '{BLOCK}:16': layer '{BLOCK}' has 16 channels"):
        Token(Unit(BLOCK, 16), 0).validate(vit)
    with pytest.raises(UnknownName, match=r"no layer 'encoder\.layer'"):
        Token(Unit("encoder.layer", 0), 0).validate(vit)
    with pytest.raises(UnknownName, match="no token 3: at this image size layer 'a' has 3 tokens, 0 to 2"):
        Token(Unit("a", 0), 3)({tokens_of("a"): torch.zeros(1, 3, 2)})
    Token(Unit(BLOCK, 0), 17).validate(vit, (64, 64))
    with pytest.raises(InterpError, match="the token objective counts tokens, but 'a:0@1,1' names a place: use Neuron"):
        Token(Unit("a", 0, (1, 1)), 0)
    with pytest.raises(InterpError, match="the `index` of Token is -1: give the token's number, 0 for the first"):
        Token(Unit("a", 0), -1)
