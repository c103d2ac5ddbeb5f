"""Random weights for a while: which layers, whose draws, and the network that comes back bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from interp.core.model import Model, ModelSpec
from interp.core.randomize import Redraw, permuted, randomized_weights, weighted_layers
from interp.core.trace import model as trace
from interp.errors import InterpError, UnknownName
from interp.images import Preprocess


class Net(nn.Module):
    """Weights of every kind: registered in another order than used, tied, without an initializer, never used, buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.unused = nn.Linear(4, 3)
        self.scale = nn.Parameter(torch.arange(1.0, 5.0))
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.mix = nn.Linear(4, 4)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.mix.weight
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x)) * self.scale[:, None, None]
        tokens = self.tied(self.mix(x.flatten(2).transpose(1, 2)))
        tokens, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.fc(tokens.mean(1))


@pytest.fixture
def net() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Net()
        module.train()
        module(torch.rand(2, 3, 8, 8))  # BatchNorm statistics of its own
        for parameter in module.bn.parameters():
            torch.nn.init.normal_(parameter)
    return trace(module, ModelSpec("net"), Preprocess(size=(8, 8), resize=8))


def state(model: Model) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.module.state_dict().items()}


def test_layers_come_in_the_order_in_which_their_weights_are_used(net: Model) -> None:
    """'unused' is left out, the projection of the attention is not, though it is never called; the network owns 'scale'."""
    assert weighted_layers(net) == ("conv", "bn", "", "mix", "tied", "attention", "attention.out_proj", "fc")
    assert "unused" in net.silent
    assert "attention.out_proj" in net.silent


def test_listing_layers_changes_nothing(net: Model) -> None:
    before, rng = state(net), torch.get_rng_state()
    modes = [m.training for m in net.module.modules()]
    weighted_layers(net)
    assert all(torch.equal(value, before[name]) for name, value in net.module.state_dict().items())
    assert [m.training for m in net.module.modules()] == modes
    assert torch.equal(torch.get_rng_state(), rng)


NETWORKS = {
    "resnet18": resnet18,
    "vit": lambda: VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5),
    "swin": lambda: SwinTransformer([4, 4], 8, [1, 1], [2, 2], [4, 4], num_classes=5),
}


@pytest.mark.parametrize("make", list(NETWORKS.values()), ids=list(NETWORKS))
def test_all_weights_of_known_networks_are_found(make: Callable[[], nn.Module]) -> None:
    with torch.random.fork_rng(devices=[]):
        model = trace(make(), ModelSpec("known"), Preprocess(size=(32, 32), resize=32))
    layers = weighted_layers(model)
    owned = {id(p) for layer in layers for p in model.module.get_submodule(layer).parameters(recurse=False)}
    assert owned == {id(p) for p in model.module.parameters()}
    firing = {layer.name: i for i, layer in enumerate(model.layers)}
    leaves = [layer for layer in layers if layer in firing and not any(True for _ in model.module.get_submodule(layer).children())]
    assert leaves == sorted(leaves, key=firing.__getitem__)
    assert leaves[-1] == model.output


@pytest.mark.parametrize("redraw", list(Redraw))
def test_everything_is_random_inside_and_the_same_tensors_outside(net: Model, redraw: Redraw) -> None:
    before, rng = state(net), torch.get_rng_state()
    pointers = {name: (id(value), value.data_ptr()) for name, value in net.module.state_dict(keep_vars=True).items()}
    versions = [parameter._version for parameter in net.module.parameters()]
    flags = [parameter.requires_grad for parameter in net.module.parameters()]
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    logits = net(x)
    with randomized_weights(net, weighted_layers(net), 0, redraw):
        inside = state(net)
        assert not torch.allclose(net(x), logits)
        assert net.module.tied.weight is net.module.mix.weight
    # Not asked for; zero, as the attention's biases are; three values may well be permuted to where they were.
    kept = ("unused", "attention", "fc.bias", "bn.num_batches", *(["bn.running"] if redraw is Redraw.PERMUTE else []))
    for name in before:
        assert name.startswith(kept) or not torch.equal(inside[name], before[name]), name
        assert torch.equal(net.module.state_dict()[name], before[name]), name
    assert torch.equal(inside["unused.weight"], before["unused.weight"])
    assert {name: (id(value), value.data_ptr()) for name, value in net.module.state_dict(keep_vars=True).items()} == pointers
    assert [parameter._version for parameter in net.module.parameters()] == versions
    assert [parameter.requires_grad for parameter in net.module.parameters()] == flags
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.equal(net(x), logits)


def test_an_error_inside_restores_too(net: Model) -> None:
    before = state(net)

    def fail() -> None:
        with randomized_weights(net, ["conv", "bn"], 0):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert all(torch.equal(value, before[name]) for name, value in net.module.state_dict().items())


def test_what_has_no_initializer_is_permuted_and_named(net: Model) -> None:
    before = state(net)
    with randomized_weights(net, weighted_layers(net), 0) as permuted_names:
        inside = state(net)
    # `nn.MultiheadAttention` has no `reset_parameters` of its own, its output projection has.
    assert permuted_names == ("scale", "attention.in_proj_weight", "attention.in_proj_bias")
    for name in permuted_names:
        assert torch.equal(inside[name].flatten().sort().values, before[name].flatten().sort().values)
    assert torch.equal(inside["bn.weight"], torch.ones(4))
    assert torch.equal(inside["bn.running_mean"], torch.zeros(4))
    assert torch.equal(inside["bn.running_var"], torch.ones(4))
    with randomized_weights(net, weighted_layers(net), 0, Redraw.PERMUTE) as permuted_names:
        inside = state(net)
    assert set(permuted_names) == set(dict(net.module.named_parameters())) - {"unused.weight", "unused.bias"} | {"tied.weight"}
    assert all(torch.equal(inside[name].flatten().sort().values, before[name].flatten().sort().values) for name in before)
    assert torch.equal(inside["bn.running_mean"], before["bn.running_mean"])


def test_a_reset_follows_the_modules_own_distribution(net: Model) -> None:
    """Conv2d and Linear draw from U(-1/sqrt(fan in), 1/sqrt(fan in))."""
    with randomized_weights(net, ["conv"], 0):
        drawn = net.module.conv.weight.detach().clone()
    bound = 27**-0.5
    assert float(drawn.abs().max()) <= bound
    assert float(drawn.abs().max()) > 0.9 * bound
    assert abs(float(drawn.mean())) < 0.2 * bound


@pytest.mark.parametrize("redraw", list(Redraw))
def test_a_layers_draw_depends_on_seed_and_name_alone(net: Model, redraw: Redraw) -> None:
    def drawn(layers: list[str], seed: int) -> Tensor:
        torch.rand(3)
        with randomized_weights(net, layers, seed, redraw):
            return net.module.fc.weight.detach().clone()

    alone = drawn(["fc"], 0)
    assert torch.equal(alone, drawn(["conv", "bn", "fc"], 0))
    assert torch.equal(alone, drawn(["fc", "mix"], 0))
    assert not torch.equal(alone, drawn(["fc"], 1))


def test_layers_of_one_kind_get_different_weights() -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = trace(module, ModelSpec("two"), Preprocess(size=(8, 8), resize=8))
    with randomized_weights(model, ["0", "1"], 0):
        assert not torch.equal(module[0].weight, module[1].weight)


def test_maps_can_be_differentiated_inside_even_within_inference_mode(net: Model) -> None:
    with torch.inference_mode(), randomized_weights(net, weighted_layers(net), 0), torch.inference_mode(False), torch.enable_grad():
        x = torch.rand(1, 3, 8, 8, requires_grad=True)
        (gradient,) = torch.autograd.grad(net(x).sum(), x)
    assert gradient.abs().max() > 0


def test_a_graph_made_before_is_still_right_after(net: Model) -> None:
    """The tensors are lent, not overwritten: a backward of the caller's does not meet other weights."""
    parameters = list(net.module.parameters())
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    net.module.eval()
    expected = torch.autograd.grad(net.module(x).sum(), parameters, allow_unused=True)
    loss = net.module(x).sum()
    with randomized_weights(net, weighted_layers(net), 0):
        pass
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    assert all(b is None if a is None else torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_a_module_whose_reset_fails_or_leaves_a_weight_is_permuted(net: Model) -> None:
    class Partial(nn.Conv2d):
        def reset_parameters(self) -> None:
            if hasattr(self, "done"):
                nn.init.zeros_(self.bias)

    class Failing(nn.Conv2d):
        def reset_parameters(self) -> None:
            if hasattr(self, "done"):
                raise RuntimeError

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(Partial(3, 4, 1), Failing(4, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        for parameter in module.parameters():
            nn.init.normal_(parameter)
    module[0].done = module[1].done = True
    model = trace(module, ModelSpec("odd"), Preprocess(size=(8, 8), resize=8))
    weight = module[0].weight.detach().clone()
    with randomized_weights(model, weighted_layers(model), 0) as permuted_names:
        assert torch.equal(module[0].bias, torch.zeros(4))
        assert not torch.equal(module[0].weight, weight)
    assert permuted_names == ("0.weight", "1.weight", "1.bias")


def test_a_permutation_is_that_of_the_seed_and_name() -> None:
    values = torch.arange(24.0).view(2, 3, 4)
    first = permuted(values, 0, "a")
    assert first.shape == values.shape
    assert torch.equal(first.flatten().sort().values, values.flatten())
    assert torch.equal(first, permuted(values, 0, "a"))
    assert not torch.equal(first, permuted(values, 0, "b"))
    assert not torch.equal(first, permuted(values, 1, "a"))


def test_strides_are_kept() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).to(memory_format=torch.channels_last)
    model = trace(copy.deepcopy(module), ModelSpec("last"), Preprocess(size=(8, 8), resize=8))
    with randomized_weights(model, ["0"], 0):
        assert model.module[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_an_unknown_layer(net: Model) -> None:
    with pytest.raises(UnknownName, match=r"no layer 'conf' in 'net': did you mean 'conv'\?"):
        randomized_weights(net, ["conf"], 0).__enter__()


def test_one_name_is_no_sequence(net: Model) -> None:
    with pytest.raises(InterpError, match="`layers` is 'conv': give a sequence of layer names"):
        randomized_weights(net, "conv", 0).__enter__()
