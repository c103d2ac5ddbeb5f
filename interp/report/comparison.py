"""What ``interp compare`` computes, as a value: who competed, their maps, and what each metric says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from interp.comparisons.attributed import Attributed, attribute
from interp.comparisons.contenders import Contender, Limits, controls
from interp.comparisons.metric_table import MetricTable
from interp.comparisons.scaling import ScaleBy
from interp.comparisons.scored import Judge, Scored, score
from interp.comparisons.subjects import Subject
from interp.comparisons.summarized import table
from interp.core.choices import Choice, refuse_same
from interp.core.method import Method
from interp.core.model import Model
from interp.core.unit import Unit
from interp.masks import Prepared
from interp.metrics.evidence import Metric
from interp.metrics.registry import DEFAULT, LOCALIZING, metric
from interp.report.product import Tick
from interp.report.standard import contending


@dataclass(frozen=True, eq=False)
class Asked:
    """What is compared, as asked; empty where it is left to `standard`. ``masks``: of the photographs, at their own sizes."""

    methods: tuple[Choice[Method], ...] = ()
    layers: tuple[str, ...] = ()
    metrics: tuple[Choice[Metric], ...] = ()
    target: Unit | None = None
    scale: ScaleBy = ScaleBy.CHANNEL
    masks: tuple[Bool[np.ndarray, "h w"], ...] | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that was computed: who competed, their maps and their values. ``layers`` are shallow to deep."""

    model: Model
    people: Sequence[Subject]
    layers: Sequence[str]
    attributed: Attributed
    scored: Scored
    masks: Prepared | None
    seed: int

    @property
    def contenders(self) -> list[Contender]:
        return list(self.attributed.maps)

    @property
    def leading(self) -> list[Contender]:
        """Those of the main table: what works at a layer at the deepest at which it was tried, and all others."""
        deepest = {c.title: c.layer for layer in self.layers for c in self.contenders if c.layer == layer}
        return [c for c in self.contenders if c.layer == deepest.get(c.title, "")]

    def table(self, contenders: Sequence[Contender]) -> MetricTable:
        return table(self.scored, contenders, [s.name for s in self.people], self.seed)


def computed(
    model: Model,
    images: Float[Tensor, "n c h w"],
    people: Sequence[Subject],
    masks: Prepared | None,
    asked: Asked,
    limits: Limits,
    tick: Tick,
) -> Comparison:
    """Maps and metrics; ``people`` say which unit of which image is explained."""
    units = [s.unit for s in people]
    found, layers = contending(model, asked.methods, asked.layers, units, limits)
    known = {contender.title for contender in found}  # the user may have named controls
    beside = [control for control in controls(limits) if control.title not in known]
    attributed = attribute(model, images, units, [*found, *beside], tick, limits.batch_size)
    scored = score(model, images, units, attributed.maps, judges_of(asked, limits), masks.values if masks else None, tick)
    return Comparison(model, people, layers, attributed, scored, masks, limits.seed)


def judges_of(asked: Asked, limits: Limits) -> list[Judge]:
    """The metrics that were asked for, or the standard ones; raises InterpError where two differ in seed or batch size alone."""
    names = (*(LOCALIZING if asked.masks is not None else ()), *DEFAULT)
    choices = asked.metrics or [metric(name) for name in names]
    found = [Judge(choice.make(seed=limits.seed, batch_size=limits.batch_size), named=bool(asked.metrics)) for choice in choices]
    judges = list(dict.fromkeys(found))
    refuse_same((judge.title for judge in judges), "metric")
    return judges
