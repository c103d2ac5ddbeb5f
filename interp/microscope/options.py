"""What is made of every unit, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from interp.errors import InterpError
from interp.featurevis import AscentConfig, Precision
from interp.kernels.factors import Factoring


@dataclass(frozen=True)
class Options:
    """What stands on the page of a unit, and how it is made.

    ``units``: only the first so many channels of each layer have pages and optimized images; None for all.
    ``steps`` of gradient ascent at ``size`` (rows, cols) in pixels, None for the network's own, in ``precision``. Beside the image of
    the channel: ``neuron``, one for its place in the centre; ``negative``, one for what lowers it most; ``faces``, so many that are
    made to differ (0 for none). ``quality``: whether images are measured. ``top`` and ``bottom``: real images of either kind;
    ``maps``: on how many of the first of these a map is drawn (`looking.Look`). ``tuning``: whether answers to gratings, colours and
    discs are measured. ``links``: neighbours and connections listed of each kind. ``factoring``: how the inputs of a deep layer are
    grouped into the colours of its weights' pictures.

    ``chunk``: units whose images share a forward, the unit of work: the last bits of an image depend on it, so it is part of the
    plan, as are ``threads``, those of torch in each worker, and ``scan_threads``, those of the pass over the data.
    """

    steps: int = 256
    size: tuple[int, int] | None = None
    precision: Precision = Precision.AUTO
    neuron: bool = False
    negative: bool = False
    faces: int = 0
    quality: bool = True
    top: int = 9
    bottom: int = 3
    maps: int = 4
    tuning: bool = True
    links: int = 8
    factoring: Factoring = Factoring.PCA
    chunk: int = 16
    threads: int = 1
    scan_threads: int = 1
    seed: int = 0
    units: int | None = None

    def __post_init__(self) -> None:
        """Raises InterpError where the values cannot be used."""
        least = {"steps": 0, "faces": 0, "top": 1, "bottom": 0, "maps": 0, "links": 0, "chunk": 1, "threads": 1, "scan_threads": 1}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise InterpError(f"`{name}` is {getattr(self, name)}: give at least {smallest}")
        if self.units is not None and self.units < 1:
            raise InterpError(f"`units` is {self.units}: give at least 1 of each layer, or None for all")
        if self.faces == 1:
            raise InterpError("`faces` is 1: give 2 or more images that are made to differ, or 0 for none")
        if self.size is not None and min(self.size) < 1:
            raise InterpError(f"`size` is {self.size}: give (rows, cols) in pixels, such as (64, 64)")

    def ascent(self, own: tuple[int, int], batch: int | None) -> AscentConfig:
        """The options of the ascent; ``own``: the size of the network's input."""
        return AscentConfig(steps=self.steps, size=self.size or own, precision=self.precision, batch=batch)
