"""The numbers of a layer's units by which its page sorts and filters, each with the sentence that says what it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from interp.microscope.results import LayerWork, UnitWork
from interp.site.microscope import Column

Values = dict[str, tuple[float | None, ...]]

COLUMNS = (
    Column("score", "score", "What the channel's optimized image gives: the mean of the channel, in the layer's own unit"),
    Column(
        "natural_ratio",
        "of natural",
        "The score over the most that photographs give: below 1 a photograph does better; none where they give nothing above 0, "
        "and without meaning where they give about 0",
        2,
    ),
    Column("above_noise", "above noise", "The score above random images of the same spectrum, in units of their spread", 1),
    Column("kept", "kept", "The share of the score that is left after small shifts, or JPEG, whichever takes more", 2),
    Column("mean", "mean", "Mean activation over all pictures and places"),
    Column("sd", "sd", "Standard deviation of the activation over all pictures and places"),
    Column("maximum", "largest", "Largest activation in the data"),
    Column("zeros", "zeros", "Share of activations that are exactly zero"),
    Column("active", "active", "Share of pictures in which the channel is above zero somewhere"),
    Column("selectivity", "selectivity", "Class selectivity index: 0 answers to all classes alike, 1 to one alone (Morcos et al. 2018)"),
    Column("orientation", "orientation", "How much positive answers to gratings depend on their angle: 0 not at all, 1 one angle alone"),
    Column(
        "gabor_r2",
        "Gabor fit",
        "R^2 of the best Gabor function; a unit's page has its p beside noise",
        2,
    ),
    Column("l2", "weights", "L2 norm of the channel's weights"),
    Column(
        "stable_rank",
        "stable rank",
        "Of the filter as a matrix of inputs by places: square sum of its singular values over the largest square",
        2,
    ),
    Column("sparsity", "sparsity", "Share of the filter's kernels that are as good as zero"),
    Column("orthogonality", "orthogonality", "1 less the mean absolute cosine to the other filters"),
    Column("nearest_cosine", "nearest", "Cosine with the filter of the layer that is most alike; 1 is a duplicate"),
    Column("flatness", "flatness", "Spectral flatness of the kernels: 1 is white noise, 0 one frequency"),
    Column("moran", "Moran's I", "How much neighbouring weights are alike: 0 not at all, 1 smooth", 2),
    Column("noise_p", "p of noise", "How often noise looks as structured as this filter: large where it cannot be told from noise"),
)


def columns_of(work: LayerWork, units: Iterable[UnitWork]) -> tuple[tuple[Column, ...], Values]:
    """The columns that have a number for any unit of the layer, and the numbers."""
    statistics = work.statistics
    values: dict[str, Sequence[float | None]] = _of_images(units)
    values |= {name: getattr(statistics, name).tolist() for name in ("mean", "sd", "maximum", "zeros", "active")}
    if statistics.selectivity is not None:
        values["selectivity"] = statistics.selectivity.tolist()
    if "orientation" in work.tuning:
        values["orientation"] = [orientation_selectivity(answers) for answers in work.tuning["orientation"]]
    values |= {name: numbers.tolist() for name, numbers in work.weights.items()}
    if work.gabor:
        values["gabor_r2"] = work.gabor["r2"].tolist()
    count = work.plan.channels(work.layer)
    kept = {name: tuple(_number(value) for value in found[:count]) for name, found in values.items()}
    there = tuple(column for column in COLUMNS if any(value is not None for value in kept.get(column.key, ())))
    return there, {column.key: kept[column.key] for column in there}


def _of_images(units: Iterable[UnitWork]) -> dict[str, Sequence[float | None]]:
    found: Mapping[str, list[float | None]] = {name: [] for name in ("score", "natural_ratio", "above_noise", "kept")}
    for unit in units:
        made = unit.first()
        numbers: Mapping[str, float] = {} if made is None else made.numbers
        shares = [numbers[name] for name in ("kept_shifted", "kept_jpeg") if name in numbers]
        found["score"].append(None if made is None else made.score)
        found["natural_ratio"].append(None if made is None else made.ratio)
        found["above_noise"].append(numbers.get("above_noise"))
        found["kept"].append(min(shares) if shares else None)
    return dict(found)


def orientation_selectivity(answers: np.ndarray) -> float | None:
    """1 - circular variance of the positive answers over orientations, (ORIENTATIONS,) -> [0, 1]; None where none is positive.

    |sum_k r_k exp(2 i t_k)| / sum_k r_k, with t_k the angles (Ringach, Shapley & Hawken 2002).
    """
    positive = np.maximum(np.asarray(answers, np.float64), 0)
    total = float(positive.sum())
    if total <= 0:
        return None
    angles = np.pi * np.arange(len(positive)) / len(positive)
    return float(abs((positive * np.exp(2j * angles)).sum()) / total)


def _number(value: float | None) -> float | None:
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
