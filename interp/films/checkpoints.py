"""From a row of weights files of one network to a `Timeline`: what `interp.watch` records, taken afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from interp.attribution import gradcam
from interp.core.graph import edges
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import BadFile, InterpError
from interp.films.matching import assigned
from interp.films.recorded import strongest
from interp.films.row import Row
from interp.films.timeline import Curve, Probe, Timeline
from interp.images import Photo
from interp.kernels import Kernels
from interp.kernels import of as kernels_of
from interp.watching.filters import Columns, measured, summed_up
from interp.watching.plan import Asked, Plan, planned
from interp.watching.seeing import seen

CHANNELS, SIDE, TESTED = 16, 64, 32
"""As `interp.watching.Detail`: channels looked at, sides of maps, filters that noise is asked of where weights are not shown."""
PICTURE_ROWS = 224


@dataclass(frozen=True)
class Wanted:
    """Which ``layers`` (names or globs; none: the first convolution) keep their weights; ``match``: units of each checkpoint are matched
    to those of the one before; ``seed``: of the draws that stand for noise."""

    layers: tuple[str, ...] = ()
    match: bool = False
    seed: int = 0


@dataclass(eq=False)
class _Look:
    """A network at one checkpoint."""

    kernels: dict[str, Kernels]
    columns: dict[str, Columns]
    activations: dict[str, np.ndarray]
    gradcam: dict[str, np.ndarray]
    target: int


def of(
    these: Row, load: Callable[[Path], Model], photo: Photo | None, wanted: Wanted, tick: Callable[[str, int, int], None]
) -> tuple[Timeline, Model]:
    """The `Timeline` of checkpoints, of which ``load`` makes models, and the last model.

    Raises BadFile where two are of other structures, and what ``load`` raises where a file does not fit.
    """
    first = load(these.paths[0])
    plan = planned(first, Asked(wanted.layers or None), 1, CHANNELS, SIDE)
    if not plan.kernels:
        raise InterpError(f"'{first.spec.reference}' has no convolution to follow")
    looks: list[_Look] = []
    model = first
    orders: dict[str, list[np.ndarray]] = {}
    for done, path in enumerate(these.paths):
        tick("checkpoints", done, len(these.paths))
        model = first if done == 0 else load(path)
        _refuse_other(first, model, path)
        looks.append(_look(model, plan, photo, looks[-1] if looks else None, orders, wanted))
    tick("checkpoints", len(these.paths), len(these.paths))
    return _timeline(these, first, plan, photo, looks, wanted, orders), model


def _refuse_other(first: Model, model: Model, path: Path) -> None:
    there, here = ([(layer.name, layer.kind, layer.shape) for layer in one.layers] for one in (first, model))
    if there != here:
        raise BadFile(f"the checkpoint `{path}` makes another network than the first one does: give checkpoints of one architecture")


def _look(
    model: Model, plan: Plan, photo: Photo | None, before: _Look | None, orders: dict[str, list[np.ndarray]], wanted: Wanted
) -> _Look:
    names = dict.fromkeys((*(one.layer for one in plan.convolutions), *plan.kernels))
    kernels = {layer: kernels_of(model, layer) for layer in names}
    if wanted.match:
        kernels = _matched(model, kernels, before, orders)
    columns = {}
    for layer, one in kernels.items():
        tested = len(one) if layer in plan.kernels else TESTED
        columns[layer] = measured(one, None if before is None else before.kernels[layer].weights, tested, wanted.seed)
    found = _Look(kernels, columns, {}, {}, 0)
    if photo is not None:
        images = model.preprocess([photo])
        answers = seen(model, images, plan)
        found.activations = {layer: maps[0] for layer, maps in answers.activations.items()}
        found.target = int(answers.scores[0].argmax())
        for followed in (followed for followed in plan.convolutions if followed.read):
            columns[followed.layer] |= {"dead": answers.dead[followed.read], "unknown": answers.unknown[followed.read]}
        if plan.gradcam:
            maps = gradcam.of(model, images, [Unit(model.output, found.target)], plan.gradcam)[0]
            found.gradcam = {layer: maps[layer].values for layer in plan.gradcam}
    return found


def _matched(model: Model, kernels: dict[str, Kernels], before: _Look | None, orders: dict[str, list[np.ndarray]]) -> dict[str, Kernels]:
    """The kernels with their filters in the order of those before, and their inputs in that of the layer that feeds them.

    Layers that are fed by several, or by none of the same width, keep their order: a unit of theirs has no counterpart that is known.
    """
    fed = {layer: [source for source, target in edges(model, list(kernels)) if target == layer] for layer in kernels}
    found = {}
    for layer, one in kernels.items():
        weights = one.weights
        sources = [source for source in fed[layer] if source != layer]
        can = one.groups == 1 and (
            not sources or (len(sources) == 1 and sources[0] in orders and weights.shape[1] == len(kernels[sources[0]]))
        )
        if can:
            weights = weights[:, orders[sources[0]][-1]] if sources else weights
            order = assigned(before.kernels[layer].weights, weights) if before is not None else np.arange(len(weights))
            orders.setdefault(layer, []).append(order)
            weights = np.ascontiguousarray(weights[order])
        found[layer] = replace(one, weights=weights)
    return found


def _timeline(
    these: Row, model: Model, plan: Plan, photo: Photo | None, looks: Sequence[_Look], wanted: Wanted, orders: dict[str, list[np.ndarray]]
) -> Timeline:
    names = tuple(str(step) for step in these.steps) if these.numbered else tuple(path.stem for path in these.paths)
    first = plan.convolutions[0].layer if plan.convolutions else ""
    coloured = {layer for layer in plan.kernels if layer == first and len(model.preprocess.mean) == 3}
    return Timeline(
        model.spec.reference,
        "number in the checkpoint's name" if these.numbered else "checkpoint, in the order given",
        these.steps,
        names,
        {layer: np.stack([look.kernels[layer].weights for look in looks]) for layer in plan.kernels},
        {layer: np.stack([look.columns[layer]["noise_p"] for look in looks]) for layer in plan.kernels},
        frozenset(coloured),
        {one.layer: _summaries(these, [summed_up(look.columns[one.layer]) for look in looks]) for one in plan.convolutions},
        (),
        None if photo is None else _probe(model, plan, photo, looks),
        _notes(plan, looks, wanted, orders),
        wanted.match,
    )


def _summaries(these: Row, summed: Sequence[dict[str, float]]) -> dict[str, Curve]:
    found = {}
    for name in dict.fromkeys(name for one in summed for name in one):
        pairs = [(step, one[name]) for step, one in zip(these.steps, summed, strict=True) if name in one]
        found[name] = Curve(name, np.array([step for step, _ in pairs], np.int64), np.array([value for _, value in pairs], np.float64))
    return found


def _probe(model: Model, plan: Plan, photo: Photo, looks: Sequence[_Look]) -> Probe:
    activations, units = {}, {}
    for one in plan.activations:
        maps = np.stack([look.activations[one.layer].astype(np.float32) for look in looks])
        channel = strongest(maps)
        activations[one.layer], units[one.layer] = maps[:, channel], f"{one.layer}:{one.channels[channel]}"
    return Probe(
        photo.name,
        model.preprocess.view(photo, PICTURE_ROWS),
        activations,
        units,
        {layer: np.stack([look.gradcam[layer] for look in looks]) for layer in plan.gradcam},
        tuple(model.class_name(look.target) for look in looks),
    )


def _notes(plan: Plan, looks: Sequence[_Look], wanted: Wanted, orders: dict[str, list[np.ndarray]]) -> tuple[str, ...]:
    if not wanted.match:
        return ("Units are compared by their index, as within one training; --match matches them, as between trainings.",)
    matched = [layer for layer in plan.kernels if layer in orders]
    moved = sum(int((order != np.arange(len(order))).sum()) for layer in matched for order in orders[layer][1:])
    total = sum(len(looks[0].kernels[layer]) * (len(looks) - 1) for layer in matched)
    left = ", ".join(layer for layer in plan.kernels if layer not in orders)
    found = [
        "Units were matched to those of the checkpoint before: the assignment with the largest sum of cosines of their weights. "
        f"{moved} of {total} changed their place."
    ]
    found += [f"{left}: fed by several layers, so that the units keep their index."] if left else []
    found += ["Activations and the share of dead filters are those of the units' own index."] if looks[0].activations else []
    return (" ".join(found),)
