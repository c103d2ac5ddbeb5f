"""A pass as tables of Arrow, to be written as Parquet: what pandas, polars and DuckDB read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pyarrow import lib as pa

from interp.activations.stream.crops import crop_box
from interp.activations.stream.values import LayerStatistics, Scan, Side
from interp.core.model import Model

TABLES = ("units", "examples", "histograms", "neighbours", "images", "layers")


def tables(scan: Scan, model: Model | None = None) -> dict[str, pa.Table]:
    """The tables of a pass, by name.

    ``units``: a row per channel, with its statistics, which are of all its ``values``. Only quantiles and histogram are of
    ``values_counted`` of them: all, or a sample where maps are large, so that the share q of values below a quantile has a standard
    error of at most sqrt(q (1 - q) / ``values_counted``). Beside that a quantile is off by at most ``quantile_error``: 0 while values
    are few, else at most 1/128 of the channel's largest magnitude. ``examples``: a row per channel, side and rank (from 0), with the
    picture, value and place; with ``model`` also the pixels of its input that the place sees. ``histograms``: a row per channel and
    bin that holds a counted value. ``neighbours``: a row per channel and neighbour, by correlation.
    ``images``: every picture, also those ``skipped``, and why. ``layers``: a row per layer. Numbers that are not defined are null.
    """
    layers = list(scan.layers.values())
    return {
        "units": _joined([_units(layer, scan.labels) for layer in layers]),
        "examples": _joined([_examples(layer, side, scan, model) for layer in layers for side in Side]),
        "histograms": _joined([_histogram(layer) for layer in layers]),
        "neighbours": _joined([_neighbours(layer) for layer in layers]),
        "images": _images(scan),
        "layers": _layers(layers),
    }


def _joined(parts: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts).combine_chunks()


def _names(layer: LayerStatistics, rows: int) -> pa.Array:
    return pa.array([layer.layer] * rows, pa.string())


def _floats(values: np.ndarray | None, rows: int) -> pa.Array:
    """Numbers, null where they are not finite, or all of them where there are none."""
    if values is None:
        return pa.nulls(rows, pa.float64())
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    return pa.array(flat, pa.float64(), mask=~np.isfinite(flat))


def _whole(values: np.ndarray) -> pa.Array:
    return pa.array(np.asarray(values, dtype=np.int64).reshape(-1), pa.int64())


def level_name(level: float) -> str:
    """The column of a quantile: ``quantile_50`` for the median, ``quantile_99_9``."""
    return "quantile_" + f"{100 * level:.6f}".rstrip("0").rstrip(".").replace(".", "_")


def _units(layer: LayerStatistics, labels: tuple[str, ...]) -> pa.Table:
    count = layer.channels
    preferred = None if layer.preferred is None else [labels[k] if k >= 0 else None for k in layer.preferred]
    columns: dict[str, pa.Array] = {
        "layer": _names(layer, count),
        "channel": _whole(np.arange(count)),
        "images": _whole(np.full(count, layer.images)),
        "mean": _floats(layer.mean, count),
        "sd": _floats(layer.sd, count),
        "minimum": _floats(layer.minimum, count),
        "maximum": _floats(layer.maximum, count),
        "zeros": _floats(layer.zeros, count),
        "active": _floats(layer.active, count),
        "dead": pa.array(layer.dead, pa.bool_()),
        "rare": pa.array(layer.rare, pa.bool_()),
        "selectivity": _floats(layer.selectivity, count),
        "preferred": pa.nulls(count, pa.string()) if preferred is None else pa.array(preferred, pa.string()),
        "values": _whole(np.full(count, layer.values)),
        "values_counted": _whole(np.full(count, layer.counted)),
        "quantile_error": _floats(layer.resolution, count),
    }
    columns |= {level_name(level): _floats(layer.quantiles[:, k], count) for k, level in enumerate(layer.levels)}
    return pa.table(columns)


def _examples(layer: LayerStatistics, side: Side, scan: Scan, model: Model | None) -> pa.Table:
    found = layer.examples(side)
    channels, ranks = np.nonzero(found.images >= 0)
    images, rows, cols = (array[channels, ranks] for array in (found.images, found.rows, found.cols))
    sources = [scan.sources[image] for image in images]
    columns: dict[str, pa.Array] = {
        "layer": _names(layer, len(channels)),
        "channel": _whole(channels),
        "side": pa.array([side.value] * len(channels), pa.string()),
        "rank": _whole(ranks),
        "image": _whole(np.array([source.index for source in sources])),
        "source": pa.array([source.name for source in sources], pa.string()),
        "label": pa.array([source.label for source in sources], pa.string()),
        "value": _floats(found.values[channels, ranks], len(channels)),
        "row": _whole(rows),
        "col": _whole(cols),
    }
    boxes = np.full((len(channels), 4), -1)
    if model is not None and len(channels):
        known = {place: crop_box(model, layer.layer, *place) for place in set(zip(rows.tolist(), cols.tolist(), strict=True))}
        boxes = np.array([known[place] for place in zip(rows.tolist(), cols.tolist(), strict=True)])
    for k, name in enumerate(("crop_top", "crop_left", "crop_bottom", "crop_right")):
        columns[name] = pa.array(boxes[:, k], pa.int64(), mask=boxes[:, k] < 0)
    return pa.table(columns)


def _histogram(layer: LayerStatistics) -> pa.Table:
    channels, bins = np.nonzero(layer.counts)
    return pa.table(
        {
            "layer": _names(layer, len(channels)),
            "channel": _whole(channels),
            "low": _floats(layer.edges[channels, bins], len(channels)),
            "high": _floats(layer.edges[channels, bins + 1], len(channels)),
            "count": _whole(layer.counts[channels, bins]),
        }
    )


def _neighbours(layer: LayerStatistics) -> pa.Table:
    near, values = layer.nearest, layer.nearest_correlation
    if near is None or values is None:
        near, values = np.empty((0, 0), dtype=np.int64), np.empty((0, 0))
    channels, ranks = np.nonzero(near >= 0)
    return pa.table(
        {
            "layer": _names(layer, len(channels)),
            "channel": _whole(channels),
            "rank": _whole(ranks),
            "neighbour": _whole(near[channels, ranks]),
            "correlation": _floats(values[channels, ranks], len(channels)),
        }
    )


def _images(scan: Scan) -> pa.Table:
    sources = scan.sources
    names = [*(source.name for source in sources), *(name for name, _ in scan.skipped)]
    reasons = [*(None for _ in sources), *(reason for _, reason in scan.skipped)]
    gone = len(scan.skipped)
    return pa.table(
        {
            "image": pa.array([*(source.index for source in sources), *[None] * gone], pa.int64()),
            "source": pa.array(names, pa.string()),
            "sha256": pa.array([*(source.sha256 for source in sources), *[None] * gone], pa.string()),
            "label": pa.array([*(source.label for source in sources), *[None] * gone], pa.string()),
            "skipped": pa.array(reasons, pa.string()),
        }
    )


def _layers(layers: list[LayerStatistics]) -> pa.Table:
    def each(value: Mapping[str, object]) -> pa.Array:
        return pa.array([value[layer.layer] for layer in layers])

    chosen = {layer.layer: layer.selectivity for layer in layers if layer.selectivity is not None}
    means = {name: float(np.nanmean(v)) if np.isfinite(v).any() else None for name, v in chosen.items()}
    return pa.table(
        {
            "layer": pa.array([layer.layer for layer in layers], pa.string()),
            "kind": pa.array([layer.kind for layer in layers], pa.string()),
            "channels": each({layer.layer: layer.channels for layer in layers}),
            "rows": each({layer.layer: layer.places[0] for layer in layers}),
            "cols": each({layer.layer: layer.places[1] for layer in layers}),
            "images": each({layer.layer: layer.images for layer in layers}),
            "zeros": each({layer.layer: float(layer.zeros.mean()) for layer in layers}),
            "dead": each({layer.layer: int(layer.dead.sum()) for layer in layers}),
            "rare": each({layer.layer: int(layer.rare.sum()) for layer in layers}),
            "selectivity": pa.array([means.get(layer.layer) for layer in layers], pa.float64()),
        }
    )
