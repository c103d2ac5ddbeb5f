"""``Layout``: how a layer's output becomes maps (N, C, H, W). It belongs to the layer, not to the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Maps:
    """Output (N, C, H, W): convolutions."""

    def maps(self, output: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return output

    def __str__(self) -> str:
        return "maps"


@dataclass(frozen=True)
class ChannelsLast:
    """Output (N, H, W, C): blocks of Swin, LayerNorms of ConvNeXt."""

    def maps(self, output: Float[Tensor, "n h w c"]) -> Float[Tensor, "n c h w"]:
        return output.permute(0, 3, 1, 2)

    def __str__(self) -> str:
        return "channels last"


@dataclass(frozen=True)
class Tokens:
    """Output (N, prefix + rows * cols, C): transformers. The first ``prefix`` tokens (class, registers) have no place."""

    prefix: int
    grid: tuple[int, int]

    def maps(self, output: Float[Tensor, "n t c"]) -> Float[Tensor, "n c h w"]:
        rows, cols = self.grid
        places = output[:, self.prefix :]
        return places.transpose(1, 2).reshape(output.shape[0], output.shape[2], rows, cols)

    def __str__(self) -> str:
        prefix = f"{self.prefix} + " if self.prefix else ""
        return f"tokens {prefix}{self.grid[0]}x{self.grid[1]}"


@dataclass(frozen=True)
class Vector:
    """Output (N, C): Linear layers at the end. Seen as maps of one place, (N, C, 1, 1)."""

    def maps(self, output: Float[Tensor, "n c"]) -> Float[Tensor, "n c 1 1"]:
        return output[:, :, None, None]

    def __str__(self) -> str:
        return "vector"


Layout = Maps | ChannelsLast | Tokens | Vector

# Kinds whose four-dimensional output can only be one of the two, whatever its sizes.
_FIRST = ("Conv", "BatchNorm", "GroupNorm", "InstanceNorm", "MaxPool", "AvgPool", "AdaptiveAvgPool", "Upsample")
_LAST = ("LayerNorm", "Linear")

MOST_PREFIX_TOKENS = 16


def infer(kind: str, shape: tuple[int, ...], grids: list[tuple[int, int]], before: Layout | None) -> Layout | None:
    """The layout of an output of ``shape`` (without the batch), or None where it has no place for each value.

    ``grids`` are the (rows, cols) of the maps seen earlier in the forward, the latest first and the image's own
    last; ``before`` is the layout seen last, which settles what the sizes leave open.
    """
    if len(shape) == 1:
        return Vector()
    if len(shape) == 2:
        return _tokens(shape[0], grids, before)
    if len(shape) != 3:
        return None
    if kind.startswith(_FIRST):
        return Maps()
    if kind in _LAST:
        return ChannelsLast()
    for fits in (grids.__contains__, _has_aspect(grids[-1]) if grids else _is_square):
        as_maps, as_last = fits((shape[1], shape[2])), fits((shape[0], shape[1]))
        if as_maps != as_last:
            return Maps() if as_maps else ChannelsLast()
    # Channels, rows and columns are equally many: as before, and turned over by a permutation.
    if isinstance(before, ChannelsLast) == (kind != "Permute"):
        return ChannelsLast()
    return Maps()


def _is_square(grid: tuple[int, int]) -> bool:
    return grid[0] == grid[1]


def _has_aspect(image: tuple[int, int]) -> Callable[[tuple[int, int]], bool]:
    """Whether a grid can come from an image of that size by one stride for rows and columns, up to a cell at the border."""
    rows, cols = image

    def fits(grid: tuple[int, int]) -> bool:
        return abs(grid[0] * cols - grid[1] * rows) < max(rows, cols) and (rows != cols or grid[0] == grid[1])

    return fits


def _tokens(count: int, grids: list[tuple[int, int]], before: Layout | None) -> Tokens | None:
    if isinstance(before, Tokens) and before.prefix + before.grid[0] * before.grid[1] == count:
        return before
    fitting = [(count - rows * cols, (rows, cols)) for rows, cols in grids if rows * cols > 1]
    fitting = [(prefix, grid) for prefix, grid in fitting if 0 <= prefix <= MOST_PREFIX_TOKENS]
    return Tokens(*min(fitting, key=lambda pair: pair[0])) if fitting else None
