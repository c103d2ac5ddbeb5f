"""The open interface: tables as Parquet files beside the pages."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from interp.microscope.files import put, remove_others
from interp.site.microscope.address import DATA

# Their names are not told to a type checker.
_arrow: Any = pa
_compute: Any = pc
# Of zstd: above it files hardly shrink.
_LEVEL = 12


def write_tables(site: Path, tables: Mapping[str, Any]) -> None:
    """Write ``data/NAME.parquet`` of each table that has a row, and remove those of an earlier build; BadFile where the disk refuses."""
    written = {f"{name}.parquet": parquet(table) for name, table in tables.items() if table.num_rows}
    for name, data in written.items():
        put(site, f"{DATA}/{name}", data)
    remove_others(site / DATA, "*.parquet", written.keys())


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
