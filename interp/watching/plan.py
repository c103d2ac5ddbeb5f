"""``Plan``: which layers, filters and units of a network are followed, settled once, so that all records hold the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interp.attribution import places
from interp.core.capture import quiet
from interp.core.depth import evenly, has_kernel, spread
from interp.core.following import read_at
from interp.core.model import Layer, Model
from interp.core.unit import AnyUnit, Unit
from interp.errors import InterpError, Unsupported
from interp.kernels import of as kernels_of

# Layers with activations when none are named.
_LAYERS = 4


@dataclass(frozen=True)
class Followed:
    """Some channels of a layer's activations, and the size (rows, cols) at which their maps are kept."""

    layer: str
    channels: tuple[int, ...]
    size: tuple[int, int]


@dataclass(frozen=True)
class Convolution:
    """A layer of ``filters`` filters whose statistics are taken.

    ``read`` is where its filters' answers are looked at: behind the normalization and activation that follow it directly, else at
    the layer itself; "" where it has no maps.
    """

    layer: str
    filters: int
    read: str


@dataclass(frozen=True)
class Plan:
    """``kernels``: layers whose weights are kept whole; ``gradcam``: layers of the maps; ``targets``: a class per probe, None for
    the one that the network says at the moment; ``units``: those that images are optimized for."""

    kernels: tuple[str, ...]
    activations: tuple[Followed, ...]
    gradcam: tuple[str, ...]
    convolutions: tuple[Convolution, ...]
    units: tuple[Unit, ...]
    targets: tuple[int, ...] | None


@dataclass(frozen=True)
class Asked:
    """What a user names; None: a choice that fits the network."""

    kernels: Sequence[str] | None = None
    activations: Sequence[str] | None = None
    gradcam: Sequence[str] | None = None
    units: Sequence[Unit | str] = ()
    targets: Sequence[AnyUnit] | None = None


def planned(model: Model, asked: Asked, probes: int, channels: int, side: int) -> Plan:
    """The `Plan` for ``model`` and so many ``probes``.

    Raises UnknownName for a layer, unit or class that does not exist, Unsupported where a named layer has no kernels, maps or places,
    InterpError where there is not one target for each probe.
    """
    with quiet(model.module):  # in training mode, reading a weight under spectral norm changes its buffers
        return _planned(model, asked, probes, channels, side)


def _planned(model: Model, asked: Asked, probes: int, channels: int, side: int) -> Plan:
    convolutions = [layer for layer in model.layers if _convolves(model, layer)]
    kernels = _named(model, asked.kernels) if asked.kernels is not None else convolutions[:1]
    for layer in kernels:
        kernels_of(model, layer.name)
    shown = _named(model, asked.activations) if asked.activations is not None else _spread(model, convolutions, _LAYERS)
    explained = _named(model, asked.gradcam) if asked.gradcam is not None else _spread(model, convolutions, 1)
    for layer in explained:
        places.check(model, Unit(model.output, 0), layer.name, "Grad-CAM")
    read = read_at(model, [layer.name for layer in convolutions if layer.layout is not None])
    return Plan(
        tuple(layer.name for layer in kernels),
        tuple(_followed(layer, channels, side) for layer in shown),
        tuple(layer.name for layer in explained),
        tuple(Convolution(layer.name, len(kernels_of(model, layer.name)), read.get(layer.name, "")) for layer in convolutions),
        _units(model, asked.units),
        _targets(model, asked.targets, probes),
    )


def _named(model: Model, names: Sequence[str]) -> list[Layer]:
    return model.select(names) if names else []


def _spread(model: Model, convolutions: Sequence[Layer], count: int) -> list[Layer]:
    """Layers with places over the depth of the network, before its output; none where it has none."""
    try:
        found = spread(model, count)
    except Unsupported:
        found = evenly([one for one in convolutions if one.layout is not None and one.map_shape[1:] != (1, 1)], count)
    return [layer for layer in found if layer.name != model.output]


def _convolves(model: Model, layer: Layer) -> bool:
    weight = getattr(model.module.get_submodule(layer.name), "weight", None)
    return has_kernel(model, layer) and weight is not None and weight.ndim == 4


def _followed(layer: Layer, channels: int, side: int) -> Followed:
    count, rows, cols = layer.map_shape
    return Followed(layer.name, tuple(evenly(range(count), channels)), (min(rows, side), min(cols, side)))


def _units(model: Model, asked: Sequence[Unit | str]) -> tuple[Unit, ...]:
    if isinstance(asked, (str, Unit)):
        raise InterpError(f"`units` is the unit '{asked}': give a sequence of them, such as ['{asked}']")
    found: dict[Unit, None] = {}
    for unit in asked:
        found.update(dict.fromkeys([model.unit(unit)] if isinstance(unit, Unit) else model.units(unit)))
    channels = len(model.preprocess.mean)
    if found and channels not in (1, 3):
        raise Unsupported(f"'{model.spec.reference}' takes {channels} channels: images of units are made for 3 (RGB) and 1 (grey) only")
    return tuple(found)


def _targets(model: Model, asked: Sequence[AnyUnit] | None, probes: int) -> tuple[int, ...] | None:
    if asked is None:
        return None
    if isinstance(asked, str) or len(asked) != probes:
        given = f"'{asked}'" if isinstance(asked, str) else f"{len(asked)}"
        raise InterpError(f"`targets` is {given} for {probes} images: give one class for each")
    units = [model.unit(target) for target in asked]
    other = next((unit for unit in units if unit.layer != model.output), None)
    if other is not None:
        raise Unsupported(f"the target '{other}' is no class: give classes by number or name, units of '{model.output}'")
    return tuple(unit.channel for unit in units)
