"""Small multiples: charts of one size, a few in each row."""

from __future__ import annotations

from collections.abc import Sequence

from interp.figures import EmptyPanel, Panel


def arranged(panels: Sequence[Panel], columns: int) -> tuple[tuple[Panel, ...], ...]:
    """Rows of at most ``columns``, as even as they can be; the last is filled with free places."""
    rows = -(-len(panels) // columns)
    columns = -(-len(panels) // rows)
    filled = [*panels, *(EmptyPanel() for _ in range(rows * columns - len(panels)))]
    return tuple(tuple(filled[start : start + columns]) for start in range(0, len(filled), columns))
