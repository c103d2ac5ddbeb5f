"""Optimized images across layers: each with what its checks say of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from interp.comparisons.scaling import number
from interp.featurevis import Feature
from interp.figures import EmptyPanel, Grid, ImagePanel, Panel

MOST, ACROSS = 64, 8
"""Images of a page, and of a row of it."""


@dataclass(frozen=True, eq=False)
class Shown:
    """An optimized image in a figure: its ``name`` (a class, for instance), and what was measured of it.

    ``ratio``: its score over the largest on photographs, None where there is none; ``flags``: the checks that it fails,
    in words, the gravest first.
    """

    feature: Feature
    name: str = ""
    ratio: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.name or str(self.feature.unit)


def panel(feature: Feature, name: str = "") -> Panel:
    """One optimized image with its score; a unit that stayed silent is said so, not drawn."""
    return shown_panel(Shown(feature, name))


def shown_panel(shown: Shown) -> Panel:
    """As `panel`, with the ratio to photographs in place of the score where it is known, and a mark where a check fails."""
    feature = shown.feature
    if feature.dead:
        return EmptyPanel(f"{feature.unit} stayed silent: no gradient from this start")
    # Of a negative score, a share of what photographs give says nothing.
    known = shown.ratio is not None and shown.ratio >= 0
    measured = ratio_words(shown.ratio) if known and shown.ratio is not None else f"score {number(feature.final)}"
    return ImagePanel(feature.image, label=shown.label, sublabel=measured + _mark(shown.flags))


def _mark(flags: Sequence[str]) -> str:
    """The first of the checks that fail, and how many more; a panel has no room for all."""
    more = f" (+{len(flags) - 1})" if len(flags) > 1 else ""
    return f"\n! {flags[0]}{more}" if flags else ""


def ratio_words(ratio: float) -> str:
    """How much larger a score is than the largest on photographs."""
    return f"{number(ratio)}x photographs" if abs(ratio) < 1000 else f"{ratio:.0e}x photographs"


def figure(found: Mapping[str, Sequence[Feature]], title: str, names: Mapping[str, str] | None = None) -> Grid:
    """Columns: layers; rows: units, in the order given. ``names`` gives a unit's words, such as its class."""
    names = names or {}
    return _columns({layer: [Shown(f, names.get(str(f.unit), "")) for f in column] for layer, column in found.items()}, title)


def sheets(found: Mapping[str, Sequence[Shown]], title: str) -> list[Grid]:
    """Contact sheets, at most `MOST` images each: columns by layer where each has few units, else rows of `ACROSS` with labels.

    ``found``: the images of each layer, in order; raises InterpError (of `Grid`) where there is none.
    """
    if len(found) > 1 and max(map(len, found.values())) <= ACROSS:
        layers = iter(found.items())
        pages = []
        while page := dict(islice(layers, ACROSS)):
            pages.append(page)
        return [_columns(page, _numbered(title, k, len(pages))) for k, page in enumerate(pages)]
    every = [shown for column in found.values() for shown in column]
    parts = [every[k : k + MOST] for k in range(0, len(every), MOST)]
    return [_rows(part, _numbered(title, k, len(parts))) for k, part in enumerate(parts)]


def _columns(found: Mapping[str, Sequence[Shown]], title: str) -> Grid:
    depth = max(map(len, found.values()))
    rows = [tuple(shown_panel(column[k]) if k < len(column) else EmptyPanel() for column in found.values()) for k in range(depth)]
    headers = tuple(f"unit {k + 1}" for k in range(depth))
    return Grid(tuple(rows), headers, tuple(found), title, panel_size=1.6)


def _rows(shown: Sequence[Shown], title: str) -> Grid:
    # As few rows as possible, filled evenly.
    columns = math.ceil(len(shown) / math.ceil(len(shown) / ACROSS))
    panels: list[Panel] = [shown_panel(one) for one in shown]
    panels += [EmptyPanel()] * (-len(panels) % columns)
    return Grid(tuple(tuple(panels[k : k + columns]) for k in range(0, len(panels), columns)), title=title, panel_size=1.5)


def _numbered(title: str, page: int, pages: int) -> str:
    return title if pages == 1 else f"{title}, {page + 1} of {pages}"
