"""One head of a transformer's attention: what it passes on, before the output projection mixes it with the others.

The output projection is linear, so that a layer's output is the sum of its heads', each through its own columns of
the projection, and the bias (Elhage et al. 2021). Where the projection is a module that fires (timm), what goes into
it is read. ``torch.nn.MultiheadAttention`` computes without calling its parts, so that a head is computed again from
the layer's input and the head's own rows of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interp.core.capture import hooked, input_of, quiet
from interp.core.model import Model
from interp.core.rng import generator
from interp.errors import InterpError, UnknownName, Unsupported, nearest
from interp.featurevis.directions import check_fixed, tagged
from interp.featurevis.fixed import Fixed
from interp.featurevis.objective import Activations, Objective
from interp.featurevis.units import check_token

# How far heads computed here may be from the layer's own output, as a share of its largest value.
_TOLERANCE = 1e-3
_PROJECTION = "proj"


class _Seen(Exception):
    """Raised from a hook once the layer has fired: the rest of the network is not needed."""


@dataclass(frozen=True)
class Projections:
    """One head's part of an attention layer's input projection: ``weight`` (3, d, c) to query, key and value; ``bias`` (3, d)."""

    weight: Fixed
    bias: Fixed | None

    def __call__(self, tokens: Float[Tensor, "n t c"]) -> Float[Tensor, "n t d"]:
        """What the head passes on for each token: values weighted by the softmax of query . key / sqrt(d)."""
        projected = torch.einsum("ntc,sdc->sntd", tokens, self.weight.like(tokens))
        if self.bias is not None:
            projected = projected + self.bias.like(tokens)[:, None, None]
        query, key, value = projected.unbind(0)
        return F.scaled_dot_product_attention(query, key, value)


@dataclass(frozen=True)
class Head(Objective):
    """Head number ``head`` of ``heads`` of the attention ``layer``: the squared length of what it passes on (d numbers per token).

    With a ``direction`` (d,), the dot product with it instead. At token number ``token`` (class token and registers
    counted, first), or averaged over all tokens. Made by `head`, which reads the rest from the model: ``width`` is d;
    ``projections`` are the head's weights, None where the output projection is a module whose input is read.
    """

    layer: str
    head: int
    heads: int
    width: int
    projections: Projections | None
    direction: Fixed | None = None
    token: int | None = None

    def __post_init__(self) -> None:
        if self.direction is not None:
            check_fixed(self.direction, "`direction` of Head", "one number for each of the head's", 1)
            if self.direction.shape != (self.width,):
                raise InterpError(
                    f"the direction '{self.direction.name}' has {self.direction.shape[0]} numbers, but a head of '{self.layer}' passes on "
                    f"{self.width}: give as many"
                )

    @property
    def layers(self) -> tuple[str, ...]:
        return (input_of(self.layer if self.projections is not None else f"{self.layer}.{_PROJECTION}"),)

    def output(self, activations: Activations) -> Float[Tensor, "n t d"]:
        """What the head passes on for each token."""
        given = activations[self.layers[0]]
        if self.projections is not None:
            return self.projections(given)
        return given.flatten(1, -2)[..., self.head * self.width : (self.head + 1) * self.width]

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        output = self.output(activations)
        values = output.square().sum(2) if self.direction is None else output @ self.direction.like(output)
        if self.token is None:
            return values.mean(1)
        check_token(self.layer, values.shape[1], self.token)
        return values[:, self.token]

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        if _read(model, self.layer, self.head, self.direction, self.token) != self:
            raise InterpError(
                f"'{self}' was made for other weights than those of '{model.spec.reference}': "
                f"make it anew with head(model, '{self.layer}', {self.head})"
            )
        shape = model.layer(self.layer).shape
        if self.token is not None and len(shape) == 2 and (size is None or size == model.preprocess.size):
            check_token(self.layer, shape[0], self.token)

    def __str__(self) -> str:
        token = "" if self.token is None else f"@token{self.token}"
        along = "" if self.direction is None else f" along {tagged(self.direction)}"
        return f"{self.layer} head {self.head}{token}{along}"


def head(model: Model, layer: str, head: int, direction: Fixed | None = None, token: int | None = None) -> Head:
    """The objective of head number ``head`` of the attention ``layer``; see `Head`.

    Takes ``torch.nn.MultiheadAttention`` with ``batch_first`` as self-attention, and attention as timm writes it: a
    module with ``num_heads`` whose ``qkv`` (or ``q_proj``) and ``proj`` are Linear and fire. Raises UnknownName for a
    layer, head or token that does not exist, Unsupported for a layer without heads (naming the nearest that has some)
    and for attention of another kind; whether it is of this kind is tried out on an image.
    """
    made = _read(model, layer, head, direction, token)
    if made.projections is not None:
        _check_self_attention(model, layer, made.heads)
    made.validate(model)
    return made


def heads(model: Model, layer: str, direction: Fixed | None = None, token: int | None = None) -> list[Head]:
    """All heads of the attention ``layer``, in order, the layer tried out once; arguments and errors as for `head`."""
    first = head(model, layer, 0, direction, token)
    return [first, *(_read(model, layer, number, direction, token) for number in range(1, first.heads))]


def _read(model: Model, layer: str, head: int, direction: Fixed | None, token: int | None) -> Head:
    model.layer(layer)
    module = model.module.get_submodule(layer)
    if not _has_heads(module):
        names = [each.name for each in model.layers if _has_heads(model.module.get_submodule(each.name))]
        # An attention layer inside the one asked for is what was meant.
        inside = [name for name in names if name.startswith(f"{layer}.")]
        hint = nearest(layer, inside or names) or (
            "there are " + ", ".join(f"'{name}'" for name in names[:3]) if names else "nor has any other layer"
        )
        raise Unsupported(f"layer '{layer}' ({type(module).__name__}) of '{model.spec.reference}' has no attention heads: {hint}")
    heads = module.num_heads
    assert isinstance(heads, int)
    if not 0 <= head < heads:
        raise UnknownName(f"no head {head}: layer '{layer}' has {heads} heads, 0 to {heads - 1}")
    if isinstance(module, nn.MultiheadAttention):
        return Head(layer, head, heads, module.head_dim, _projections(module, layer, head), direction, token)
    projection = f"{layer}.{_PROJECTION}"
    inner = module.get_submodule(_PROJECTION)
    assert isinstance(inner, nn.Linear)
    why = f"'{projection}' is never called" if projection in model.silent else model.layer(projection).problem
    if why:
        raise Unsupported(f"the heads of '{layer}' ({type(module).__name__}) cannot be read where they enter '{projection}': {why}")
    return Head(layer, head, heads, inner.in_features // heads, None, direction, token)


def _has_heads(module: nn.Module) -> bool:
    if isinstance(module, nn.MultiheadAttention):
        return True
    parts = dict(module.named_children())
    reads = any(isinstance(parts.get(name), nn.Linear) for name in ("qkv", "q_proj"))
    return isinstance(getattr(module, "num_heads", None), int) and reads and isinstance(parts.get(_PROJECTION), nn.Linear)


def _projections(module: nn.MultiheadAttention, layer: str, head: int) -> Projections:
    if not module.batch_first:
        raise Unsupported(
            f"the heads of '{layer}' cannot be read: it takes (tokens, images, channels), which does not keep the images apart; "
            "make it with batch_first=True"
        )
    weight = module.in_proj_weight
    if weight is None or module.bias_k is not None or module.add_zero_attn:
        raise Unsupported(f"the heads of '{layer}' cannot be read: its keys or values are no plain projection of its input")
    rows = slice(head * module.head_dim, (head + 1) * module.head_dim)
    bias = module.in_proj_bias
    name = f"{layer} head {head}"
    return Projections(
        Fixed.of(weight.unflatten(0, (3, -1))[:, rows], name),
        None if bias is None else Fixed.of(bias.unflatten(0, (3, -1))[:, rows], name),
    )


@torch.no_grad()
def _check_self_attention(model: Model, layer: str, heads: int) -> None:
    """Raise Unsupported where the heads, projected and added up, are not what the layer gives for an image of noise."""
    module = model.module.get_submodule(layer)
    assert isinstance(module, nn.MultiheadAttention)
    seen: dict[str, Tensor] = {}

    def keep(key: str, value: object) -> None:
        first = value[0] if isinstance(value, tuple) else value
        if isinstance(first, Tensor):
            seen[key] = first.detach().clone()
        if key == layer:
            raise _Seen

    noise = torch.rand(1, len(model.preprocess.mean), *model.preprocess.size, generator=generator(0, "attention heads"))
    with quiet(model.module), hooked({input_of(layer): module, layer: module}, keep), suppress(_Seen):
        model.forward(model.checked(noise))
    if not {layer, input_of(layer)} <= seen.keys():
        raise Unsupported(f"the heads of '{layer}' cannot be read: it is given its input by name, not by position")
    together = torch.cat(list(_each_head(module, layer, heads, seen[input_of(layer)])), dim=2)
    expected, found = seen[layer], module.out_proj(together.to(module.out_proj.weight))
    if found.shape != expected.shape or float((found - expected).abs().max()) > _TOLERANCE * float(expected.abs().max()):
        raise Unsupported(
            f"the heads of '{layer}' cannot be read: its output is not that of self-attention on its first input alone (a mask?)"
        )


def _each_head(module: nn.MultiheadAttention, layer: str, heads: int, tokens: Float[Tensor, "n t c"]) -> Iterator[Tensor]:
    for number in range(heads):
        yield _projections(module, layer, number)(tokens)
