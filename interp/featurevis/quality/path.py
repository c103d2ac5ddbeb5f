"""Path similarity: is an optimized image processed like the natural images that its unit likes, layer by layer?

After Geirhos et al. 2023 (arXiv 2306.04719), who found that optimized images take another path through a network than
natural ones and agree only late. Here for any unit: classes are replaced by the natural images that excite it most.

With a_l(x) the channels of layer l for image x, each averaged over its places, and r Spearman's rank correlation:

- T: the ``top`` natural images of the unit, at most one view of each photograph;
- O: those of the other channels of the unit's layer, less T;
- raw_l = mean of r(a_l(optimized), a_l(t)) over t in T;
- same_l = mean of r(a_l(t), a_l(u)) over t and u in T of two photographs: the anchor 1;
- other_l = mean of r(a_l(t), a_l(o)) over t in T and o in O of two photographs: the anchor 0;
- similarity_l = (raw_l - other_l) / (same_l - other_l), not clipped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.core.depth import has_kernel
from interp.core.model import Model
from interp.featurevis.objective import Objective
from interp.featurevis.quality.natural import Views, several
from interp.featurevis.quality.scoring import BATCH, Images, activations, depth, table

# Natural images per unit, and the difference between the anchors below which they say nothing.
TOP, LEAST_GAP = 5, 0.1
# Ranks of fewer channels say next to nothing.
_LEAST_CHANNELS = 4

Curve = tuple[tuple[str, float | None], ...]
"""Layer and similarity, in firing order; None where the natural images of the unit are hardly more alike than others there."""


def path_similarity(
    model: Model, objectives: Sequence[Objective], images: Images, natural: Views, top: int = TOP, batch: int = BATCH
) -> list[tuple[Curve | None, str]]:
    """The curve of each [0, 1] image under its objective, or None and why: see the module's text for the equations.

    Layers: those with kernels (convolutions, linear layers) and at least 4 channels up to the objective's deepest layer, and that
    layer. ``top`` is lowered to half the number of photographs, so that others are left to compare with. Two forwards per
    batch, whatever the number of units.
    """
    depths = [depth(model, objective) for objective in objectives]
    deepest = max(depths, default=-1)
    ends = {d for d in depths if d >= 0}
    names = [layer.name for d, layer in enumerate(model.layers[: deepest + 1]) if d in ends or _counts(model, d)]
    alone = [k for k, objective in enumerate(objectives) if objective.images == 1 and depths[k] >= 0]
    if not alone:
        return [(None, _why_not(objective)) for objective in objectives]
    seen, own = channel_means(model, names, natural.images, batch), channel_means(model, names, images, batch)
    ranked, ours = ({name: ranks(means[name]) for name in names} for means in (seen, own))
    scores = dict(zip(alone, table(model, [objectives[k] for k in alone], natural.images, batch), strict=True))
    results: list[tuple[Curve | None, str]] = []
    for k, objective in enumerate(objectives):
        if k not in scores:
            results.append((None, _why_not(objective)))
            continue
        last = model.layers[depths[k]].name
        layers = names[: names.index(last) + 1]
        unit = objective.mean_of
        rivals = np.delete(seen[last], unit.channel, 1).T if unit is not None and unit.layer == last else seen[last].T
        chosen = choose(scores[k], rivals, natural.photo, top)
        if isinstance(chosen, str):
            results.append((None, chosen))
        else:
            results.append((tuple((name, similarity_at(ours[name][k], ranked[name], *chosen, natural.photo)) for name in layers), ""))
    return results


def choose(
    scores: Float[np.ndarray, " n"], rivals: Float[np.ndarray, "units n"], photo: Int[np.ndarray, " n"], top: int
) -> tuple[Int[np.ndarray, " t"], Int[np.ndarray, " o"]] | str:
    """T and O, as places among the natural images; or why there are none."""
    top = min(top, len(np.unique(photo)) // 2)
    if top < 2:
        return "path similarity needs at least 4 photographs, 2 for the unit and 2 to compare with"
    if not (np.isfinite(scores).all() and np.isfinite(rivals).all()):
        return "an activation of a natural image is no finite number"
    mine = best_views(scores[None], photo, top)[0]
    others = np.setdiff1d(best_views(rivals, photo, top).ravel(), mine) if len(rivals) else np.zeros(0, np.int64)
    if not (photo[others][:, None] != photo[mine][None]).any():
        return "no other unit of the layer likes other natural images best"
    return mine, others


def best_views(scores: Float[np.ndarray, "units n"], photo: Int[np.ndarray, " n"], top: int) -> Int[np.ndarray, "units top"]:
    """For each unit, the best view of each of the ``top`` photographs with the best ones."""
    groups = [np.flatnonzero(photo == p) for p in np.unique(photo)]
    places = np.stack([group[scores[:, group].argmax(1)] for group in groups], axis=1)
    order = np.argsort(-np.take_along_axis(scores, places, 1), axis=1, kind="stable")[:, :top]
    return np.take_along_axis(places, order, 1)


def similarity_at(
    own: Float[np.ndarray, " c"],
    seen: Float[np.ndarray, "n c"],
    mine: Int[np.ndarray, " t"],
    others: Int[np.ndarray, " o"],
    photo: Int[np.ndarray, " n"],
) -> float | None:
    """similarity_l of one image in one layer, from ranks (see `ranks`); None where the anchors are less than 0.1 apart."""
    raw = float((seen[mine] @ own).mean())
    same = _mean(seen[mine] @ seen[mine].T, photo[mine][:, None] != photo[mine][None])
    other = _mean(seen[mine] @ seen[others].T, photo[mine][:, None] != photo[others][None])
    value = (raw - other) / (same - other) if same - other >= LEAST_GAP else math.nan
    return value if math.isfinite(value) else None


def spearman(first: Float[np.ndarray, "n c"], second: Float[np.ndarray, "m c"]) -> Float[np.ndarray, "n m"]:
    """Spearman's rank correlation of each row of ``first`` with each of ``second``; a constant row gives 0."""
    products: np.ndarray = ranks(first) @ ranks(second).T
    return products


def ranks(values: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n c"]:
    """The ranks of each row, less their mean and of length 1: their products are Spearman's correlations.

    Equal values share their mean rank; a constant row becomes 0, one with a value that is not finite NaN.
    """
    ranked = np.stack([_mean_ranks(row) for row in values]) if len(values) else np.zeros(values.shape)
    centred = ranked - ranked.mean(1, keepdims=True)
    norm = np.sqrt(np.square(centred).sum(1, keepdims=True))
    standardized = np.where(norm > 0, centred / np.where(norm > 0, norm, 1), 0)
    return np.where(np.isfinite(values).all(1, keepdims=True), standardized, np.nan)


def channel_means(model: Model, names: Sequence[str], images: Images, batch: int = BATCH) -> dict[str, Float[np.ndarray, "n c"]]:
    """Each layer's channels averaged over their places, (n, channels), by name; one forward per batch for all layers."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for start in range(0, len(images), batch):
        seen = activations(model, names, images[start : start + batch])
        for name in names:
            parts[name].append(seen[name].flatten(2).mean(2).cpu().numpy())
    return {name: np.concatenate(found) for name, found in parts.items()}


def _mean_ranks(values: Float[np.ndarray, " c"]) -> Float[np.ndarray, " c"]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    result: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return result


def _mean(values: Float[np.ndarray, "n m"], where: Bool[np.ndarray, "n m"]) -> float:
    return float(values[where].mean())


def _counts(model: Model, place: int) -> bool:
    layer = model.layers[place]
    return layer.layout is not None and has_kernel(model, layer) and layer.channels >= _LEAST_CHANNELS


def _why_not(objective: Objective) -> str:
    return several(objective) if objective.images != 1 else "the objective looks at no layer, so there is no path to it"
