"""Maps of many methods for the same images, class activation maps of all kinds and layers from one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from interp.attribution import cams
from interp.attribution.onepass import CAM
from interp.comparisons.contenders import Contender
from interp.core.method import Heatmap
from interp.core.model import Model
from interp.core.score import evaluate
from interp.core.unit import Unit
from interp.errors import Unsupported

Step = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all)."""

Maps = dict[Contender, list[Heatmap]]


@dataclass(frozen=True, eq=False)
class Attributed:
    """One Heatmap per image for each contender; who was left out, and why."""

    maps: Maps
    refused: tuple[tuple[Contender, str], ...]


def attribute(
    model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit], contenders: Sequence[Contender], step: Step, chunk: int = 8
) -> Attributed:
    """Every contender's map of every image, ``chunk`` images at a time.

    A contender that the network refuses is left out and listed, unless the user named it: then its error is raised, before
    the work that is longer. Raises InterpError where a unit's score is not finite, and what the methods raise for other reasons.
    """
    evaluate(model, images, units, chunk)  # refuses scores that are not finite, of which every map would be NaN
    maps: Maps = {}
    refused: list[tuple[Contender, str]] = []
    together = [c for c in contenders if type(c.method) in cams.FAMILY]
    alone = [c for c in contenders if c not in together]
    groups = ([together] if together else []) + [[c] for c in sorted(alone, key=lambda c: not c.named)]
    for done, group in enumerate(groups):
        step("maps", done, len(groups))
        maps |= _of_group(model, images, units, group, refused, chunk)
    step("maps", len(groups), len(groups))
    return Attributed({c: maps[c] for c in contenders if c in maps}, tuple(refused))


def _of_group(
    model: Model,
    images: Float[Tensor, "n c h w"],
    units: Sequence[Unit],
    group: Sequence[Contender],
    refused: list[tuple[Contender, str]],
    chunk: int,
) -> Maps:
    try:
        return _chunked(model, images, units, group, chunk)
    except Unsupported as error:
        if len(group) > 1:
            # One layer that cannot be explained must not take the others with it.
            parts = [_of_group(model, images, units, [contender], refused, chunk) for contender in group]
            return {contender: found for part in parts for contender, found in part.items()}
        if group[0].named:
            raise
        refused.append((group[0], str(error)))
        return {}


def _chunked(model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit], group: Sequence[Contender], chunk: int) -> Maps:
    maps: Maps = {contender: [] for contender in group}
    for start in range(0, len(images), chunk):
        part, wanted = images[start : start + chunk], units[start : start + chunk]
        if not isinstance(group[0].method, CAM):
            maps[group[0]] += group[0].method(model, part, wanted)
            continue
        layers, kinds = list(dict.fromkeys(c.layer for c in group)), list(dict.fromkeys(_kind(c) for c in group))
        for found in cams.of(model, part, wanted, layers, kinds):
            for contender in group:
                maps[contender].append(found[contender.method.name, contender.layer])
    return maps


def _kind(contender: Contender) -> type[CAM]:
    assert isinstance(contender.method, CAM)
    return type(contender.method)
