"""What is known to be wrong in other tools is right here; and where lucent is right, we agree with it.

Transforms and the MACO spectrum have their own tests.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from interp.core.model import Model
from interp.core.rng import generator
from interp.core.unit import Unit
from interp.errors import Unsupported
from interp.featurevis import AscentConfig, Channel, Fourier, Neuron, Objective, Pixels, visualize
from interp.featurevis.config import Precision
from interp.featurevis.directions import Direction, Kind
from interp.featurevis.escape import escaping
from interp.featurevis.fixed import Fixed
from interp.featurevis.joint import Alignment, Diversity, Interpolation
from interp.featurevis.lucent import render
from interp.featurevis.objective import Activations
from interp.featurevis.transform import NONE, STANDARD

from .conftest import SmallNet, initialized, traced

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lucent.optvis import objectives

U = Unit("conv2", 3)
FEW = AscentConfig(steps=3)


# Rows and columns (lucent).


@pytest.mark.parametrize(("size", "place"), [((12, 40), (2, 30)), ((40, 12), (30, 2))])
def test_a_neuron_of_an_oblong_image_is_where_its_row_and_column_are(cnn: Model, size: tuple[int, int], place: tuple[int, int]) -> None:
    config = AscentConfig(steps=20, size=size, param=Pixels(), transform=NONE, precision=Precision.FLOAT32)
    (feature,) = visualize(cnn, [Unit("conv1", 0, place)], config, 0)
    assert feature.image.shape == (*size, 3)
    changed = np.argwhere(np.abs(feature.image - 0.5).max(2) > 0.03)
    row, col = place
    # A 3 x 3 convolution sees just the neighbours.
    assert {tuple(found) for found in changed} == {(row + i, col + j) for i in (-1, 0, 1) for j in (-1, 0, 1)}


@pytest.mark.parametrize("transform", [NONE, STANDARD], ids=["none", "standard"])
def test_an_oblong_image_is_that_of_the_turned_network(transform: object) -> None:
    """Rows and columns of everything at once: the turned image of the network with turned kernels."""
    upright, turned = SmallNet(), SmallNet()
    initialized(upright)
    turned.load_state_dict({k: v.transpose(2, 3) if v.ndim == 4 else v for k, v in upright.state_dict().items()})
    config = AscentConfig(steps=16, rate=0.5, size=(20, 44), transform=transform, precision=Precision.FLOAT32)  # type: ignore[arg-type]
    across = AscentConfig(steps=16, rate=0.5, size=(44, 20), transform=transform, precision=Precision.FLOAT32)  # type: ignore[arg-type]
    (wide,), (high,) = visualize(traced(upright), [U], config, 0), visualize(traced(turned), [U], across, 0)
    # Other draws, so not the same image; but as good a one.
    assert wide.image.shape == (20, 44, 3)
    assert high.image.shape == (44, 20, 3)
    assert wide.final == pytest.approx(high.final, rel=0.1)
    assert wide.final > 2 * wide.scores[0] > 0


def test_the_centre_of_an_oblong_map_is_its_centre() -> None:
    """Lucent's has row and column exchanged, so that it lies elsewhere or outside."""
    maps = {"conv1": torch.rand(1, 4, 6, 10, generator=torch.Generator().manual_seed(0))}
    assert float(Neuron(Unit("conv1", 1))(maps)) == float(maps["conv1"][0, 1, 3, 5])
    with pytest.raises(AssertionError):
        torch.testing.assert_close(-objectives.neuron("conv1", 1)(maps.__getitem__), maps["conv1"][0, 1, 3, 5])


# What is left behind in the model (lucent: a hook on every module; faccent: the user's own hooks cleared, parameters frozen).


@pytest.mark.parametrize("training", [True, False])
def test_hooks_are_as_before(cnn: Model, training: bool) -> None:
    cnn.module.train(training)
    calls: list[str] = []
    handle = cnn.module.get_submodule("conv1").register_forward_hook(lambda *_: calls.append("mine"))
    before = [(dict(m._forward_hooks), dict(m._forward_pre_hooks), dict(m._backward_hooks), m.training) for m in cnn.module.modules()]
    try:
        visualize(cnn, [U, Unit("fc", 0)], FEW, 0)
        after = [(dict(m._forward_hooks), dict(m._forward_pre_hooks), dict(m._backward_hooks), m.training) for m in cnn.module.modules()]
        assert before == after
        calls.clear()
        cnn(torch.rand(1, 3, 32, 32))
        assert calls == ["mine"]
    finally:
        handle.remove()


SEEN: list[bool] = []


class Watched(nn.Conv2d):
    """Notes at each forward whether its weights are part of a graph. The list is global: a copy of the module shares it."""

    def forward(self, input: Tensor) -> Tensor:
        SEEN.append(self.weight.requires_grad and torch.is_grad_enabled())
        return super().forward(input)


def test_weights_get_no_gradient_and_stay_trainable() -> None:
    net = SmallNet()
    net.conv1 = Watched(3, 6, 3, padding=1)
    model = traced(initialized(net))
    SEEN.clear()
    visualize(model, [U], FEW, 0)
    assert len(SEEN) >= FEW.steps
    assert not any(SEEN), "no work is done for gradients of weights"
    assert all(p.grad is None and p.requires_grad for p in model.module.parameters())


class Behind(nn.Module):
    """Fails when it is run, once it is armed: by then the network has been traced."""

    armed = False

    def forward(self, x: Tensor) -> Tensor:
        assert not self.armed, "ran though nothing behind it is wanted"
        return x


def test_only_what_lies_before_the_layer_is_run() -> None:
    net = SmallNet()
    net.pool = nn.Sequential(Behind(), nn.AdaptiveAvgPool2d(1))
    model = traced(initialized(net))
    net.pool[0].armed = True
    assert visualize(model, [U, Unit("relu1", 0)], FEW, 0)[0].unit == U
    with pytest.raises(AssertionError, match="ran though nothing behind it"):
        visualize(model, [Unit("fc", 0)], FEW, 0)


# Randomness and devices (lucent: NumPy's global generator, the first GPU).


def test_nothing_global_is_drawn(cnn: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((np.random, "choice"), (np.random, "rand"), (np.random, "randn"), (np.random, "randint")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("a global draw"))
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    visualize(cnn, [U], FEW, 0)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002


def test_a_gpu_that_is_there_is_not_taken_unasked(cnn: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    (before,) = visualize(cnn, [U], FEW, 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    (after,) = visualize(cnn, [U], FEW, 0)
    assert np.array_equal(before.image, after.image)


# Sums of objectives (xplique: each further term multiplies the earlier ones again).


class Constant(Objective):
    def __init__(self, value: float) -> None:
        self.value = value

    @property
    def layers(self) -> tuple[str, ...]:
        return ("image",)

    def __call__(self, activations: Activations) -> Tensor:
        return torch.full((1,), self.value, dtype=torch.float64)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=2, max_size=6))
def test_a_sum_is_the_sum_of_its_weighted_terms(terms: list[tuple[float, float]]) -> None:
    total: Objective = terms[0][0] * Constant(terms[0][1])
    partial = [total]
    for weight, value in terms[1:]:
        total = total + weight * Constant(value)
        partial.append(total)
    # Each partial sum still has its own value: no operand was changed by what came after it.
    for count, objective in enumerate(partial, start=1):
        expected = sum(weight * value for weight, value in terms[:count])
        assert float(objective({})) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert float((2 * objective)({})) == pytest.approx(2 * expected, rel=1e-9, abs=1e-9)


# Units that do not fire, small images, and no number at all (keras-vis; a redirected ReLU that redirects nothing).


class Patch(nn.Module):
    """One place, <weight, image> + bias, behind a ReLU."""

    def __init__(self, weight: Tensor, bias: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, weight.shape[-1])
        self.relu = nn.ReLU()
        with torch.no_grad():
            self.conv.weight.copy_(weight)
            self.conv.bias.fill_(bias)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.relu(self.conv(x))
        return result


def test_a_unit_that_never_fires_is_reported_and_its_neighbour_is_not() -> None:
    net = SmallNet()
    initialized(net)
    with torch.no_grad():
        net.bn.bias[0] = -1e6
    dead, alive = visualize(traced(net), [Unit("relu1", 0), Unit("relu1", 1)], AscentConfig(steps=20), 0)
    assert dead.dead
    assert dead.final == 0
    assert not dead.scores.any()
    assert not alive.dead
    assert alive.final > 0


def test_a_unit_that_is_silent_on_grey_is_found() -> None:
    weight = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(3)) * 0.1
    grey = float((weight * (0.5 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / 0.225).sum())
    (unit,) = visualize(traced(Patch(weight, -grey - 2.0)), [Unit("relu", 0)], AscentConfig(steps=30, param=Pixels(), transform=NONE), 0)
    assert unit.scores[0] == 0
    assert not unit.dead
    assert unit.final > 5


def test_a_redirected_relu_redirects() -> None:
    """All of an image's inputs are negative: outside nothing comes through, inside what raises them does, and only that."""
    relu = nn.ReLU()
    x = torch.tensor([[-1.0, -2.0], [-1.0, 2.0]], requires_grad=True)
    weights = torch.tensor([[1.0, -1.0], [1.0, 3.0]])
    (plain,) = torch.autograd.grad((relu(x) * weights).sum(), x)
    with escaping(nn.Sequential(relu)):
        (through,) = torch.autograd.grad((relu(x) * weights).sum(), x)
    assert plain.tolist() == [[0, 0], [0, 3]]
    assert through.tolist() == [[1, 0], [0, 3]], "an image that has a gradient keeps it as it is"
    assert torch.equal(plain, torch.autograd.grad((relu(x) * weights).sum(), x)[0])


def fine_share(image: np.ndarray) -> float:
    """The share of an image's contrast in frequencies above a quarter of a cycle per pixel."""
    power = np.abs(np.fft.fft2(image - image.mean((0, 1)), axes=(0, 1))) ** 2
    frequency = np.hypot(np.fft.fftfreq(len(image))[:, None], np.fft.fftfreq(image.shape[1]))
    return float(power[frequency > 0.25].sum() / power.sum())


def test_small_images_are_as_sharp_as_lucents() -> None:
    """At 32 px, for a unit that looks for white noise."""
    weight = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(4)) * 0.01
    model, config = traced(Patch(weight, 0.0)), AscentConfig(steps=60, rate=0.05, param=Fourier(), transform=NONE)
    (ours,), (theirs,) = visualize(model, [Unit("conv", 0)], config, 0), render(model, [Unit("conv", 0)], config, 0)
    assert ours.final > 0.8 * theirs.final
    assert fine_share(ours.image) > 0.8 * fine_share(theirs.image) > 0.1


class Root(Channel):
    """No number where the channel is below its start."""

    def __call__(self, activations: Activations) -> Tensor:
        return (super().__call__(activations) - 1e6).sqrt()

    def __str__(self) -> str:
        return f"root of {self.unit}"


def test_no_number_stops_with_the_unit_and_the_step(cnn: Model) -> None:
    with pytest.raises(Unsupported, match=r"the score of 'root of conv2:1' or its gradient is no finite number at step 1 \(score nan\)"):
        visualize(cnn, [U, Root(Unit("conv2", 1))], FEW, 0)


# Where lucent is right, we agree.


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(0, 3))
def test_lucent_agrees_on_channels_and_neurons(seed: int, side: int, channel: int) -> None:
    maps = {"conv1": torch.randn(1, 4, side, side, generator=generator(seed, "maps"))}
    row, col = seed % side, seed // 7 % side
    pairs = [
        (Channel(Unit("conv1", channel)), objectives.channel("conv1", channel)),
        (Neuron(Unit("conv1", channel)), objectives.neuron("conv1", channel)),
        (Neuron(Unit("conv1", channel, (row, col))), objectives.neuron("conv1", channel, x=col, y=row)),
        (-2 * Channel(Unit("conv1", channel)) + 1, -2 * objectives.channel("conv1", channel) + (-1)),
    ]
    for ours, theirs in pairs:
        torch.testing.assert_close(ours(maps)[0], -theirs(maps.__getitem__))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7))
def test_lucent_agrees_on_directions(seed: int, side: int) -> None:
    maps = {"conv1": torch.randn(1, 4, side, side, generator=generator(seed, "maps"))}
    along = torch.randn(4, generator=generator(seed, "direction"))
    direction, (row, col) = Fixed.of(along, "d"), (seed % side, seed // 7 % side)
    pairs = [
        (Direction("conv1", direction, Kind.COSINE), objectives.direction("conv1", along)),
        (Direction("conv1", direction, Kind.COSINE, at=(row, col)), objectives.direction_neuron("conv1", along, x=col, y=row)),
        # Lucent's is the mean over channels too.
        (Direction("conv1", direction) * 0.25, objectives.channel_weight("conv1", along)),
        (Direction("conv1", direction, at=(row, col)) * 0.25, objectives.neuron_weight("conv1", along, x=col, y=row)),
    ]
    for ours, theirs in pairs:
        torch.testing.assert_close(ours(maps)[0], -theirs(maps.__getitem__), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_lucent_agrees_on_batches(count: int) -> None:
    maps = {name: torch.randn(count, 4, 5, 6, generator=generator(count, name)) for name in ("conv1", "conv2")}
    # Lucent adds up the pairs of each image, we take their mean; its loss is to be subtracted.
    diversity = Diversity("conv1", count)(maps).sum() * (count - 1) / count
    torch.testing.assert_close(diversity, objectives.diversity("conv1")(maps.__getitem__))
    torch.testing.assert_close(Alignment("conv2", count)(maps).sum(), -objectives.alignment("conv2")(maps.__getitem__))
    way = Interpolation(Unit("conv1", 1), Unit("conv2", 2), count)(maps).sum()
    torch.testing.assert_close(way, -objectives.channel_interpolate("conv1", 1, "conv2", 2)(maps.__getitem__), check_dtype=False)
