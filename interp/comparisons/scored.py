"""What each contender's maps are worth: metrics on all of them, the controls among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from interp.comparisons.attributed import Maps, Step
from interp.comparisons.contenders import Contender
from interp.core.choices import titled
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.metrics.evidence import Evidence, Metric


@dataclass(frozen=True)
class Judge:
    """A metric, and whether the user asked for it, so that it may not be left out."""

    metric: Metric
    named: bool = False

    @property
    def title(self) -> str:
        return titled(self.metric)


@dataclass(frozen=True, eq=False)
class Scored:
    """Values per image for each (metric, contender); NaN where not defined. ``left_out``: metrics that could not be taken, and why."""

    values: Mapping[Judge, Mapping[Contender, Float[np.ndarray, " n"]]]
    left_out: tuple[tuple[Judge, str], ...]


def fitting(judges: Sequence[Judge], images: int, masks: bool) -> None:
    """Raises InterpError where a metric that the user named needs masks that are not there, or more images."""
    for judge in judges:
        reason = _unfit(judge, images, masks)
        if judge.named and reason:
            raise InterpError(reason)


def score(
    model: Model,
    images: Float[Tensor, "n c h w"],
    units: Sequence[Unit],
    maps: Maps,
    judges: Sequence[Judge],
    masks: Bool[np.ndarray, "n h w"] | None,
    step: Step,
) -> Scored:
    """Every metric of every contender's maps. A metric that does not fit is left out and listed, unless the user named it."""
    fitting(judges, len(images), masks is not None)
    left_out = [(judge, reason) for judge in judges if (reason := _unfit(judge, len(images), masks is not None))]
    usable = [judge for judge in judges if judge not in dict(left_out)]
    values: dict[Judge, dict[Contender, np.ndarray]] = {}
    done, total = 0, len(usable) * len(maps)
    for judge in usable:
        found: dict[Contender, np.ndarray] = {}
        try:
            for contender, heatmaps in maps.items():
                step("metrics", done, total)
                evidence = Evidence(model, images, tuple(units), tuple(heatmaps), contender.method, masks)
                found[contender] = judge.metric(evidence)
                done += 1
        except Unsupported as error:
            if judge.named:
                raise
            left_out.append((judge, str(error)))
            done += len(maps) - len(found)
            continue
        values[judge] = found
    step("metrics", total, total)
    return Scored(values, tuple(left_out))


def _unfit(judge: Judge, images: int, masks: bool) -> str:
    metric = judge.metric
    if metric.needs_masks and not masks:
        return f"the metric '{metric.name}' needs to know where the objects are: give --masks DIR or --boxes FILE"
    if images < metric.least_images:
        return f"the metric '{metric.name}' needs at least {metric.least_images} images, not {images}: give more"
    return ""
