"""How units stand to one another: nearest by weights and by activations, strongest weights in and out, edges between layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interp.activations import stream
from interp.core import graph
from interp.core.model import Model
from interp.errors import InterpError
from interp.kernels import connections, neighbours
from interp.site.microscope import Link

Edges = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Relations:
    """Links by channel of one layer, strongest first; () where there are none."""

    by_weights: Sequence[tuple[Link, ...]]
    by_activations: Sequence[tuple[Link, ...]]
    incoming: Sequence[tuple[Link, ...]]
    outgoing: Sequence[tuple[Link, ...]]


class Wiring:
    """The weights between the layers that are looked at, computed once for each pair."""

    def __init__(self, model: Model, layers: Sequence[str], count: int) -> None:
        self.model, self.count = model, count
        self.edges: Edges = tuple((one, other) for one, other in graph.edges(model, layers) if one != other)
        self._between: dict[tuple[str, str], connections.Connections | None] = {}

    def of(self, statistics: stream.LayerStatistics) -> Relations:
        """The relations of one layer's units."""
        layer, channels, count = statistics.layer, statistics.channels, self.count
        none: list[tuple[Link, ...]] = [()] * channels
        if not count:
            return Relations(none, none, none, none)
        by_weights = self._by_weights(layer, channels)
        incoming: list[list[Link]] = [[] for _ in range(channels)]
        outgoing: list[list[Link]] = [[] for _ in range(channels)]
        for source, target in self.edges:
            if layer not in (source, target):
                continue
            between = self._of(source, target)
            if between is None:
                continue
            if target == layer:
                _add(incoming, source, between.incoming, between.incoming_values)
            if source == layer:
                _add(outgoing, target, between.outgoing, between.outgoing_values)
        near = none
        if statistics.nearest is not None and statistics.nearest_correlation is not None:
            listed: list[list[Link]] = [[] for _ in range(channels)]
            _add(listed, layer, statistics.nearest, statistics.nearest_correlation)
            near = _first(listed, count)
        return Relations(by_weights, near, _strongest(incoming, count), _strongest(outgoing, count))

    def _by_weights(self, layer: str, channels: int) -> Sequence[tuple[Link, ...]]:
        try:
            found = neighbours.of(self.model, layer, self.count)
        except InterpError:
            return [()] * channels
        if len(found.indices) != channels:  # filters are not this layer's channels
            return [()] * channels
        listed: list[list[Link]] = [[] for _ in range(channels)]
        _add(listed, layer, found.indices, found.cosines)
        return _first(listed, self.count)

    def _of(self, source: str, target: str) -> connections.Connections | None:
        if (source, target) not in self._between:
            try:
                found = connections.of(self.model, source, target, self.count)
            except InterpError:
                found = None
            self._between[source, target] = found
        return self._between[source, target]


def _add(links: list[list[Link]], layer: str, indices: np.ndarray, values: np.ndarray) -> None:
    """To each channel the units of ``layer`` in its row of ``indices``; -1 stands for none."""
    for mine, row, numbers in zip(links, indices, values, strict=True):
        mine += [Link(layer, int(k), float(v)) for k, v in zip(row, numbers, strict=True) if k >= 0 and np.isfinite(v)]


def _first(links: list[list[Link]], count: int) -> list[tuple[Link, ...]]:
    return [tuple(mine[:count]) for mine in links]


def _strongest(links: list[list[Link]], count: int) -> list[tuple[Link, ...]]:
    """Of several sources the largest magnitudes."""
    return [tuple(sorted(mine, key=lambda link: -abs(link.value))[:count]) for mine in links]
