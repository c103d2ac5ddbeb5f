"""Tables on the terminal."""

from __future__ import annotations

import fnmatch
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from interp.core.model import Model
from interp.errors import BadFile, InterpError
from interp.runs import find, verify


def layer_table(model: Model, pattern: str) -> None:
    """Print the layers whose names match ``pattern``; one that names none is refused."""
    layers = model.select(pattern) if pattern != "*" else list(model.layers)
    table = Table("layer", "kind", "output", "parameters", "field", "stride", "layout", "calls", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in (3, 4, 5, 7):
        table.columns[column].justify = "right"
    for layer in layers:
        field = "\u2013" if layer.field is None else str(layer.field)
        stride = "\u2013" if layer.field is None or layer.field.whole else str(max(layer.field.stride))
        layout = str(layer.layout) if layer.layout is not None else f"none: {layer.problem}"
        shape = " x ".join(map(str, layer.shape)) or "\u2013"
        table.add_row(layer.name, layer.kind, shape, f"{layer.parameters:,}", field, stride, layout, str(layer.calls))
    console = Console(width=None if Console().is_terminal else 160, highlight=False)
    console.print(table)
    silent = fnmatch.filter(model.silent, pattern)
    tail = f"; {len(silent)} never fire: {', '.join(silent[:4])}{' ...' if len(silent) > 4 else ''}" if silent else ""
    rows, cols = model.preprocess.size
    console.print(f"{len(layers)} layers in firing order, input {rows} x {cols} px, classes at '{model.output}'{tail}", soft_wrap=True)


def verify_table(folder: Path) -> None:
    """Print the verdict on each run below ``folder``; raises InterpError where one does not match its manifest."""
    if not folder.exists():
        raise BadFile(f"there is no folder '{folder}' to verify")
    runs = find(folder)
    if not runs:
        raise BadFile(f"'{folder}' holds no run: no manifest.json below it")
    console = Console(highlight=False)
    bad = 0
    for run in runs:
        found = verify(run)
        bad += not found.ok
        console.print(f"{'ok' if found.ok else 'CHANGED'}  {run}", soft_wrap=True)
        for problem in found.problems:
            console.print(f"    {problem}", soft_wrap=True)
    if bad:
        raise InterpError(f"{bad} of {len(runs)} runs below '{folder}' do not match their manifests")
