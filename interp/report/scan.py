"""The product of ``interp scan``: one pass over a data set as tables, a sheet of the strongest crops, and curves over the depth."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float

from interp.activations.stream import LayerStatistics, Scan, ScanConfig, Side, Step, crop_box, scan, tables
from interp.activations.stream.tables import TABLES
from interp.core.depth import evenly, spread
from interp.core.model import Model
from interp.datasets import DataSet
from interp.errors import InterpError
from interp.figures import CurvePanel, EmptyPanel, Grid, ImagePanel, Panel
from interp.report.compose import lead, named
from interp.report.product import Figure, Numbers, Product
from interp.runs import Tolerance
from interp.site import Link, Table

EXAMPLES, LAYERS = "Strongest examples", "Layers"
_LAYERS, _UNITS, _CROPS = 6, 3, 8
_MOST_ROWS = 60  # of the table on the page: all layers are in the files
_HIDDEN_NAMES = 30  # above so many layers a curve cannot name each

SCANNED = {
    "scan/*": Tolerance.COMPUTED,
    # These hang on single values near 0, at the edge of a bin, or on which of two images is the stronger.
    "scan/*/shares": Tolerance.DERIVED,
    "scan/*/quantiles": Tolerance.DERIVED,
    "scan/*/top_images": Tolerance.TOLD,
    "scan/*/bottom_images": Tolerance.TOLD,
    "metrics/layers/*": Tolerance.DERIVED,
    "metrics/key": Tolerance.TOLD,
    "figures/*": Tolerance.DERIVED,
}


@dataclass(frozen=True)
class Asked:
    """What is scanned: patterns of ``layers`` (none: every convolution and the classes), and how."""

    layers: tuple[str, ...]
    config: ScanConfig
    checkpoint: Path | None = None


def chosen_layers(model: Model, patterns: Sequence[str]) -> list[str]:
    """The layers named, each with maps; every convolution and the layer of the classes where none are; a few over the depth without any."""
    if patterns:
        found = model.select(patterns)
        for layer in found:
            _ = layer.map_shape
        return [layer.name for layer in found]
    mapped = [layer for layer in model.layers if layer.layout is not None]
    wanted = {layer.name for layer in mapped if layer.leaf and layer.kind.startswith("Conv")} or {layer.name for layer in spread(model)}
    return [layer.name for layer in mapped if layer.name in {*wanted, model.output}]


def scanned(model: Model, data: DataSet, asked: Asked, on_step: Callable[[Step], None] | None = None) -> Product:
    """The pass, and what it found."""
    layers = chosen_layers(model, asked.layers)
    return product(model, data, scan(model, data, layers, asked.config, on_step, asked.checkpoint))


def product(model: Model, data: DataSet, found: Scan) -> Product:
    """Tables, figures, arrays and numbers of a pass."""
    statistics = list(found.layers.values())
    count, gone = len(found.sources), len(found.skipped)
    text = f"What the channels of {len(statistics)} layers answer to {count} pictures of {data.title}."
    figures = [Figure("examples", _sheet(model, data, found), "Crops that excite units most, by unit and rank", _SHEET, EXAMPLES)]
    if len(statistics) > 1:
        figures.append(Figure("layers", _curves(statistics), "Shares of zeros, dead and rare channels by layer", _CURVES, LAYERS))
    skipped = f"{gone} of {count + gone} pictures were left out, as they cannot be read: {_listed(found)}." if gone else ""
    return Product(
        f"One pass over {data.title}: {named(model)}",
        " ".join(filter(None, (lead(model, text), skipped))),
        figures,
        _arrays(statistics),
        _metrics(found),
        facts=(("Pictures", f"{count} read, {gone} left out"), ("Key of the pass", found.key)),
        numbers=[_numbers(model, found)],
        tolerances=SCANNED,
    )


_SHEET = (
    "For each unit the parts of pictures that excite it most, the strongest first, one of a picture; below each the value. A part is what "
    "the place of the value can see (its receptive field); where that is the whole picture, all of it is shown. Of each layer shown, the "
    f"{_UNITS} channels whose largest value is the most standard deviations above their mean."
)
_CURVES = (
    "Active: the share of pictures in which a channel is above 0 anywhere, the mean over channels. Zeros: the share of values that are "
    "exactly 0. Dead: channels that are constant over all pictures, behind a ReLU never above 0. Rare: channels above 0 in fewer than "
    "1 % of the pictures. Selectivity, where pictures have labels: the mean class selectivity index."
)


def _listed(found: Scan) -> str:
    names = ", ".join(name for name, _ in found.skipped[:3])
    return names + (f" and {len(found.skipped) - 3} more" if len(found.skipped) > 3 else "")


def _sheet(model: Model, data: DataSet, found: Scan) -> Grid:
    rows: list[tuple[Panel, ...]] = []
    headers = []
    columns = min(_CROPS, *(layer.top.values.shape[1] for layer in found.layers.values()))
    for layer in evenly(list(found.layers.values()), _LAYERS):
        for channel in _striking(layer):
            headers.append(f"{layer.layer}:{channel}")
            rows.append(tuple(_crop(model, data, found, layer, channel, rank) for rank in range(columns)))
    if not rows:
        return Grid(((EmptyPanel("no channel varies over these pictures"),),))
    ranks = tuple(str(rank + 1) for rank in range(columns))
    return Grid(tuple(rows), tuple(headers), ranks, f"Strongest examples: {named(model)}", panel_size=1.0)


def _striking(layer: LayerStatistics) -> list[int]:
    """Channels whose largest value stands out most."""
    peak = np.divide(layer.maximum - layer.mean, layer.sd, out=np.full(layer.channels, -np.inf), where=(layer.sd > 0) & ~layer.dead)
    order = np.argsort(-peak, kind="stable")[:_UNITS]
    return [int(channel) for channel in order if np.isfinite(peak[channel])]


def _crop(model: Model, data: DataSet, found: Scan, layer: LayerStatistics, channel: int, rank: int) -> Panel:
    image = int(layer.top.images[channel, rank])
    if image < 0:
        return EmptyPanel()
    try:
        photo = data.photo(found.sources[image].index)
    except InterpError:
        return EmptyPanel("gone since")
    place = (int(layer.top.rows[channel, rank]), int(layer.top.cols[channel, rank]))
    seen = model.preprocess.view(photo, model.preprocess.size[0])
    top, left, bottom, right = crop_box(model, layer.layer, *place)
    return ImagePanel(_patch(seen, (top, left, bottom, right)), sublabel=f"{layer.top.values[channel, rank]:.3g}")


def _patch(seen: Float[np.ndarray, "h w 3"], box: tuple[int, int, int, int]) -> Float[np.ndarray, "rows cols 3"]:
    top, left, bottom, right = box
    return np.ascontiguousarray(seen[top:bottom, left : min(right, seen.shape[1])])


def _curves(layers: Sequence[LayerStatistics]) -> Grid:
    shares = {
        "active": [float(layer.active.mean()) for layer in layers],
        "zeros": [float(layer.zeros.mean()) for layer in layers],
        "dead": [float(layer.dead.mean()) for layer in layers],
        "rare": [float(layer.rare.mean()) for layer in layers],
    }
    chosen = [layer.selectivity for layer in layers]
    if all(index is not None and np.isfinite(index).any() for index in chosen):
        shares["selectivity"] = [float(np.nanmean(index)) for index in chosen if index is not None]
    series = tuple((name, np.array(values)) for name, values in shares.items())
    ticks = tuple(layer.layer for layer in layers) if len(layers) <= _HIDDEN_NAMES else ()
    label = "" if ticks else "layer, from the input on"
    return Grid(((CurvePanel(series, label, "share", ticks=ticks),),), title="Channels by layer", panel_size=7.0)


def _arrays(layers: Sequence[LayerStatistics]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for layer in layers:
        name = f"scan/{layer.layer}"
        found[f"{name}/moments"] = np.stack([layer.mean, layer.sd, layer.minimum, layer.maximum])
        found[f"{name}/shares"] = np.stack([layer.zeros, layer.active])
        found[f"{name}/quantiles"] = layer.quantiles
        for side in Side:
            examples = layer.examples(side)
            found[f"{name}/{side.value}_values"] = examples.values
            found[f"{name}/{side.value}_images"] = np.stack([examples.images, examples.rows, examples.cols])
        if layer.selectivity is not None:
            found[f"{name}/selectivity"] = layer.selectivity
    return found


def _metrics(found: Scan) -> dict[str, object]:
    rows = tables(found)["layers"].to_pylist()
    return {
        "pictures": len(found.sources),
        "skipped": [[name, reason] for name, reason in found.skipped],
        "labels": list(found.labels),
        "key": found.key,
        "layers": {row.pop("layer"): row for row in rows},
    }


def _numbers(model: Model, found: Scan) -> Numbers:
    files = {}
    for name, table in tables(found, model).items():
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        files[f"tables/{name}.parquet"] = sink.getvalue()
    links = tuple(Link(f"{name} (Parquet)", f"tables/{name}.parquet") for name in TABLES)
    layers = list(found.layers.values())
    rows = tuple(_row(layer) for layer in layers[:_MOST_ROWS])
    headers = ("Layer", "Channels", "Maps", "Zeros", "Dead", "Rare", "Selectivity", "Mean", "Largest")
    left = f" The first {_MOST_ROWS} of {len(layers)} layers." if len(layers) > _MOST_ROWS else ""
    text = f"Every channel stands in the tables, which pandas, polars and DuckDB read.{left}"
    if any(layer.counted < layer.values for layer in layers):
        text += " Quantiles and histograms of large maps are of a sample, column values_counted; all else is of every value."
    return Numbers(LAYERS, Table(headers, rows, "", links), files, text)


def _row(layer: LayerStatistics) -> tuple[str, ...]:
    index = layer.selectivity
    return (
        layer.layer,
        str(layer.channels),
        f"{layer.places[0]} x {layer.places[1]}",
        f"{layer.zeros.mean():.1%}",
        str(int(layer.dead.sum())),
        str(int(layer.rare.sum())),
        "" if index is None or not np.isfinite(index).any() else f"{np.nanmean(index):.2f}",
        f"{layer.mean.mean():.3g}",
        f"{layer.maximum.max():.3g}",
    )
