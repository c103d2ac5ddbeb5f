"""Which channel of one layer becomes which input of another, found by experiment.

Between two layers lie ReLUs, poolings, concatenations, shuffles, a flattening: each carries a channel on by itself. So
every channel of the source gets a number, and what lies between runs once for each binary digit of the numbers: channels
whose digit is 1 are drawn anew, and the inputs of the target that change have that digit in their channel's number. Runs
with the digits turned over tell the inputs that hang on no channel, or on several.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from interp.core.capture import input_of
from interp.core.model import Model
from interp.core.rng import generator
from interp.core.trace import BATCH
from interp.errors import Unsupported
from interp.kernels.wiring import SCALING, blank, only, wiring

LARGEST = 1000.0
"""Values are drawn between its inverse and this in magnitude, with either sign, so that no shift or saturation hides them all."""

DRAWS = 16
"""Values per channel at least, per place where places become features: a ReLU hides a change in one of four draws, a ReLU6 in less
than half."""

LARGEST_RUN = 24_000_000
"""Values of the largest layer that are held at once."""

NONE, SEVERAL = -1, -2


@dataclass(frozen=True, eq=False)
class Route:
    """What arrives at a target: for each of its input features the source's channel (`NONE` where it is of another layer).

    ``scale``: what BatchNorm multiplies that channel by on the way, gamma / sqrt(variance + eps); 1 where none lies on every path.
    """

    channels: Int[np.ndarray, " features"]
    scale: Float[np.ndarray, " features"]


def route(model: Model, source: str, target: str) -> Route:
    """The `Route` from ``source`` to ``target``, two layers with weights, along all paths that meet no other weights.

    Normalization by the mean and spread of several channels (layer, group, instance, local) counts as passing each channel on
    by itself: it divides all by one number. Raises Unsupported where a layer fires more than once, nothing of the source
    arrives, or channels are mixed on the way.
    """
    for name in (source, target):
        if (calls := model.layer(name).calls) != 1:
            raise Unsupported(f"layer '{name}' fires {calls} times in a forward, so that what it is connected to is not one thing")
    known = wiring(model)
    if source not in known.sources(target):
        choose = " or ".join(f"'{name}'" for name in known.sources(target)[-3:])
        there = f"choose {choose}" if choose else "it is fed by the image"
        raise Unsupported(f"nothing of '{source}' reaches '{target}' without passing other weights: {there}")
    norms = known.always_between(source, target)
    found = _found(model, source, known.between(source, target), [target, *norms])
    channels = found[target]
    if (channels == SEVERAL).any() or (channels == NONE).all():
        what = "is mixed with other channels" if (channels == SEVERAL).any() else "is lost"
        raise Unsupported(f"a channel of '{source}' {what} on its way to '{target}', by an operation between them that has no weights")
    scale = np.ones(len(channels))
    for norm in norms:
        scale[channels >= 0] *= _factors(model, norm, found[norm], model.layer(source).channels)[channels[channels >= 0]]
    return Route(channels, scale)


def _found(model: Model, source: str, free: Set[str], wanted: Sequence[str]) -> dict[str, Int[np.ndarray, " features"]]:
    """For each feature that goes into each of ``wanted`` the source's channel, `NONE` or `SEVERAL`."""
    shape, known = model.layer(source).shape, wiring(model)
    axis = _axis(model.module.get_submodule(source), len(shape) + 1) - 1
    chosen = _digits(shape[axis])
    flattened = isinstance(model.module.get_submodule(wanted[0]), nn.Linear) != isinstance(model.module.get_submodule(source), nn.Linear)
    draws = DRAWS if flattened else math.ceil(DRAWS * shape[axis] / math.prod(shape))
    masks = torch.from_numpy(chosen).view(len(chosen), *[-1 if k == axis else 1 for k in range(len(shape))])
    # The values as they were go with the changed ones, so that both are computed in one way.
    most = max(BATCH, LARGEST_RUN // max(1, known.largest))
    share = min(len(masks), most - 1)
    together = max(1, most // (share + 1))
    parts: dict[str, list[Any]] = {name: [False] * math.ceil(len(masks) / share) for name in wanted}
    for first in range(0, draws, together):
        pairs = [[_drawn(shape, generator(0, "route", which, k)) for which in "ab"] for k in range(first, min(first + together, draws))]
        for part, start in enumerate(range(0, len(masks), share)):
            given = torch.stack([torch.cat([a[None], torch.where(masks[start : start + share], b, a)]) for a, b in pairs])
            for name, arrived in _arriving(model, source, given.flatten(0, 1), free, wanted).items():
                parts[name][part] |= _differs(arrived.unflatten(0, given.shape[:2]), model.module.get_submodule(name))
    return {name: _decoded(np.concatenate(moved)) for name, moved in parts.items()}


def _arriving(model: Model, source: str, given: Tensor, free: Set[str], wanted: Sequence[str]) -> dict[str, Tensor]:
    """What goes into each of ``wanted`` where ``source`` gives ``given``, and nothing else speaks."""
    keys = {name: input_of(name) for name in wanted}
    even = torch.cat([given, given[: -len(given) % BATCH]]).to(model.device)
    handle = model.module.get_submodule(source).register_forward_hook(lambda *_: even.clone())
    try:
        with only(model, wiring(model), free, len(even)):
            outputs, _ = model.capture(list(keys.values()), blank(model, len(even)), truncate=True)
    finally:
        handle.remove()
    return {name: outputs[key][: len(given)] for name, key in keys.items()}


def _digits(channels: int) -> Bool[np.ndarray, "runs channels"]:
    """For each binary digit of the channels' numbers: where it is 1, and where it is 0."""
    numbers = np.arange(channels)
    digits = [numbers >> digit & 1 for digit in range(max(1, (channels - 1).bit_length()))]
    return np.array([side for digit in digits for side in (digit == 1, digit == 0)])


def _decoded(changed: Bool[np.ndarray, "runs features"]) -> Int[np.ndarray, " features"]:
    """The channel that each feature hangs on, from which features changed in each of the runs of `_digits`."""
    one, zero = changed[0::2], changed[1::2]
    number = (one.astype(np.int64) << np.arange(len(one))[:, None]).sum(axis=0)
    found: np.ndarray = np.where((one & zero).any(axis=0), SEVERAL, np.where((one ^ zero).all(axis=0), number, NONE))
    return found


def _axis(module: nn.Module, rank: int) -> int:
    """The axis of features in what goes into a module, or comes out of it."""
    return rank - 1 if isinstance(module, nn.Linear) else 1


def _differs(arrived: Tensor, module: nn.Module) -> Bool[np.ndarray, "runs features"]:
    """From inputs (draws, 1 + runs, ...): which features are other in each later run than in the first, in any draw, anywhere."""
    axis = _axis(module, arrived.ndim - 1) + 1
    different = (arrived[:, 1:] != arrived[:, :1]).movedim(axis, 2)
    found: np.ndarray = different.reshape(*different.shape[:3], -1).any(3).any(0).cpu().numpy()
    return found


def _drawn(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    size = LARGEST ** (2 * torch.rand(shape, generator=rng) - 1)
    return torch.where(torch.rand(shape, generator=rng) < 0.5, -size, size)


def _factors(model: Model, norm: str, arriving: Int[np.ndarray, " features"], channels: int) -> Float[np.ndarray, " channels"]:
    """gamma / sqrt(variance + eps) for each channel of the source; 1 where a channel does not arrive, or at several places."""
    module = model.module.get_submodule(norm)
    assert isinstance(module, SCALING)
    factors = np.ones(len(arriving))
    if module.weight is not None:
        factors = module.weight.detach().double().cpu().numpy()
    if module.running_var is not None:
        factors = factors / np.sqrt(module.running_var.double().cpu().numpy() + module.eps)
    places, counts = np.unique(arriving[arriving >= 0], return_counts=True)
    once = set(places[counts == 1].tolist())
    result = np.ones(channels)
    for factor, channel in zip(factors, arriving, strict=True):
        if int(channel) in once:
            result[channel] = factor
    return result
