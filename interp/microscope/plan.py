"""What is to be done: the layers, and for each the orders that its pages need, under keys by which finished ones are found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from interp.activations import stream
from interp.core.depth import spread
from interp.core.following import read_at
from interp.core.model import Model
from interp.featurevis import AscentConfig
from interp.microscope.data import Data
from interp.microscope.fitting import Fit, fitted
from interp.microscope.looking import Look, Seen, maps_at, seen
from interp.microscope.optimizing import Kind, Optimize
from interp.microscope.options import Options
from interp.microscope.recipe import Recipe
from interp.microscope.store import key_of
from interp.microscope.weighing import Weigh
from interp.microscope.work import Order, Stage
from interp.runs.origin import versions
from interp.runs.plain import plain

# To be raised when the same order would give other arrays.
FORMAT = 1
# Networks with fewer convolutions are looked at by the layers that a report would choose, too.
_FEW = 4
# Pixels of the longer side of a tile of real pictures, at least and at most.
_TILE = (64, 96)


def layers_of(model: Model, patterns: Sequence[str] = ()) -> tuple[str, ...]:
    """The layers that are looked at, in firing order: those named (by name or glob), or every convolution and the layer of the classes.

    Raises UnknownName for one that does not fire, Unsupported for one without units.
    """
    if patterns:
        chosen = model.select(patterns)
        for layer in chosen:
            _ = layer.map_shape
        return tuple(layer.name for layer in chosen)
    placed = [layer for layer in model.layers if layer.layout is not None]
    names = {layer.name for layer in placed if isinstance(model.module.get_submodule(layer.name), nn.Conv2d | nn.ConvTranspose2d)}
    if len(names) < _FEW:
        names |= {layer.name for layer in spread(model)}
    return tuple(layer.name for layer in placed if layer.name in names or layer.name == model.output)


def network_key(model: Model) -> str:
    """What tells one network from another: weights, code, how images become its input."""
    spec = model.spec
    files = sorted((entry.name, entry.sha256) for entry in spec.files)
    return key_of(spec.sha256, spec.reference, files, plain(model.preprocess, "preprocess"), [list(note) for note in spec.notes])


@dataclass(frozen=True, eq=False)
class Plan:
    """The work for ``layers`` of a model, as orders for a store in ``folder`` with that ``mark``."""

    model: Model
    recipe: Recipe
    data: Data
    bands: tuple[int, ...]
    layers: tuple[str, ...]
    options: Options
    folder: Path
    mark: str

    @cached_property
    def config(self) -> AscentConfig:
        # Not part of the keys' meaning for other options: how many share a forward is the chunk.
        batch = None if self.model.memory is not None else self.options.chunk
        return self.options.ascent(self.model.preprocess.size, batch)

    @property
    def size(self) -> tuple[int, int]:
        """Of optimized images: (rows, cols)."""
        return self.options.size or self.model.preprocess.size

    @property
    def optimizes(self) -> bool:
        """Whether there are optimized images: these are RGB."""
        return self.options.steps > 0 and len(self.model.preprocess.mean) == 3

    @property
    def kinds(self) -> tuple[Kind, ...]:
        chosen = self.options
        wanted = {Kind.CHANNEL: True, Kind.NEURON: chosen.neuron, Kind.NEGATIVE: chosen.negative, Kind.DIVERSE: chosen.faces > 0}
        return tuple(kind for kind, asked in wanted.items() if asked) if self.optimizes else ()

    def kinds_of(self, layer: str) -> tuple[Kind, ...]:
        """The kinds of images of one layer: a layer of one place has no centre of its own."""
        one_place = self.model.layer(layer).map_shape[1:] == (1, 1)
        return tuple(kind for kind in self.kinds if not (one_place and kind is Kind.NEURON))

    @cached_property
    def read(self) -> Mapping[str, str]:
        """Where the statistics of each layer are read: behind the normalization and the activation that follow it directly, where 0 means
        something; else at the layer itself."""
        return read_at(self.model, self.layers)

    @property
    def points(self) -> tuple[str, ...]:
        """All layers that the pass over the data looks at: those that have pages, and where these are read."""
        return tuple(dict.fromkeys((*self.layers, *self.read.values())))

    def behind(self, layer: str) -> tuple[str, ...]:
        """What follows ``layer`` directly and its statistics are read behind, in order; () where they are its own."""
        names = [one.name for one in self.model.layers]
        return tuple(names[names.index(layer) + 1 : names.index(self.read[layer]) + 1])

    @cached_property
    def tile(self) -> tuple[int, int]:
        """Of real pictures, in the shape of the network's input: (rows, cols)."""
        rows, cols = self.model.preprocess.size
        longest = min(max(max(rows, cols), _TILE[0]), _TILE[1])
        return (max(1, round(rows * longest / max(rows, cols))), max(1, round(cols * longest / max(rows, cols))))

    @cached_property
    def base(self) -> str:
        """What every result depends on."""
        return key_of(FORMAT, network_key(self.model), versions(), self.model.device.type, self.options.threads)

    def order(self, stage: Stage) -> Order:
        key = key_of(self.base, type(stage).__name__, stage.depends())
        return Order(key, self.folder, self.mark, self.recipe, self.options.threads, stage)

    def channels(self, layer: str) -> int:
        """How many channels of a layer have pages, the first ones."""
        there, wanted = self.model.layer(layer).channels, self.options.units
        return there if wanted is None else min(there, wanted)

    def chunks(self, layer: str) -> list[range]:
        """The channels of a layer that have pages, in the pieces in which they are worked on."""
        channels, size = self.channels(layer), self.options.chunk
        return [range(first, min(first + size, channels)) for first in range(0, channels, size)]

    def optimize(self, layer: str, channels: range, kind: Kind, natural: Sequence[float]) -> Order:
        """The order for one kind of images of a chunk; ``natural``: the most that photographs give each channel of the layer."""
        several = kind is Kind.DIVERSE
        faces = self.options.faces if several else 1
        sizes = tuple(abs(float(natural[channel])) or 1.0 for channel in channels) if several else ()
        asked = self.options
        stage = Optimize(layer, channels.start, channels.stop, kind, faces, self.config, asked.seed, asked.quality, sizes)
        return self.order(stage)

    def optimizing(self, layer: str, natural: Sequence[float]) -> Iterator[tuple[range, Kind, Order]]:
        """The orders for all images of a layer."""
        for kind in self.kinds_of(layer):
            for channels in self.chunks(layer):
                yield channels, kind, self.optimize(layer, channels, kind, natural)

    def measuring(self, layer: str) -> dict[str, Order]:
        """The orders for what is measured of the filters of a layer: its "weights", and "gabor" fits where these are made."""
        orders = {"weights": self.order(Weigh(layer, self.options.seed))}
        return orders | {"gabor": self.order(Fit(layer, self.options.seed))} if fitted(self.model, layer) else orders

    def looking(self, layer: str, scan: stream.Scan) -> Iterator[tuple[range, Order]]:
        """The orders for the sheets of examples of a layer."""
        at = maps_at(self.model, layer, self.model.preprocess.size) if self.options.maps else ""
        for channels in self.chunks(layer):
            tops, bottoms = (self.examples(layer, channels, scan, side) for side in (stream.Side.TOP, stream.Side.BOTTOM))
            yield channels, self.order(Look(layer, channels.start, tops, bottoms, at, self.options.maps, self.tile, self.data, self.bands))

    def examples(self, layer: str, channels: range, scan: stream.Scan, side: stream.Side) -> tuple[tuple[Seen, ...], ...]:
        """The examples of each channel that its page shows."""
        count = self.options.top if side is stream.Side.TOP else self.options.bottom
        return tuple(seen(self.model, self.data, scan, layer, channel, side, count) for channel in channels)
