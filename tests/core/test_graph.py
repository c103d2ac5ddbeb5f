"""Which layer feeds which, on networks whose wiring is known from their code."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from interp.core.graph import edges
from interp.core.model import Model
from interp.errors import UnknownName
from interp.images import Preprocess
from interp.zoo.loading import load


def model_of(module: nn.Module, size: int = 16) -> Model:
    return load(module, preprocess=Preprocess(size=(size, size), resize=size))


class Head(nn.Module):
    """Base of the small networks: classes from the mean over places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, 3)

    def classes(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc(x.mean((2, 3)))
        return result


def test_one_after_the_other() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(5 * 144, 3))
    model = model_of(net)
    assert edges(model, ["0", "2", "4"]) == (("0", "2"), ("2", "4"))
    assert edges(model, ["4", "0"]) == (("0", "4"),)
    assert edges(model, ["0", "1", "2", "3", "4"]) == (("0", "1"), ("1", "2"), ("2", "3"), ("3", "4"))
    assert edges(model, ["2"]) == ()
    assert edges(model, []) == ()


class Residual(Head):
    """``a`` then two blocks ``x + c(relu(b(x)))``, added in place."""

    def __init__(self) -> None:
        super().__init__(4)
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        for block in self.blocks:
            x = block(x)
        return self.classes(x)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Conv2d(4, 4, 3, padding=1)
        self.c = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.c(torch.relu(self.b(x)))
        y += x
        return y


def test_a_residual_block_is_passed_both_ways() -> None:
    model = model_of(Residual())
    found = edges(model, ["a", "blocks.0.b", "blocks.0.c", "blocks.1.b", "blocks.1.c", "fc"])
    assert found == (
        ("a", "blocks.0.b"),
        ("blocks.0.b", "blocks.0.c"),
        ("a", "blocks.1.b"),
        ("blocks.0.c", "blocks.1.b"),
        ("blocks.1.b", "blocks.1.c"),
        ("a", "fc"),
        ("blocks.0.c", "fc"),
        ("blocks.1.c", "fc"),
    )
    assert edges(model, ["a", "blocks.0", "blocks.1", "fc"]) == (("a", "blocks.0"), ("blocks.0", "blocks.1"), ("blocks.1", "fc"))


def test_a_block_with_chosen_layers_inside_stands_where_it_ends() -> None:
    found = edges(model_of(Residual()), ["a", "blocks.0.b", "blocks.0.c", "blocks.0", "fc"])
    assert found == (
        ("a", "blocks.0.b"),
        ("blocks.0.b", "blocks.0.c"),
        ("a", "blocks.0"),
        ("blocks.0.c", "blocks.0"),
        ("blocks.0", "fc"),
    )


def test_blocks_of_googlenet_and_densenet_join_their_branches(network: Callable[[str], Model]) -> None:
    google = network("googlenet")
    ends = [f"inception3a.{branch}.conv" for branch in ("branch1", "branch2.1", "branch3.1", "branch4.1")]
    assert edges(google, [*ends, "inception3b.branch1.conv"]) == tuple((end, "inception3b.branch1.conv") for end in ends)

    dense = network("densenet121")
    block = "features.denseblock1.denselayer{}.conv{}"
    grown = [block.format(layer, 2) for layer in (1, 2, 3)]
    assert edges(dense, ["features.conv0", *grown]) == tuple(
        (source, target) for k, target in enumerate(grown) for source in ["features.conv0", *grown][: k + 1]
    )


def test_transformers_are_followed_through_attention(network: Callable[[str], Model]) -> None:
    model = network("vit_b_16")
    block = "encoder.layers.encoder_layer_{}.{}"
    attention, hidden, out = (block.format(0, part) for part in ("self_attention", "mlp.0", "mlp.3"))
    assert edges(model, ["conv_proj", attention, hidden, out, block.format(1, "self_attention")]) == (
        ("conv_proj", attention),
        ("conv_proj", hidden),
        (attention, hidden),
        (hidden, out),
        ("conv_proj", block.format(1, "self_attention")),
        (attention, block.format(1, "self_attention")),
        (out, block.format(1, "self_attention")),
    )
    swin = network("swin_t")
    blocks = ["features.1.0", "features.1.1", "features.2", "features.3.0"]
    assert edges(swin, blocks) == tuple(itertools.pairwise(blocks))


class Twice(Head):
    """One ReLU behind both convolutions, as many networks have it."""

    def __init__(self) -> None:
        super().__init__(4)
        self.a, self.b, self.relu = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.classes(self.relu(self.b(self.relu(self.a(x)))))


def test_a_module_used_twice_is_one_layer_in_a_circle() -> None:
    model = model_of(Twice())
    assert edges(model, ["a", "b", "relu", "fc"]) == (("a", "relu"), ("relu", "b"), ("b", "relu"), ("relu", "fc"))
    again = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Flatten(), nn.Linear(3 * 256, 2))
    again.insert(1, again[0])
    assert edges(model_of(again), ["0", "3"]) == (("0", "0"), ("0", "3"))


class Odd(Head):
    """What is followed with care: an identity whose input goes on by another way, a slice written in place, arguments by name,
    two inputs, and a tensor that takes the shape of another."""

    def __init__(self) -> None:
        super().__init__(4)
        self.a, self.b, self.same, self.join = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 4, 1), nn.Identity(), Join()
        self.after, self.behind = nn.Conv2d(3, 4, 1), nn.Conv2d(2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        self.same(a)
        places = torch.zeros(a.shape[0], 3, *a.shape[2:])
        places[:, 1:] = a
        empty = self.b(torch.zeros_like(places))
        return self.classes(self.join(self.after(places), second=self.behind(a)) + empty)


class Join(nn.Module):
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first * second


def test_identities_slices_and_arguments_by_name() -> None:
    model = model_of(Odd())
    assert edges(model, ["a", "same", "b", "join", "after", "behind", "fc"]) == (
        ("a", "same"),
        ("a", "after"),
        ("a", "behind"),
        ("after", "join"),
        ("behind", "join"),
        ("b", "fc"),
        ("join", "fc"),
    )


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=2, max_size=6), st.sets(st.integers(0, 5), min_size=1))
def test_any_wiring_is_found_again(inputs: list[set[int]], chosen: set[int]) -> None:
    """Node k is a convolution of the mean of what earlier nodes gave; paths are counted by hand."""
    inputs = [{i % k for i in wanted} if k else set() for k, wanted in enumerate(inputs)]

    class Wired(Head):
        def __init__(self) -> None:
            super().__init__(3)
            self.nodes = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in inputs)

        def forward(self, x: Tensor) -> Tensor:
            outputs: list[Tensor] = []
            for node, wanted in zip(self.nodes, inputs, strict=True):
                outputs.append(node(torch.stack([outputs[i] for i in sorted(wanted)]).mean(0) if wanted else x))
            return self.classes(torch.stack(outputs).mean(0))

    picked = sorted({k % len(inputs) for k in chosen})

    def reaching(node: int) -> set[int]:
        """Chosen nodes that feed ``node`` by paths through no other chosen one."""
        return {found for i in inputs[node] for found in ({i} if i in picked else reaching(i))}

    model = model_of(Wired(), size=2)
    expected = {(f"nodes.{source}", f"nodes.{target}") for target in picked for source in reaching(target)}
    assert set(edges(model, [f"nodes.{k}" for k in picked])) == expected


def test_nothing_is_left_in_the_model(trap_model: Model) -> None:
    module = trap_model.module.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    assert edges(trap_model, ["conv1", "relu", "conv2", "both", "fc"])[-1] == ("both", "fc")
    assert torch.equal(torch.get_rng_state(), state)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())

    def fail(*_: object) -> None:
        raise ValueError("stop")

    handle = module.get_submodule("conv2").register_forward_hook(fail)
    with pytest.raises(ValueError, match="stop"):
        edges(trap_model, ["conv1", "fc"])
    handle.remove()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_layers_that_do_not_fire_are_refused(trap_model: Model) -> None:
    with pytest.raises(UnknownName, match=r"'unused' of 'TrapNet' exists but never fires"):
        edges(trap_model, ["conv1", "unused"])
    with pytest.raises(UnknownName, match=r"no layer 'conv3'.*did you mean 'conv2' or 'conv1'"):
        edges(trap_model, ["conv3"])
