"""Attention heads: projected and added up they are the layer's own output, in torch's attention and in timm's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp.core.capture import input_of
from interp.core.model import Model
from interp.errors import InterpError, UnknownName, Unsupported
from interp.featurevis.attention_heads import Head, head, heads
from interp.featurevis.fixed import Fixed

from .ascending import check_raised, noise, seen
from .conftest import initialized, traced

LAYER = "encoder.layers.encoder_layer_0.self_attention"


class Attending(nn.Module):
    """Patches of 8 px as tokens of 12 channels, one attention layer with 3 heads, a class from their mean."""

    def __init__(self, bias: bool = True, batch_first: bool = True, ask: str = "plain", **options: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 8, 8)
        self.attention = nn.MultiheadAttention(12, 3, bias=bias, batch_first=batch_first, **options)
        self.fc = nn.Linear(12, 4)
        self.ask = ask

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        if not self.attention.batch_first:
            x = self.attention(x.transpose(0, 1), x.transpose(0, 1), x.transpose(0, 1))[0].transpose(0, 1)
        elif self.ask == "mask":
            x = self.attention(x, x, x, attn_mask=torch.ones(16, 16, dtype=torch.bool).triu(1))[0]
        elif self.ask == "others":
            x = self.attention(x, x.flip(1) * 2, x)[0]
        elif self.ask == "by name":
            x = self.attention(query=x, key=x, value=x)[0]
        else:
            x = self.attention(x, x, x)[0]
        scores: Tensor = self.fc(x.mean(1))
        return scores


def raw(model: Model, key: str, images: Tensor) -> Tensor:
    return model.capture([key], images)[0][key]


def written_out(tokens: np.ndarray, module: nn.MultiheadAttention, number: int) -> np.ndarray:
    """One head for one image, (t, d): softmax(q k / sqrt(d)) v."""
    width, dim = module.head_dim, module.embed_dim
    weight = module.in_proj_weight.detach().double().numpy()
    bias = np.zeros(3 * dim) if module.in_proj_bias is None else module.in_proj_bias.detach().double().numpy()
    q, k, v = (
        tokens @ weight[part * dim + number * width : part * dim + (number + 1) * width].T
        + bias[part * dim + number * width : part * dim + (number + 1) * width]
        for part in range(3)
    )
    exponentials = np.exp(q @ k.T / np.sqrt(width))
    result: np.ndarray = exponentials / exponentials.sum(1, keepdims=True) @ v
    return result


def test_heads_add_up_to_the_layer(vit: Model) -> None:
    images = noise(3)
    module = vit.module.get_submodule(LAYER)
    assert isinstance(module, nn.MultiheadAttention)
    every = heads(vit, LAYER)
    assert every == [head(vit, LAYER, number) for number in range(2)]
    weight, width = module.out_proj.weight.detach(), 8
    parts = [h.output(seen(vit, h, images)) @ weight[:, h.head * width : (h.head + 1) * width].T for h in every]
    torch.testing.assert_close(parts[0] + parts[1] + module.out_proj.bias.detach(), raw(vit, LAYER, images)[:, :, :])


@pytest.mark.parametrize("bias", [True, False])
def test_a_head_written_out(bias: bool) -> None:
    model = traced(initialized(Attending(bias=bias)))
    module = model.module.attention
    assert isinstance(module, nn.MultiheadAttention)
    assert (module.in_proj_bias is None) != bias
    images = noise(2)
    tokens = raw(model, input_of("attention"), images).double().numpy()
    along = Fixed.of(torch.tensor([1.0, -2.0, 0.5, 3.0]), "along")
    for number in range(3):
        made = head(model, "attention", number)
        expected = np.stack([written_out(t, module, number) for t in tokens])
        activations = seen(model, made, images)
        np.testing.assert_allclose(made(activations).numpy(), (expected**2).sum(2).mean(1), rtol=1e-4)
        at = head(model, "attention", number, token=5)
        np.testing.assert_allclose(at(activations).numpy(), (expected[:, 5] ** 2).sum(1), rtol=1e-4)
        dots = expected @ along.values.double().numpy()
        np.testing.assert_allclose(head(model, "attention", number, along)(activations).numpy(), dots.mean(1), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(head(model, "attention", number, along, 15)(activations).numpy(), dots[:, 15], rtol=1e-3, atol=1e-5)


def timm_model(**options: object) -> Model:
    timm = pytest.importorskip("timm")
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3, "num_classes": 5}
    return traced(initialized(timm.create_model("vit_tiny_patch16_224", **{**sizes, **options})))


@pytest.mark.parametrize("options", [{}, {"qk_norm": True, "reg_tokens": 2}, {"qkv_bias": False}], ids=str)
def test_timm_heads_from_queries_keys_and_values(options: dict[str, object]) -> None:
    model, images, layer = timm_model(**options), noise(2), "blocks.1.attn"
    module = model.module.get_submodule(layer)
    qkv = raw(model, f"{layer}.qkv", images)
    total = torch.zeros_like(raw(model, layer, images))
    for number in range(3):
        q, k, v = (qkv[:, :, part * 24 + number * 8 : part * 24 + number * 8 + 8].detach() for part in range(3))
        if "qk_norm" in options:
            q, k = (nn.functional.layer_norm(x, (8,), n.weight, n.bias, n.eps) for x, n in ((q, module.q_norm), (k, module.k_norm)))  # type: ignore[union-attr,arg-type]
        expected = (q @ k.transpose(1, 2) * 8**-0.5).softmax(2) @ v
        made = head(model, layer, number)
        activations = seen(model, made, images)
        torch.testing.assert_close(made.output(activations), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(head(model, layer, number, token=0)(activations), expected[:, 0].square().sum(1), rtol=1e-4, atol=1e-5)
        total += made.output(activations) @ module.proj.weight[:, number * 8 : number * 8 + 8].T  # type: ignore[union-attr,index]
    torch.testing.assert_close(total + module.proj.bias, raw(model, layer, images), rtol=1e-4, atol=1e-5)  # type: ignore[union-attr,operator]


def test_ascent_raises_each(vit: Model) -> None:
    along = Fixed.of(torch.arange(8.0), "along")
    second = "encoder.layers.encoder_layer_1.self_attention"
    check_raised(vit, [head(vit, LAYER, 0), head(vit, LAYER, 1, along), head(vit, second, 1, token=0), -head(vit, second, 0, along, 16)])
    model = timm_model(reg_tokens=1)
    check_raised(model, [head(model, "blocks.0.attn", 2), head(model, "blocks.1.attn", 0, along, 0)])


def test_the_model_is_left_alone(vit: Model) -> None:
    vit.module.train()
    head(vit, LAYER, 1)
    assert all(m.training for m in vit.module.modules())
    assert all(p.requires_grad and p.grad is None for p in vit.module.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in vit.module.modules())


def test_heads_are_values(vit: Model) -> None:
    one = head(vit, LAYER, 1)
    assert one == head(vit, LAYER, 1)
    assert hash(one) == hash(head(vit, LAYER, 1))
    along = Fixed.of(torch.arange(8.0), "along")
    several = [one, head(vit, LAYER, 0), head(vit, LAYER, 1, along), head(vit, LAYER, 1, token=3), head(vit, LAYER, 1, along, 3)]
    assert len(set(several)) == len({str(h) for h in several}) == len(several)
    assert str(one) == f"{LAYER} head 1"
    assert str(several[4]) == f"{LAYER} head 1@token3 along along[{along.sha256[:8]}]"
    assert (one + 2 * several[1]).layers == (input_of(LAYER),)
    assert one == head(vit, LAYER, 1)


def test_layers_without_heads(cnn: Model, vit: Model) -> None:
    with pytest.raises(Unsupported, match=r"layer 'conv1' \(Conv2d\) of 'tiny' has no attention heads: nor has any other layer"):
        head(cnn, "conv1", 0)
    with pytest.raises(Unsupported, match=f"has no attention heads: did you mean '{LAYER}'"):
        head(vit, "encoder.layers.encoder_layer_0", 0)
    with pytest.raises(Unsupported, match=f"layer 'conv_proj' .* has no attention heads: there are '{LAYER}', 'encoder"):
        head(vit, "conv_proj", 0)
    with pytest.raises(UnknownName, match=r"no layer 'encoder\.nothing'"):
        head(vit, "encoder.nothing", 0)


def test_bad_numbers(vit: Model) -> None:
    with pytest.raises(UnknownName, match=f"no head 2: layer '{LAYER}' has 2 heads, 0 to 1"):
        head(vit, LAYER, 2)
    with pytest.raises(UnknownName, match="no head -1"):
        head(vit, LAYER, -1)
    for token in (17, -1):
        with pytest.raises(UnknownName, match=f"no token {token}: at this image size layer '{LAYER}' has 17 tokens, 0 to 16"):
            head(vit, LAYER, 0, token=token)
    with pytest.raises(InterpError, match=f"the direction 'v' has 16 numbers, but a head of '{LAYER}' passes on 8: give as many"):
        head(vit, LAYER, 0, Fixed.of(torch.ones(16), "v"))
    made = head(vit, LAYER, 0, token=16)
    with pytest.raises(UnknownName, match=r"no token 16: .* has 10 tokens, 0 to 9"):
        made({input_of(LAYER): torch.zeros(1, 10, 16)})


def test_a_head_belongs_to_its_weights(vit: Model) -> None:
    made = head(vit, LAYER, 0)
    made.validate(vit)
    with torch.no_grad():
        vit.module.get_submodule(LAYER).in_proj_weight.mul_(2)  # type: ignore[operator,union-attr]
    with pytest.raises(InterpError, match=f"'{LAYER} head 0' was made for other weights than those of 'tiny': make it anew with head"):
        made.validate(vit)
    with pytest.raises(InterpError, match="was made for other weights"):
        replace(head(vit, LAYER, 0), heads=4).validate(vit)
    assert isinstance(made, Head)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"batch_first": False}, r"it takes \(tokens, images, channels\), .* make it with batch_first=True"),
        ({"ask": "mask"}, "its output is not that of self-attention on its first input alone"),
        ({"ask": "others"}, "its output is not that of self-attention on its first input alone"),
        ({"ask": "by name"}, "it is given its input by name, not by position"),
        ({"add_zero_attn": True}, "its keys or values are no plain projection of its input"),
        ({"add_bias_kv": True}, "its keys or values are no plain projection of its input"),
    ],
    ids=str,
)
def test_attention_of_another_kind(options: dict[str, object], reason: str) -> None:
    model = traced(initialized(Attending(**options)))  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match=f"the heads of 'attention' cannot be read: {reason}"):
        head(model, "attention", 0)


class Windows(nn.Module):
    """As in Swin: attention within windows, which become images of their own."""

    def __init__(self, called: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.attention = Windowed(called)
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        windows = self.patches(x).unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 4, 5, 1).reshape(-1, 4, 8)
        scores: Tensor = self.fc(self.attention(windows).reshape(len(x), 16, 8).mean(1))
        return scores


class Windowed(nn.Module):
    def __init__(self, called: bool) -> None:
        super().__init__()
        self.num_heads, self.called = 2, called
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        _, _, v = self.qkv(x).chunk(3, dim=2)
        return self.proj(v) if self.called else nn.functional.linear(v, self.proj.weight)


def test_windows_are_refused() -> None:
    for called, reason in ((True, "does not keep the images apart"), (False, "'attention.proj' is never called")):
        with pytest.raises(Unsupported, match=rf"the heads of 'attention' \(Windowed\) cannot be read .*{reason}"):
            head(traced(initialized(Windows(called))), "attention", 0)
