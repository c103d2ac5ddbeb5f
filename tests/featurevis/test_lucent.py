"""Lucent's objectives, used as ours, have lucent's value and sign; its engine gives its own images and leaves nothing behind."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp.core.model import Model, ModelSpec
from interp.core.rng import generator
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.featurevis.config import AscentConfig, Convergence, Weighted
from interp.featurevis.feature import Feature
from interp.featurevis.lucent import clean_scores, from_lucent, from_string, render
from interp.featurevis.objective import ALPHA, Activations, Objective, tokens_of
from interp.featurevis.optimizer import Adam, Torch
from interp.featurevis.param import Fourier, ImageParam, Pixels
from interp.featurevis.regularizers import L2, TotalVariation
from interp.featurevis.schedule import Cosine, Linear, Schedule
from interp.featurevis.transform import NONE, STANDARD, Jitter
from interp.featurevis.units import Channel, Logit, Neuron
from interp.images import Preprocess

from .conftest import SmallNet, initialized, traced

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lucent.optvis import objectives
    from lucent.optvis import param as their_param
    from lucent.optvis import render as their_render

LAYERS = ("block.conv2", "conv1")
FEW = AscentConfig(steps=3)
U = Unit("conv2", 3)


def activations() -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(0)
    return {"block.conv2": torch.rand(2, 4, 5, 5, generator=rng), "conv1": torch.rand(2, 4, 5, 5, generator=rng)}


def their_loss(objective: Callable[[Callable[[str], Tensor]], Any], maps: dict[str, Tensor]) -> Tensor:
    named = {name.replace(".", "_"): values for name, values in maps.items()}
    loss: Tensor = objective(named.__getitem__)
    return loss


def test_values() -> None:
    maps = activations()
    channel = from_lucent(objectives.channel("block_conv2", 1), LAYERS)
    torch.testing.assert_close(channel(maps), maps["block.conv2"][:, 1].mean((1, 2)))
    both = from_lucent(objectives.channel("block_conv2", 1) - 2 * objectives.neuron("conv1", 3), LAYERS)
    torch.testing.assert_close(both(maps), channel(maps) - 2 * maps["conv1"][:, 3, 2, 2])
    towards = from_lucent(objectives.direction("conv1", torch.ones(4)), ("conv1",))
    torch.testing.assert_close(towards(maps), torch.cosine_similarity(torch.ones(1, 4, 1, 1), maps["conv1"]).mean((1, 2)))
    assert channel.layers == LAYERS
    assert "Channel" in str(channel)
    assert str(from_lucent(objectives.channel("conv1", 1), ("conv1",), name="mine")) == "mine"


@pytest.mark.parametrize(
    "joint",
    [
        objectives.diversity("conv1"),
        objectives.alignment("block_conv2"),
        objectives.channel_interpolate("conv1", 0, "block_conv2", 3),
        objectives.channel("conv1", 2, batch=1),
        objectives.channel("conv1", 2) - 3 * objectives.diversity("block_conv2"),
    ],
    ids=lambda o: o.name,
)
def test_the_images_of_a_batch_share_its_loss(joint: Any) -> None:
    """The sum over the images is minus lucent's loss, so the ascent has lucent's gradient."""
    maps = {name: values.requires_grad_() for name, values in activations().items()}
    ours = from_lucent(joint, LAYERS, images=2)
    values = ours(maps)
    assert ours.images == 2
    assert values.shape == (2,)
    torch.testing.assert_close(values.sum(), -their_loss(joint, maps).float(), check_dtype=False)
    for mine, theirs in zip(_gradients(values.sum(), maps), _gradients(-their_loss(joint, maps), maps), strict=True):
        torch.testing.assert_close(mine, theirs)


def _gradients(value: Tensor, maps: dict[str, Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value, list(maps.values()), allow_unused=True)
    return [torch.zeros_like(m) if g is None else g for g, m in zip(found, maps.values(), strict=True)]


def test_labels_are_the_classes() -> None:
    scores = torch.rand(2, 5, 1, 1, generator=torch.Generator().manual_seed(1))
    ours = from_lucent(objectives.channel("labels", 4), (), labels="fc")
    assert ours.layers == ("fc",)
    torch.testing.assert_close(ours({"fc": scores}), scores[:, 4, 0, 0])


def test_refused_functions() -> None:
    with pytest.raises(UnknownName, match=r"reads layer 'conv2', which is not among its `layers` .*did you mean"):
        from_lucent(objectives.channel("conv2", 1), ("conv1",))(activations())
    with pytest.raises(UnknownName, match="reads 'labels': name the model's output layer as `labels`"):
        from_lucent(objectives.channel("labels", 1), ("conv1",))(activations())
    for joint in (objectives.alignment("conv1"), objectives.diversity("conv1")):
        with pytest.raises(Unsupported, match=r"no loss for a single image: .* as `images`"):
            from_lucent(joint, ("conv1",))(activations())
    with pytest.raises(Unsupported, match="no loss for a single image"):
        from_lucent(objectives.channel_interpolate("conv1", 0, "conv1", 1), ("conv1",))(activations())
    with pytest.raises(InterpError, match="`layers` is"):
        from_lucent(objectives.channel("conv1", 1), ())
    with pytest.raises(InterpError, match="`images` is 0"):
        from_lucent(objectives.channel("conv1", 1), ("conv1",), images=0)


class Nested(nn.Module):
    """Dots in its layers' names; two of them are one name in lucent."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Conv2d(4, 4, 1))
        self.block_1 = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block_1(self.block(x)).mean((2, 3))
        return result


@pytest.fixture(scope="module")
def nested() -> Model:
    class WithHead(Nested):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(2, 6)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.head(super().forward(x))
            return result

    return trace(initialized(WithHead()), ModelSpec("nested"), Preprocess(size=(16, 16), resize=16))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("block_0_0:3", Channel(Unit("block.0.0", 3))),
        ("block.0.0:3", Channel(Unit("block.0.0", 3))),
        (" block_0 : 1 ", Channel(Unit("block.0", 1))),
        ("labels:5", Logit(Unit("head", 5))),
        ("head:5", Channel(Unit("head", 5))),
        ("block_1:0", Channel(Unit("block_1", 0))),
    ],
)
def test_strings(nested: Model, text: str, expected: Objective) -> None:
    assert from_string(text, nested) == expected


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("block_0_7:3", UnknownName, r"no layer 'block_0_7' in 'nested': did you mean .*'block_0"),
        ("label:3", UnknownName, "did you mean 'labels'"),
        ("block_0_0:4", UnknownName, "no unit 'block.0.0:4': layer 'block.0.0' has 4 channels, 0 to 3"),
        ("labels:6", UnknownName, "layer 'head' has 6 channels"),
        ("block_0_0:-1", UnknownName, "no unit 'block.0.0:-1'"),
        ("block_0_0:3:5:5", InterpError, "is no objective of lucent: write 'layer:channel'"),
        ("block_0_0", InterpError, "is no objective of lucent"),
        ("block_0_0:x", InterpError, "is no objective of lucent"),
        (":3", InterpError, "is no objective of lucent"),
        ("input:0", Unsupported, "'input:0' is a colour of the image"),
    ],
)
def test_refused_strings(nested: Model, text: str, error: type[InterpError], message: str) -> None:
    with pytest.raises(error, match=message):
        from_string(text, nested)


def test_a_string_that_names_two_layers_is_refused() -> None:
    class Two(SmallNet):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Sequential()
            self.a.add_module("b_c", nn.Conv2d(3, 3, 1))
            self.a_b = nn.Sequential()
            self.a_b.add_module("c", nn.Conv2d(3, 3, 1))

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(self.a_b(self.a(x)))

    with pytest.raises(UnknownName, match=r"'a_b_c' names 2 layers of 'tiny': give one of a.b_c, a_b.c by its own name"):
        from_string("a_b_c:0", traced(Two()))


# The engine.


def lucents_own(
    model: Model, unit: Unit, config: AscentConfig, param_f: Callable[[], Any], seed: int, transforms: Any = None
) -> np.ndarray:
    """What somebody who uses lucent itself gets, with the same draws."""
    torch.manual_seed(generator(seed, "lucent", str(unit)).initial_seed())
    np.random.seed(generator(seed, "lucent", str(unit)).initial_seed() % 2**32)  # noqa: NPY002 - lucent's
    objective = objectives.channel(unit.layer.replace(".", "_"), unit.channel)
    shown: np.ndarray = their_render.render_vis(
        model.module, objective, param_f, transforms=transforms, thresholds=(config.steps,), progress=False, show_image=False,
        fixed_image_size=32,
    )[0][0]  # fmt: skip
    return shown


@pytest.mark.parametrize(
    ("param", "theirs", "transforms"),
    [
        (Fourier(), lambda: their_param.image(24), None),
        (Fourier(decorrelated=False, sd=0.1), lambda: their_param.image(24, sd=0.1, decorrelate=False), []),
        (Pixels(), lambda: their_param.image(24, fft=False), None),
    ],
)
def test_images_are_lucents_own(param: ImageParam, theirs: Callable[[], Any], transforms: Any) -> None:
    model = traced(initialized(SmallNet()))
    model.module.eval()
    config = AscentConfig(steps=6, size=(24, 24), param=param, transform=STANDARD if transforms is None else NONE)
    (ours,) = render(model, [U], config, 5)
    state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002 - lucent's
    try:
        expected = lucents_own(model, U, config, theirs, 5, transforms)
    finally:
        torch.set_rng_state(state[0])
        np.random.set_state(state[1])  # noqa: NPY002 - lucent's
    # Half a step of 8 bits, and what floating point adds.
    np.testing.assert_allclose(ours.image, expected, rtol=0, atol=0.5 / 255 + 1e-4)
    assert np.abs(ours.image - 0.5).max() > 0.02, "more than the start"


def test_a_feature_says_what_it_is_worth(cnn: Model) -> None:
    config = AscentConfig(steps=8, transform=NONE)
    (feature,) = render(cnn, [U], config, 0)
    rounded = torch.from_numpy(np.rint(feature.image * 255) / 255).permute(2, 0, 1)[None].float()
    assert feature.final == pytest.approx(float(cnn.capture(["conv2"], rounded)[0]["conv2"][0, 3].mean()), rel=1e-5)
    np.testing.assert_allclose(feature.image * 255, np.rint(feature.image * 255), atol=1e-4)
    assert feature.scores.shape == (8,)
    assert feature.final > feature.scores[-1] > feature.scores[0]
    assert feature.unit == U
    assert not feature.dead


def test_small_images_are_scored_as_the_network_saw_them(cnn: Model) -> None:
    (feature,) = render(cnn, [U], AscentConfig(steps=2, size=(8, 8)), 0)
    assert feature.image.shape == (8, 8, 3)
    large = torch.nn.functional.interpolate(
        torch.from_numpy(feature.image).permute(2, 0, 1)[None], size=(32, 32), mode="bilinear", align_corners=True
    )
    assert feature.final == pytest.approx(float(cnn.capture(["conv2"], large)[0]["conv2"][0, 3].mean()), rel=1e-4)
    assert clean_scores(cnn, [U], [feature.image], (32, 32)) == [pytest.approx(feature.final)]
    assert clean_scores(cnn, [U, U], [feature.image] * 2)[1] != pytest.approx(feature.final, rel=1e-3)


class OfClassToken(Channel):
    """Reads tokens and the image: everything that lucent's hooks and its ``input`` give."""

    @property
    def layers(self) -> tuple[str, ...]:
        return (tokens_of(self.unit.layer), "image", ALPHA)

    @property
    def mean_of(self) -> None:
        return None

    def __call__(self, activations: Activations) -> Tensor:
        tokens: Tensor = activations[tokens_of(self.unit.layer)]
        return tokens[:, 0, self.unit.channel] + 0.01 * activations["image"].mean((1, 2, 3)) * activations[ALPHA].mean((1, 2, 3))

    def __str__(self) -> str:
        return f"{self.unit} of the class token"


def test_every_kind_of_unit(cnn: Model, vit: Model) -> None:
    wanted: list[Unit | Objective] = [Unit("fc", 1), Unit("conv2", 3, (2, 5)), Channel(U) + 0.1 * TotalVariation(), -Channel(U)]
    block = "encoder.layers.encoder_layer_0"
    of_tokens: list[Unit | Objective] = [Unit(block, 3), Neuron(Unit(block, 3, (0, 3))), OfClassToken(Unit(block, 2))]
    for model, items in ((cnn, wanted), (vit, of_tokens)):
        for feature, item in zip(render(model, items, AscentConfig(steps=4, transform=NONE), 0), items, strict=True):
            assert feature.final > feature.scores[0], item
            assert str(feature.unit) == str(item)


def test_images_of_a_joint_objective(cnn: Model) -> None:
    joint = from_lucent(objectives.channel("conv2", 3) - objectives.diversity("conv2"), ("conv2",), images=3)
    done: list[tuple[int, int]] = []
    features = render(cnn, [U, joint], AscentConfig(steps=3), 0, lambda step, total: done.append((step, total)))
    assert done == [(1, 12), (2, 12), (3, 12), (6, 12), (9, 12), (12, 12)], "steps of single images"
    assert [str(f.unit) for f in features] == [str(U), f"{joint}#1", f"{joint}#2", f"{joint}#3"]
    assert features[2].scores.shape == (3,)
    assert not np.array_equal(features[1].image, features[2].image)


def fingerprint(model: Model) -> list[object]:
    modules = list(model.module.modules())
    hooks = [(list(m._forward_hooks), list(m._forward_pre_hooks), m.training) for m in modules]
    flags = [(p.requires_grad, None if p.grad is None else p.grad.tolist()) for p in model.module.parameters()]
    return [hooks, flags, {k: v.tolist() for k, v in model.module.state_dict().items()}, random_states()]


def random_states() -> object:
    return torch.get_rng_state().tolist(), [np.asarray(part).tolist() for part in np.random.get_state()]  # noqa: NPY002


@pytest.mark.parametrize("error", [None, ValueError, RuntimeError, KeyboardInterrupt])
def test_all_is_as_before(cnn: Model, error: type[BaseException] | None, capsys: pytest.CaptureFixture[str]) -> None:
    cnn.module.train()
    conv = cnn.module.get_submodule("conv1")
    conv.weight.requires_grad_(False)
    conv.bias.grad = torch.ones_like(conv.bias)
    mine = conv.register_forward_hook(lambda *_: None)
    before, filters = fingerprint(cnn), list(warnings.filters)
    done: list[tuple[int, int]] = []

    def stop(step: int, total: int) -> None:
        done.append((step, total))
        torch.rand(3)
        if step == 4 and error is not None:
            raise error("stop")

    try:
        if error is None:
            render(cnn, [U, Unit("fc", 0)], FEW, 0, stop)
            assert done == [(k + 1, 6) for k in range(6)]
        else:
            with pytest.raises(error, match="stop"):
                render(cnn, [U, Unit("fc", 0)], FEW, 0, stop)
        assert fingerprint(cnn) == before
        assert warnings.filters == filters
        assert capsys.readouterr() == ("", "")
    finally:
        mine.remove()


def test_an_error_of_the_network_is_not_swallowed(cnn: Model) -> None:
    """Lucent takes any RuntimeError for a small image and goes on with what it saw before."""

    def fail(step: int, total: int) -> None:
        handles.append(cnn.module.get_submodule("fc").register_forward_hook(out_of_memory))

    def out_of_memory(*_: object) -> None:
        raise RuntimeError("out of memory")

    handles: list[Any] = []
    try:
        with pytest.raises(RuntimeError, match="out of memory"):
            render(cnn, [U], FEW, 0, fail)
        assert len(cnn.module.get_submodule("fc")._forward_hooks) == 1, "hooks that are not lucent's stay"
    finally:
        for handle in handles:
            handle.remove()


def same(first: list[Feature], second: list[Feature]) -> bool:
    return all(np.array_equal(a.image, b.image) and np.array_equal(a.scores, b.scores) for a, b in zip(first, second, strict=True))


def test_repeats_whatever_is_drawn_elsewhere(cnn: Model) -> None:
    wanted = [U, Unit("conv1", 0)]

    def disturb(step: int, total: int) -> None:
        torch.manual_seed(step)
        np.random.seed(step)  # noqa: NPY002 - the global generators are the point

    first = render(cnn, wanted, FEW, 1)
    assert same(first, render(cnn, wanted, FEW, 1, disturb))
    assert same(first[1:], render(cnn, wanted[1:], FEW, 1)), "a unit's image does not depend on its company"
    assert not same(first, render(cnn, wanted, FEW, 2))


def test_no_gpu_is_taken_unasked(cnn: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a GPU, lucent puts its image there, also for a model that is on the CPU."""
    from lucent.optvis import transform
    from lucent.optvis.param import color, spatial

    for module in (transform, spatial):
        monkeypatch.setattr(module, "device", torch.device("meta"))
    monkeypatch.setattr(color, "_linear_decorrelate_color", lambda values: pytest.fail("computes on the first GPU"))
    (feature,) = render(cnn, [U], FEW, 0)
    assert np.isfinite(feature.image).all()
    assert transform.device == spatial.device == torch.device("meta")


def test_dead_units_are_said_to_be_dead() -> None:
    net = SmallNet()
    with torch.no_grad():
        net.bn.bias[0] = -1e4
    model = traced(net)
    dead, alive = render(model, [Unit("relu1", 0), Unit("relu1", 1)], FEW, 0)
    assert dead.dead
    assert dead.final == 0
    assert not alive.dead


class Root(Channel):
    """Not a number wherever the channel is negative."""

    def __call__(self, activations: Activations) -> Tensor:
        return (super().__call__(activations) - 1e6).sqrt()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"size": (16, 32)}, r"square images only, not 16 x 32 px \(rows x cols\)"),
        ({"rate": 0.1}, "lucent's engine has no `rate` = 0.1: leave it at its default; it takes `steps`, `size`, `param`, `transform`"),
        ({"rate": Linear(0.05, 0.01)}, "has no `rate`"),
        ({"rate": Cosine(0.05)}, "has no `rate`"),
        ({"optimizer": Torch("SGD")}, "has no `optimizer`"),
        ({"optimizer": Adam(0.8, 0.999)}, "has no `optimizer`"),
        ({"views": 2}, "has no `views` = 2"),
        ({"regularizers": (Weighted(L2(), 1.0),)}, "has no `regularizers`"),
        ({"smoothing": 1.0}, "has no `smoothing`"),
        ({"converged": Convergence()}, "has no `converged`"),
        ({"films": 3}, "has no `films`"),
        ({"batch": 8}, "has no `batch`"),
        ({"transform": Jitter(8)}, r"has no `transform` Jitter\(pixels=8\): it takes STANDARD"),
    ],
)
def test_refused_options(cnn: Model, option: dict[str, Any], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        render(cnn, [U], replace(FEW, **option), 0)


@pytest.mark.parametrize("rate", [0.05, Linear(0.05, 0.05), Cosine(0.05, 0.05)])
def test_what_lucent_does_anyway_may_be_said(cnn: Model, rate: Schedule) -> None:
    assert same(render(cnn, [U], FEW, 0), render(cnn, [U], replace(FEW, rate=rate, optimizer=Adam()), 0))


def test_refusals(cnn: Model, vit: Model) -> None:
    class Other(Fourier):
        pass

    with pytest.raises(Unsupported, match=r"has no `param` .*give Fourier\(\) or Pixels\(\)"):
        render(cnn, [U], replace(FEW, param=Other(sd=0.1)), 0)
    with pytest.raises(UnknownName, match="no layer 'conv9'"):
        render(cnn, [U, Unit("conv9", 0)], FEW, 0)
    with pytest.raises(Unsupported, match=r"cannot be run on images of \(40, 40\) px"):
        render(vit, [Unit("conv_proj", 0)], replace(FEW, size=(40, 40)), 0)
    with pytest.raises(Unsupported, match="the score of 'conv2:3' is no finite number at step 1"):
        render(cnn, [Root(U)], FEW, 0)
    grey = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    photographs = Preprocess(size=(32, 32), resize=32, mean=(0.5,), std=(0.5,))
    with pytest.raises(Unsupported, match="colour images only, and 'grey' takes grey ones"):
        render(trace(grey, ModelSpec("grey"), photographs), [Unit("0", 0)], FEW, 0)
    assert render(cnn, [], FEW, 0) == []
    assert render(cnn, [U], replace(FEW, rate=0.05, batch=1, best=False), 0)[0].scores.shape == (3,)
