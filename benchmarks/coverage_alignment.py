"""Are maps where they say they are? The answer to a bright patch at a known place must be strongest at that place.

What is compared is a picture of grey and light noise, with and without a bright patch, for patches at several places in
turn. For each layer, the change of its maps, less the change that all places share, squared and summed over channels, is
read where each of the patches lay: a matrix, patches by places. Its logarithms, less the means of rows (one patch is
stronger than another) and of columns (one place answers more to anything, such as the border), must be large on the
diagonal. Where maps are transposed, turned over, cut into windows or no maps at all, they are not: the quadrants are
turned into one another by every symmetry of a square, and places that have nothing to do with patches give a diagonal
like the rest.

The weights do not matter to where a value belongs, so they are chosen such that layers answer at all: see `answering`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d
from torch.overrides import TorchFunctionMode

from interp.core.capture import hooked, quiet, tensor_of
from interp.core.layout import Vector
from interp.core.model import Layer, Model
from interp.core.rng import generator

# Centres of the patches as shares of rows and columns: the quadrants, which tell apart all symmetries of a square even on
# a grid of 2 x 2, and four more that no symmetry leaves where they are.
QUADRANTS = ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75))
OTHERS = ((0.12, 0.62), (0.38, 0.88), (0.62, 0.12), (0.88, 0.38))
# In later rounds, for grids of few places alone, the quadrants' patches lie further apart: of a grid of 4 x 4 those above lie on the
# border of four cells, and share these with others. In a large grid these would be near the corners, where windows leave them.
APART = ((0.2, 0.2), (0.2, 0.8), (0.8, 0.2), (0.8, 0.8))
SIDE = 1 / 8
GREY, NOISE, BRIGHT = 0.5, 0.05, 0.45
# A diagonal that stands out from the rest by so many standard errors; of 10,000 layers without places one comes out so.
ENOUGH = 4.0
# Changes below this share of the layer's values are rounding.
ROUNDING = 1e-6
# By so much, in standard deviations per quadrant, no symmetry may come near.
MARGIN = 0.15
ROUNDS, FIRST, FEW = 12, 4, 5
DECIDED = 3.0


@dataclass(frozen=True)
class Alignment:
    """What was found at one layer.

    ``score``: how far the diagonal stands out, in standard errors; None where the layer does not answer to the patches, or
    at all places alike, so that nothing can be told (``why``). ``margin``: how much better the quadrants fit as they are
    than turned into one another in any other way, per quadrant, in standard deviations of the matrix.
    """

    layer: str
    grid: tuple[int, int]
    layout: str
    score: float | None
    margin: float = 0.0
    why: str = ""

    @property
    def aligned(self) -> bool | None:
        """Whether the maps are where they say; None where it cannot be told."""
        return None if self.score is None else self.score > ENOUGH and self.margin > MARGIN


def patches_told_apart(grid: tuple[int, int]) -> int:
    """How many of the patches lie in different cells of the grid: the quadrants, or all."""
    return len(QUADRANTS + OTHERS) if min(grid) >= 3 else len(QUADRANTS)


def masks(size: tuple[int, int], apart: bool = False) -> Tensor:
    """Where the patches are, (8, rows, cols): ones inside."""
    rows, cols = size
    centres = (APART if apart else QUADRANTS) + OTHERS
    found = torch.zeros(len(centres), rows, cols)
    for mask, (row, col) in zip(found, centres, strict=True):
        top, left = round((row - SIDE / 2) * rows), round((col - SIDE / 2) * cols)
        mask[top : top + max(2, round(SIDE * rows)), left : left + max(2, round(SIDE * cols))] = 1
    return found


def pictures(channels: int, size: tuple[int, int], seed: int = 0, apart: bool = False) -> Tensor:
    """The picture without a patch, and with each: (9, channels, rows, cols) in [0, 1]; other noise and tint for each ``seed``."""
    draw = generator(seed, "alignment")
    plain = GREY + NOISE * (torch.rand(channels, *size, generator=draw) - 0.5)
    tint = BRIGHT * (1 - 0.5 * torch.rand(channels, 1, 1, generator=draw))
    return torch.cat([plain[None], plain + tint * masks(size, apart)[:, None]])


def tested(model: Model) -> dict[str, Any]:
    """What the table needs: how many layers are aligned; which are astray; which are silent and with what in common, as JSON.

    Layers that do not pass are tried again with other weights and pictures, up to `ROUNDS` times, and the matrices are
    averaged: chance evens out, and what is not where it says stays away. Every other time attention is asked through its
    queries alone (`Held`), and after the `FIRST` rounds those with few places are asked with patches further `APART`.
    """
    found = of(model)
    silent: dict[str, int] = {}
    for one in found:
        if one.score is None:
            silent[one.why] = silent.get(one.why, 0) + 1
    astray = [
        {"layer": one.layer, "layout": one.layout, "grid": one.grid, "score": one.score, "margin": one.margin}
        for one in found
        if one.aligned is False
    ]
    return {"aligned": sum(one.aligned is True for one in found), "silent": silent, "astray": astray}


def of(model: Model, size: tuple[int, int] | None = None, rounds: int = ROUNDS) -> list[Alignment]:
    """The `Alignment` of every layer that has maps of at least 2 x 2 places, by forwards of nine pictures.

    The weights of the model are changed, and stay so.
    """
    left = {layer.name: layer for layer in model.layers if has_grid(layer)}
    found: dict[str, Alignment] = {}
    sums: dict[tuple[str, bool, bool], np.ndarray] = {}
    for number in range(rounds):
        answering(model.module, number)
        hold = number % 2 == 1
        for name, read in readings(model, left, size or model.preprocess.size, number, hold).items():
            if isinstance(read, Alignment):
                found.setdefault(name, read)
            else:
                way = (name, hold, number >= FIRST)
                sums[way] = sums.get(way, 0) + read
                found[name] = better(found.get(name), judged(left[name], sums[way]))
        left = {name: layer for name, layer in left.items() if name in found and not found[name].aligned}
        if number + 1 >= FIRST:
            left = {name: layer for name, layer in left.items() if 3 <= min(layer.map_shape[1:]) <= FEW}
        if not left:
            break
    return [found[layer.name] for layer in model.layers if layer.name in found]


def better(one: Alignment | None, two: Alignment) -> Alignment:
    """The one that speaks more for its layer."""
    return two if one is None or one.score is None or two.aligned or (two.score or 0) > one.score else one


def readings(
    model: Model, layers: Mapping[str, Layer], size: tuple[int, int], number: int, hold: bool
) -> dict[str, np.ndarray | Alignment]:
    """By layer: the matrix of logarithms, patches by places, centred; or why there is none."""
    apart = number >= FIRST
    images, where = pictures(len(model.preprocess.mean), size, number, apart), masks(size, apart)
    found: dict[str, np.ndarray | Alignment] = {}

    def look(name: str, output: Any) -> None:
        tensor = tensor_of(output)
        # Of a module called several times, the last call counts, and others may have other shapes.
        if tensor is not None and tensor.ndim == len(layers[name].shape) + 1:
            found[name] = reading(layers[name], model.maps(name, tensor.detach()), where)

    modules = {name: model.module.get_submodule(name) for name in layers}
    if hold:
        calibrate(model, images)
    with quiet(model.module), hooked(modules, look), torch.no_grad(), Held() if hold else nullcontext():
        model.forward(images)
    return found


class Held(TorchFunctionMode):
    """Inside, attention decides by its queries: keys and values are those of the picture without a patch, and it is decided.

    With random weights each place looks at all others alike, and a patch changes what all of them get. To which place a result
    of attention belongs is said by its query; so scores are scaled to a standard deviation of `DECIDED`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._decided = 0  # where the latest probabilities lie in memory

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is F.scaled_dot_product_attention and len(args) >= 3:
            key, value = held(args[1]), held(args[2])
            kwargs["scale"] = DECIDED / float((args[0] @ key.transpose(-2, -1)).std().clamp(min=1e-12))
            return func(args[0], key, value, *args[3:], **kwargs)
        if func in _PRODUCTS and min(args[0].ndim, args[1].ndim) > 2:
            turned = args[1].data_ptr() == self._decided  # values times probabilities, rather than the other way round
            args = (held(args[0]), *args[1:]) if turned else (args[0], held(args[1]), *args[2:])
        elif func in _SOFTMAXES and args[0].ndim > 2:
            probabilities = func(args[0] * (DECIDED / float(args[0].std().clamp(min=1e-12))), *args[1:], **kwargs)
            self._decided = probabilities.data_ptr()
            return probabilities
        return func(*args, **kwargs)


_PRODUCTS = (torch.matmul, torch.bmm, Tensor.matmul, Tensor.bmm, Tensor.__matmul__)
_SOFTMAXES = (F.softmax, torch.softmax, Tensor.softmax)


def held(tensor: Tensor) -> Tensor:
    """The values of the first picture in the place of all; as it is where it has none for each picture."""
    pictured = len(QUADRANTS + OTHERS) + 1
    if len(tensor) % pictured:
        return tensor
    by_picture = tensor.view(pictured, -1, *tensor.shape[1:]) if tensor.is_contiguous() else tensor.reshape(pictured, -1, *tensor.shape[1:])
    return by_picture[:1].expand_as(by_picture).reshape(tensor.shape)


def has_grid(layer: Layer) -> bool:
    """Whether the layer has maps of at least 2 rows and 2 columns."""
    return layer.layout is not None and not isinstance(layer.layout, Vector) and min(layer.map_shape[1:]) >= 2


def reading(layer: Layer, maps: Tensor, where: Tensor) -> np.ndarray | Alignment:
    """Maps (9, channels, rows, cols) of the pictures, against where the patches were (8, rows, cols of the picture)."""
    grid = (maps.shape[2], maps.shape[3])
    change = maps[1:] - maps[:1]
    size, whole = float(maps.abs().max()), float(change.abs().max())
    if not math.isfinite(whole) or not math.isfinite(size):
        return Alignment(layer.name, grid, str(layer.layout), None, why="values are not finite")
    change = change - change.mean(dim=(2, 3), keepdim=True)
    if float(change.abs().max()) <= ROUNDING * size:
        why = (
            "it does not depend on the picture" if whole == 0 else "no answer" if whole <= ROUNDING * size else "the same change everywhere"
        )
        return Alignment(layer.name, grid, str(layer.layout), None, why=why)
    count = patches_told_apart(grid)
    energy = change.double().square().sum(dim=1)[:count]
    cells = adaptive_avg_pool2d(where[None].double(), grid)[0][:count]
    read = torch.einsum("jrc,irc->ij", cells / cells.sum(dim=(1, 2), keepdim=True), energy).numpy()
    logs: np.ndarray = np.log(read + 1e-12 * read.max() + np.finfo(float).tiny)
    return logs - logs.mean(axis=0, keepdims=True) - logs.mean(axis=1, keepdims=True) + logs.mean()


def judged(layer: Layer, logs: np.ndarray) -> Alignment:
    """By how many standard errors the diagonal of a centred matrix stands out, and whether a symmetry fits as well."""
    count = len(logs)
    off = logs[~np.eye(count, dtype=bool)]
    deviation = float(off.std())
    score = float(np.diag(logs).mean() - off.mean()) / deviation * math.sqrt(count) if deviation > 0 else math.inf
    quadrants = logs[:4, :4]
    other = max(float(quadrants[range(4), list(p)].mean()) for p in permutations(range(4)) if p != (0, 1, 2, 3))
    margin = (float(np.diag(quadrants).mean()) - other) / deviation if deviation > 0 else math.inf
    return Alignment(layer.name, layer.map_shape[1:], str(layer.layout), score, margin)


def answering(module: nn.Module, seed: int = 0) -> None:
    """Give the module weights with which its layers answer; others for each ``seed``.

    Layers that start at zero (the last BatchNorm of a residual branch, LayerScale, positions) would be silent, and
    attention that starts uniform gives all places the same. So scales that are small and all equal become 1, or 0.3 behind a branch, other
    parameters that are are drawn, matrices are drawn such that variances last, and kernels are shuffled and made strongest in
    their middle: the answer of a random kernel as large as its grid is nowhere.
    """
    for name, parameter in module.named_parameters():
        values, draw = parameter.data, generator(seed, "answering", name)
        kind = module.get_submodule(name.rpartition(".")[0])
        if isinstance(kind, nn.Linear) and values.ndim == 2:
            values.copy_(torch.randn(values.shape, generator=draw) / math.sqrt(values.shape[1]))
        elif values.numel() > 0 and _flat(values):
            _drawn(name, values, draw)
        elif values.ndim == 4:
            order = torch.randperm(values.numel(), generator=draw)
            values.copy_(values.flatten()[order].view_as(values) * _middle(values.shape[2:]))


def _middle(extent: Sequence[int]) -> Tensor:
    """Weights of a kernel's taps, the middle ones the largest; their squares have the mean 1."""
    along = [torch.exp(-12.5 * ((torch.arange(n) - (n - 1) / 2) / n) ** 2) for n in extent]
    weights = along[0][:, None] * along[1]
    return weights / weights.square().mean().sqrt()


def calibrate(model: Model, images: Tensor) -> None:
    """Give BatchNorms the statistics of the images, as training would; without them numbers die away through the layers."""
    norms = [module for module in model.module.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    # Not within `quiet`, which puts statistics back: here they are to stay.
    model.module.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        model.forward(images)
    model.module.eval()


def _flat(values: Tensor) -> bool:
    first = float(values.flatten()[0])
    return abs(first) < 0.5 and bool((values == first).all())


def _drawn(name: str, values: Tensor, draw: torch.Generator) -> None:
    last = name.rpartition(".")[2]
    if last in ("weight", "scale", "gain"):
        values.fill_(1.0)
    elif last.startswith(("gamma", "ls", "layer_scale")):
        values.fill_(0.3)  # behind a branch that may mix all places: what comes past it keeps its own
    elif not last.endswith("bias"):
        values.copy_(0.1 * torch.randn(values.shape, generator=draw))
