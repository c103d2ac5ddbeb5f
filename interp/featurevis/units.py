"""Objectives that name one unit: a channel, a neuron, a token's channel, a class."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from interp.core.answers import Answer
from interp.core.layout import Tokens
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported, nearest
from interp.featurevis.objective import Activations, Objective, tokens_of


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
        check_place(f"neuron '{self.unit}'", self.unit.layer, (rows, cols), (row, col))
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
        _check_class(self.unit, model)

    def __str__(self) -> str:
        return str(self.unit)


@dataclass(frozen=True)
class Probability(Objective):
    """The natural logarithm of a class's probability, at most 0; exp gives the probability. ``unit`` as in `Logit`.

    Of scores the softmax is taken; of a layer that gives probabilities, as they are.

    The logarithm has a gradient where the probability itself is already 0 or 1 in floating point. Unlike the logit it
    also rises where the other classes fall, which gives less of the class and more of what it is not (Simonyan et al. 2014).
    """

    unit: Unit

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.unit.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        rows = activations[self.unit.layer].mean((2, 3))
        return Answer.of(rows.detach()).log_probabilities(rows)[:, self.unit.channel]

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        _check_class(self.unit, model)

    def __str__(self) -> str:
        return f"log p({self.unit})"


@dataclass(frozen=True)
class Token(Objective):
    """One channel of token number ``index`` of a transformer's layer.

    All tokens are counted, those without a place first: with a class token, 0 is the class token, then come registers,
    then the image's patches row by row.
    """

    unit: Unit
    index: int = 0

    def __post_init__(self) -> None:
        if self.unit.at is not None:
            raise InterpError(f"the token objective counts tokens, but '{self.unit}' names a place: use Neuron for one place")
        if self.index < 0:
            raise InterpError(f"the `index` of Token is {self.index}: give the token's number, 0 for the first")

    @property
    def layers(self) -> tuple[str, ...]:
        return (tokens_of(self.unit.layer),)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        tokens = activations[tokens_of(self.unit.layer)]
        check_token(self.unit.layer, tokens.shape[1], self.index)
        return tokens[:, self.index, self.unit.channel]

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        layer = model.layer(self.unit.layer)
        if not isinstance(layer.layout, Tokens):
            names = [other.name for other in model.layers if isinstance(other.layout, Tokens)]
            what = "no maps" if layer.layout is None else f"{layer.layout}, not tokens"
            hint = (nearest(layer.name, names) or f"tokens come out of '{names[-1]}'") if names else "use Neuron for one place"
            raise Unsupported(f"layer '{layer.name}' ({layer.kind}) gives {what}: {hint}")
        model.unit(self.unit)
        if size is None or size == model.preprocess.size:
            check_token(layer.name, layer.shape[0], self.index)

    def __str__(self) -> str:
        return f"{self.unit}@token{self.index}"


def check_place(asked: str, layer: str, grid: tuple[int, int], at: tuple[int, int]) -> None:
    """Raise UnknownName where ``at`` (row, col) is not on a ``grid`` of (rows, cols)."""
    (rows, cols), (row, col) = grid, at
    if not (0 <= row < rows and 0 <= col < cols):
        raise UnknownName(
            f"no {asked}: at this image size the maps of '{layer}' have {rows} rows and {cols} columns, "
            f"so row,col goes up to {rows - 1},{cols - 1}"
        )


def check_token(layer: str, count: int, index: int) -> None:
    """Raise UnknownName where there is no token of that number."""
    if not 0 <= index < count:
        raise UnknownName(f"no token {index}: at this image size layer '{layer}' has {count} tokens, 0 to {count - 1}")


def _check_class(unit: Unit, model: Model) -> None:
    model.unit(unit)
    if unit.layer != model.output:
        raise Unsupported(f"'{unit}' is no class of '{model.spec.reference}': classes are units of '{model.output}'; use Channel elsewhere")


def objective_of(wanted: Unit | Objective) -> Objective:
    """A Unit with a place -> Neuron; without -> Channel; an Objective as it is. Raises InterpError for anything else."""
    if isinstance(wanted, Objective):
        return wanted
    if isinstance(wanted, Unit):
        return Channel(wanted) if wanted.at is None else Neuron(wanted)
    raise InterpError(f"cannot optimize for {wanted!r}: give a Unit such as Unit('layer4', 37), or an Objective such as Channel(unit)")
