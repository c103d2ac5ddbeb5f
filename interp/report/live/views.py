"""Which pictures a record of a recording has, and how each is drawn: filters, activations, Grad-CAM, optimized images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from interp.core.depth import evenly
from interp.figures import Scale
from interp.films.frames import MOST_FILTERS
from interp.films.recorded import picture
from interp.report.live import drawing
from interp.report.live.drawing import Pixels
from interp.watching import Header, Recording
from interp.watching.looking import ACTIVATIONS, GRADCAM, IMAGES, KERNELS

MOST_UNITS, MOST_PROBES = 48, 16
"""Optimized images, and probe images, that the page has at most: evenly over those there are."""


class Group(Enum):
    """Where on the page a view stands; ``part`` is what `interp.watching.Entry.missing` calls what it is made of."""

    FILTERS = ("filters", "filters")
    ACTIVATIONS = ("activations", "answers")
    GRADCAM = ("gradcam", "answers")
    UNITS = ("units", "units")

    @property
    def place(self) -> str:
        return self.value[0]

    @property
    def part(self) -> str:
        return self.value[1]


@dataclass(frozen=True, eq=False)
class View:
    """One picture of each record, made of its ``array``; of a ``probe``, or of the unit at ``index`` of the plan.

    ``draw`` takes the array and a scale, which counts for nothing where the view is not ``scaled``; ``signed``: the scale has two sides
    also where no value is below zero.
    """

    group: Group
    array: str
    title: str
    alt: str
    said: str
    draw: Callable[[NDArray[np.generic], Scale], Pixels]
    scaled: bool = True
    signed: bool = False
    probe: int | None = None
    index: int | None = None


def views_of(recording: Recording) -> tuple[View, ...]:
    """All of them, in the order of the page."""
    return (*_filters(recording.header), *_probes(recording), *_units(recording.header))


def probes_of(header: Header) -> list[int]:
    """Which probe images can be looked at."""
    return evenly(range(len(header.probes)), MOST_PROBES)


def _filters(header: Header) -> Iterator[View]:
    filters = {one.layer: one.filters for one in header.plan.convolutions}
    first = header.plan.convolutions[0].layer if header.plan.convolutions else ""
    for layer in header.plan.kernels:
        count = filters.get(layer, 0)
        shown = f"All {count} filters" if 0 < count <= MOST_FILTERS else f"{MOST_FILTERS} filters, evenly over the layer"
        in_colour = layer == first and header.shape[0] == 3

        def draw(weights: NDArray[np.generic], scale: Scale, in_colour: bool = in_colour) -> Pixels:
            if in_colour and weights.shape[1] == 3:
                return drawing.coloured(weights, scale)
            if weights.shape[1] == 1:
                return drawing.signed(weights, scale)
            return drawing.planes(weights, scale)

        if in_colour:
            said = f"{shown}, by index line by line: the weights of red, green and blue, grey = 0."
        elif layer == first and header.shape[0] == 1:
            said = f"{shown}, by index line by line."
        else:
            most = f"{drawing.PLANES} of each at most ({drawing.PLACELESS} where a kernel is one place)"
            said = f"A line for each output, a column for each input: {most}, evenly over the layer."
        yield View(Group.FILTERS, f"{KERNELS}/{layer}", f"Filters of {layer}", f"Filters of {layer}", said, draw, signed=True)


def _probes(recording: Recording) -> Iterator[View]:
    header = recording.header
    for probe in probes_of(header):
        name, photo = header.probes[probe].name, picture(recording.probes[probe])
        for one in header.plan.activations:
            listed = ", ".join(map(str, one.channels))
            said = f"{'Channel' if len(one.channels) == 1 else 'Channels'} {listed}, line by line."
            yield View(
                Group.ACTIVATIONS,
                f"{ACTIVATIONS}/{one.layer}",
                one.layer,
                f"Activations of {one.layer} for {name}",
                said,
                partial(_maps, probe),
                probe=probe,
            )
        for layer in header.plan.gradcam:
            yield View(
                Group.GRADCAM,
                f"{GRADCAM}/{layer}",
                f"Grad-CAM at {layer}",
                f"Grad-CAM at {layer} over {name}",
                "Signed, in the unit of the score.",
                partial(_heat, probe, photo),
                signed=True,
                probe=probe,
            )


def _units(header: Header) -> Iterator[View]:
    units = header.plan.units
    for index in evenly(range(len(units)), MOST_UNITS):
        name = str(units[index])
        yield View(Group.UNITS, IMAGES, name, f"Image optimized for {name}", "", partial(_unit, index), scaled=False, index=index)


def _maps(probe: int, maps: NDArray[np.generic], scale: Scale) -> Pixels:
    return drawing.channels(maps[probe].astype(np.float64), scale)


def _heat(probe: int, photo: Float[np.ndarray, "h w 3"], maps: NDArray[np.generic], scale: Scale) -> Pixels:
    return drawing.heat(photo, maps[probe].astype(np.float64), scale)


def _unit(index: int, images: NDArray[np.generic], scale: Scale) -> Pixels:
    return drawing.optimized(images[index].astype(np.uint8))
