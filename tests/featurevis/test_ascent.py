"""Gradient ascent raises scores, repeats, keeps units apart, and leaves the model as it was."""

from __future__ import annotations

import random
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.featurevis.config import AscentConfig, Convergence, Precision, Weighted
from interp.featurevis.feature import Feature
from interp.featurevis.objective import Objective
from interp.featurevis.optimizer import Adam
from interp.featurevis.param import Fourier, Pixels
from interp.featurevis.regularizers import L1, L2, TotalVariation
from interp.featurevis.schedule import Linear
from interp.featurevis.transform import NONE, STANDARD, Jitter, Pad
from interp.featurevis.units import Channel, Logit, Neuron
from interp.featurevis.visualization import visualize

from .conftest import traced

FEW = AscentConfig(steps=5)
U = Unit("conv2", 3)
CNN: list[Unit | Objective] = [
    U, Unit("conv2", 3, (2, 5)), Unit("fc", 1), Unit("relu2", 2), Unit("conv1", 0),
    Neuron(Unit("conv2", 3)), Logit(Unit("fc", 2)), TotalVariation(), L1(), L2(),
    Channel(U) + Channel(Unit("conv1", 1)), Channel(U) - 2 * Channel(Unit("conv2", 1)), -Channel(U),
    (Channel(Unit("relu1", 0)) + 1) * (Channel(Unit("relu2", 2)) + 1), Channel(U) + 0.1 * TotalVariation() - 1,
]  # fmt: skip
BLOCK = "encoder.layers.encoder_layer_0"
VIT: list[Unit | Objective] = [
    Unit(BLOCK, 3), Unit(BLOCK, 3, (0, 3)), Neuron(Unit(f"{BLOCK}.mlp.0", 5)), Logit(Unit("heads.head", 4)), Unit("conv_proj", 1),
]  # fmt: skip


def fingerprint(model: Model) -> list[object]:
    module = model.module
    tensors = [(k, t.clone()) for k, t in module.state_dict().items()]
    flags = [(p.requires_grad, p.grad is None, p.is_contiguous()) for p in module.parameters()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks), m.training) for m in module.modules()]
    return [tensors, flags, hooks, module.training]


def same(before: list[object], after: list[object]) -> bool:
    first, second = before[0], after[0]
    assert isinstance(first, list)
    assert isinstance(second, list)
    return before[1:] == after[1:] and all(k == j and torch.equal(s, t) for (k, s), (j, t) in zip(first, second, strict=True))


def images(features: list[Feature]) -> np.ndarray:
    return np.stack([f.image for f in features])


def raised(model: Model, wanted: list[Unit | Objective], config: AscentConfig) -> None:
    features = visualize(model, wanted, replace(config, transform=NONE), 0)
    for feature, item in zip(features, wanted, strict=True):
        assert feature.scores.shape == (5,)
        assert feature.final > feature.scores[0], f"{item}: {feature.scores} -> {feature.final}"
        assert feature.unit == (item if isinstance(item, Unit) else str(item))
        assert not feature.dead
        assert feature.image.shape == (32, 32, 3)
        assert feature.image.dtype == np.float32
        assert 0 <= feature.image.min() < feature.image.max() <= 1


@pytest.mark.parametrize("param", [Fourier(), Pixels(), Pixels(decorrelated=False, sd=0.5)], ids=str)
def test_five_steps_raise_every_objective(cnn: Model, param: Fourier | Pixels) -> None:
    # A start of visible contrast: at plain grey the penalties are as high as they get.
    raised(cnn, CNN, AscentConfig(steps=5, param=replace(param, sd=0.5)))


def test_five_steps_raise_every_objective_of_a_transformer(vit: Model) -> None:
    raised(vit, VIT, FEW)
    assert visualize(vit, VIT, FEW, 0)[0].image.shape == (32, 32, 3)


def test_unit_alone_is_unit_in_company(vit: Model) -> None:
    config = AscentConfig(steps=8, regularizers=(Weighted(TotalVariation(), 0.1),), precision=Precision.FLOAT32)
    wanted = VIT[:4]
    together = visualize(vit, wanted, config, 7)
    for batch in (1, 4):
        np.testing.assert_allclose(images(visualize(vit, wanted, replace(config, batch=batch), 7)), images(together), rtol=0, atol=1e-4)
    backwards = visualize(vit, wanted[::-1], config, 7)
    np.testing.assert_allclose(images(backwards[::-1]), images(together), rtol=0, atol=1e-4)
    (alone,) = visualize(vit, wanted[:1], config, 7)
    np.testing.assert_allclose(alone.image, together[0].image, rtol=0, atol=1e-4)
    np.testing.assert_allclose(alone.scores, together[0].scores, rtol=1e-4, atol=1e-5)


def test_company_changes_a_network_with_kinks_by_little_more(cnn: Model) -> None:
    """A convolution rounds differently for each batch size, and at the kink of a ReLU the difference grows."""
    together = images(visualize(cnn, CNN[:6], AscentConfig(steps=8), 7))
    alone = images(visualize(cnn, CNN[:6], AscentConfig(steps=8, batch=1), 7))
    differences = np.abs(together - alone).mean((1, 2, 3))
    assert np.median(differences) < 1e-5
    assert differences.max() < 5e-3


def test_repeats_bit_for_bit_whatever_is_drawn_elsewhere(cnn: Model) -> None:
    wanted = CNN[:4]
    state = torch.get_rng_state()
    first = visualize(cnn, wanted, FEW, 3)
    assert torch.equal(state, torch.get_rng_state()), "no global draw is made"

    def disturb(done: int, total: int) -> None:
        torch.manual_seed(done)
        np.random.seed(done)  # noqa: NPY002 - the global generators are the point
        random.seed(done)
        torch.rand(3)

    try:
        second = visualize(cnn, wanted, FEW, 3, disturb)
    finally:
        torch.set_rng_state(state)
    assert np.array_equal(images(first), images(second))
    assert all(np.array_equal(a.scores, b.scores) and a.final == b.final for a, b in zip(first, second, strict=True))
    assert not np.allclose(images(first), images(visualize(cnn, wanted, FEW, 4)), atol=1e-3)


def test_layers_behind_the_deepest_never_run(cnn: Model) -> None:
    ran: list[str] = []
    handles = [m.register_forward_hook(lambda *_, n=n: ran.append(n)) for n, m in cnn.module.named_modules() if n]
    try:
        visualize(cnn, [Unit("conv1", 0), Unit("bn", 1)], AscentConfig(steps=2, batch=8, precision=Precision.FLOAT32), 0)
        assert set(ran) == {"conv1", "bn"}
        assert ran.count("bn") == 3, "each group ends at its own depth; two steps and the finished image"
        ran.clear()
        visualize(cnn, [TotalVariation()], FEW, 0)
        assert ran == []
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_model_is_as_before(cnn: Model, error: type[BaseException] | None) -> None:
    cnn.module.train()
    cnn.module.get_submodule("conv1").weight.requires_grad_(False)
    before = fingerprint(cnn)

    def stop(done: int, total: int) -> None:
        assert same(before, fingerprint(cnn))
        assert total == 10
        if done == 3 and error is not None:
            raise error("stop")

    wanted = [Unit("conv2", 0), Unit("fc", 0)]
    if error is None:
        visualize(cnn, wanted, FEW, 0, stop)
    else:
        with pytest.raises(error, match="stop"):
            visualize(cnn, wanted, FEW, 0, stop)
    assert same(before, fingerprint(cnn))


def test_works_under_no_grad(cnn: Model) -> None:
    with torch.no_grad():
        inside = visualize(cnn, [U], FEW, 0)
    assert np.array_equal(inside[0].image, visualize(cnn, [U], FEW, 0)[0].image)


class OneConv(nn.Module):
    """A convolution as large as the image: its only place is <weight, image>, plus a head to be traced."""

    def __init__(self, dead: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 32)
        self.relu = nn.ReLU()
        with torch.no_grad():
            self.conv.weight.copy_(torch.randn(self.conv.weight.shape, generator=torch.Generator().manual_seed(2)) * 1e-3)
            self.conv.bias.copy_(torch.tensor([-1e4 if dead else 0.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.relu(self.conv(x))
        return result


def test_a_linear_unit_finds_its_weights() -> None:
    model = traced(OneConv())
    config = AscentConfig(steps=60, rate=0.2, param=Pixels(decorrelated=False), transform=NONE, optimizer=Adam())
    (feature,) = visualize(model, [Unit("conv", 0)], config, 0)
    weight = model.module.get_submodule("conv").weight.detach()[0]
    # The optimum in the box [0, 1] is white where the weight is positive and black elsewhere.
    best = float(model.capture(["conv"], (weight > 0).float()[None])[0]["conv"][0, 0])
    assert 0.98 * best < feature.final <= best
    signs = np.sign(feature.image - 0.5) == np.sign(weight.permute(1, 2, 0).numpy())
    assert signs.mean() > 0.99
    assert abs(feature.scores[0]) < 0.1 * best
    assert np.all(np.diff(feature.scores) >= 0)


def test_final_is_the_score_of_the_8_bit_image(cnn: Model) -> None:
    (feature,) = visualize(cnn, [U], FEW, 0)
    rounded = torch.from_numpy(np.rint(feature.image * 255) / 255).permute(2, 0, 1)[None]
    assert feature.final == pytest.approx(float(cnn.capture(["conv2"], rounded)[0]["conv2"][0, 3].mean()), rel=1e-5)


def test_a_dead_unit_is_said_to_be_dead() -> None:
    model = traced(OneConv(dead=True))
    for config in (FEW, AscentConfig(steps=5, regularizers=(Weighted(TotalVariation(), 1.0),))):
        dead, live, below = visualize(model, [Unit("relu", 0), Unit("relu", 1), Unit("conv", 0)], config, 0)
        assert dead.dead
        assert not below.dead
        assert dead.final == 0
        assert not dead.scores.any()
        assert not live.dead or live.final == 0


def test_a_unit_silent_on_grey_is_woken_by_contrast() -> None:
    net = OneConv()
    with torch.no_grad():
        net.conv.weight.mul_(100)
        grey = float((net.conv.weight[0] * (0.5 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / 0.225).sum())
        net.conv.bias.copy_(torch.tensor([-grey - 1.0, 0.0]))
    model = traced(net)
    (unit,) = visualize(model, [Unit("relu", 0)], AscentConfig(steps=30, param=Pixels(), transform=NONE), 0)
    assert unit.scores[0] == 0
    assert not unit.dead
    assert unit.final > 10


def test_other_sizes(cnn: Model, vit: Model) -> None:
    config = AscentConfig(steps=2, size=(21, 40))
    wide, corner = visualize(cnn, [U, Unit("conv2", 1, (10, 19))], config, 0)
    assert wide.image.shape == corner.image.shape == (21, 40, 3)
    with pytest.raises(UnknownName, match=r"no neuron 'conv2:1@11,0'.*have 11 rows and 20 columns"):
        visualize(cnn, [U, Unit("conv2", 1, (11, 0))], config, 0)
    with pytest.raises(Unsupported, match=r"'tiny' cannot be run on images of \(21, 40\) px .*give images of \(32, 32\) px"):
        visualize(vit, [Unit(BLOCK, 1)], config, 0)
    with pytest.raises(Unsupported, match=r"'tiny' cannot be run on images of \(36, 36\) px"):
        visualize(vit, [Unit(BLOCK, 1)], AscentConfig(steps=2, transform=Pad(2)), 0)
    assert visualize(cnn, [U], AscentConfig(steps=2, transform=Pad(2)), 0)[0].image.shape == (32, 32, 3)


def test_too_small_names_the_least_that_works() -> None:
    """Two poolings that halve, and a 3 x 3 convolution without border: 12 px become 3, 11 become 2."""
    net = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = traced(net)
    message = r"images of 9 x 20 px \(rows x cols\) are too small for '2' of 'tiny': the least square ones that work have 12 x 12 px"
    with pytest.raises(Unsupported, match=message):
        visualize(model, [Unit("2", 0)], AscentConfig(steps=2, size=(9, 20)), 0)
    assert visualize(model, [Unit("2", 0)], AscentConfig(steps=2, size=(12, 12)), 0)[0].image.shape == (12, 12, 3)


def test_regularizers_do_what_they_say(cnn: Model) -> None:
    plain = AscentConfig(steps=20, param=Pixels(sd=0.5))
    (free,) = visualize(cnn, [U], plain, 0)
    for penalty, measure in ((TotalVariation(), lambda i: np.abs(np.diff(i, axis=0)).mean()), (L2(), lambda i: ((i - 0.5) ** 2).mean()),
                          (L1(), lambda i: np.abs(i - 0.5).mean())):  # fmt: skip
        (bound,) = visualize(cnn, [U], replace(plain, regularizers=(Weighted(penalty, 100.0),)), 0)
        assert measure(bound.image) < 0.8 * measure(free.image)
        assert bound.scores[0] == pytest.approx(free.scores[0]), "scores are those of the objective alone"


class Broken(Channel):
    def __call__(self, activations: dict[str, Tensor]) -> Tensor:
        return super().__call__(activations) * float("nan")


def test_refusals(cnn: Model) -> None:
    with pytest.raises(UnknownName, match="no layer 'conv9'"):
        visualize(cnn, [U, Unit("conv9", 0)], FEW, 0)
    with pytest.raises(Unsupported, match="'conv2:3' or its gradient is no finite number at step 1"):
        visualize(cnn, [Broken(U)], FEW, 0)
    assert visualize(cnn, [], FEW, 0) == []


def unchecked(kind: type[AscentConfig | Weighted | Convergence], **options: object) -> None:
    """``kind(**options)`` as users call it: the tests' own check of types would come before that of the options."""
    made = object.__new__(kind)
    for field in fields(kind):
        object.__setattr__(made, field.name, options.get(field.name, field.default))
    made.__post_init__()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "`steps` is 0"),
        ({"size": (0, 4)}, r"`size` is \(0, 4\): give \(rows, cols\)"),
        ({"rate": -0.1}, "`rate` is -0.1"),
        ({"batch": 0}, "`batch` is 0"),
        ({"views": 0}, "`views` is 0"),
        ({"films": -1}, "`films` is -1"),
        ({"memory": 0.0}, "`memory` is 0.0"),
        ({"smoothing": -1.0}, "`smoothing` is -1.0"),
        ({"steps": 1.5}, "`steps` is 1.5: give a whole number, such as 128"),
        ({"steps": True}, "`steps` is True: give a whole number"),
        ({"size": 224}, r"`size` is 224: give \(rows, cols\) in pixels, such as \(224, 224\), or None"),
        ({"size": (224,)}, r"`size` is \(224,\): give \(rows, cols\)"),
        ({"size": (224, 1.5)}, r"`size` is \(224, 1.5\): give \(rows, cols\)"),
        ({"rate": "fast"}, "`rate` is 'fast': give a number, a Linear or a Cosine"),
        ({"param": "maco"}, r"`param` is 'maco': give an ImageParam, such as Fourier\(\)"),
        ({"param": Fourier}, "`param` is <class '.*Fourier'>: give an ImageParam"),
        ({"transform": "lucid"}, r"`transform` is 'lucid': give a Transform, such as preset\('lucid'\)"),
        ({"views": None}, "`views` is None: give a whole number"),
        ({"optimizer": "adam"}, r"`optimizer` is 'adam': give an Optimizer, such as Adam\(\)"),
        ({"regularizers": (L2(),)}, r"`regularizers` has L2\(.*\): give a tuple of Weighted, such as \(Weighted\(L2\(\), 0.1\),\)"),
        ({"regularizers": Weighted(L2(), 1.0)}, r"`regularizers` is Weighted\(.*\): give a tuple of Weighted"),
        ({"smoothing": None}, "`smoothing` is None: give a number"),
        ({"precision": "auto"}, r"`precision` is 'auto': give a Precision, such as Precision.AUTO"),
        ({"converged": 50}, r"`converged` is 50: give a Convergence, such as Convergence\(window=50\), or None"),
        ({"films": 2.0}, "`films` is 2.0: give a whole number"),
        ({"best": 1}, "`best` is 1: give True or False"),
        ({"batch": "8"}, "`batch` is '8': give a whole number, such as 8, or None"),
        ({"memory": "2"}, "`memory` is '2': give a number of GiB"),
    ],
)
def test_refused_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        unchecked(AscentConfig, **options)


def test_refused_parts_of_options() -> None:
    with pytest.raises(InterpError, match=r"the objective of Weighted is 'tv': give an Objective, such as L2\(\)"):
        unchecked(Weighted, objective="tv", weight=1.0)
    with pytest.raises(InterpError, match="`weight of Weighted` is '1': give a number, a Linear or a Cosine"):
        unchecked(Weighted, objective=L2(), weight="1")
    with pytest.raises(InterpError, match=r"`window of Convergence` is 1.5: give a whole number"):
        unchecked(Convergence, window=1.5)
    with pytest.raises(InterpError, match="`gain of Convergence` is '1%': give a number"):
        unchecked(Convergence, gain="1%")
    unchecked(AscentConfig, rate=1.0, memory=2, size=(8, 9), regularizers=(Weighted(L2(), Linear(0.0, 1.0)),), converged=Convergence())


def test_options_are_values() -> None:
    assert AscentConfig() == AscentConfig(param=Fourier(), transform=STANDARD) != AscentConfig(transform=Jitter(8))
    assert "Fourier(decorrelated=True, decay=1.0, sd=0.01)" in repr(AscentConfig())
