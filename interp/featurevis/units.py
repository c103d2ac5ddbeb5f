"""Objectives that name one unit: a channel, a neuron, a class."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.featurevis.objective import Activations, Objective


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

    @property
    def mean_of(self) -> Unit | None:
        # A subclass may have another equation.
        return self.unit if type(self) is Channel else None

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

    @property
    def mean_of(self) -> Unit | None:
        return self.unit if type(self) is Logit else None

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


def objective_of(wanted: Unit | Objective) -> Objective:
    """A Unit with a place -> Neuron; without -> Channel; an Objective as it is. Raises InterpError for anything else."""
    if isinstance(wanted, Objective):
        return wanted
    if isinstance(wanted, Unit):
        return Channel(wanted) if wanted.at is None else Neuron(wanted)
    raise InterpError(f"cannot optimize for {wanted!r}: give a Unit such as Unit('layer4', 37), or an Objective such as Channel(unit)")
