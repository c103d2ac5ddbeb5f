"""A table of a page, as data: names at the left, numbers at the right."""

from __future__ import annotations

from dataclasses import dataclass

from interp.errors import InterpError
from interp.site.link import Link


@dataclass(frozen=True)
class Table:
    """`rows` of as many texts as there are `headers`; the first `names` columns are names, the others numbers.

    `strong` are the (row, column) of cells in bold, `quiet` rows that are set back, such as controls. On small screens the
    table moves sideways in its own box while its first column stays.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    links: tuple[Link, ...] = ()
    names: int = 1
    strong: frozenset[tuple[int, int]] = frozenset()
    quiet: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not self.headers:
            raise InterpError("`headers` is empty, but a table has at least one column")
        for index, row in enumerate(self.rows):
            if len(row) != len(self.headers):
                raise InterpError(f"row {index} of a table has {len(row)} cells for {len(self.headers)} headers")
        if not 0 <= self.names <= len(self.headers):
            raise InterpError(f"`names` is {self.names}, but the table has {len(self.headers)} columns")
        within = {(row, column) for row in range(len(self.rows)) for column in range(len(self.headers))}
        if not (self.strong <= within and self.quiet <= set(range(len(self.rows)))):
            raise InterpError(f"`strong` or `quiet` names a cell outside the {len(self.rows)} rows and {len(self.headers)} columns")
