"""The score of a unit: logit, mean of a channel, one neuron; probabilities; what is refused; batches that change nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from jaxtyping import config
from torch import nn

from interp.core.model import Model
from interp.core.score import Scores, checked_units, evaluate, score_of
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.images import Preprocess
from interp.zoo import load


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(5, 3, 12, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Without the tests' own run-time type check, which users do not have: what they see is interp's message."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


UNITS = [Unit("fc", 2), Unit("conv2", 1), Unit("conv2", 1, (2, 3)), Unit("fc", 2), Unit("bn", 5)]


def by_hand(model: Model, images: torch.Tensor) -> torch.Tensor:
    """Of the five units, one for each image, from the network's own parts; the first ReLU works in place behind ``bn``."""
    net = model.module.eval()
    normal = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        bn = net.bn(net.conv1(normal))
        conv2 = net.conv2(bn.clamp(min=0))
        doubled = 2 * conv2.clamp(min=0)
        logits = net.fc((2 * doubled + 1).mean((2, 3)))
    return torch.stack([logits[0, 2], conv2[1, 1].mean(), conv2[2, 1, 2, 3], logits[3, 2], bn[4, 5].mean()])


def test_scores_are_logits_means_of_channels_and_neurons(trap_model, images):
    expected = by_hand(trap_model, images)
    scores = Scores(trap_model, UNITS)
    assert scores.units == (UNITS[0], UNITS[1], UNITS[2], UNITS[4]), "a column for each distinct unit, in order"
    columns = scores.columns(UNITS)
    assert columns.tolist() == [0, 1, 2, 0, 3]
    table = scores(images)
    assert table.shape == (5, 4)
    torch.testing.assert_close(table[torch.arange(5), columns], expected)
    torch.testing.assert_close(evaluate(trap_model, images, UNITS), expected)


def test_the_score_of_maps_alone():
    maps = torch.arange(24.0).view(2, 3, 4)
    assert score_of(maps, Unit("x", 1)) == 17.5
    assert score_of(maps, Unit("x", 1, (2, 3))) == 23
    with pytest.raises(UnknownName, match=r"no unit 'x:1@3,0' at this image size: the maps of 'x' have 3 rows and 4 columns"):
        score_of(maps, Unit("x", 1, (3, 0)))


def test_the_batch_size_changes_nothing(trap_model, images):
    whole = evaluate(trap_model, images, UNITS, 32)
    for size in (1, 2, 5):
        torch.testing.assert_close(evaluate(trap_model, images, UNITS, size), whole, rtol=1e-6, atol=1e-6)
    assert evaluate(trap_model, images[:0], []).shape == (0,)


def test_probabilities_are_the_softmax_of_the_logits(trap_model, images):
    units = [Unit("fc", i % 4) for i in range(5)]
    expected = trap_model(images).detach().double().softmax(1)[range(5), [0, 1, 2, 3, 0]]
    for size in (2, 32):
        found = evaluate(trap_model, images, units, size, softmax=True)
        torch.testing.assert_close(found, expected.float())
    assert not found.requires_grad


@pytest.mark.parametrize("unit", [Unit("conv2", 1), Unit("fc", 1, (0, 0))])
def test_only_a_class_has_a_probability(trap_model, images, unit):
    with pytest.raises(Unsupported, match=rf"'{unit}' is no class, so it has no probability: use its score, or a unit of 'fc'"):
        evaluate(trap_model, images, [Unit("fc", 0)] * 4 + [unit], softmax=True)


def test_the_score_is_differentiable_in_the_images_and_stops_at_the_deepest_layer(trap_model, images):
    calls = []
    handle = trap_model.module.fc.register_forward_hook(lambda *_: calls.append(1))
    given = images.clone().requires_grad_()
    Scores(trap_model, [Unit("conv2", 1, (0, 0))])(given)[0, 0].backward()
    handle.remove()
    assert not calls
    assert given.grad is not None
    inside = given.grad[0].abs().sum(0) > 0
    assert inside[:4, :4].any(), "the neuron's receptive field is the corner"
    assert not inside[4:].any()
    assert not inside[:, 4:].any()
    assert not given.grad[1:].any(), "no image speaks for another"


def test_the_model_is_left_as_it_was(trap_model, images):
    trap_model.module.train()
    before = {name: value.clone() for name, value in trap_model.module.state_dict().items()}
    evaluate(trap_model, images, UNITS)
    evaluate(trap_model, images, [Unit("fc", 0)] * 5, softmax=True)
    assert all(module.training for module in trap_model.module.modules())
    assert all(p.requires_grad and p.grad is None for p in trap_model.module.parameters())
    after = trap_model.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items()), "BatchNorm's statistics among them"


def test_methods_find_the_network_as_a_submodule(trap_model):
    scores = Scores(trap_model, [Unit("fc", 0)])
    assert scores.network is trap_model.module
    assert not scores.training


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("softmax", [False, True])
def test_scores_that_are_not_finite_are_refused(trap_model, images, value, softmax):
    with torch.no_grad():
        trap_model.module.fc.bias[1] = value
    units = [Unit("fc", 0)] * 4 + [Unit("fc", 1)]
    with pytest.raises(InterpError, match=r"the score of 'fc:\d' is (nan|inf), not a finite number: check the weights and the images"):
        evaluate(trap_model, images, units, softmax=softmax)


def test_what_is_refused(trap_model, images):
    with pytest.raises(InterpError, match=r"`batch_size` is 0: give at least 1"):
        evaluate(trap_model, images, UNITS, 0)
    with pytest.raises(InterpError, match=r"1 units for 5 images: give one unit per image"):
        evaluate(trap_model, images, UNITS[:1])
    with pytest.raises(UnknownName, match=r"no unit 'fc:4': layer 'fc' has 4 channels, 0 to 3"):
        Scores(trap_model, [Unit("fc", 4)])
    with pytest.raises(UnknownName, match=r"no layer 'conv3' in 'TrapNet': did you mean"):
        checked_units(trap_model, [Unit("conv3", 0)], 1)


def test_one_unit_in_place_of_a_sequence_is_told_so(trap_model, unchecked):
    with pytest.raises(InterpError, match=r"`units` is the unit 'fc:1': give a sequence with one unit per image, \[Unit, ...\]"):
        checked_units(trap_model, Unit("fc", 1), 1)


def test_a_layer_that_stays_silent_for_some_images_is_refused():
    class Sleepy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.extra = nn.Conv2d(4, 4, 1)
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            x = self.conv(x)
            if x.shape[-1] == 10:
                x = self.extra(x)
            return self.fc(x.mean((2, 3)))

    model = load(Sleepy(), preprocess=Preprocess(size=(12, 12), resize=12))
    with pytest.raises(Unsupported, match=r"layer 'extra' did not fire for these images, though it did when the model was loaded"):
        evaluate(model, torch.rand(1, 3, 16, 16), [Unit("extra", 0)])
