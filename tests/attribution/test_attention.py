"""Attention: recorded as it was computed, each token at its place, refused where that cannot be told."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from attention_nets import images, made, maxvit, shifted_windows, strided_windows, swin, swin_v2, timm_swin, timm_vit, vit
from torch import Tensor, nn

from interp.attribution import attention
from interp.attribution.attention import AttentionMap
from interp.attribution.attention.interception import Interception
from interp.attribution.attention.recording import probabilities
from interp.attribution.attention.survey import survey
from interp.core.capture import hooked, input_of, quiet
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported

NETWORKS = [vit, swin, swin_v2, maxvit, timm_vit, timm_swin]


def blocks(model: Model) -> list[np.ndarray]:
    return [layer.partition.tokens for layer in survey(model, model.preprocess.size).layers]


@pytest.mark.parametrize("make", NETWORKS)
def test_every_head_gives_away_one(make: Callable[[], Model]) -> None:
    model = make()
    for maps in attention.of(model, images(model)):
        assert list(maps) == attention.layers(model)
        for each in maps.values():
            total = each.values.sum((1, 2)) + each.prefix.sum(1)
            assert np.all(each.values >= 0)
            assert np.allclose(total, 1, atol=1e-5) or (make is swin_v2 and np.all(total < 1))


def test_probabilities_are_those_that_multi_head_attention_returns() -> None:
    model, given = vit(), {}
    names = attention.layers(model)
    modules = {name: model.module.get_submodule(name) for name in names}
    with torch.no_grad(), quiet(model.module):
        with hooked({input_of(name): m for name, m in modules.items()}, given.__setitem__):
            model.forward(images(model))
        for name, matrices in probabilities(model, images(model), names).items():
            x = given[input_of(name)]
            _, wanted = modules[name](x, x, x, need_weights=True, average_attn_weights=False)
            assert torch.allclose(matrices[:, 0], wanted, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"attn_mask": torch.tril(torch.ones(5, 5)).bool()}, {"attn_mask": torch.randn(5, 5)}, {"is_causal": True}]
)
@pytest.mark.parametrize("more", [{}, {"scale": 0.3}, {"enable_gqa": True}])
def test_step_by_step_equals_fused(options: dict[str, object], more: dict[str, object]) -> None:
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(2, 4, 5, 6, generator=draw)
    key, value = torch.randn(2, 2, 2 if more.get("enable_gqa") else 4, 5, 6, generator=draw)
    kept: list[Tensor] = []
    with Interception(kept.append):
        output = F.scaled_dot_product_attention(query, key, value, **options, **more)
    assert torch.allclose(output, F.scaled_dot_product_attention(query, key, value, **options, **more), atol=1e-6)
    assert torch.allclose(kept[0].sum(-1), torch.ones(2, 4, 5))


def test_fused_and_plain_attention_give_the_same_maps() -> None:
    model = copy.deepcopy(timm_vit())
    before = attention.of(model, images(model))[0]
    for name in before:
        model.module.get_submodule(name).fused_attn = False
    after = attention.of(model, images(model))[0]
    for name in before:
        assert np.allclose(before[name].values, after[name].values, atol=1e-6)


def test_class_token_row() -> None:
    model = timm_vit()
    name = attention.layers(model)[1]
    maps = attention.of(model, images(model), [name])[1][name]
    matrix = probabilities(model, images(model), [name])[name][1, 0].numpy()
    assert maps.query == "the class token"
    assert np.allclose(maps.values, matrix[:, 0, 4:].reshape(2, 4, 4))
    assert np.allclose(maps.prefix, matrix[:, 0, :4])


@pytest.mark.parametrize("options", [{"global_pool": "avg"}, {"global_pool": "avg", "class_token": False, "reg_tokens": 0}])
def test_without_a_class_token_that_is_read_all_places_look(options: dict[str, object]) -> None:
    model = timm_vit(**options)
    name = attention.layers(model)[0]
    maps = attention.of(model, images(model), [name])[0][name]
    matrix = probabilities(model, images(model), [name])[name][0, 0].numpy()
    prefix = maps.prefix.shape[1]
    assert maps.query == "all places"
    assert np.allclose(maps.values, matrix[:, prefix:, prefix:].mean(1).reshape(2, 4, 4), atol=1e-6)


def test_windows_of_swin() -> None:
    assert all(map(np.array_equal, blocks(swin()), [shifted_windows(8, 8, 4, s) for s in (0, 2)] + [shifted_windows(4, 4, 4, 0)] * 2))
    assert all(map(np.array_equal, blocks(timm_swin()), blocks(swin())))


@pytest.mark.parametrize("make", [lambda: swin(40), swin_v2])
def test_padded_windows_of_swin(make: Callable[[], Model]) -> None:
    wanted = [shifted_windows(side, side, 4, shift) for side in (10, 5) for shift in (0, 2)]
    assert [np.array_equal(*pair) for pair in zip(blocks(make()), wanted, strict=True)] == [True] * 4


def test_windows_and_grids_of_maxvit() -> None:
    wanted = [part for side in (8, 4) for part in (shifted_windows(side, side, 2, 0), strided_windows(side, 2))]
    assert [np.array_equal(*pair) for pair in zip(blocks(maxvit()), wanted, strict=True)] == [True] * 4


def test_a_window_that_is_not_as_wide_as_the_image_in_a_higher_image() -> None:
    tokens = survey(swin(), (64, 16)).layers[0].partition.tokens
    assert np.array_equal(tokens, shifted_windows(16, 4, 4, 0))
    assert tokens[1].tolist() == list(range(16, 32))


@pytest.mark.parametrize("size", [32, 40])
@pytest.mark.parametrize("number", [0, 1])
def test_a_place_depends_on_those_that_it_attends_to(size: int, number: int) -> None:
    model = swin(size)
    layer = survey(model, (size, size)).layers[number]
    module, rows = model.module.get_submodule(layer.name), layer.partition.grid[0]
    given: dict[str, Tensor] = {}
    with hooked({input_of(layer.name): module}, given.__setitem__):
        model(images(model, 1))
    matrices = probabilities(model, images(model, 1), [layer.name])[layer.name][0].sum(1)
    attended = layer.partition.pull(torch.eye(rows * rows), matrices.expand(rows * rows, -1, -1, -1)) > 1e-30
    x = given[input_of(layer.name)].detach().requires_grad_()
    output = module(x).sum(-1).flatten()
    reached = torch.stack(
        [torch.autograd.grad(output[i], x, retain_graph=True)[0][0].abs().sum(-1).flatten() > 1e-30 for i in range(len(output))]
    )
    assert torch.equal(attended, reached)
    assert not bool(attended.all())


class Own(nn.Module):
    """Attention as a user may write it: ``tokens`` by tokens, or else channels by channels; or computed twice."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.qkv = kind, nn.Linear(16, 48)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, 1, 16)).permute(2, 0, 3, 1, 4)
        if self.kind == "channels":
            return (torch.softmax(q.mT @ k, -1) @ v.mT).mT[:, 0]
        if self.kind == "pooled":
            return ((q @ k.mT[..., ::2]).softmax(-1) @ v[:, :, ::2])[:, 0]
        mixed = torch.softmax(q @ k.mT / 4, -1) @ v
        return (mixed + (q @ k.mT).softmax(-1) @ v if self.kind == "twice" else mixed)[:, 0]


class OwnNet(nn.Module):
    """4x4 places of 16 channels, as many as there are places, one attention layer, mean pooling."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.patches, self.attention, self.head = nn.Conv2d(3, 16, 8, 8), Own(kind), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.head((tokens + self.attention(tokens)).mean(1))


def test_attention_of_ones_own() -> None:
    model = made(lambda: OwnNet("tokens"), 32)
    assert attention.layers(model) == ["attention"]
    assert np.isclose(attention.of(model, images(model))[0]["attention"].values.sum(), 1)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("channels", "to which places its tokens belong cannot be told"),
        ("twice", "it computes 2 attention matrices in a forward"),
        ("pooled", "its 16 queries and 8 keys are not the same tokens"),
    ],
)
def test_what_cannot_be_followed_is_refused(kind: str, reason: str) -> None:
    model = made(lambda: OwnNet(kind), 32, "own")
    assert attention.layers(model) == []
    with pytest.raises(Unsupported, match=rf"^the attention of 'attention' in 'own' cannot be followed: {reason}; choose a CAM"):
        attention.of(model, images(model))


def test_a_convolutional_network_has_none(resnet: Model) -> None:
    assert attention.layers(resnet) == []
    with pytest.raises(Unsupported, match=r"^'resnet18' has no attention layers: choose a CAM such as 'gradcam'$"):
        attention.of(resnet, images(resnet, 1))


def test_errors_name_the_nearest() -> None:
    model = vit()
    batch, units = images(model, 1), [Unit("heads.head", 0)]
    inside = "encoder.layers.encoder_layer_1"
    with pytest.raises(Unsupported, match=rf"^layer '{inside}' of 'vit' is no attention layer: did you mean '{inside}.self_attention'\?$"):
        AttentionMap(inside)(model, batch, units)
    with pytest.raises(UnknownName, match=rf"^no head 2: attention layer '{inside}.self_attention' has 2 heads, 0 to 1$"):
        AttentionMap(f"{inside}.self_attention", head=2)(model, batch, units)
    with pytest.raises(UnknownName, match=r"^no layer 'encoder.layers.encoder_layer_9' in 'vit'"):
        attention.of(model, batch, ["encoder.layers.encoder_layer_9"])
    with pytest.raises(InterpError, match=r"^`layers` is \[\]: give a sequence of names of attention layers"):
        attention.of(model, batch, [])
    with pytest.raises(Unsupported, match=r"^'vit' cannot be run on images of \(40, 40\) px"):
        attention.of(model, torch.rand(1, 3, 40, 40))


def test_one_head_and_the_mean() -> None:
    model = vit()
    batch, units = images(model), [Unit("heads.head", 0), Unit("heads.head", 1)]
    name = attention.layers(model)[2]
    values = [maps[name].values for maps in attention.of(model, batch)]
    for got, wanted in zip(AttentionMap(name)(model, batch, units), values, strict=True):
        assert np.allclose(got.values, wanted.mean(0))
        assert (got.layer, got.method, got.degenerations) == (name, "Attention", ())
    for got, wanted in zip(AttentionMap(name, 1)(model, batch, units), values, strict=True):
        assert np.allclose(got.values, wanted[1])


def test_the_forward_ends_at_the_deepest_layer_asked() -> None:
    model, fired = vit(), []
    first, last, *_ = (f"encoder.layers.encoder_layer_{i}" for i in (0, 2))
    attention.layers(model)
    with hooked({name: model.module.get_submodule(name) for name in (f"{first}.ln_1", last)}, lambda name, _: fired.append(name)):
        attention.of(model, images(model), [f"{first}.self_attention"])
    assert fired == [f"{first}.ln_1"]


def test_a_map_does_not_depend_on_its_company() -> None:
    model = swin()
    batch = images(model, 11)  # more than go through at once
    together = attention.of(model, batch)
    for i in (0, 10):
        alone = attention.of(model, batch[i : i + 1])[0]
        assert all(np.allclose(together[i][name].values, alone[name].values, atol=1e-6) for name in alone)


def test_values_hold_no_larger_array() -> None:
    maps = AttentionMap(attention.layers(model := vit())[0])(model, images(model, 1), [Unit("heads.head", 0)])
    assert maps[0].values.base is None
    assert not maps[0].values.flags.writeable
