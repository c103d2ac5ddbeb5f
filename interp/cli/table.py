"""Tables on the terminal."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from interp.core.model import Model
from interp.runs.words import visible

if TYPE_CHECKING:
    from interp.report.features import Made

# Rows of a table at most: what is beyond stands in the files.
MOST_ROWS = 64


def layer_table(model: Model, pattern: str) -> None:
    """Print the layers whose names match ``pattern``; one that names none is refused."""
    layers = model.select(pattern) if pattern != "*" else list(model.layers)
    table = Table("layer", "kind", "output", "parameters", "field", "stride", "layout", "calls", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in (3, 4, 5, 7):
        table.columns[column].justify = "right"
    for layer in layers:
        field = "\u2013" if layer.field is None else str(layer.field)
        stride = "\u2013" if layer.field is None or layer.field.whole else f"{max(layer.field.stride):g}"
        layout = str(layer.layout) if layer.layout is not None else f"none: {layer.problem}"
        shape = " x ".join(map(str, layer.shape)) or "\u2013"
        cells = (layer.name, layer.kind, shape, f"{layer.parameters:,}", field, stride, layout, str(layer.calls))
        table.add_row(*map(visible, cells))
    console = _console()
    console.print(table)
    silent = fnmatch.filter(model.silent, pattern)
    tail = f"; {len(silent)} never fire: {visible(', '.join(silent[:4]))}{' ...' if len(silent) > 4 else ''}" if silent else ""
    rows, cols = model.preprocess.size
    console.print(f"{len(layers)} layers in firing order, input {rows} x {cols} px, classes at '{model.output}'{tail}", soft_wrap=True)


def feature_table(found: Sequence[Made]) -> None:
    """Print what was measured of optimized images; all of it stands in metrics.json."""
    measured = any(one.quality is not None for one in found)
    columns = ("unit", "score", "x photographs", "above noise", "kept", "fails") if measured else ("unit", "score")
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:5]:
        column.justify = "right"
    for one in found[:MOST_ROWS]:
        score = "never fires" if one.feature.dead else _number(one.feature.final)
        name = one.key if one.name.startswith(one.key) else f"{one.key} {one.name}"
        table.add_row(visible(name), score, *(_measured(one) if measured else ()))
    console = _console()
    console.print(table)
    if len(found) > MOST_ROWS:
        console.print(f"and {len(found) - MOST_ROWS} more, in metrics.json", soft_wrap=True)
    if measured:
        console.print(
            "x photographs: score over the largest on photographs; above noise: over random images of its spectrum, in their spread; "
            "kept: of the score, under shifts or JPEG",
            soft_wrap=True,
        )


def _console() -> Console:
    # Nothing in a name is markup.
    return Console(width=None if Console().is_terminal else 160, highlight=False, markup=False, emoji=False)


def _measured(one: Made) -> tuple[str, ...]:
    quality = one.quality
    if quality is None or one.feature.dead:
        return ("", "", "", "dead" if one.feature.dead else "")
    control = None if quality.control is None else quality.control.z
    kept = None if quality.robustness is None else quality.robustness.worst
    return (_number(quality.natural_ratio), _number(control), _number(kept), ", ".join(quality.flags))


def _number(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:.3g}"
