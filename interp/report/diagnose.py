"""The product of ``interp diagnose``: dead, rare, duplicate, noisy and over-sensitive filters, with the test behind each verdict."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
from pyarrow import lib as pa
from torch import Tensor, nn

from interp.comparisons.diagnosis import by_layer, sheet
from interp.comparisons.scaling import number
from interp.core.depth import has_kernel
from interp.core.following import read_at
from interp.core.graph import edges
from interp.core.model import Model
from interp.errors import BadFile, InterpError
from interp.kernels import Kernels, verdicts
from interp.kernels import of as kernels_of
from interp.kernels.gain import NOISE, noise_gains
from interp.kernels.statistics import KernelStatistics, measured
from interp.kernels.verdicts import Fault, Verdict
from interp.report.compose import lead, named
from interp.report.product import Figure, Numbers, Product, Tick
from interp.runs import Tolerance
from interp.site import Link, Table

if TYPE_CHECKING:
    from interp.datasets import DataSet

VERDICTS = "Verdicts"
MOST_SHAKEN = 32
"""Pictures that noise is added to."""
_MOST_ROWS = 60  # of the table on the page: the files have all
_MOST_LAYERS = 60  # of the figure
DIAGNOSED = {
    "statistics/*": Tolerance.DERIVED,
    "activations/*": Tolerance.DERIVED,
    "metrics/*": Tolerance.DERIVED,
    "figures/*": Tolerance.DERIVED,
}


@dataclass(frozen=True)
class Asked:
    """Which ``layers`` (patterns; none: all with kernels); ``seed``: of the noise; ``batch``: pictures at once."""

    layers: tuple[str, ...] = ()
    seed: int = 0
    batch: int = 32


def kernel_layers(model: Model, patterns: Sequence[str]) -> list[str]:
    """Layers with kernels: those of the patterns, or all. One that is named and has none is refused; globs leave others out."""
    having = [layer.name for layer in model.layers if has_kernel(model, layer)]
    if not patterns:
        if not having:
            raise InterpError(f"no layer of '{model.spec.reference}' has kernels")
        return having
    for name in (pattern for pattern in patterns if pattern in {layer.name for layer in model.layers}):
        kernels_of(model, name)
    chosen = {layer.name for layer in model.select(patterns)}
    found = [name for name in having if name in chosen]
    if not found:
        raise InterpError(f"none of the layers that {', '.join(map(repr, patterns))} matches has kernels: '{having[0]}' has some")
    return found


def diagnose(model: Model, data: DataSet | None, asked: Asked, tick: Tick) -> Product:
    """Verdicts by weights, and by the answers to ``data`` where there is some."""
    layers = kernel_layers(model, asked.layers)
    gammas = _gammas(model, layers)
    weights: dict[str, Kernels] = {}
    statistics: dict[str, KernelStatistics] = {}
    found: list[Verdict] = []
    for done, layer in enumerate(layers):
        tick("filters", done, len(layers))
        weights[layer] = kernels_of(model, layer)
        statistics[layer] = measured(weights[layer], asked.seed)
        found += verdicts.by_weights(statistics[layer], gammas.get(layer))
    tick("filters", len(layers), len(layers))
    activations: dict[str, np.ndarray] = {}
    if data is not None:
        seen, activations = _by_pictures(model, data, layers, asked, tick)
        found += seen
    order = {fault: place for place, fault in enumerate(Fault)}
    found.sort(key=lambda v: (order[v.fault], layers.index(v.layer), v.channel))
    return _product(model, data, weights, statistics, found, activations)


def _gammas(model: Model, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """The factors of the BatchNorm that each layer alone feeds."""
    norms = [layer.name for layer in model.layers if isinstance(model.module.get_submodule(layer.name), nn.modules.batchnorm._BatchNorm)]
    having = [layer.name for layer in model.layers if has_kernel(model, layer)]
    pairs = edges(model, [*having, *norms])
    result = {}
    for norm in norms:
        feeding = [source for source, target in pairs if target == norm]
        gamma = model.module.get_submodule(norm).weight
        if len(feeding) == 1 and feeding[0] in layers and gamma is not None:
            values = gamma.detach().double().cpu().numpy()  # type: ignore[operator]
            if len(values) == len(kernels_of(model, feeding[0])):
                result[feeding[0]] = values
    return result


def _by_pictures(
    model: Model, data: DataSet, layers: Sequence[str], asked: Asked, tick: Tick
) -> tuple[list[Verdict], dict[str, np.ndarray]]:
    from interp.activations.stream import ScanConfig, scan

    places = read_at(model, [layer for layer in layers if model.layer(layer).layout is not None])
    config = ScanConfig(top=1, correlations=False, batch=asked.batch)
    seen = scan(model, data, list(dict.fromkeys(places.values())), config, lambda step: tick("pictures", step.done, step.total))
    images: list[Tensor] = []
    for index in range(len(data)):
        if len(images) < MOST_SHAKEN:
            try:
                images.append(model.preprocess([data.photo(index)])[0])
            except BadFile:
                continue
    gains = noise_gains(model, images, list(dict.fromkeys(places.values())), asked.seed, lambda done, total: tick("noise", done, total))
    found: list[Verdict] = []
    arrays: dict[str, np.ndarray] = {}
    for layer, place in places.items():
        one = seen.layers[place]
        found += verdicts.by_activations(layer, np.asarray(one.dead), np.asarray(one.rare), np.asarray(one.active))
        found += verdicts.by_sensitivity(layer, gains[place])
        arrays |= {f"activations/{layer}/active": np.asarray(one.active), f"activations/{layer}/noise_gain": gains[place]}
    return found, arrays


def _product(
    model: Model,
    data: DataSet | None,
    weights: Mapping[str, Kernels],
    statistics: Mapping[str, KernelStatistics],
    found: list[Verdict],
    activations: Mapping[str, np.ndarray],
) -> Product:
    sizes = {layer: len(one) for layer, one in weights.items()}
    faults = [f for f in Fault if data is not None or f not in (Fault.RARE, Fault.SENSITIVE)]
    title = f"Filters to look at again: {named(model)}"
    figures = [Figure("sheet", sheet(found, weights, title), "Flagged filters, by verdict", _SHEET, VERDICTS)]
    if len(sizes) <= _MOST_LAYERS:
        figures.append(
            Figure(
                "layers",
                by_layer(found, sizes, faults, "Flagged filters by layer"),
                "Flagged filters, layers by verdict",
                _LAYERS,
                VERDICTS,
            )
        )
    arrays = {f"statistics/{layer}/{name}": values for layer, one in statistics.items() for name, values in one.columns().items()}
    flagged = len({(v.layer, v.channel) for v in found})
    seen = f" and the answers to {len(data)} pictures of {data.title}" if data is not None else ""
    text = f"{flagged} of {sum(sizes.values())} filters of {len(sizes)} layers are flagged, by their weights{seen}."
    unasked = {layer: one.no_structure for layer, one in statistics.items() if one.no_structure}
    text += f" Noise cannot be asked of {len(unasked)} layers: {next(iter(unasked.values()))}." if unasked else ""
    return Product(
        title,
        lead(model, text),
        figures,
        {**arrays, **activations},
        _metrics(statistics, found, faults),
        numbers=[_numbers(found, statistics)],
        tolerances=DIAGNOSED,
    )


def _metrics(statistics: Mapping[str, KernelStatistics], found: list[Verdict], faults: Sequence[Fault]) -> dict[str, object]:
    layers = {
        layer: {name: value for name, value in one.layer_numbers.items() if np.isfinite(value)}
        | {fault.value: len({v.channel for v in found if v.layer == layer and v.fault is fault}) for fault in faults}
        for layer, one in statistics.items()
    }
    return {"layers": layers, "flagged": {fault.value: count for fault, count in verdicts.counts(found).items() if fault in faults}}


HEADERS = tuple(field.name if field.name != "fault" else "verdict" for field in fields(Verdict))


def rows(found: Sequence[Verdict]) -> list[tuple[object, ...]]:
    """The verdicts as a table: `HEADERS`; no number is None."""
    return [tuple(_plain(getattr(v, field.name)) for field in fields(Verdict)) for v in found]


def _plain(value: object) -> object:
    if isinstance(value, Fault):
        return value.value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _numbers(found: Sequence[Verdict], statistics: Mapping[str, KernelStatistics]) -> Numbers:
    every = rows(found)
    words = [tuple(number(cell) if isinstance(cell, float) else "" if cell is None else str(cell) for cell in row) for row in every]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADERS)
    writer.writerows(every)
    files = {
        "verdicts.csv": text.getvalue().encode(),
        "verdicts.md": _markdown(words).encode(),
        "verdicts.parquet": _parquet(pa.table(_columns(every))),
        "filters.parquet": _parquet(_filters(statistics)),
    }
    links = tuple(Link(name, path) for name, path in zip(("CSV", "Markdown", "Parquet", "all filters (Parquet)"), files, strict=True))
    more = f" The first {_MOST_ROWS} of {len(words)}: the files have all." if len(words) > _MOST_ROWS else ""
    caption = "Each verdict with its test, the statistic, the threshold it passed, and p where the test has one." + more
    return Numbers(VERDICTS, Table(HEADERS, tuple(words[:_MOST_ROWS]), caption, links, 4), files)


def _columns(every: Sequence[tuple[object, ...]]) -> dict[str, pa.Array]:
    kinds = (pa.string(), pa.int64(), pa.string(), pa.string(), pa.float64(), pa.float64(), pa.float64(), pa.string())
    return {name: pa.array([row[k] for row in every], kind) for k, (name, kind) in enumerate(zip(HEADERS, kinds, strict=True))}


def _filters(statistics: Mapping[str, KernelStatistics]) -> pa.Table:
    """One row per filter, one column per statistic; what a layer does not have is null."""
    parts = []
    for layer, one in statistics.items():
        columns = one.columns()
        count = len(one.l1)
        parts.append(pa.table({"layer": [layer] * count, "channel": np.arange(count), **columns}))
    return pa.concat_tables(parts, promote_options="default")


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def _markdown(words: Sequence[tuple[str, ...]]) -> str:
    lines = [HEADERS, ("---",) * len(HEADERS), *words]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


_SHEET = (
    "Each filter on its own scale: first-layer ones in colour, deep ones by the three principal directions of their inputs as red, "
    "green and blue, 1x1 ones as their weights in reading order. Below, the number behind the verdict. Dead: norm, or gamma of the "
    "BatchNorm behind it, below 1 % of the layer's median, or never active. Duplicate: |cosine| of weights above .9 and above chance. "
    "Noise: not told from re-drawn weights and from permuted kernels by spectral flatness, Moran's I or concentration, at 5 % false "
    f"discoveries. Over-sensitive: noise of {NOISE:g} in the picture moves it, beside its natural spread, far more than others of its "
    "layer (median + 5 MAD of the log)."
)
_LAYERS = "How many filters of each layer have each verdict; the colour is the share of the layer."
