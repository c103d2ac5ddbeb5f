"""``Unit``: the one way to say what is looked at: ``layer:channel`` or ``layer:channel@row,col``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from interp.errors import InterpError

_FORM = re.compile(r"(?P<layer>[^:\s][^:]*):(?P<channel>0|[1-9]\d{0,8})(?:@(?P<row>0|[1-9]\d{0,8}),(?P<col>0|[1-9]\d{0,8}))?")
_CHANNELS = re.compile(r"(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?")


@dataclass(frozen=True, order=True)
class Unit:
    """A channel of a layer, or one neuron of it at ``at`` = (row, col) of the layer's map.

    A class is a unit of the last layer. ``str`` and ``parse`` are inverses.
    """

    layer: str
    channel: int
    at: tuple[int, int] | None = None

    def __str__(self) -> str:
        place = "" if self.at is None else f"@{self.at[0]},{self.at[1]}"
        return f"{self.layer}:{self.channel}{place}"

    @classmethod
    def parse(cls, text: str) -> Unit:
        """``layer4.1.conv2:37@3,5`` -> Unit; raises InterpError where the text has another form."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise InterpError(f"'{text}' is no unit: write 'layer:channel' or 'layer:channel@row,col', such as 'layer4.1.conv2:37@3,5'")
        at = None if match["row"] is None else (int(match["row"]), int(match["col"]))
        return cls(match["layer"].strip(), int(match["channel"]), at)


@dataclass(frozen=True)
class UnitPattern:
    """Units named at the edge before a model is there: a layer name or glob, and channels.

    ``channels`` is a tuple of inclusive ranges; empty means every channel (``*``).
    """

    layer: str
    channels: tuple[tuple[int, int], ...] = ()
    at: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> UnitPattern:
        """``layer1.*.conv1:0-15,20`` or ``features.*:*`` or any single unit; raises InterpError otherwise."""
        layer, colon, rest = text.strip().rpartition(":")
        if not colon or not layer or ":" in layer:
            raise InterpError(f"'{text}' names no units: write 'layer:channel', 'layer:0-15' or 'layer:*'")
        if "@" in rest:
            unit = Unit.parse(text)
            return cls(unit.layer, ((unit.channel, unit.channel),), unit.at)
        if rest.strip() == "*":
            return cls(layer)
        ranges = []
        for part in rest.split(","):
            match = _CHANNELS.fullmatch(part.strip())
            if match is None:
                raise InterpError(f"'{rest}' in '{text}' is no channel, range of channels or '*': write '3', '0-15' or '*'")
            first = int(match["first"])
            last = first if match["last"] is None else int(match["last"])
            if last < first:
                raise InterpError(f"the range '{part.strip()}' in '{text}' is empty: write '{last}-{first}'")
            ranges.append((first, last))
        return cls(layer, tuple(ranges))

    def channels_of(self, count: int) -> list[int]:
        """The channels this pattern names in a layer of ``count`` channels, in order; those out of range are kept, to be refused."""
        if not self.channels:
            return list(range(count))
        return list(dict.fromkeys(c for first, last in self.channels for c in range(first, min(last, max(first, count)) + 1)))
