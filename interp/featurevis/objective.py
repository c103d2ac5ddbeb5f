"""What an image is optimized for. An objective declares its layers, so only those are hooked and names are checked before step one.

Objectives are values: frozen, comparable, and combined with ``+ - *`` into new ones (after lucid's
``optvis.objectives``, Olah et al. 2017). Regularizers are objectives too, on the image itself, which
they see under the reserved name ``IMAGE``. Most look at one image; those that compare several (diversity,
alignment) say how many they optimize together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.capture import module_of
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError

IMAGE, ALPHA = "image", "alpha"
_TOKENS = "tokens of "
Activations = Mapping[str, Float[Tensor, "n *shape"]]
"""Maps (n, c, h, w) by layer name; under ``IMAGE`` the untransformed images, [0, 1] RGB; under ``ALPHA`` their opacity
(n, 1, h, w), 1 everywhere where they have none; raw outputs under ``tokens_of(layer)``, raw inputs under ``input_of(layer)``."""


def tokens_of(layer: str) -> str:
    """The key of a layer's raw output (n, tokens, channels), class token and all, among the activations."""
    return _TOKENS + layer


def layer_of(key: str) -> str | None:
    """The layer behind a key of the activations; None for the image's own."""
    return None if key in (IMAGE, ALPHA) else module_of(key.removeprefix(_TOKENS))


def source_of(key: str) -> str | None:
    """What has to be recorded for a key of the activations: a layer, or ``input_of`` one; None for the image's own."""
    return None if key in (IMAGE, ALPHA) else key.removeprefix(_TOKENS)


class Objective(ABC):
    """One value per image, to be made large. ``str`` names it; equal names mean equal random draws."""

    @property
    @abstractmethod
    def layers(self) -> tuple[str, ...]:
        """The keys of the activations it needs, each once: layers, ``IMAGE`` where it looks at the image itself."""

    @property
    def images(self) -> int:
        """How many images are optimized together for it; 1 where no image's value depends on another image."""
        return 1

    @abstractmethod
    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        """The value of each image, from the maps of its ``layers``. Where ``images`` is not 1, n is just that."""

    @property
    def mean_of(self) -> Unit | None:
        """The unit, where the value is just the mean of its channel over all places; these are computed many at once."""
        return None

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        """Raise UnknownName or Unsupported where ``model`` lacks what this needs, at images of ``size`` (None: its own)."""
        for key in self.layers:
            name = layer_of(key)
            if name is not None:
                layer = model.layer(name)
                if key == name:
                    _ = layer.map_shape

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

    @property
    def images(self) -> int:
        return _together(self.parts)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return torch.stack([part(activations) for part in self.parts]).sum(0) + self.offset

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        _ = self.images
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

    @property
    def images(self) -> int:
        return _together(self.parts)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return torch.stack([part(activations) for part in self.parts]).prod(0) * self.factor

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        _ = self.images
        for part in self.parts:
            part.validate(model, size)

    def __str__(self) -> str:
        return " * ".join([*([f"{self.factor:g}"] if self.factor != 1 else []), *map(str, self.parts)])


def each(objectives: Sequence[Objective], activations: Activations, group: int = 1) -> Float[Tensor, " n"]:
    """The value of every image: each objective has ``group`` images in succession. Channels of one layer are read at once."""
    values: dict[int, Tensor] = {}
    by_layer: dict[str, dict[int, int]] = {}
    place = 0
    for objective in objectives:
        channel = objective.mean_of
        if channel is not None:
            by_layer.setdefault(channel.layer, {}).update(dict.fromkeys(range(place, place + group), channel.channel))
        else:
            values[place] = objective({key: activations[key][place : place + group].float() for key in objective.layers})
        place += group
    for layer, channels in by_layer.items():
        # Chosen first and made float32 then: the whole layer may be large, and in half precision.
        means = activations[layer][list(channels), list(channels.values())].float().flatten(1).mean(1, keepdim=True)
        values.update(zip(channels, means, strict=True))
    return torch.cat([values[k] for k in sorted(values)])


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


def _together(parts: Iterable[Objective]) -> int:
    counts = {part.images for part in parts} - {1}
    if len(counts) > 1:
        raise InterpError(f"objectives of {' and '.join(map(str, sorted(counts)))} images cannot be combined: give all the same number")
    return counts.pop() if counts else 1
