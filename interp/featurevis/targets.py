"""Objectives that compare a whole layer with a target, mostly what a photograph makes of it; and DeepDream, which has none.

`inversion`, `caricature`, `style` and `activation_grid` read a photograph in one forward that ends at the deepest
layer asked for. Several layers are added up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.featurevis.directions import LEAST_COSINE, Direction, Kind, check_fixed, check_power, tagged
from interp.featurevis.fixed import Fixed
from interp.featurevis.objective import Activations, Objective, Sum

# The length of activations below which their cosine with anything counts as 0.
_TINY = 1e-6


@dataclass(frozen=True)
class SpatialTarget(Objective):
    """Minus the mean square difference between the map of one channel and ``target`` (rows, cols), in the layer's unit squared.

    The target is in the layer's own unit, so that a map drawn by hand has to be about as large as the channel's
    activations are. (A correlation would not ask for that, and would be content with an image too weak to see.)
    """

    unit: Unit
    target: Fixed

    def __post_init__(self) -> None:
        if self.unit.at is not None:
            raise InterpError(f"a spatial target is for a whole map, but '{self.unit}' names one place: use Neuron for one place")
        check_fixed(self.target, "`target` of SpatialTarget", "a map (rows, cols)", 2)

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.unit.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        maps = activations[self.unit.layer][:, self.unit.channel]
        _check_grid(self, self.unit.layer, self.target.shape, maps.shape[1:])
        return -(maps - self.target.like(maps)).square().mean((1, 2))

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        model.unit(self.unit)
        if size is None or size == model.preprocess.size:
            _check_grid(self, self.unit.layer, self.target.shape, model.layer(self.unit.layer).map_shape[1:])

    def __str__(self) -> str:
        return f"{self.unit} as {tagged(self.target)}"


@dataclass(frozen=True)
class Inversion(Objective):
    """Minus the squared distance of a layer's maps to ``target`` (c, h, w), over the target's squared length; at most 0.

    Feature inversion (Mahendran & Vedaldi 2015, normalized Euclidean loss): 0 where the layer cannot tell the image
    from the photograph, -1 where it is silent. As a regularizer, the hidden-layer distance of feature accentuation
    (Hamblin et al. 2024).
    """

    layer: str
    target: Fixed

    def __post_init__(self) -> None:
        _check_target(self.target, "Inversion", "maps (channels, rows, cols)", 3)

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        maps = activations[self.layer]
        _check_grid(self, self.layer, self.target.shape[1:], maps.shape[2:])
        target = self.target.like(maps)
        return -(maps - target).square().sum((1, 2, 3)) / target.square().sum()

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        _check_maps(self, self.layer, self.target, model, size)

    def __str__(self) -> str:
        return f"inversion of {tagged(self.target)} at {self.layer}"


@dataclass(frozen=True)
class Caricature(Objective):
    """The dot product of a layer's maps with ``target`` (c, h, w), per place, times max(0.1, cosine) ** ``power``.

    What the layer saw in the photograph, exaggerated (Olah 2018). The dot product is summed over channels and averaged
    over places; the cosine is that of the whole layer; with ``power`` 0 the dot product alone.
    """

    layer: str
    target: Fixed
    power: float = 1.0

    def __post_init__(self) -> None:
        _check_target(self.target, "Caricature", "maps (channels, rows, cols)", 3)
        check_power("Caricature", self.power)

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        maps = activations[self.layer]
        _check_grid(self, self.layer, self.target.shape[1:], maps.shape[2:])
        target = self.target.like(maps)
        dot = (maps * target).sum((1, 2, 3))
        cosine = dot / (maps.flatten(1).norm(dim=1) * target.norm()).clamp_min(_TINY)
        per_place = dot / (target.shape[1] * target.shape[2])
        weights: Tensor = cosine.clamp_min(LEAST_COSINE) ** self.power
        return per_place * weights

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        _check_maps(self, self.layer, self.target, model, size)

    def __str__(self) -> str:
        return f"caricature^{self.power:g} of {tagged(self.target)} at {self.layer}"


@dataclass(frozen=True)
class Style(Objective):
    """Minus the squared distance of a layer's Gram matrix to ``target`` (c, c), over the target's squared length; at most 0.

    Which channels fire together, wherever they do (Gatys et al. 2016). Images of every size can be compared, since a
    Gram matrix is averaged over places.
    """

    layer: str
    target: Fixed

    def __post_init__(self) -> None:
        _check_target(self.target, "Style", "a Gram matrix (channels, channels)", 2)

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        found = gram(activations[self.layer])
        target = self.target.like(found)
        return -(found - target).square().sum((1, 2)) / target.square().sum()

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        channels = model.layer(self.layer).channels
        if self.target.shape != (channels, channels):
            shape = " x ".join(map(str, self.target.shape))
            raise InterpError(f"the target of '{self}' is {shape}, but layer '{self.layer}' has {channels} channels: give its Gram matrix")

    def __str__(self) -> str:
        return f"style of {tagged(self.target)} at {self.layer}"


@dataclass(frozen=True)
class DeepDream(Objective):
    """The mean square of all that a layer gives, in its unit squared (Mordvintsev, Olah & Tyka 2015): more of whatever is there."""

    layer: str

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return activations[self.layer].square().mean((1, 2, 3))

    def __str__(self) -> str:
        return f"dream of {self.layer}"


def inversion(model: Model, layers: str | Sequence[str], image: Float[Tensor, "n rgb rows cols"], name: str = "photo") -> Objective:
    """The sum of an `Inversion` of ``image`` (one: n is 1; [0, 1] RGB, of the size that will be optimized) at each of ``layers``.

    Raises UnknownName, Unsupported or InterpError for layers that do not exist, have no maps, or are silent on the image.
    """
    return _at_each(model, layers, image, lambda layer, maps: Inversion(layer, Fixed.of(maps, name)))


def caricature(
    model: Model, layers: str | Sequence[str], image: Float[Tensor, "n rgb rows cols"], power: float = 1.0, name: str = "photo"
) -> Objective:
    """The sum of a `Caricature` of ``image`` at each of ``layers``; arguments and errors as for `inversion`."""
    return _at_each(model, layers, image, lambda layer, maps: Caricature(layer, Fixed.of(maps, name), power))


def style(model: Model, layers: str | Sequence[str], image: Float[Tensor, "n rgb rows cols"], name: str = "photo") -> Objective:
    """The sum of the `Style` of ``image`` at each of ``layers``; the image may have any size that the model takes."""
    return _at_each(model, layers, image, lambda layer, maps: Style(layer, Fixed.of(gram(maps[None])[0], name)))


def activation_grid(
    model: Model,
    layer: str,
    image: Float[Tensor, "n rgb rows cols"],
    rows: int | None = None,
    kind: Kind = Kind.DOT_COSINE,
    power: float = 2.0,
) -> list[Direction]:
    """What a layer saw at each place of ``image``: a `Direction` for each cell, row by row (Olah et al. 2018, "activation grid").

    ``rows``: how many rows of cells, columns in proportion, each cell the mean of the places in it; None for a cell at
    each place. A cell where the layer is silent gives a direction of zeros, which no image excites. Raises as `inversion`.
    """
    (maps,) = _maps(model, (layer,), image).values()
    height, width = maps.shape[1:]
    if rows is not None:
        if not 1 <= rows <= height:
            raise InterpError(f"`rows` is {rows}: the maps of '{layer}' have {height} rows for this image, so give 1 to {height}")
        maps = F.adaptive_avg_pool2d(maps, (rows, max(1, round(width * rows / height))))
    return [
        Direction(layer, Fixed.of(maps[:, row, col], f"cell {row},{col}"), kind, power)
        for row in range(maps.shape[1])
        for col in range(maps.shape[2])
    ]


def gram(maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c c"]:
    """The products of all pairs of channels, averaged over places."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def _at_each(
    model: Model, layers: str | Sequence[str], image: Float[Tensor, "n rgb rows cols"], made: Callable[[str, Tensor], Objective]
) -> Objective:
    names = (layers,) if isinstance(layers, str) else tuple(dict.fromkeys(layers))
    if not names:
        raise InterpError("`layers` names no layer: give at least one, such as ('layer4',)")
    parts = tuple(made(layer, maps) for layer, maps in _maps(model, names, image).items())
    return parts[0] if len(parts) == 1 else Sum(parts)


def _maps(model: Model, layers: Sequence[str], image: Float[Tensor, "n rgb rows cols"]) -> dict[str, Float[Tensor, "c h w"]]:
    """What one image gives at each layer, in the order asked."""
    checked = model.checked(image)
    if len(checked) != 1:
        raise InterpError(f"`image` holds {len(checked)} images: give one, a tensor (1, 3, rows, cols)")
    for name in layers:
        _ = model.layer(name).map_shape
    with torch.no_grad():
        outputs, _ = model.capture(layers, checked, truncate=True)
    return {name: model.maps(name, outputs[name])[0] for name in layers}


def _check_target(target: Fixed, what: str, meaning: str, dimensions: int) -> None:
    check_fixed(target, f"`target` of {what}", meaning, dimensions)
    if not bool(target.values.any()):
        raise Unsupported(f"the `target` of {what}, '{target.name}', is zero everywhere: choose a layer that the photograph excites")


def _check_maps(objective: Objective, layer: str, target: Fixed, model: Model, size: tuple[int, int] | None) -> None:
    channels, rows, cols = model.layer(layer).map_shape
    if target.shape[0] != channels:
        raise InterpError(
            f"the target of '{objective}' has {target.shape[0]} channels, but layer '{layer}' has {channels}: make the target at that layer"
        )
    if size is None or size == model.preprocess.size:
        _check_grid(objective, layer, target.shape[1:], (rows, cols))


def _check_grid(objective: Objective, layer: str, target: Sequence[int], maps: Sequence[int]) -> None:
    if tuple(target) != tuple(maps):
        raise Unsupported(
            f"the target of '{objective}' has {target[0]} x {target[1]} places (rows x cols), but at this image size the maps of '{layer}' "
            f"have {maps[0]} x {maps[1]}: optimize an image of the size that the target was made from"
        )
