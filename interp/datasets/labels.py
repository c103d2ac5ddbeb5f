"""Labels from a table of names and labels, in place of those that a data set has of its own."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from interp.datasets.dataset import DataSet
from interp.errors import BadFile, InterpError, nearest
from interp.images import Photo

_HEADS = (("name", "label"), ("file", "label"), ("image", "label"), ("filename", "label"))
_MOST_BYTES = 1 << 28


class Labelled(DataSet):
    """A data set with other labels, by the names of its pictures."""

    def __init__(self, data: DataSet, labels: Mapping[str, str]) -> None:
        self.data, self._labels = data, labels

    @property
    def title(self) -> str:
        return self.data.title

    def __len__(self) -> int:
        return len(self.data)

    def name(self, index: int) -> str:
        return self.data.name(index)

    def label(self, index: int) -> str | None:
        return self._labels[self.data.name(index)]

    def photo(self, index: int) -> Photo:
        return self.data.photo(index)

    def stamp(self, index: int) -> tuple[int, ...]:
        return self.data.stamp(index)

    def files(self) -> tuple[tuple[Path, str], ...]:
        return self.data.files()


def with_labels(data: DataSet, table: Path) -> DataSet:
    """``data`` with the labels of a CSV file: rows of name and label, with or without a line ``name,label`` above them.

    A name is that of a picture in the data: a path below the folder, or its last part where no two pictures share it. Raises BadFile
    where the file cannot be read, InterpError where a name is of no picture, stands twice with two labels, or a picture has no label.
    """
    rows = _rows(table)
    known = {data.name(index): data.name(index) for index in range(len(data))}
    short: dict[str, str] = {}
    for name in known:
        last = name.rpartition("/")[2]
        short[last] = "" if last in short else name
    found: dict[str, str] = {}
    for line, (given, label) in rows:
        name = known.get(given) or short.get(given, "")
        if not name:
            hint = nearest(given, known) if len(known) <= 5000 else ""
            raise InterpError(f"labels '{table.name}', line {line}: '{data.title}' has no picture '{given}'{'; ' + hint if hint else ''}")
        if found.setdefault(name, label) != label:
            raise InterpError(f"labels '{table.name}', line {line}: '{given}' is labelled '{label}', and '{found[name]}' before")
    missing = [name for name in known if name not in found]
    if missing:
        count = f"{len(missing)} of {len(known)} pictures of '{data.title}' have" if len(missing) > 1 else "a picture has"
        raise InterpError(f"labels '{table.name}': {count} no label, '{missing[0]}' first: give each picture one")
    return Labelled(data, found)


def _rows(table: Path) -> list[tuple[int, tuple[str, str]]]:
    """(line, (name, label)) of each row."""
    try:
        with table.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise BadFile(f"cannot read the labels '{table}': {(error.strerror or str(error)).lower()}") from None
    if len(data) > _MOST_BYTES:
        raise BadFile(f"the labels '{table}' are longer than {_MOST_BYTES >> 20} MB")
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadFile(f"the labels '{table}' are no CSV in UTF-8: {error}") from None
    if rows and tuple(cell.lower() for cell in rows[0][1]) in _HEADS:
        rows = rows[1:]
    if not rows:
        raise BadFile(f"the labels '{table}' hold no row: write lines such as 'cats/one.png,cat'")
    wrong = next(((line, row) for line, row in rows if len(row) != 2 or not all(row)), None)
    if wrong is not None:
        raise BadFile(f"the labels '{table}', line {wrong[0]}: {len(wrong[1])} cells, one of them empty or none: write name,label")
    return [(line, (row[0], row[1])) for line, row in rows]
