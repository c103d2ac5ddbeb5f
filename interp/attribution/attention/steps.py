"""The attention layers on which units depend, with their matrices and gradients, and the tokens that the units are read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.attention.partition import Partition, spread
from interp.attribution.attention.recording import Recorded, Records, by_window, probabilities, recording
from interp.attribution.attention.survey import AttentionLayer, Survey, reads_of
from interp.core.model import Model
from interp.core.score import score_of
from interp.core.unit import Unit
from interp.errors import Unsupported


@dataclass(frozen=True, eq=False)
class Step:
    """One attention layer for some images: its probabilities and, where it was asked for, the score's gradient at them."""

    partition: Partition
    matrices: Float[Tensor, "n windows heads queries keys"]
    gradient: Float[Tensor, "n windows heads queries keys"] | None = None


@dataclass(frozen=True, eq=False)
class Steps:
    """The layers in firing order, and of each image the parts, which sum to one, of the last layer's tokens in its score."""

    layers: tuple[Step, ...]
    readout: Float[Tensor, "n tokens"]

    @property
    def backwards(self) -> list[tuple[Step, Partition]]:
        """From the last layer to the first, each with the partition of the layer after it."""
        last = self.layers[-1]
        after = chain([(last, last)], ((earlier, later) for earlier, later in reversed(list(pairwise(self.layers)))))
        return [(step, later.partition) for step, later in after]


def merged_back(values: Float[Tensor, "n tokens"], after: Partition, step: Step) -> Float[Tensor, "n finer"]:
    """Values of the tokens of a layer, on those of the layer before it."""
    return spread(values, after, step.partition)


def of_classes(model: Model, found: Survey, images: Float[Tensor, "n c h w"]) -> Steps:
    """All attention layers, without gradients: classes are read from the same tokens in every image. No graph is built."""
    layers = found.all()
    matrices = probabilities(model, images, [layer.name for layer in layers])
    parts = torch.zeros(len(images), layers[-1].partition.count, device=images.device)
    parts[:, list(found.reads) if found.reads else slice(layers[-1].partition.prefix, None)] = 1
    steps = tuple(Step(layer.partition, matrices[layer.name].float()) for layer in layers)
    return Steps(steps, parts / parts.sum(dim=1, keepdim=True))


def of_units(model: Model, found: Survey, images: Float[Tensor, "n c h w"], units: Sequence[Unit], *, all_gradients: bool) -> Steps:
    """The attention layers before ``units``, which are of one layer, from one forward up to it and one backward.

    The gradient is that of the last layer's probabilities, which tells the tokens read, or with ``all_gradients`` of all.
    """
    # A caller's inference_mode would leave no graph to differentiate.
    with torch.inference_mode(False), torch.enable_grad():
        batch = images.clone().requires_grad_()
        with recording(model.module) as records:
            outputs, _ = model.capture([units[0].layer], batch, truncate=True, gradients=True)
        score = _score(model, units, outputs)
        layers, gradients = _before(model, found, records, units[0], score)
        if all_gradients:
            gradients = _gradients(score, [records.found[layer.name][0] for layer in layers])
    first = len(layers) - len(gradients)
    steps = []
    for i, layer in enumerate(layers):
        gradient = records.found[layer.name][0].windowed(len(units), gradients[i - first].float()) if i >= first else None
        steps.append(Step(layer.partition, by_window(records, layer.name, len(units)).detach().float(), gradient))
    return Steps(tuple(steps), _readout(steps[-1]))


def _score(model: Model, units: Sequence[Unit], outputs: dict[str, Tensor]) -> Float[Tensor, ""]:
    layer = units[0].layer
    if layer not in outputs:
        raise Unsupported(f"layer '{layer}' did not fire for these images, though it did when the model was loaded")
    scored = model.maps(layer, outputs[layer])
    return torch.stack([score_of(scored[i], unit) for i, unit in enumerate(units)]).sum()


def _before(
    model: Model, found: Survey, records: Records, unit: Unit, score: Float[Tensor, ""]
) -> tuple[list[AttentionLayer], list[Tensor]]:
    """The attention layers on which ``unit`` depends, and the score's gradient at the last of them."""
    fired = [layer for layer in found.all() if layer.name in records.found]
    # Layers may fire beside the unit's path; all before one that it depends on are on it, as they form a chain.
    while fired:
        gradients = _gradients(score, [records.found[fired[-1].name][0]])
        if gradients:
            return fired, gradients
        fired.pop()
    first = found.all()[0].name
    raise Unsupported(f"'{unit}' depends on no attention layer of '{model.spec.reference}': choose a unit behind '{first}'")


def _gradients(score: Float[Tensor, ""], recorded: Sequence[Recorded]) -> list[Tensor]:
    """The gradient at each of the recorded probabilities; [] where the score does not depend on one of them."""
    edges = [each.edge for each in recorded if each.edge is not None]
    if not score.requires_grad or len(edges) < len(recorded):
        return []
    found = torch.autograd.grad(score, edges, retain_graph=True, allow_unused=True)
    return [] if any(gradient is None for gradient in found) else list(found)


def _readout(last: Step) -> Float[Tensor, "n tokens"]:
    """Equal parts for the tokens on which the score depends; all zero where it depends on none, as behind a ReLU that is off."""
    assert last.gradient is not None
    read = last.partition.scatter(reads_of(last.gradient))
    return read / read.sum(dim=1, keepdim=True).clamp_min(1)
