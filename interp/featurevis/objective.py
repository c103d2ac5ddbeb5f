"""What an image is optimized for. An objective declares its layers, so only those are hooked and names are checked before step one.

Objectives are values: frozen, comparable, and combined with ``+ - *`` into new ones (after lucid's
``optvis.objectives``, Olah et al. 2017). Regularizers are objectives too, on the image itself, which
they see under the reserved layer name ``IMAGE``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported

IMAGE = "image"
Activations = Mapping[str, Float[Tensor, "n c h w"]]
"""Maps by layer name; under ``IMAGE`` the untransformed images themselves, [0, 1] RGB."""


class Objective(ABC):
    """One value per image, to be made large. ``str`` names it; equal names mean equal random draws."""

    @property
    @abstractmethod
    def layers(self) -> tuple[str, ...]:
        """The layers whose maps it needs, each once; ``IMAGE`` among them where it looks at the image itself."""

    @abstractmethod
    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        """The value of each image, from the maps of its ``layers``. No image's value depends on another image."""

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        """Raise UnknownName or Unsupported where ``model`` lacks what this needs, at images of ``size`` (None: its own)."""
        for name in self.layers:
            if name != IMAGE:
                _ = model.layer(name).map_shape

    def __add__(self, other: Objective | float | int) -> Objective:
        if isinstance(other, Objective):
            return Sum((*_terms(self), *_terms(other)), _offset(self) + _offset(other))
        return Sum(_terms(self), _offset(self) + _number(other, "+"))

    def __mul__(self, other: Objective | float | int) -> Objective:
        if isinstance(other, Objective):
            return Product((self, other))
        return Product((self,), _number(other, "*"))

    def __sub__(self, other: Objective | float | int) -> Objective:
        return self + (-other)

    def __rsub__(self, other: float | int) -> Objective:
        return -self + other

    def __neg__(self) -> Objective:
        return Product((self,), -1.0)

    __radd__ = __add__
    __rmul__ = __mul__


@dataclass(frozen=True)
class Sum(Objective):
    """The sum of ``parts``, plus a constant ``offset``."""

    parts: tuple[Objective, ...]
    offset: float = 0.0

    @property
    def layers(self) -> tuple[str, ...]:
        return _union(self.parts)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return torch.stack([part(activations) for part in self.parts]).sum(0) + self.offset

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        for part in self.parts:
            part.validate(model, size)

    def __str__(self) -> str:
        return "(" + " + ".join([*map(str, self.parts), *([f"{self.offset:g}"] if self.offset else [])]) + ")"


@dataclass(frozen=True)
class Product(Objective):
    """The product of ``parts`` and a constant ``factor``."""

    parts: tuple[Objective, ...]
    factor: float = 1.0

    @property
    def layers(self) -> tuple[str, ...]:
        return _union(self.parts)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return torch.stack([part(activations) for part in self.parts]).prod(0) * self.factor

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        for part in self.parts:
            part.validate(model, size)

    def __str__(self) -> str:
        return " * ".join([*([f"{self.factor:g}"] if self.factor != 1 else []), *map(str, self.parts)])


@dataclass(frozen=True)
class Channel(Objective):
    """The mean of one channel over all its places, in the layer's own unit (Olah et al. 2017, "channel")."""

    unit: Unit

    def __post_init__(self) -> None:
        if self.unit.at is not None:
            raise InterpError(f"the channel objective has no place, but '{self.unit}' names one: use Neuron for one place")

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.unit.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return activations[self.unit.layer][:, self.unit.channel].mean((1, 2))

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        model.unit(self.unit)

    def __str__(self) -> str:
        return str(self.unit)


@dataclass(frozen=True)
class Neuron(Objective):
    """One channel at one place: ``unit.at`` = (row, col) of the map that an image of the optimized size gives; None: its centre.

    The centre of an even number of places is the one behind the middle, as in lucid.
    """

    unit: Unit

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.unit.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        maps = activations[self.unit.layer]
        rows, cols = maps.shape[2:]
        row, col = (rows // 2, cols // 2) if self.unit.at is None else self.unit.at
        if not (0 <= row < rows and 0 <= col < cols):
            raise UnknownName(
                f"no neuron '{self.unit}': at this image size the maps of '{self.unit.layer}' have {rows} rows and {cols} columns, "
                f"so row,col goes up to {rows - 1},{cols - 1}"
            )
        return maps[:, self.unit.channel, row, col]

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        own = size is None or size == model.preprocess.size
        # At another size the maps have another size too: what place exists is known when they are there.
        model.unit(self.unit if own else Unit(self.unit.layer, self.unit.channel))

    def __str__(self) -> str:
        return str(self.unit) if self.unit.at is not None else f"{self.unit}@centre"


@dataclass(frozen=True)
class Logit(Objective):
    """The score of a class before the softmax (Simonyan et al. 2014). ``unit`` is a unit of the model's output layer."""

    unit: Unit

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.unit.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return activations[self.unit.layer][:, self.unit.channel].mean((1, 2))

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        model.unit(self.unit)
        if self.unit.layer != model.output:
            raise Unsupported(
                f"'{self.unit}' is no class of '{model.spec.reference}': classes are units of '{model.output}'; use Channel elsewhere"
            )

    def __str__(self) -> str:
        return str(self.unit)


@dataclass(frozen=True)
class TotalVariation(Objective):
    """Minus the mean absolute difference of neighbouring pixels, rows plus columns, in [-2, 0] (Mahendran & Vedaldi 2015)."""

    @property
    def layers(self) -> tuple[str, ...]:
        return (IMAGE,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        images = activations[IMAGE]
        return -sum((images.diff(dim=d).abs().flatten(1).mean(1) for d in (2, 3) if images.shape[d] > 1), images.new_zeros(images.shape[0]))


@dataclass(frozen=True)
class L1(Objective):
    """Minus the mean absolute distance of the pixels from ``grey``, in [-1, 0]."""

    grey: float = 0.5

    @property
    def layers(self) -> tuple[str, ...]:
        return (IMAGE,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return -(activations[IMAGE] - self.grey).abs().flatten(1).mean(1)


@dataclass(frozen=True)
class L2(Objective):
    """Minus the mean square distance of the pixels from ``grey``, in [-1, 0]."""

    grey: float = 0.5

    @property
    def layers(self) -> tuple[str, ...]:
        return (IMAGE,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return -(activations[IMAGE] - self.grey).square().flatten(1).mean(1)


def objective_of(wanted: Unit | Objective) -> Objective:
    """A Unit with a place -> Neuron; without -> Channel; an Objective as it is. Raises InterpError for anything else."""
    if isinstance(wanted, Objective):
        return wanted
    if isinstance(wanted, Unit):
        return Channel(wanted) if wanted.at is None else Neuron(wanted)
    raise InterpError(f"cannot optimize for {wanted!r}: give a Unit such as Unit('layer4', 37), or an Objective such as Channel(unit)")


def each(objectives: Sequence[Objective], activations: Activations) -> Float[Tensor, " n"]:
    """The value of image i under objective i: as many objectives as images. Channels of one layer are read at once."""
    values: dict[int, Tensor] = {}
    by_layer: dict[str, dict[int, int]] = {}
    for i, objective in enumerate(objectives):
        # Not isinstance: a subclass may have another equation.
        if type(objective) is Channel or type(objective) is Logit:
            by_layer.setdefault(objective.unit.layer, {})[i] = objective.unit.channel
        else:
            values[i] = objective({name: activations[name][i : i + 1] for name in objective.layers})
    for layer, channels in by_layer.items():
        means = activations[layer][list(channels), list(channels.values())].flatten(1).mean(1, keepdim=True)
        values.update(zip(channels, means, strict=True))
    return torch.cat([values[i] for i in range(len(objectives))])


def _terms(objective: Objective) -> tuple[Objective, ...]:
    return objective.parts if isinstance(objective, Sum) else (objective,)


def _offset(objective: Objective) -> float:
    return objective.offset if isinstance(objective, Sum) else 0.0


def _number(value: object, operator: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise InterpError(f"an objective cannot be combined by '{operator}' with {value!r}: give a number or another objective")


def _union(parts: Iterable[Objective]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in parts for name in part.layers))
