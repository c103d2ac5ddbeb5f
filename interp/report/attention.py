"""Attention beside what is computed at blocks: both on one axis of depth, each attention layer in the place of its block."""

from __future__ import annotations

from dataclasses import replace

from interp.comparisons.attributed import Attributed
from interp.comparisons.contenders import Contender
from interp.comparisons.scored import Scored
from interp.core.layout import Tokens
from interp.core.method import Family
from interp.core.model import Model
from interp.report.comparison import Comparison


def by_block(made: Comparison) -> Comparison:
    """The same comparison, with every attention layer under the name of the block that it is part of."""
    named = {contender: _at_block(made.model, contender) for contender in made.attributed.maps}
    found = made.attributed
    maps = {named[contender]: heatmaps for contender, heatmaps in found.maps.items()}
    values = {judge: {named[contender]: value for contender, value in row.items()} for judge, row in made.scored.values.items()}
    used = {contender.layer for contender in maps}
    return replace(
        made,
        layers=[layer.name for layer in made.model.layers if layer.name in used],
        attributed=Attributed(maps, found.refused),
        scored=Scored(values, made.scored.left_out),
    )


def _at_block(model: Model, contender: Contender) -> Contender:
    block = contender.layer.rpartition(".")[0]
    if contender.method.family is not Family.ATTENTION or not block:
        return contender
    tokens = any(layer.name == block and isinstance(layer.layout, Tokens) for layer in model.layers)
    return replace(contender, layer=block) if tokens else contender
