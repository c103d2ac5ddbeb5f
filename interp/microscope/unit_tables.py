"""What was found of units as tables of Arrow, each row with the layer and the channel that it is about: what the pages show, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pyarrow import lib as pa

from interp.activations import stream
from interp.activations.stream import Side
from interp.microscope.columns import orientation_selectivity
from interp.microscope.looking import Look
from interp.microscope.relations import Relations
from interp.microscope.results import LayerWork
from interp.microscope.strips import Strip
from interp.site.microscope import Link

# Of the numbers of filters: which are places in the layer (-1: none), and which are verdicts.
_CHANNELS, _VERDICTS = ("nearest", "duplicate_of"), ("noise", "gabor_like", "blob")
_MEASURED = ("above_noise", "kept_shifted", "kept_jpeg", "contrast", "saturation")


def tables(
    scan: stream.Scan, work: Sequence[LayerWork], relations: Mapping[str, Relations], strips: Sequence[Strip]
) -> dict[str, pa.Table]:
    """Every table by its name; one without a row says that there is nothing of that kind.

    Those of the pass (`stream.tables`), with what pages say of them beside; ``optimized``, a row per optimized image; ``tuning``, a row per
    position of a curve; ``filters`` and ``gabor``, a row per filter; ``weight_neighbours`` and ``connections``, a row per pair of units.
    """
    model = work[0].plan.model
    found = dict(stream.tables(scan, model))
    kinds, layers = [model.layer(one.layer).kind for one in work], found["layers"]
    layers = layers.set_column(layers.schema.get_field_index("kind"), "kind", pa.array(kinds, pa.string()))
    found["layers"] = layers.append_column("read_at", pa.array([one.plan.read[one.layer] for one in work], pa.string()))
    for name, column in _of_units(work).items():
        found["units"] = found["units"].append_column(name, column)
    found["examples"] = found["examples"].append_column("shown", pa.array(_shown(work), pa.bool_()))
    found["optimized"] = _joined([_optimized(one) for one in work])
    found["tuning"] = _joined([_tuning(one, strips) for one in work])
    found["filters"] = _joined([numbers(one.layer, one.weights) for one in work])
    found["gabor"] = _joined([numbers(one.layer, one.gabor) for one in work])
    found["weight_neighbours"] = _joined([_neighbours(one.layer, relations[one.layer].by_weights) for one in work])
    found["connections"] = _joined([_connections(one.layer, relations[one.layer]) for one in work])
    return found


def _joined(parts: Sequence[pa.Table]) -> pa.Table:
    """One under the other; what one of them does not have is null there."""
    return pa.concat_tables(parts, promote_options="default").combine_chunks()


def _of_units(work: Sequence[LayerWork]) -> dict[str, pa.Array]:
    """What the pass does not know of units: where they are read, their class, how selective they are to orientation."""
    read, titles, selective = [], [], []
    for one in work:
        channels = range(one.statistics.channels)
        answers = one.tuning.get("orientation")
        read += [one.plan.read[one.layer]] * len(channels)
        titles += [one.title(channel) for channel in channels]
        selective += [None if answers is None else orientation_selectivity(answers[channel]) for channel in channels]
    return {
        "read_at": pa.array(read, pa.string()),
        "class": pa.array(titles, pa.string()),
        "orientation_selectivity": pa.array(selective, pa.float64()),
    }


def _shown(work: Sequence[LayerWork]) -> np.ndarray:
    """Of each row of the examples, whether it stands on the unit's page."""
    parts = []
    for one in work:
        for side in Side:
            there = one.statistics.examples(side).images >= 0
            shown = np.zeros(there.shape, dtype=bool)
            for order in one.sheets.values():
                stage = order.stage
                assert isinstance(stage, Look)
                for k, seen in enumerate(stage.tops if side is Side.TOP else stage.bottoms):
                    shown[stage.first + k, [example.rank for example in seen]] = True
            parts.append(shown[there])
    return np.concatenate(parts)


def _optimized(work: LayerWork) -> pa.Table:
    rows = [(unit.channel, made) for unit in work.units() for made in unit.made]
    columns = {
        "layer": pa.array([work.layer] * len(rows), pa.string()),
        "channel": pa.array([channel for channel, _ in rows], pa.int64()),
        "kind": pa.array([made.name for _, made in rows], pa.string()),
        "score": pa.array([None if made.failed else made.score for _, made in rows], pa.float64()),
        "natural_maximum": pa.array([made.natural for _, made in rows], pa.float64()),
        "natural_ratio": pa.array([made.ratio for _, made in rows], pa.float64()),
        "never_fired": pa.array([made.dead for _, made in rows], pa.bool_()),
        "notes": pa.array(["; ".join(made.notes) for _, made in rows], pa.string()),
    }
    columns |= {name: pa.array([made.numbers.get(name) for _, made in rows], pa.float64()) for name in _MEASURED}
    return pa.table(columns)


def _tuning(work: LayerWork, strips: Sequence[Strip]) -> pa.Table:
    channels, families, units, positions, answers = [], [], [], [], []
    for strip in strips:
        curves = work.tuning[strip.name]
        count = curves.size
        channels.append(np.repeat(np.arange(len(curves)), len(strip.positions)))
        families += [strip.name] * count
        units += [strip.unit] * count
        positions.append(np.tile(np.array(strip.positions), len(curves)))
        answers.append(np.asarray(curves, np.float64).reshape(-1))
    return pa.table(
        {
            "layer": pa.array([work.layer] * len(families), pa.string()),
            "channel": pa.array(np.concatenate(channels) if channels else [], pa.int64()),
            "family": pa.array(families, pa.string()),
            "position": pa.array(np.concatenate(positions) if positions else [], pa.float64()),
            "unit": pa.array(units, pa.string()),
            "answer": pa.array(np.concatenate(answers) if answers else [], pa.float64()),
        }
    )


def numbers(layer: str, found: Mapping[str, np.ndarray]) -> pa.Table:
    """A row per channel and a column per number; numbers that are not defined are null."""
    count = max((len(values) for values in found.values()), default=0)
    columns = {"layer": pa.array([layer] * count, pa.string()), "channel": pa.array(np.arange(count), pa.int64())}
    return pa.table(columns | {name: _number(name, values) for name, values in found.items()})


def _number(name: str, values: np.ndarray) -> pa.Array:
    finite = np.isfinite(values)
    if name in _VERDICTS:
        return pa.array(values > 0, pa.bool_())
    if name in _CHANNELS:
        whole = np.where(finite, values, -1).astype(np.int64)
        return pa.array(whole, pa.int64(), mask=whole < 0)
    return pa.array(values, pa.float64(), mask=~finite)


def _neighbours(layer: str, links: Sequence[Sequence[Link]]) -> pa.Table:
    channels, ranks, found = _ranked(links)
    return pa.table(
        {
            "layer": pa.array([layer] * len(found), pa.string()),
            "channel": pa.array(channels, pa.int64()),
            "rank": pa.array(ranks, pa.int64()),
            "neighbour": pa.array([link.channel for link in found], pa.int64()),
            "cosine": pa.array([link.value for link in found], pa.float64()),
        }
    )


def _connections(layer: str, relations: Relations) -> pa.Table:
    parts = []
    for direction, links in (("in", relations.incoming), ("out", relations.outgoing)):
        channels, ranks, found = _ranked(links)
        columns = {
            "layer": pa.array([layer] * len(found), pa.string()),
            "channel": pa.array(channels, pa.int64()),
            "direction": pa.array([direction] * len(found), pa.string()),
            "rank": pa.array(ranks, pa.int64()),
            "other_layer": pa.array([link.layer for link in found], pa.string()),
            "other_channel": pa.array([link.channel for link in found], pa.int64()),
            "strength": pa.array([link.value for link in found], pa.float64()),
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def _ranked(links: Sequence[Sequence[Link]]) -> tuple[list[int], list[int], list[Link]]:
    """The channels, ranks and links of a list per channel, one after the other."""
    every = [(channel, rank, link) for channel, mine in enumerate(links) for rank, link in enumerate(mine)]
    return [channel for channel, _, _ in every], [rank for _, rank, _ in every], [link for _, _, link in every]
