"""The open interface: what was found, as Parquet files beside the pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from interp.activations import stream
from interp.microscope.files import put, remove_others
from interp.microscope.results import LayerWork
from interp.site.microscope.address import DATA

# Their names are not told to a type checker.
_arrow: Any = pa
_compute: Any = pc
# Of zstd: above it files hardly shrink.
_LEVEL = 12


def write_tables(site: Path, scan: stream.Scan, work: Sequence[LayerWork]) -> None:
    """Write ``data/NAME.parquet``: the tables of the pass (`stream.tables`), ``optimized`` and, where there are curves, ``tuning``."""
    tables = stream.tables(scan, work[0].plan.model) | {"optimized": _optimized(work), "tuning": _tuning(work)}
    written = {name: parquet(table) for name, table in tables.items() if table.num_columns}
    for name, data in written.items():
        put(site, f"{DATA}/{name}.parquet", data)
    # Of a build with other options.
    remove_others(site / DATA, "*.parquet", {f"{name}.parquet" for name in written})


def parquet(table: Any) -> bytes:
    """The table's file. Numbers that 32 bits hold exactly, as those of a network are, take no more; they come back as they were."""
    fields = []
    for field, column in zip(table.schema, table.columns, strict=True):
        short = _arrow.types.is_float64(field.type) and _compute.cast(column, _arrow.float32()).cast(_arrow.float64()).equals(column)
        fields.append(field.with_type(_arrow.float32()) if short else field)
    table = table.cast(_arrow.schema(fields, table.schema.metadata))
    numbers = [field.name for field in fields if _arrow.types.is_floating(field.type)]
    others = [field.name for field in fields if field.name not in numbers]
    buffer = io.BytesIO()
    # Bytes of like weight stand together, which is what compresses of numbers that do not repeat.
    pq.write_table(table, buffer, compression="zstd", compression_level=_LEVEL, use_dictionary=others, use_byte_stream_split=numbers)
    return buffer.getvalue()


def _optimized(work: Sequence[LayerWork]) -> Any:
    """A row per optimized image: its score, the ratio to the natural maximum, what was measured, what speaks against it."""
    rows = [
        {
            "layer": layer.layer,
            "channel": unit.channel,
            "kind": made.name,
            "score": None if made.failed else made.score,
            "natural_ratio": made.ratio,
            "never_fired": made.dead,
            "notes": "; ".join(made.notes),
            **{name: made.numbers.get(name) for name in ("above_noise", "kept_shifted", "kept_jpeg", "contrast", "saturation")},
        }
        for layer in work
        for unit in layer.units()
        for made in unit.made
    ]
    return _arrow.Table.from_pylist(rows)


def _tuning(work: Sequence[LayerWork]) -> Any:
    """A row per unit, family and position, with the answer."""
    rows = [
        {"layer": layer.layer, "channel": channel, "family": family, "position": position, "answer": float(answer)}
        for layer in work
        for family, answers in layer.tuning.items()
        for channel, curve in enumerate(answers)
        for position, answer in enumerate(curve)
    ]
    return _arrow.Table.from_pylist(rows)
