"""The scores of many variants of one image, a batch at a time: what every perturbation method measures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.core.score import evaluate
from interp.core.unit import Unit
from interp.errors import InterpError

Variants = Callable[[int, int], Tensor]
"""From ``start`` and ``stop`` to those variants of the image, (stop - start, c, h, w)."""


def scores_of(model: Model, unit: Unit, count: int, batch_size: int, variants: Variants) -> Float[np.ndarray, " n"]:
    """The score of ``unit`` for each of ``count`` variants (float64), of which at most ``batch_size`` exist at a time.

    Raises InterpError where a score is not finite.
    """
    scores = np.empty(count)
    for start in range(0, count, batch_size):
        stop = min(start + batch_size, count)
        scores[start:stop] = evaluate(model, variants(start, stop), [unit] * (stop - start), batch_size).numpy()
    return scores


def blend(image: Float[Tensor, "c h w"], filler: Float[Tensor, "c h w"], masks: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n c h w"]:
    """``image`` where a mask is 1 and ``filler`` where it is 0, in proportion between."""
    return filler + masks * (image - filler)


def refuse_below(least: int, **counts: int) -> None:
    """Raises InterpError for the first of the named whole numbers that is below ``least``."""
    for name, count in counts.items():
        if count < least:
            raise InterpError(f"`{name}` is {count}: give at least {least}")
