"""The network as a picture: layers from left to right by how many come before them, side by side where they branch, folded into bands.

Ranks are longest paths (the first step of Sugiyama, Tagawa and Toda 1981). Edges between neighbours are curves; all others run in the
gutters above the bands, one lane per source and gutter. Of the edges that longer paths cover too, a picture has for each source those
to where it joins first: a residual stream goes on from there, and drawn in full it hides all else (in ResNet-101, 288 lines of 432).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

Edge = tuple[int, int]
Point = tuple[float, float]

_MARGIN, _LANE, _GUTTER, _STACK = 26, 5, 16, 16
_RADIUS = 6.0


@dataclass(frozen=True)
class Shape:
    """How large cards are, in CSS pixels, how far apart, and how many stand in a row."""

    width: int
    height: int
    gap: int
    columns: int


WIDE = Shape(width=112, height=158, gap=30, columns=8)
NARROW = Shape(width=98, height=144, gap=22, columns=3)


@dataclass(frozen=True)
class Placed:
    """A layer's card: its index and the top left corner."""

    index: int
    left: int
    top: int


@dataclass(frozen=True)
class Drawing:
    """The picture: cards in firing order, SVG paths of edges, those which other paths cover too (``skips``), tips of arrows.

    ``left_out`` counts skips that go further than where their source joins first, and are not drawn.
    """

    width: int
    height: int
    cards: tuple[Placed, ...]
    edges: tuple[str, ...]
    skips: tuple[str, ...]
    tips: tuple[str, ...]
    left_out: int


def draw(names: Sequence[str], edges: Sequence[tuple[str, str]], shape: Shape) -> Drawing:
    """The picture of the layers ``names`` (in firing order) joined by ``edges``."""
    place = {name: index for index, name in enumerate(names)}
    pairs = sorted({(place[source], place[target]) for source, target in edges if source != target})
    main, skips = _reduced(len(names), pairs)
    ranks = _ranks(len(names), pairs)
    first = {source: min(ranks[target] for _, target in edges) for source, edges in groupby(skips, key=lambda edge: edge[0])}
    joins = [edge for edge in skips if ranks[edge[1]] == first[edge[0]]]
    left_out = len(skips) - len(joins)
    tracks = _tracks(ranks, main)
    return _Layout(names, ranks, tracks, shape).drawing(main, joins, left_out)


def _reduced(count: int, edges: Sequence[Edge]) -> tuple[list[Edge], list[Edge]]:
    """Edges parted into those that no longer path replaces, and the others; edges against the firing order count among the first."""
    after: dict[int, list[int]] = defaultdict(list)
    for source, target in edges:
        if source < target:
            after[source].append(target)
    reach = [0] * count  # as bits
    main: list[Edge] = [edge for edge in edges if edge[0] > edge[1]]
    skips: list[Edge] = []
    for node in range(count - 1, -1, -1):
        beyond = 0
        for target in after[node]:
            beyond |= reach[target]
        for target in after[node]:
            (skips if beyond >> target & 1 else main).append((node, target))
        reach[node] = beyond | sum(1 << target for target in after[node])
    return sorted(main), sorted(skips)


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    ranks = [0] * count
    for source, target in sorted(edges):  # by source, whose rank is final: all its edges come from earlier sources
        if source < target:
            ranks[target] = max(ranks[target], ranks[source] + 1)
    return ranks


def _tracks(ranks: Sequence[int], main: Sequence[Edge]) -> list[int]:
    """The row of each layer within its column: what goes on longest first, a branch on the row of what feeds it where that is free."""
    height = [0] * len(ranks)
    parents: dict[int, list[int]] = defaultdict(list)
    children: dict[int, int] = defaultdict(int)
    for source, target in sorted(main, reverse=True):
        if source < target:
            height[source] = max(height[source], height[target] + 1)
            parents[target].append(source)
            children[source] += 1
    tracks = [0] * len(ranks)
    columns: dict[int, list[int]] = defaultdict(list)
    for node, rank in enumerate(ranks):
        columns[rank].append(node)
    for rank in sorted(columns):
        taken: set[int] = set()
        for node in sorted(columns[rank], key=lambda node: (-height[node], node)):
            alone = len(parents[node]) == 1 and children[parents[node][0]] == 1
            wanted = tracks[parents[node][0]] if alone and len(columns[rank]) > 1 else 0
            track = wanted if wanted not in taken else next(free for free in range(len(taken) + 1) if free not in taken)
            tracks[node] = track
            taken.add(track)
    return tracks


class _Layout:
    """Bands of columns, gutters above them, and the routes of edges through both."""

    def __init__(self, names: Sequence[str], ranks: Sequence[int], tracks: Sequence[int], shape: Shape) -> None:
        self._ranks, self._tracks, self._shape = ranks, tracks, shape
        self._bands = _fold(names, ranks, shape.columns)
        self._band = {rank: band for band, columns in enumerate(self._bands) for rank in columns}
        self._at = {(ranks[node], tracks[node]): node for node in range(len(names))}
        self._tops: list[int] = []
        self._margin = self._bottom = 0

    def drawing(self, main: Sequence[Edge], skips: Sequence[Edge], left_out: int) -> Drawing:
        edges = [*main, *skips]
        lanes, margins = self._lanes([edge for edge in edges if not self._direct(edge)])
        self._margin = _MARGIN + _LANE * len(margins)
        self._place([max((lane + 1 for (_, at), lane in lanes.items() if at == gutter), default=0) for gutter in range(len(self._bands))])
        paths = {edge: self._path(edge, lanes, margins) for edge in edges}
        columns = max(len(columns) for columns in self._bands)
        return Drawing(
            self._margin + columns * self._shape.width + (columns - 1) * self._shape.gap + _MARGIN,
            self._bottom,
            tuple(Placed(node, self._left(node), self._top(node)) for node in range(len(self._ranks))),
            _by_source(main, paths),
            _by_source(skips, paths),
            tuple(self._tip(target) for target in sorted({target for _, target in edges})),
            left_out,
        )

    def _left(self, node: int) -> int:
        column = self._ranks[node] - self._bands[self._band[self._ranks[node]]][0]
        return self._margin + column * (self._shape.width + self._shape.gap)

    def _top(self, node: int) -> int:
        return self._tops[self._band[self._ranks[node]]] + self._tracks[node] * (self._shape.height + _STACK)

    def _middle(self, node: int) -> float:
        return self._top(node) + self._shape.height / 2

    def _place(self, lanes: Sequence[int]) -> None:
        """The top of each band: below the gutter with its lanes."""
        top = 0
        for band, columns in enumerate(self._bands):
            top += (_GUTTER if band else 10) + _LANE * lanes[band]
            self._tops.append(top)
            deepest = max(self._tracks[node] for node in range(len(self._ranks)) if self._ranks[node] in columns)
            top += (deepest + 1) * (self._shape.height + _STACK)
        self._bottom = top

    def _direct(self, edge: Edge) -> bool:
        """Whether a line from card to card meets no other: to the next column, or along an empty row."""
        (source, target), ranks, tracks = edge, self._ranks, self._tracks
        if ranks[target] <= ranks[source] or self._band[ranks[source]] != self._band[ranks[target]]:
            return False
        if ranks[target] == ranks[source] + 1:
            return True
        between = range(ranks[source] + 1, ranks[target])
        return tracks[source] != 0 and not any((rank, tracks[source]) in self._at for rank in between)

    def _gutters(self, edge: Edge) -> tuple[int, int]:
        """The gutter in which an edge leaves its source, and the one from which it comes to its target."""
        first, last = (self._band[self._ranks[node]] for node in edge)
        return (first + 1 if last > first else first), last

    def _lanes(self, routed: Sequence[Edge]) -> tuple[dict[tuple[int, int], int], dict[int, int]]:
        """A lane for each (source, gutter) such that lines in one lane do not touch, and a place in the margin for each source there."""
        spans: dict[tuple[int, int], list[int]] = defaultdict(list)
        margins: dict[int, int] = {}
        for edge in routed:
            source = edge[0]
            leaving, coming = self._gutters(edge)
            here, there = (2 * self._ranks[node] - 2 * self._bands[self._band[self._ranks[node]]][0] for node in edge)
            spans[source, leaving].append(here + 1)
            spans[source, coming].append(there - 1)
            if leaving != coming:
                margins.setdefault(source, len(margins))
                spans[source, leaving].append(-2)
                spans[source, coming].append(-2)
        lanes: dict[tuple[int, int], int] = {}
        ends: dict[tuple[int, int], int] = {}  # (gutter, lane) -> where the last line in it ends
        for key in sorted(spans, key=lambda key: (key[1], min(spans[key]), max(spans[key]))):
            lane = 0
            while ends.get((key[1], lane), -9) >= min(spans[key]):
                lane += 1
            lanes[key] = lane
            ends[key[1], lane] = max(spans[key])
        return lanes, margins

    def _lane(self, gutter: int, lane: int) -> float:
        return self._tops[gutter] - 9.0 - _LANE * lane

    def _path(self, edge: Edge, lanes: Mapping[tuple[int, int], int], margins: Mapping[int, int]) -> str:
        return self._curve(edge) if self._direct(edge) else self._route(edge, lanes, margins)

    def _curve(self, edge: Edge) -> str:
        start, end = self._ends(edge)
        if start[1] == end[1]:
            return f"M{_xy(start)}H{end[0]:g}"
        # Along its own row first, then over in the last gap.
        half = end[0] - self._shape.gap / 2
        return f"M{_xy(start)}H{end[0] - self._shape.gap:g}C{half:g} {start[1]:g} {half:g} {end[1]:g} {_xy(end)}"

    def _route(self, edge: Edge, lanes: Mapping[tuple[int, int], int], margins: Mapping[int, int]) -> str:
        leaving, coming = self._gutters(edge)
        start, end = self._ends(edge)
        out, into = start[0] + 8, end[0] - 11
        away, back = self._lane(leaving, lanes[edge[0], leaving]), self._lane(coming, lanes[edge[0], coming])
        points: list[Point] = [start, (out, start[1]), (out, away)]
        if leaving != coming:
            margin = 6.0 + _LANE * margins[edge[0]]
            points += [(margin, away), (margin, back)]
        points += [(into, back), (into, end[1]), end]
        return _rounded(points)

    def _ends(self, edge: Edge) -> tuple[Point, Point]:
        """The middle of the source's right side, and of the target's left side."""
        source, target = edge
        return (float(self._left(source) + self._shape.width), self._middle(source)), (float(self._left(target)), self._middle(target))

    def _tip(self, node: int) -> str:
        left, middle = self._left(node), self._middle(node)
        return f"M{left} {middle:g}l-7 -4v8z"


def _fold(names: Sequence[str], ranks: Sequence[int], columns: int) -> list[list[int]]:
    """Columns in bands; a band that is more than half full ends where a stage (the first part of layers' names) does."""
    first: dict[int, str] = {}
    for name, rank in zip(names, ranks, strict=True):
        first.setdefault(rank, name.split(".")[0])
    stages = len(set(first.values()))
    bands: list[list[int]] = [[]]
    for rank in range(max(ranks) + 1):
        full = len(bands[-1]) >= columns
        stage = 1 < stages < len(first) and len(bands[-1]) * 5 > columns * 3 and first[rank] != first[rank - 1]
        if bands[-1] and (full or stage):
            bands.append([])
        bands[-1].append(rank)
    return bands


def _by_source(edges: Sequence[Edge], paths: Mapping[Edge, str]) -> tuple[str, ...]:
    """One path for all lines that leave a layer."""
    return tuple("".join(paths[edge] for edge in edges if edge[0] == source) for source in sorted({source for source, _ in edges}))


def _rounded(points: Sequence[Point]) -> str:
    """A path of straight lines with rounded corners."""
    path = f"M{_xy(points[0])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near, far = _towards(corner, before), _towards(corner, after)
        path += f"L{_xy(near)}Q{_xy(corner)} {_xy(far)}"
    return f"{path}L{_xy(points[-1])}"


def _towards(start: Point, end: Point) -> Point:
    """``_RADIUS`` from ``start`` along the line to ``end``, or half way where that is shorter."""
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    share = min(_RADIUS, length / 2) / length if length else 0.0
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _xy(point: Point) -> str:
    return f"{round(point[0], 1):g} {round(point[1], 1):g}"
