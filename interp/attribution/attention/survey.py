"""Which attention layers a network has, how each divides its places, and which tokens the classes are read from.

Looked for once for each model and image size, with an image of noise; nothing of it depends on the weights. What is
recorded is the softmax: what a network does to it afterwards (talking heads, gates) is not followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.func import functional_call

from interp.attribution.attention.partition import Partition, is_chain
from interp.attribution.attention.places import find
from interp.attribution.attention.recording import Recorded, Records, recording
from interp.core.capture import hooked, quiet
from interp.core.model import Model
from interp.core.rng import generator
from interp.errors import UnknownName, Unsupported, nearest

# Of one image, windows that are listed before the images could not be told from windows listed within each.
_IMAGES = 2
_TOLERANCE = 1e-4
_ADVICE = "choose a CAM such as 'gradcam'"


@dataclass(frozen=True, eq=False)
class AttentionLayer:
    """A layer whose attention can be followed."""

    name: str
    heads: int
    partition: Partition


@dataclass(frozen=True, eq=False)
class Survey:
    """The attention layers of a network in the order in which they fire, and what stands in the way elsewhere.

    ``refused`` are pairs of a layer's name and the reason. ``reads`` are the prefix tokens that the classes are read
    from; () where they are read from the places. ``chain`` says whether each layer works on what the one before it gave.
    """

    model: str
    layers: tuple[AttentionLayer, ...]
    refused: tuple[tuple[str, str], ...]
    reads: tuple[int, ...]
    chain: bool

    def layer(self, name: str) -> AttentionLayer:
        """The attention layer of that name; raises Unsupported where it cannot be followed, or is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        for refused, reason in self.refused:
            if refused == name:
                raise Unsupported(f"the attention of '{name}' in '{self.model}' cannot be followed: {reason}; {_ADVICE}")
        self.some()
        names = [layer.name for layer in self.layers]
        inside = [each for each in names if each.startswith(f"{name}.")]
        hint = nearest(name, inside or names) or f"there are '{names[0]}' to '{names[-1]}'"
        raise Unsupported(f"layer '{name}' of '{self.model}' is no attention layer: {hint}")

    def some(self) -> tuple[AttentionLayer, ...]:
        """``layers``, at least one; raises Unsupported where there is none."""
        if self.layers:
            return self.layers
        if not self.refused:
            raise Unsupported(f"'{self.model}' has no attention layers: {_ADVICE}")
        name, reason = self.refused[0]
        raise Unsupported(f"the attention of '{name}' in '{self.model}' cannot be followed: {reason}; {_ADVICE}")

    def all(self) -> tuple[AttentionLayer, ...]:
        """``layers``, if they are all there are and form a chain, as rollout needs; raises Unsupported otherwise."""
        self.some()
        if self.refused:
            name, reason = self.refused[0]
            raise Unsupported(f"rollout over '{self.model}' needs every attention layer, but that of '{name}' cannot be followed: {reason}")
        if not self.chain:
            raise Unsupported(
                f"the attention layers of '{self.model}' do not follow one upon the other on grids that merge evenly: {_ADVICE}"
            )
        return self.layers

    def head(self, name: str, head: int) -> int:
        """``head``, checked; raises UnknownName where the layer has no such head."""
        heads = self.layer(name).heads
        if not 0 <= head < heads:
            raise UnknownName(f"no head {head}: attention layer '{name}' has {heads} heads, 0 to {heads - 1}")
        return head


_found: WeakKeyDictionary[Model, dict[tuple[int, int], Survey]] = WeakKeyDictionary()


def survey(model: Model, size: tuple[int, int]) -> Survey:
    """The survey of ``model`` for images of ``size`` (rows, cols); raises Unsupported where it cannot be run on them."""
    known = _found.setdefault(model, {})
    if size not in known:
        with torch.inference_mode(False), torch.enable_grad():
            known[size] = _look(model, size)
    return known[size]


class _Run(nn.Module):
    """A model's forward as a module, so that `functional_call` reaches it."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.module
        self.training = False
        self._forward = model.forward

    def forward(self, images: Float[Tensor, "n c h w"]) -> Tensor:
        return self._forward(images)


def _look(model: Model, size: tuple[int, int]) -> Survey:
    shape = (1, len(model.preprocess.mean), *size)
    image = torch.rand(shape, generator=generator(0, "survey of attention")).to(model.device)
    images = image.repeat(_IMAGES, 1, 1, 1).requires_grad_()
    run = _Run(model)
    weights = _told(run)
    outputs: dict[str, Any] = {}
    modules = {layer.name: model.module.get_submodule(layer.name) for layer in model.layers if layer.layout is not None}
    with quiet(run):
        with torch.no_grad():
            plain = functional_call(run, weights, (images[:1],))
        with recording(model.module) as records, hooked(modules, outputs.__setitem__):
            logits = functional_call(run, weights, (images,))
    if not torch.allclose(plain, logits[:1], rtol=_TOLERANCE, atol=_TOLERANCE * float(plain.abs().max())):
        raise Unsupported(f"attention in '{model.spec.reference}' cannot be computed step by step: its scores change; {_ADVICE}")
    layers, refused = _sorted(model, records, outputs)
    firsts = [records.found[layer.name][0] for layer in layers]
    classes = model.maps(model.output, outputs[model.output]).flatten(1)
    reads = _reads(classes, layers[-1], firsts[-1]) if layers else ()
    chain = is_chain([layer.partition for layer in layers]) and _follow([recorded.edge for recorded in firsts])
    return Survey(model.spec.reference, tuple(layers), tuple(refused), reads, chain)


def _told(run: nn.Module) -> dict[str, Tensor]:
    """The weights in full precision, with ones for those that are all zero, behind which no gradient would tell anything."""
    full = {name: p.detach().float() for name, p in run.named_parameters() if p.is_floating_point()}
    full = {name: p if bool(p.any()) else torch.ones_like(p) for name, p in full.items()}
    return full | {name: b.float() for name, b in run.named_buffers() if b.is_floating_point()}


def _sorted(model: Model, records: Records, outputs: dict[str, Any]) -> tuple[list[AttentionLayer], list[tuple[str, str]]]:
    """The layers that can be followed, and those that cannot, with reasons."""
    layers, refused = [], []
    for name, calls in records.found.items():
        probabilities = calls[0].windowed(_IMAGES)
        if len(calls) > 1:
            refused.append((name, f"it computes {len(calls)} attention matrices in a forward"))
        elif probabilities is None:
            refused.append((name, f"its probabilities have the shape {tuple(calls[0].values.shape)}"))
        elif probabilities.shape[3] != probabilities.shape[4]:
            queries, keys = probabilities.shape[3:]
            refused.append((name, f"its {queries} queries and {keys} keys are not the same tokens"))
        elif (partition := find(model, name, calls[0], outputs, _IMAGES)) is None:
            refused.append((name, "to which places its tokens belong cannot be told"))
        else:
            layers.append(AttentionLayer(name, probabilities.shape[2], partition))
    return layers, refused


def _reads(classes: Float[Tensor, "n classes"], last: AttentionLayer, recorded: Recorded) -> tuple[int, ...]:
    weights = torch.randn(classes.shape[1], generator=generator(0, "classes")).to(classes)
    assert recorded.edge is not None
    (gradient,) = torch.autograd.grad((classes * weights).sum(), [recorded.edge], retain_graph=True, allow_unused=True)
    by_window = None if gradient is None else recorded.windowed(_IMAGES, gradient)
    if by_window is None:
        return ()
    read = last.partition.scatter(reads_of(by_window))[0].nonzero()[:, 0].tolist()
    return () if any(token >= last.partition.prefix for token in read) else tuple(read)


def reads_of(gradient: Float[Tensor, "n windows heads queries keys"]) -> Float[Tensor, "n windows queries"]:
    """One for each query on which a score depends, as the gradient at its probabilities is not zero."""
    return gradient.ne(0).any(dim=4).any(dim=2).float()


def _follow(edges: Sequence[GradientEdge | None]) -> bool:
    """Whether each probability was computed from the one before it."""
    return all(later is not None and earlier is not None and _reaches(later, earlier) for earlier, later in pairwise(edges))


def _reaches(start: GradientEdge, goal: GradientEdge) -> bool:
    seen, left = {start.node}, [start.node]
    while left:
        for node, _ in left.pop().next_functions:
            if node is goal.node:
                return True
            if node is not None and node not in seen:
                seen.add(node)
                left.append(node)
    return False
