"""To which token each query of an attention layer belongs, told by the network's own gradient.

Swin cuts its grid into windows, shifts and pads them; MaxViT strides; the next network will do something else. But
behind the attention comes a layer whose output has places. Its place t depends, through this attention, on the
probabilities of one query alone. If the output at place t is weighted by a code of t, the gradient at a query's
probabilities is proportional to the code of the query's place, and the ratio to the unweighted gradient is the code.
A layer where this gives no one-to-one assignment mixes places by other means, or mixes something other than places.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.attention.partition import PADDING, Partition
from interp.attribution.attention.recording import Recorded
from interp.core.capture import tensor_of
from interp.core.layout import Vector
from interp.core.model import Model
from interp.core.rng import generator
from interp.errors import Unsupported

# A token's number is coded in two digits of this base, so that rounding never reaches half a unit.
_BASE = 64
_ROUNDING = 0.1

# Modules around the attention are asked from within. Further out others mix the places, and each costs a backward.
_LEVELS = 4


def find(model: Model, name: str, recorded: Recorded, outputs: Mapping[str, object], images: int) -> Partition | None:
    """The partition of the attention layer ``name``; None where no module around it tells."""
    tried = 0
    for level in _around(name):
        seen = _seen(model, level, outputs.get(level))
        if seen is None:
            continue
        sequence, prefix, grid = seen
        tokens = _tokens(recorded, sequence, images)
        if tokens is not None and not _windows_taken_for_rows(tokens, grid):
            return Partition(prefix, grid, tokens)
        tried += 1
        if tried == _LEVELS:
            return None
    return None


def _windows_taken_for_rows(tokens: Int[np.ndarray, "windows queries"], grid: tuple[int, int]) -> bool:
    """Whether the grid is only the list of windows, whose two dimensions, windows and queries, look like rows and columns."""
    return tokens.size > 1 and tokens.shape == grid and np.array_equal(tokens.ravel(), np.arange(tokens.size))


def _around(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1)]


def _seen(model: Model, level: str, output: object) -> tuple[Float[Tensor, "n tokens c"], int, tuple[int, int]] | None:
    """A module's output as a sequence of tokens, the number of those before the grid, and the grid."""
    tensor = tensor_of(output)
    layer = next((layer for layer in model.layers if layer.name == level), None)
    if tensor is None or layer is None or layer.layout is None or isinstance(layer.layout, Vector) or tensor.ndim != len(layer.shape) + 1:
        return None
    try:
        maps = model.maps(level, tensor)
    except Unsupported:
        return None
    grid = (maps.shape[2], maps.shape[3])
    sequence = tensor if tensor.ndim == 3 else maps.flatten(2).transpose(1, 2)
    return sequence, sequence.shape[1] - grid[0] * grid[1], grid


def _tokens(recorded: Recorded, sequence: Float[Tensor, "n tokens c"], images: int) -> Int[np.ndarray, "windows queries"] | None:
    """The token of each query in the first image, `PADDING` where there is none; None if the assignment is not one-to-one."""
    if not sequence.requires_grad or len(sequence) != images or recorded.edge is None:
        return None
    count = sequence.shape[1]
    # Random weights over channels: a plain sum is constant behind a LayerNorm.
    weights = torch.randn(sequence.shape[2], generator=generator(0, "channels of tokens")).to(sequence)
    first = (sequence[0] * weights).sum(dim=1)
    numbers = torch.arange(count, device=sequence.device)
    found = []
    for code in (torch.ones_like(first), numbers // _BASE, numbers % _BASE):
        (gradient,) = torch.autograd.grad(first, [recorded.edge], code.to(first), retain_graph=True, allow_unused=True)
        by_window = None if gradient is None else recorded.windowed(images, gradient)
        if by_window is None or bool(by_window[1:].any()):
            return None
        found.append(by_window[0].double().transpose(1, 2).flatten(2))
    plain, *digits = found
    strongest = plain.abs().argmax(dim=2, keepdim=True)
    largest = plain.gather(2, strongest)[..., 0]
    codes = [(digit.gather(2, strongest)[..., 0] / largest).cpu().numpy() for digit in digits]
    return _assigned(codes, (largest == 0).cpu().numpy(), count)


def _assigned(codes: list[np.ndarray], padding: np.ndarray, count: int) -> Int[np.ndarray, "windows queries"] | None:
    if any(not np.all(np.abs(code - np.round(code))[~padding] < _ROUNDING) for code in codes):
        return None
    whole = [np.where(padding, 0, np.round(np.nan_to_num(code))).astype(np.int64) for code in codes]
    tokens: np.ndarray = np.where(padding, PADDING, whole[0] * _BASE + whole[1])
    return tokens if np.array_equal(np.sort(tokens[tokens != PADDING]), np.arange(count)) else None
