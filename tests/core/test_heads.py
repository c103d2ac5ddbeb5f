"""Networks that return no class scores: what is read of their output, and what stays of the network (all of it)."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from interp.attribution import gradcam
from interp.core.heads import Explained, Headed
from interp.core.model import Model
from interp.core.outputs import listed, picked, tensors
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.images import Preprocess
from interp.zoo.loading import load

SMALL = Preprocess(size=(8, 10), resize=8, mean=(0.0,), std=(1.0,))


class Pair(NamedTuple):
    logits: Tensor
    aux: Tensor | None


@dataclass
class Found:
    scores: Tensor
    name: str = "x"


class Segments(nn.Module):
    """(N, 1, H, W) -> class maps at twice the size, and what an auxiliary head makes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.classifier = nn.Conv2d(4, 3, 1)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("shift", torch.tensor(0.25))
        self.seen: list[bool] = []

    def forward(self, x: Tensor) -> dict[str, Any]:
        self.seen.append(self.training)
        maps = self.classifier(self.conv(x).relu() * self.scale) + self.shift
        return OrderedDict(out=nn.functional.interpolate(maps, scale_factor=2.0), aux=[maps.mean((2, 3)), None])


@pytest.fixture
def net() -> Segments:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Segments()


def images(count: int = 2) -> Tensor:
    return torch.rand(count, 1, 8, 10, generator=torch.Generator().manual_seed(1))


def test_every_tensor_of_an_output_has_a_name() -> None:
    x, y, z = (torch.ones(1, k) for k in (1, 2, 3))
    assert tensors(x) == {"0": x}
    assert list(tensors({"out": x, "aux": (y, [z], None), "n": 3})) == ["out", "aux.0", "aux.1.0"]
    assert list(tensors(Pair(x, None))) == ["logits"]
    assert list(tensors(Found(x))) == ["scores"]
    assert picked(Pair(x, y), "1") is picked(Pair(x, y), "aux") is y
    assert listed({"a": torch.ones(2, 3, 4), "b": torch.ones(2)}) == "'a' (3x4), 'b' (one number)"
    loop: list[Any] = []
    loop.append(loop)
    assert tensors(loop) == {}


def test_the_chosen_output_is_the_class_scores(net: Segments) -> None:
    model = load(net, preprocess=SMALL, output="aux.0")
    expected = net.eval()(images())["aux"][0]
    assert model.output == "output"
    assert (model.layer("output").kind, model.layer("output").map_shape) == ("Output", (3, 1, 1))
    assert torch.equal(model(images()), expected)


def test_class_maps_are_a_layer_and_their_means_the_scores(net: Segments) -> None:
    model = load(net, preprocess=SMALL, output="out", classes=["sky", "sea", "sand"])
    maps = net.eval()(images())["out"]
    assert model.layer("output").map_shape == (3, 16, 20)
    assert torch.equal(model(images()), maps.mean((2, 3)))
    assert model.class_unit("sea") == Unit("output", 1)
    # One place of a class map: its gradient at the convolution, by hand.
    heatmap = gradcam.of(model, images(), [Unit("output", 1, (4, 6))] * 2, ["conv"])[1]["conv"]
    activations = net.conv(images()[1:]).detach().requires_grad_()
    score = (net.classifier(activations.relu() * net.scale) + net.shift)[0, 1, 2, 3]
    (gradient,) = torch.autograd.grad(score, activations)
    expected = (gradient.mean((2, 3), keepdim=True) * activations).sum(1)[0].detach()
    assert torch.allclose(torch.tensor(heatmap.values), expected, atol=1e-6)


def difference(output: Any) -> Tensor:
    return output["aux"][0][:, 2] - output["aux"][0][:, 0]


def test_a_target_is_a_unit_like_any_other(net: Segments) -> None:
    model = load(net, preprocess=SMALL, target=difference)
    assert (model.output, model.classes, model.spec.classes) == ("target", 1, ("difference",))
    assert model.spec.notes == (("Target", "'difference', a function of the network's output"),)
    assert torch.equal(model(images())[:, 0], difference(net.eval()(images())).detach())
    heatmap = gradcam.of(model, images(), [Unit("target", 0)] * 2, ["conv"])[0]["conv"]
    activations = net.conv(images()[:1]).detach().requires_grad_()
    maps = net.classifier(activations.relu() * net.scale).mean((2, 3))
    (gradient,) = torch.autograd.grad(maps[0, 2] - maps[0, 0], activations)
    expected = (gradient.mean((2, 3), keepdim=True) * activations).sum(1)[0].detach()
    assert torch.allclose(torch.tensor(heatmap.values), expected, atol=1e-6)


def test_a_target_of_a_classifier_leaves_it_its_classes(trap_net: nn.Module) -> None:
    model = load(trap_net, preprocess=Preprocess(size=(12, 12), resize=12), target=lambda scores: scores[:, 1] - scores[:, 0])
    plain = load(trap_net, preprocess=Preprocess(size=(12, 12), resize=12))
    x = torch.rand(3, 3, 12, 12)
    assert model.output == plain.output == "fc"
    assert torch.equal(model(x), plain(x))
    outputs, _ = model.capture(["target", "conv1"], x)
    assert torch.equal(outputs["target"][:, 0], plain(x)[:, 1] - plain(x)[:, 0])


@pytest.mark.parametrize("value", [lambda o: [one.sum() for one in o["aux"][0]], lambda o: o["aux"][0].sum(1, keepdim=True)])
def test_one_number_per_image_in_other_shapes(net: Segments, value: Callable[[Any], Any]) -> None:
    model = load(net, preprocess=SMALL, target=value)
    assert torch.allclose(model(images())[:, 0], net.eval()(images())["aux"][0].sum(1))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda o: o["out"], r"gave a tensor of shape \(2, 3, 16, 20\) for 2 images: return one number each"),
        (lambda o: o["aux"][0].sum(), r"gave a tensor of shape \(\) for 2 images"),
        (lambda o: o["aux"][0].argmax(1), r"gave a tensor of torch\.int64 for 2 images: return a float tensor of 2 numbers"),
        (lambda o: 3.0, "gave a float for 2 images"),
        (lambda o: o["nothing"], "the target KeyError"),
    ],
)
def test_targets_that_give_no_number_per_image(net: Segments, value: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(InterpError, match=message) as caught:
        load(net, preprocess=SMALL, target=value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "kind", "message"),
    [
        (
            None,
            Unsupported,
            r"not one tensor of class scores: choose one .* with --output: 'out' \(3x16x20\), 'aux\.0' \(3\); or .*--target",
        ),
        ("oot", UnknownName, r"has no output 'oot': did you mean 'out'\? there are 'out' \(3x16x20\), 'aux\.0' \(3\)"),
        ("aux", UnknownName, r"has no output 'aux': did you mean 'aux\.0'"),
    ],
)
def test_outputs_that_are_not_there(net: Segments, key: str | None, kind: type[InterpError], message: str) -> None:
    with pytest.raises(kind, match=message):
        load(net, preprocess=SMALL, output=key)


class Just(nn.Module):
    """A convolution, and what a function makes of it."""

    def __init__(self, last: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.last = last

    def forward(self, x: Tensor) -> Any:
        return self.last(self.conv(x))


def test_what_is_no_score_and_no_map() -> None:
    with pytest.raises(Unsupported, match=r"the output 't' is a tensor of shape \(2, 4, 48\) for 2 images, neither class scores"):
        load(Just(lambda x: {"t": x.flatten(2)}), preprocess=SMALL, output="t")
    with pytest.raises(InterpError, match=r"no output 't': the network returns a str, in which no tensor is found"):
        load(Just(lambda x: "nothing"), preprocess=SMALL, output="t")


def test_a_result_that_no_layer_gives_is_read_by_the_head() -> None:
    net = Just(lambda x: x.mean((2, 3)) @ torch.ones(4, 2))
    with pytest.raises(Unsupported, match=r"no layer gives one value for each of the 2 scores .* with --output 0"):
        load(net, preprocess=SMALL)
    assert load(net, preprocess=SMALL, output="0").output == "output"
    with pytest.raises(Unsupported, match=r"result, shape \(2, 4, 6, 8\): read the result itself, of maps the mean over all places"):
        load(Just(lambda x: x), preprocess=SMALL)
    assert load(Just(lambda x: x), preprocess=SMALL, output="0").classes == 4


def headed(model: Model) -> Headed:
    assert isinstance(model.module, Headed)
    return model.module


def test_the_network_is_as_it_was(net: Segments) -> None:
    def own(_module: nn.Module, _given: Any, output: Any) -> None:
        calls.append(len(output))

    calls: list[int] = []
    net.register_forward_hook(own)
    net.train()
    before, names = dict(net._modules), [name for name, _ in net.named_modules()]
    model = load(net, preprocess=SMALL, output="out", target=lambda x: x.mean((1, 2, 3)))
    net.seen.clear()
    model(images())
    assert net.seen == [False], "it runs in evaluation mode"
    assert net.training
    assert calls == [2, 2, 2], "the user's own hook fires: twice at the trace, and now"
    assert net._modules == before
    assert [name for name, _ in net.named_modules()] == names
    assert [name for name, _ in headed(model).named_modules()] == [*names, "output", "target"]
    assert list(headed(model).state_dict()) == list(net.state_dict())
    with pytest.raises(InterpError, match=r"'Segments' cannot be run|Expected"):
        model(torch.rand(1, 1, 1, 1)[..., :0])
    assert net._modules == before


def test_a_copy_is_a_network_of_its_own(net: Segments) -> None:
    first = headed(load(net, preprocess=SMALL, output="aux.0"))
    second = copy.deepcopy(first)
    before = first(images())
    with torch.no_grad():
        second.get_parameter("scale").mul_(0)
        second.get_submodule("classifier").bias.fill_(7)  # type: ignore[operator,union-attr]
    assert torch.equal(first(images()), before)
    assert torch.allclose(second(images()), torch.full((2, 3), 7.25))
    second.double()
    assert {t.dtype for t in second.state_dict().values()} == {torch.float64}
    assert second(images().double()).dtype == torch.float64


def test_a_module_that_a_method_replaces_is_the_one_that_runs(net: Segments) -> None:
    model = headed(load(net, preprocess=SMALL, output="aux.0"))
    model.classifier = nn.Conv2d(4, 3, 1).requires_grad_(False)
    nn.init.zeros_(model.classifier.weight)
    nn.init.zeros_(model.classifier.bias)  # type: ignore[arg-type]
    assert torch.allclose(model(images()), torch.full((2, 3), 0.25))
    assert net.classifier is not model.classifier


def test_a_network_may_have_modules_of_any_name() -> None:
    """torchvision's vision transformers have ``heads``: nothing of the reading may stand in the way of a name."""
    names = ("heads", "network", "chosen", "answered", "explained", "reading", "scores", "run", "conv", "last")
    net = nn.Sequential(OrderedDict([(name, nn.Conv2d(1, 1, 1)) for name in names]))
    model = load(net, preprocess=SMALL, output="0", target=lambda x: x[:, 0, 0, 0])
    assert [layer.name for layer in model.layers] == [*names, "output", "target"]
    assert model.module.get_submodule("heads") is net[0]
    assert len(gradcam.of(model, images(1), [Unit("target", 0)], list(names))[0]) == len(names)


def test_heads_do_not_take_the_name_of_a_layer() -> None:
    net = nn.Sequential(OrderedDict(output=nn.Conv2d(1, 2, 3), target=nn.AdaptiveAvgPool2d(1)))
    model = load(net, preprocess=SMALL, output="0", target=lambda x: x[:, 0, 0, 0])
    assert [layer.name for layer in model.layers] == ["output", "target", "output_", "target_"]
    assert model.output == "output_"


def test_an_explained_function_is_told_by_its_name() -> None:
    assert Explained("f", len).name == "f"
    assert load(Just(lambda x: (x, x)), preprocess=SMALL, target=lambda o: o[0].sum((1, 2, 3))).spec.classes == ("<lambda>",)
