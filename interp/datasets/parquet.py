"""Parquet files whose rows are pictures, as data sets are shared on hubs: encoded bytes in one column, the label in another.

Row groups are read as their pictures are asked for; paths that stand beside the bytes are never followed.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp import images
from interp.datasets.dataset import DataSet, stamp_of
from interp.errors import BadFile
from interp.images import Photo

if TYPE_CHECKING:
    import pyarrow as pa

PICTURES = ("image", "img", "picture", "pixels")
LABELS = ("label", "labels", "fine_label", "class", "cls")
_NAME = "name"
# Of one row group, unpacked: a group is held in memory while its pictures are read.
_MOST_BYTES = 1 << 32


def has_pictures(path: Path) -> bool:
    """Whether the file has a column that pictures can be in; BadFile where it is no Parquet."""
    return any(_encoded(field.type) for field in _schema(path))


class Parquet(DataSet):
    """The rows of some Parquet files, one after the other.

    Pictures are in the first column of encoded bytes, or of a struct with ``bytes``; one called ``image`` goes before others. Labels
    are in a column ``label``; their names in the file's own description of it, or in a column ``name`` that has one for each label.
    Raises BadFile where a file cannot be read, has no such column or no rows, or other columns than the first.
    """

    def __init__(self, files: Sequence[Path], title: str) -> None:
        self._files, self._title = tuple(files), title
        schema = _schema(self._files[0])
        self._column = _pictures(schema, self._files[0])
        self._labels: list[str | None] = []
        self._groups: list[tuple[int, int]] = []  # (file, row group), in order
        self._starts: list[int] = []
        sizes: list[int] = []
        label = next((name for name in LABELS if name in schema.names), None)
        names = _names(schema, label)
        for number, path in enumerate(self._files):
            rows = _groups(path, self._column, schema)
            self._starts.append(len(self._labels))
            self._groups += [(number, group) for group in range(len(rows))]
            sizes += rows
            self._labels += _labels(path, label, names, sum(rows)) if label is not None else [None] * sum(rows)
        self._ends = list(accumulate(sizes))
        if not self._labels:
            raise BadFile(f"'{title}' holds no rows")
        self._group = lru_cache(maxsize=2)(self._read)

    @property
    def title(self) -> str:
        return self._title

    def __len__(self) -> int:
        return len(self._labels)

    def name(self, index: int) -> str:
        number = self._file_of(index)
        row = index - self._starts[number]
        return f"row {row}" if len(self._files) == 1 else f"{self._files[number].stem}/row {row}"

    def label(self, index: int) -> str | None:
        return self._labels[index]

    def photo(self, index: int) -> Photo:
        at = self._group_of(index)
        found = self._group(at)[index - (self._ends[at - 1] if at else 0)].as_py()
        data = found.get("bytes") if isinstance(found, dict) else found
        if not isinstance(data, bytes):
            what = "a path" if isinstance(found, dict) and found.get("path") else "nothing"
            raise BadFile(f"'{self.name(index)}' holds no picture, only {what}")
        return images.of_bytes(self.name(index), data)

    def stamp(self, index: int) -> tuple[int, ...]:
        return stamp_of(self._files[self._file_of(index)])

    def files(self) -> tuple[tuple[Path, str], ...]:
        return tuple((path, path.name) for path in self._files)

    def _group_of(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return bisect_right(self._ends, index)

    def _file_of(self, index: int) -> int:
        return self._groups[self._group_of(index)][0]

    def _read(self, at: int) -> pa.ChunkedArray:
        import pyarrow.parquet as pq

        number, group = self._groups[at]
        path = self._files[number]
        with _told(path), pq.ParquetFile(path) as file:
            return file.read_row_group(group, columns=[self._column])[self._column]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever Arrow finds in a file, as one line."""
    from pyarrow.lib import ArrowException

    try:
        yield
    except (ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise BadFile(f"'{path}' cannot be read as Parquet: {' '.join(str(error).split()) or type(error).__name__}") from None


def _schema(path: Path) -> pa.Schema:
    import pyarrow.parquet as pq

    with _told(path):
        return pq.read_schema(path)


def _pictures(schema: pa.Schema, path: Path) -> str:
    """The column with the pictures."""
    found = [field.name for field in schema if _encoded(field.type)]
    if not found:
        raise BadFile(f"'{path}' has no column of pictures, encoded bytes: there are {', '.join(schema.names) or 'none'}")
    return next((name for name in PICTURES if name in found), str(found[0]))


def _encoded(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(field.name == "bytes" and _encoded(field.type) for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _groups(path: Path, column: str, schema: pa.Schema) -> list[int]:
    """How many rows each row group has."""
    import pyarrow.parquet as pq

    with _told(path), pq.ParquetFile(path) as file:
        found, metadata = file.schema_arrow, file.metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        sizes, most = [group.num_rows for group in groups], max((group.total_byte_size for group in groups), default=0)
    if column not in found.names or found.field(column).type != schema.field(column).type or found.names != schema.names:
        raise BadFile(f"'{path}' has the columns {', '.join(found.names)}, and the first file {', '.join(schema.names)}: open it by itself")
    if most > _MOST_BYTES:
        raise BadFile(f"'{path}' has a row group of {most} bytes, more than {_MOST_BYTES >> 30} GB: write it with smaller ones")
    return sizes


def _labels(path: Path, column: str, names: Sequence[str], rows: int) -> list[str | None]:
    """The label of each row of one file."""
    import pyarrow.parquet as pq

    with _told(path):
        wanted = [column, _NAME] if _NAME in pq.read_schema(path).names and not names else [column]
        table = pq.read_table(path, columns=wanted)
        found: list[Any] = table[column].to_pylist()
        beside = table[_NAME].to_pylist() if _NAME in wanted else None
    if {rows, len(found), len(beside or found)} != {rows}:
        raise BadFile(f"'{path}' cannot be read as Parquet: it has {rows} rows and {len(found)} labels")
    if beside is not None and len(set(zip(map(str, found), map(str, beside), strict=True))) == len(set(map(str, found))):
        found = [name if isinstance(name, str) else label for label, name in zip(found, beside, strict=True)]
    return [_text(label, names) for label in found]


def _text(label: object, names: Sequence[str]) -> str | None:
    if isinstance(label, bool) or not isinstance(label, int | str):
        return None
    return names[label] if isinstance(label, int) and 0 <= label < len(names) else str(label)


def _names(schema: pa.Schema, label: str | None) -> list[str]:
    """The classes, where the file says them as Hugging Face's library writes them."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = features[label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return []
    return [str(name) for name in found] if isinstance(found, list) else []
