"""Rollouts against products of dense matrices made by hand, from probabilities read by hooks where timm computes them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from attention_nets import dense, images, made, maxvit, merging, shifted_windows, swin, swin_v2, timm_swin, timm_vit, vit
from test_attention import OwnNet
from torch import Tensor

from interp.attribution import attention
from interp.attribution.attention import AttentionRollout, GradientRollout, HeadFusion
from interp.attribution.attention.partition import Partition, spread
from interp.attribution.attention.recording import probabilities
from interp.core.capture import hooked, quiet
from interp.core.method import Fault
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported

NETWORKS = [vit, swin, swin_v2, maxvit, timm_vit, timm_swin]


def by_hand(model: Model, batch: Tensor, unit: Unit) -> list[tuple[np.ndarray, np.ndarray]]:
    """Probabilities (N, heads, q, k) of each layer of a timm network and the gradient of a class's logit, read at its dropout."""
    kept: dict[str, Tensor] = {}
    drops = {name: m for name, m in model.module.named_modules() if name.endswith("attn_drop")}
    attentions = [model.module.get_submodule(name.removesuffix(".attn_drop")) for name in drops]
    fused = [m.fused_attn for m in attentions]
    for m in attentions:
        m.fused_attn = False
    with quiet(model.module), hooked(drops, kept.__setitem__):
        score = model.forward(batch.clone().requires_grad_())[:, unit.channel].sum()
    gradients = torch.autograd.grad(score, list(kept.values()))
    for m, was in zip(attentions, fused, strict=True):
        m.fused_attn = was
    return [(a.detach().numpy(), g.numpy()) for a, g in zip(kept.values(), gradients, strict=True)]


def class_unit(model: Model, channel: int = 1) -> Unit:
    return Unit(model.output, channel)


@pytest.mark.parametrize("fusion", list(HeadFusion))
def test_rollout_is_the_product_of_the_matrices(fusion: HeadFusion) -> None:
    model = timm_vit()
    batch, unit = images(model), class_unit(model)
    product = np.eye(20)[None]
    for matrices, _ in by_hand(model, batch, unit):
        fused = {"mean": matrices.mean, "max": matrices.max, "min": matrices.min}[fusion.value](axis=1)
        product = (fused / fused.sum(-1, keepdims=True) + np.eye(20)) / 2 @ product
    for i, heatmap in enumerate(AttentionRollout(fusion)(model, batch, [unit] * 2)):
        assert np.allclose(heatmap.values, product[i, 0, 4:].reshape(4, 4), atol=1e-6)


def test_gradient_rollout_is_chefers_relevance() -> None:
    model = timm_vit()
    batch, unit = images(model), class_unit(model)
    relevance = np.eye(20)[None]
    for matrices, gradient in by_hand(model, batch, unit):
        relevance = relevance + np.maximum(matrices * gradient, 0).mean(1) @ relevance
    for i, heatmap in enumerate(GradientRollout()(model, batch, [unit] * 2)):
        wanted = relevance[i, 0, 4:].reshape(4, 4)
        assert np.allclose(heatmap.values, wanted, rtol=1e-4, atol=1e-6 * wanted.max())


def test_rollouts_of_a_hierarchy_with_shifted_windows() -> None:
    model = timm_swin()
    batch, unit = images(model, 1), Unit("head.fc", 1)
    places = [shifted_windows(8, 8, 4, s) for s in (0, 2)] + [shifted_windows(4, 4, 4, 0)] * 2
    plain, added = np.full((1, 16), 1 / 16), np.zeros((1, 16))
    merge = merging(8, 8)
    for number, (matrices, gradient) in reversed(list(enumerate(by_hand(model, batch, unit)))):
        if number == 1:
            plain, added = plain @ merge, added @ merge
        identity = np.full(plain.shape, 1 / plain.size)
        plain = plain @ (dense(places[number], matrices.mean(1)) + np.eye(plain.size)) / 2
        added = added + (identity + added) @ dense(places[number], np.maximum(matrices * gradient, 0).mean(1))
    assert np.allclose(AttentionRollout()(model, batch, [unit])[0].values, plain.reshape(8, 8), atol=1e-7)
    got = GradientRollout()(model, batch, [unit])[0].values
    assert np.allclose(got, added.reshape(8, 8), rtol=1e-3, atol=1e-5 * added.max())


@pytest.mark.parametrize("make", NETWORKS)
def test_uniform_attention_tells_no_places_apart(make: Callable[[], Model]) -> None:
    model = copy.deepcopy(make())
    with torch.no_grad():
        for name, parameter in model.module.named_parameters():
            if "relative_position_bias" in name or "cpb_mlp" in name:
                parameter.zero_()
            if name.endswith(("in_proj_weight", "qkv.weight", "in_proj_bias", "qkv.bias")):
                parameter[: 2 * len(parameter) // 3] = 0
            if "to_qkv" in name:
                parameter[: 2 * len(parameter) // 3] = 0
            if "q_norm" in name or "k_norm" in name:
                parameter.zero_()
    # 32 px divide into whole windows; attention to padding would break the symmetry.
    heatmap = AttentionRollout()(model, images(model, 1)[:, :, :32, :32], [class_unit(model)])[0]
    assert np.allclose(heatmap.values, heatmap.values.mean(), rtol=1e-4)
    assert Fault.SATURATED in [d.fault for d in heatmap.degenerations]


@pytest.mark.parametrize("make", [swin, swin_v2, maxvit, timm_swin])
def test_rollout_sums_to_one_where_there_is_no_prefix(make: Callable[[], Model]) -> None:
    model = make()
    assert np.isclose(AttentionRollout()(model, images(model, 1), [class_unit(model)])[0].values.sum(), 1, atol=1e-4)


def test_discard_keeps_the_highest_of_each_row_and_ties() -> None:
    rollout = AttentionRollout(discard=0.5)
    partition = Partition(0, (2, 2), np.arange(4)[None])
    rows = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.25] * 4, [0.7, 0.1, 0.1, 0.1], [0.0, 0.0, 0.5, 0.5]])
    wanted = torch.tensor([[4 / 7, 3 / 7, 0, 0], [0.25] * 4, [0.7, 0.1, 0.1, 0.1], [0.0, 0.0, 0.5, 0.5]])
    assert torch.allclose(rollout._fused(rows[None, None, None], partition)[0, 0], wanted)


def test_spread_hands_on_equal_parts_and_loses_nothing() -> None:
    coarse = Partition(1, (3, 2), np.arange(7)[None])
    fine = Partition(1, (5, 4), np.arange(21)[None])
    values = torch.arange(7.0)[None]
    found = spread(values, coarse, fine)
    assert torch.isclose(found.sum(), values.sum())
    places = fine.maps(found)[0]
    assert found[0, 0] == 0
    assert places[:2, :2].tolist() == [[0.25, 0.25]] * 2
    assert places[4].tolist() == [2.5, 2.5, 3.0, 3.0]  # the last row has no neighbour below


def test_a_unit_uses_the_layers_before_it_and_the_place_it_is_read_at() -> None:
    model = timm_vit()
    batch = images(model, 1)
    matrix = probabilities(model, batch, ["blocks.0.attn"])["blocks.0.attn"][0, 0].mean(0).numpy()
    unit = Unit("blocks.0", 3, (2, 1))
    token = 4 + 2 * 4 + 1
    wanted = (matrix[token] + np.eye(20)[token]) / 2
    assert np.allclose(AttentionRollout()(model, batch, [unit])[0].values, wanted[4:].reshape(4, 4), atol=1e-6)
    everywhere = AttentionRollout()(model, batch, [Unit("blocks.0", 3)])[0].values
    assert np.allclose(everywhere, ((matrix + np.eye(20)) / 2)[4:, 4:].mean(0).reshape(4, 4), atol=1e-6)


def test_units_of_many_layers_in_one_batch() -> None:
    model = vit()
    batch = images(model, 3)
    units = [class_unit(model), Unit("encoder.layers.encoder_layer_1", 2), class_unit(model, 3)]
    for method in (AttentionRollout(), GradientRollout()):
        together = method(model, batch, units)
        for i, unit in enumerate(units):
            alone = method(model, batch[i : i + 1], [unit])[0]
            assert together[i].unit == unit
            assert np.allclose(together[i].values, alone.values, rtol=1e-4, atol=1e-7)


def test_gradient_rollout_depends_on_the_class_and_attention_rollout_does_not() -> None:
    model = swin()
    batch = images(model, 1)
    first, second = (
        [method(model, batch, [class_unit(model, c)])[0].values for method in (AttentionRollout(), GradientRollout())] for c in (0, 1)
    )
    assert np.array_equal(first[0], second[0])
    assert not np.allclose(first[1], second[1], rtol=1e-2)


def test_a_class_that_depends_on_nothing_has_a_zero_map() -> None:
    model = copy.deepcopy(vit())
    with torch.no_grad():
        model.module.heads.head.weight[2] = 0
    heatmap = GradientRollout()(model, images(model, 1), [class_unit(model, 2)])[0]
    assert [d.fault for d in heatmap.degenerations] == [Fault.ZERO]


def state(model: Model) -> list[object]:
    module = model.module
    tensors = [(name, t.clone(), t.requires_grad) for name, t in [*module.named_parameters(), *module.named_buffers()]]
    inside = [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks), sorted(m.__dict__)) for m in module.modules()]
    return [tensors, inside, [p.grad for p in module.parameters()]]


def same(first: list[object], second: list[object]) -> bool:
    tensors = zip(first[0], second[0], strict=True)
    return all(a[0] == b[0] and torch.equal(a[1], b[1]) and a[2] == b[2] for a, b in tensors) and first[1:] == second[1:]


@pytest.mark.parametrize("make", NETWORKS)
def test_the_network_is_left_as_it_was(make: Callable[[], Model]) -> None:
    model = make()
    batch, unit = images(model, 1), class_unit(model)
    logits = model(batch)
    model.module.train()
    before, drawn = state(model), torch.random.get_rng_state()
    trained = [method(model, batch, [unit])[0].values for method in (AttentionRollout(), GradientRollout())]
    attention.of(model, batch)
    assert same(before, state(model))
    assert torch.equal(drawn, torch.random.get_rng_state())
    model.module.eval()
    with torch.inference_mode():
        inference = [method(model, batch.clone(), [unit])[0].values for method in (AttentionRollout(), GradientRollout())]
    with torch.no_grad():
        plain = [method(model, batch, [unit])[0].values for method in (AttentionRollout(), GradientRollout())]
    assert all(np.array_equal(a, b) and np.array_equal(a, c) for a, b, c in zip(trained, inference, plain, strict=True))
    assert torch.equal(logits, model(batch))
    assert batch.grad is None
    assert not batch.requires_grad


def test_the_network_is_left_as_it_was_on_errors() -> None:
    model = vit()
    attention.layers(model)
    before = state(model)

    def fail(*_: object) -> None:
        raise KeyError("from the middle")

    handle = model.module.encoder.layers[1].mlp.register_forward_hook(fail)
    with pytest.raises(KeyError):
        GradientRollout()(model, images(model, 1), [class_unit(model)])
    handle.remove()
    assert same(before, state(model))
    assert torch.overrides._get_current_function_mode_stack() == []


def test_refusals(resnet: Model) -> None:
    batch = images(resnet, 1)
    with pytest.raises(Unsupported, match=r"^'resnet18' has no attention layers: choose a CAM such as 'gradcam'$"):
        AttentionRollout()(resnet, batch, [Unit("fc", 0)])
    model = vit()
    with pytest.raises(
        Unsupported, match=r"^'conv_proj:0' depends on no attention layer of 'vit': choose a unit behind 'encoder.layers.enc"
    ):
        GradientRollout()(model, images(model, 1), [Unit("conv_proj", 0)])
    with pytest.raises(InterpError, match=r"^`discard` of AttentionRollout is 1: give a share from 0 up to, but not, 1$"):
        AttentionRollout(discard=1)


class Beside(OwnNet):
    """Two attention layers side by side, which no product of matrices describes."""

    def __init__(self) -> None:
        super().__init__("tokens")
        self.second = copy.deepcopy(self.attention)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.head((self.attention(tokens) + self.second(tokens)).mean(1))


def test_layers_side_by_side_are_no_chain() -> None:
    model = made(Beside, 32, "beside")
    assert attention.layers(model) == ["attention", "second"]
    with pytest.raises(Unsupported, match=r"^the attention layers of 'beside' do not follow one upon the other"):
        AttentionRollout()(model, images(model, 1), [class_unit(model)])
