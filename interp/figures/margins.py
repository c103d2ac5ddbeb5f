"""The inches of a chart's cell that its texts take, the same for all charts of a grid, so that their plots align."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from interp.figures.boxes import Box

AIR = 0.03  # between the plot and its texts
LEAST_PLOT = 0.4  # inches, under however many names


@dataclass(frozen=True)
class Margins:
    left: float = 0.0
    top: float = 0.0
    bottom: float = 0.0

    def plot(self, cell: Box) -> Box:
        """What the texts leave of a cell."""
        return Box(cell.left + self.left, cell.top + self.top, cell.width - self.left, cell.height - self.top - self.bottom)


def widest(margins: Iterable[Margins]) -> Margins:
    """Enough for each of several charts."""
    found = [Margins(), *margins]
    return Margins(max(m.left for m in found), max(m.top for m in found), max(m.bottom for m in found))
