"""How metrics ask a network: variants of images scored a batch at a time, in probabilities or raw scores, seeded by content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.core.score import evaluate
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.metrics.evidence import Evidence

Score = Callable[[Tensor, Sequence[int]], np.ndarray]
"""From images (m, c, h, w), and the index of the sample that each is a variant of, to one number each."""


class Output(StrEnum):
    """Which number is watched. ``SOFTMAX``: the probability of a class; any other unit is refused. ``LOGIT``: the raw
    score, which for a class is its logit. ``AUTO``: the probability where the unit is one of several classes, the raw score elsewhere."""

    AUTO = "auto"
    SOFTMAX = "softmax"
    LOGIT = "logit"

    def is_probability(self, model: Model, unit: Unit) -> bool:
        """Whether this output of ``unit`` is (or is asked to be) a probability."""
        return self is Output.SOFTMAX or (
            self is Output.AUTO and unit.layer == model.output and unit.at is None and model.has_probabilities
        )


def scorer(evidence: Evidence, output: Output) -> Score:
    """The score of each sample's own unit. It raises what `interp.core.score.evaluate` does: Unsupported where a probability
    is asked of no class, InterpError where a score is not finite."""
    model, units = evidence.model, evidence.units

    def score(images: Tensor, samples: Sequence[int]) -> Float[np.ndarray, " n"]:
        wanted = [units[i] for i in samples]
        probability = [output.is_probability(model, unit) for unit in wanted]
        found = np.empty(len(wanted))
        for softmax in set(probability):
            rows = [k for k, is_one in enumerate(probability) if is_one == softmax]
            part = images if len(rows) == len(images) else images[rows]
            found[rows] = evaluate(model, part, [wanted[k] for k in rows], len(rows), softmax=softmax).numpy()
        return found

    return score


def scores_of(score: Score, variants: Iterable[tuple[int, Float[Tensor, "c h w"]]], batch_size: int) -> Float[np.ndarray, " n"]:
    """``score`` of every (sample index, image): the variants are made as they are needed and ``batch_size`` of them live at once.

    Raises InterpError where ``batch_size`` is below 1.
    """
    if batch_size < 1:
        raise InterpError(f"`batch_size` is {batch_size}: give at least 1")
    left, parts = iter(variants), []
    while batch := list(islice(left, batch_size)):
        parts.append(score(torch.stack([image for _, image in batch]), [sample for sample, _ in batch]))
    return np.concatenate(parts).astype(np.float64)


def where_telling(evidence: Evidence, measure: Callable[[Evidence], Float[np.ndarray, " n"]]) -> Float[np.ndarray, " n"]:
    """``measure`` of the samples whose map tells something; NaN for the others, which the network is never asked about.

    A map that is not finite tells nothing, nor does one that is constant at its own resolution, such as a zero map: it orders nothing.
    """
    usable = np.array([_tells(heatmap.values) for heatmap in evidence.heatmaps])
    if usable.all():
        return measure(evidence)
    values = np.full(len(usable), np.nan)
    if not usable.any():
        return values
    kept = np.flatnonzero(usable).tolist()
    part = replace(
        evidence,
        images=evidence.images[kept],
        units=tuple(evidence.units[i] for i in kept),
        heatmaps=tuple(evidence.heatmaps[i] for i in kept),
        masks=None if evidence.masks is None else evidence.masks[kept],
    )
    values[usable] = measure(part)
    return values


def _tells(values: Float[np.ndarray, "rows cols"]) -> bool:
    return bool(np.isfinite(values).all() and (values != values.flat[0]).any())
