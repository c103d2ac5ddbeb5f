"""What an effect is compared with: the same edits of units of the same layers, drawn at random."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch

from interp.core.model import Model
from interp.core.rng import generator
from interp.core.unit import Unit
from interp.editing.edits import Edit, Replace


def others(model: Model, edits: Sequence[Edit], draws: int, seed: int) -> list[tuple[Edit, ...]]:
    """``draws`` times the edits, each of a unit of its layer drawn at random without replacement; no two lists are alike.

    Every unit of a layer may be drawn, so that what chance gives is known also where many of them are edited, but never all the units
    that were named at once. A factor, a constant or a fresh draw is as it was; a unit that replaces is drawn anew too. There are fewer
    lists where a layer has no so many choices of units (`choices`), none where all its units are edited. The draws depend on ``seed``,
    the edits and their own number.
    """
    named = tuple(map(str, edits))
    seen = {frozenset(edit.unit for edit in edits)}
    found: list[tuple[Edit, ...]] = []
    wanted, number = min(draws, choices(model, edits) - 1), 0
    while len(found) < wanted:
        drawn = _drawn(model, edits, seed, ("control units", number, *named))
        number += 1
        units = frozenset(edit.unit for edit in drawn)
        if units not in seen:
            seen.add(units)
            found.append(drawn)
    return found


def choices(model: Model, edits: Sequence[Edit]) -> int:
    """How many choices there are of as many units of the same layers, the named ones among them."""
    counts = Counter(edit.unit.layer for edit in edits)
    return math.prod(math.comb(model.layer(layer).channels, count) for layer, count in counts.items())


def _drawn(model: Model, edits: Sequence[Edit], seed: int, names: tuple[object, ...]) -> tuple[Edit, ...]:
    orders: dict[str, list[int]] = {}
    moved: list[Edit] = []
    for edit in edits:
        layer = edit.unit.layer
        if layer not in orders:
            orders[layer] = torch.randperm(model.layer(layer).channels, generator=generator(seed, layer, *names)).tolist()
        channel = orders[layer].pop()
        moved.append(_moved(edit, Unit(layer, channel), model.layer(layer).channels, seed, names))
    return tuple(moved)


def _moved(edit: Edit, unit: Unit, channels: int, seed: int, names: tuple[object, ...]) -> Edit:
    if not (isinstance(edit, Replace) and isinstance(edit.by, Unit)):
        return replace(edit, unit=unit)
    step = 1 + int(torch.randint(channels - 1, (), generator=generator(seed, unit, *names)))
    return Replace(unit, Unit(unit.layer, (unit.channel + step) % channels))
