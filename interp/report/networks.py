"""The product of two networks compared on the same pictures with known pixels: maps, localization, agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from interp.comparisons.contenders import Limits
from interp.comparisons.metric_table import MetricTable
from interp.comparisons.networks import Found, agreement, differences, grouped, intervals, joined, merged, side_by_side
from interp.core.model import Model
from interp.errors import InterpError
from interp.report import tolerances
from interp.report.comparison import Asked
from interp.report.product import Figure, Numbers, Product, Tick
from interp.report.truth import Examined, bounds, facts, of_known
from interp.synthetic import Truth, weights

MAPS, LOCALIZATION, AGREEMENT = "Maps", "Localization", "Agreement"
SHOWN = 3
"""Pictures whose maps are drawn."""


def examined_alike(
    models: Mapping[str, Model], drawn: Mapping[str, Truth], asked: Mapping[str, Asked], n_images: int, limits: Limits, tick: Tick
) -> dict[str, Examined]:
    """The same held-out pictures, which every network classifies correctly, in the same order; raises InterpError where there is none.

    ``drawn``: the same pictures as each network sees them.
    """
    common = set.intersection(*(set(one.indices[: one.n_correct]) for one in drawn.values()))
    chosen = sorted(common)[:n_images]
    if not chosen:
        raise InterpError("no picture is classified correctly by all networks: train them for longer")
    return {
        name: of_known(model, _only(drawn[name], chosen), drawn[name].accuracy, asked[name], limits, _named(tick, name))
        for name, model in models.items()
    }


def product(found: Mapping[str, Examined], yardstick: Examined, title: str, text: str, seed: int) -> Product:
    """Of two networks by their names; ``yardstick`` is the first one trained from another seed: how far equals agree."""
    name, other = found
    tables = {key: one.comparison.table(one.comparison.leading) for key, one in found.items()}
    both = merged(tables)
    change = differences(tables[name], tables[other], seed)
    maps = {key: _by_title(one) for key, one in found.items()}
    pairs = {
        f"{name} and {other}": agreement(maps[name], maps[other], seed),
        f"two of {name}": agreement(maps[name], _by_title(yardstick), seed),
        "other pictures": agreement(maps[name], maps[other], seed, shift=1),
    }
    alike = joined(pairs, ["other pictures"])
    people = {key: one.comparison.people for key, one in found.items()}
    few = {key: {method: row[:SHOWN] for method, row in rows.items()} for key, rows in maps.items()}
    figures = [
        Figure("maps", side_by_side({k: p[:SHOWN] for k, p in people.items()}, few, title), "Maps of two networks", _SIDE, MAPS),
        Figure("localization", intervals(both, "Localization against masks"), "Localization of both networks", _BOTH, LOCALIZATION),
        Figure("difference", intervals(change, f"{other} less {name}, picture by picture", 0), "Paired differences", _PAIRED, LOCALIZATION),
        Figure("agreement", grouped(alike, maps[name], "The same method on two networks"), "Agreement by method", _ALIKE, AGREEMENT),
    ]
    numbers = [
        Numbers(LOCALIZATION, both.page_table(), {"localization.csv": both.csv().encode(), "difference.csv": change.csv().encode()}),
        Numbers(AGREEMENT, alike.page_table(), {"agreement.csv": alike.csv().encode()}),
    ]
    accuracies = ", ".join(f"{key} {one.accuracy:.1%}" for key, one in found.items())
    return Product(
        title,
        f"{text} Correct of held-out pictures: {accuracies}, {name} from another seed {yardstick.accuracy:.1%}.",
        figures,
        _arrays({**found, "yardstick": yardstick}),
        _metrics({**found, "yardstick": yardstick}, change, pairs),
        numbers=numbers,
        tolerances=tolerances.NETWORKS,
    )


_SIDE = "The same pictures, the same class, the same method: columns alternate between the networks."
_BOTH = "Each method on each network; controls, which know nothing of a network, once."
_PAIRED = "Above zero: the second network's maps lie more on the object than the first's, on the same pictures."
_ALIKE = (
    "Spearman correlation of maps of the same picture. Yardsticks: two networks that differ only in their seed, and (hollow) the two "
    "networks' maps of different pictures."
)


def _only(known: Truth, indices: Sequence[int]) -> Truth:
    """The pictures of those numbers, in their order; all correct."""
    rows = [known.indices.index(index) for index in indices]
    return replace(
        known,
        images=known.images[rows],
        units=tuple(known.units[row] for row in rows),
        masks=known.masks[rows],
        distracting=known.distracting[rows],
        labels=known.labels[rows],
        predicted=known.predicted[rows],
        indices=tuple(indices),
        n_correct=len(rows),
    )


def _named(tick: Tick, name: str) -> Tick:
    return lambda stage, done, total: tick(f"{name}: {stage}", done, total)


def _by_title(found: Examined) -> Found:
    made = found.comparison
    return {c.title: made.attributed.maps[c] for c in made.leading if not c.control}


def _arrays(found: Mapping[str, Examined]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for name, one in found.items():
        made = one.comparison
        for contender, maps in made.attributed.maps.items():
            arrays |= {f"{name}/maps/{s.name}/{contender.key}": h.values for s, h in zip(made.people, maps, strict=True)}
        for judge, values in made.scored.values.items():
            arrays |= {f"{name}/metrics/{judge.title}/{contender.key}": row for contender, row in values.items()}
        arrays |= {f"{name}/weights/{key}": values for key, values in weights(made.model).items()}
    first = next(iter(found.values()))
    return arrays | {f"masks/{s.name}": mask for s, mask in zip(first.comparison.people, first.known.masks, strict=True)}


def _metrics(found: Mapping[str, Examined], change: MetricTable, pairs: Mapping[str, MetricTable]) -> dict[str, object]:
    networks = {name: {"sha256": one.comparison.model.spec.sha256, "truth": facts(one)} for name, one in found.items()}
    return {"networks": networks, "difference": _cells(change), "agreement": {name: _cells(table) for name, table in pairs.items()}}


def _cells(table: MetricTable) -> dict[str, object]:
    cells = zip(table.entries, table.summaries, strict=True)
    return {e.method: {m.title: bounds(c) for m, c in zip(table.measures, row, strict=True)} for e, row in cells}
