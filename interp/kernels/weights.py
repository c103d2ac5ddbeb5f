"""A layer's weights -> (out, in, rows, cols) arrays, colour filters, planes and simple statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn

from interp.core.capture import quiet
from interp.core.model import Layer, Model
from interp.errors import InterpError, UnknownName, Unsupported

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_SHOWN = 8  # outputs and inputs of a deep layer in the notebook's picture


class Order(Enum):
    """How filters are ordered: as the layer numbers them, or by L2 norm, largest first."""

    INDEX = "index"
    NORM = "norm"


class Scale(Enum):
    """What full colour stands for: the largest |weight| of the whole layer, or of each filter by itself."""

    SHARED = "shared"
    FILTER = "filter"


@dataclass(frozen=True, eq=False)
class Kernels:
    """The weights of one layer, as a read-only copy: (out, in, rows, cols) float32, in the weights' own unit.

    A Linear layer is (out, in, 1, 1). Where ``groups`` is above 1, a filter sees only the ``in = inputs / groups``
    channels of its group, so input 0 of two filters need not be the same channel; depthwise, ``in`` is 1.
    """

    layer: str
    kind: str
    weights: Float[np.ndarray, "out in rows cols"]
    groups: int = 1

    def __repr__(self) -> str:
        return f"Kernels('{self.layer}', {self.kind}, {_times(self.weights.shape)})"

    def __len__(self) -> int:
        """Number of filters."""
        return int(self.weights.shape[0])

    @cached_property
    def norms(self) -> Float[np.ndarray, " out"]:
        """L2 norm of each filter over its inputs and places, (out,), summed in double precision."""
        norms: np.ndarray = np.sqrt(np.square(self.weights, dtype=np.float64).sum(axis=(1, 2, 3))).astype(np.float32)
        return norms

    @cached_property
    def limit(self) -> float:
        """Largest |weight| of the layer: half the width of the symmetric range that holds them all."""
        return float(np.abs(self.weights).max())

    @property
    def matrix(self) -> Float[np.ndarray, "out in"]:
        """The weight matrix (out, in) of a Linear layer; raises Unsupported for any other."""
        if self.kind != "Linear" and self.weights.shape[2:] != (1, 1):
            raise Unsupported(f"layer '{self.layer}' ({self.kind}) has kernels {_times(self.weights.shape[2:])}, no matrix: take `planes`")
        return self.weights[:, :, 0, 0]

    def order(self, by: Order) -> Int[np.ndarray, " out"]:
        """Indices of the filters, (out,): all of them, in the order asked for; equal norms keep the order of the layer."""
        if by is Order.INDEX:
            return np.arange(len(self))
        if by is Order.NORM:
            return np.argsort(-self.norms, kind="stable")
        raise InterpError(f"`by` is {by!r}: give Order.INDEX or Order.NORM")

    def rgb(self, scale: Scale) -> Float[np.ndarray, "out rows cols 3"]:
        """The filters of a layer that sees red, green and blue as colour pictures (out, rows, cols, 3) in [0, 1].

        A weight w is shown as 0.5 + w / (2 m), with m the largest |weight| of the layer (SHARED: filters can be
        compared) or of the filter (FILTER: weak ones can be seen), so 0.5 is a weight of zero. Raises Unsupported
        where a filter does not see exactly three channels, or sees them as one of several groups.
        """
        count = self.weights.shape[1]
        if count != 3 or self.groups != 1:
            seen = f"{count} input{'s' * (count != 1)}" + (f" in each of {self.groups} groups" if self.groups != 1 else "")
            raise Unsupported(f"the filters of '{self.layer}' see {seen}, not red, green and blue: take `planes`")
        if not np.isfinite(self.limit):
            raise InterpError(f"the weights of '{self.layer}' hold NaN or infinite values, which no colour stands for")
        if scale is Scale.SHARED:
            limits = np.full((len(self), 1, 1, 1), self.limit, dtype=np.float32)
        elif scale is Scale.FILTER:
            limits = np.abs(self.weights).max(axis=(1, 2, 3), keepdims=True)
        else:
            raise InterpError(f"`scale` is {scale!r}: give Scale.SHARED or Scale.FILTER")
        # A filter of zeros is grey; the division comes first, so that tiny weights do not overflow.
        signed = self.weights / np.where(limits > 0, limits, 1)
        return np.moveaxis(0.5 + 0.5 * signed, 1, 3).astype(np.float32)

    def planes(self, outputs: Sequence[int], inputs: Sequence[int]) -> Float[np.ndarray, "outputs inputs rows cols"]:
        """The slices (len(outputs), len(inputs), rows, cols) of chosen filters and inputs, in the order given.

        Inputs count within the group where the layer has several. Raises UnknownName where an index does not exist.
        """
        rows = _indices(outputs, self.weights.shape[0], "filters", self.layer)
        columns = _indices(inputs, self.weights.shape[1], "inputs in each group" if self.groups != 1 else "inputs", self.layer)
        return self.weights[np.ix_(rows, columns)]

    def _repr_png_(self) -> bytes:
        from interp import figures

        if self.weights.shape[1] == 3 and self.groups == 1:
            return figures.picture(figures.TilePanel(self.rgb(Scale.SHARED), label=self.layer))
        if self.weights.shape[2:] == (1, 1):
            tiles, columns = self.weights[None, :, :, 0, 0], None
        else:
            outputs, inputs = (range(min(count, _SHOWN)) for count in self.weights.shape[:2])
            tiles, columns = self.planes(outputs, inputs).reshape(-1, *self.weights.shape[2:]), len(inputs)
        scale = figures.Scale.symmetric([self.weights], label="weight")
        return figures.picture(figures.TilePanel(tiles, scale, columns, label=self.layer))


def of(model: Model, layer: str) -> Kernels:
    """The `Kernels` of one layer that fires: a convolution (grouped, depthwise, transposed too) or a Linear.

    Weights are as the layer uses them (parametrizations such as weight norm applied, in evaluation mode); a
    transposed convolution is brought to (out, in / groups, rows, cols), not flipped. Raises UnknownName where no
    such layer fires, and Unsupported where it has no kernels (a container, a BatchNorm, a ReLU), naming the nearest
    layers that do.
    """
    found = model.layer(layer)
    module = model.module.get_submodule(layer)
    if not _has_kernels(module):
        raise Unsupported(_refusal(model, found, module))
    with quiet(module):  # reading a spectral norm's weight in training mode would advance its buffers
        weight: Tensor = module.weight.detach().float().cpu()  # type: ignore[operator]
    groups = int(getattr(module, "groups", 1))
    if isinstance(module, _TRANSPOSED):
        inside, outside = weight.shape[0] // groups, weight.shape[1]
        weight = weight.reshape(groups, inside, outside, *weight.shape[2:]).transpose(1, 2).reshape(-1, inside, *weight.shape[2:])
    if weight.ndim == 2:
        weight = weight[:, :, None, None]
    weights = weight.contiguous().numpy().copy()
    weights.flags.writeable = False
    return Kernels(layer, found.kind, weights, groups)


def _has_kernels(module: nn.Module) -> bool:
    if "weight" not in module._parameters and not hasattr(module, "parametrizations") and "weight" not in vars(module):
        return False
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        return True
    weight = module._parameters.get("weight")
    return weight is not None and weight.ndim == 4


def _refusal(model: Model, layer: Layer, module: nn.Module) -> str:
    container = not layer.leaf and any(True for _ in module.children())
    why = "is a container without kernels of its own" if container else "has no kernels"
    shape = getattr(module._parameters.get("weight"), "shape", None)
    if shape is not None:
        why = f"has a weight of shape {tuple(shape)}, which is no kernel"
    names = [each.name for each in model.layers]
    here = names.index(layer.name)

    def distance(name: str) -> tuple[bool, int, int]:
        """Inside the layer first, in firing order; then what shares most of its name; then what fires nearest to it."""
        inside = name.startswith(layer.name + ".")
        shared = 0
        for one, other in zip(name.split("."), layer.name.split("."), strict=False):
            if one != other:
                break
            shared += 1
        return (not inside, -shared, names.index(name) if inside else abs(names.index(name) - here))

    having = sorted((n for n in names if _has_kernels(model.module.get_submodule(n))), key=distance)
    choose = "choose " + " or ".join(f"'{n}'" for n in having[:3]) if having else f"no layer of '{model.spec.reference}' has any"
    return f"layer '{layer.name}' ({layer.kind}) {why}: {choose}"


def _indices(given: Sequence[int], count: int, what: str, layer: str) -> list[int]:
    indices = [int(i) for i in given]
    for index in indices:
        if not 0 <= index < count:
            raise UnknownName(f"no {index} among the {what} of '{layer}': there are {count}, 0 to {count - 1}")
    return indices


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
