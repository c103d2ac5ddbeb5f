"""``Unit``: the one way to say what is looked at: ``layer:channel`` or ``layer:channel@row,col``."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from interp.errors import InterpError

_FORM = re.compile(r"(?P<layer>[^:\s][^:]*):(?P<channel>0|[1-9]\d{0,8})(?:@(?P<row>0|[1-9]\d{0,8}),(?P<col>0|[1-9]\d{0,8}))?")
_CHANNELS = re.compile(r"(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?")
_TOP = re.compile(r"top(?P<count>\d{1,9})")
_GLOB = "*?["


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


AnyUnit = Unit | int | str
"""A unit; or the number or name of a class, or a unit as written, of which `Model.unit` makes one."""


@dataclass(frozen=True)
class UnitPattern:
    """Units named at the edge before a model is there: a layer name or glob, and channels.

    ``channels`` is a tuple of inclusive ranges; empty means every channel (``*``). ``top`` is not None where the
    channels are the strongest so many of each layer, whichever they are.
    """

    layer: str
    channels: tuple[tuple[int, int], ...] = ()
    at: tuple[int, int] | None = None
    top: int | None = None

    @property
    def glob(self) -> bool:
        """Whether ``layer`` may stand for several layers."""
        return is_glob(self.layer)

    @staticmethod
    def looks_like(text: str) -> bool:
        """Whether ``text`` has the form of units: its last colon is followed by channels, and a ``.py`` does not stand before it.

        So ``net.py:top8`` is a function in a file, and ``layer4:top8`` the eight strongest channels of a layer.
        """
        layer, colon, rest = text.strip().rpartition(":")
        if not colon or not layer or layer.endswith(".py"):
            return False
        try:
            UnitPattern.parse(text)
        except InterpError:
            # What begins like channels was meant to be some, and its mistake is told where it is parsed.
            return rest[:1].isdigit() or rest.startswith(("*", "top"))
        return True

    @classmethod
    def parse(cls, text: str) -> UnitPattern:
        """``layer1.*.conv1:0-15,20``, ``features.*:*``, ``features.*:top8`` or any single unit; raises InterpError otherwise."""
        layer, colon, rest = text.strip().rpartition(":")
        rest = rest.strip()
        if not colon or not layer or ":" in layer:
            raise InterpError(f"'{text}' names no units: write 'layer:channel', 'layer:0-15', 'layer:*' or 'layer:top8'")
        if "@" in rest:
            unit = Unit.parse(text)
            return cls(unit.layer, ((unit.channel, unit.channel),), unit.at)
        if rest == "*":
            return cls(layer)
        strongest = _TOP.fullmatch(rest)
        if strongest is not None:
            count = int(strongest["count"])
            if count < 1:
                raise InterpError(f"'{rest}' in '{text}' asks for no channel: write 'top1' or more")
            return cls(layer, top=count)
        ranges = []
        for part in rest.split(","):
            match = _CHANNELS.fullmatch(part.strip())
            if match is None:
                said = f"'{part.strip()}' in '{text}' is no channel, range of channels or '*'"
                raise InterpError(f"{said}: write '3', '0-15', '*' or, for the strongest, 'top8'")
            first = int(match["first"])
            last = first if match["last"] is None else int(match["last"])
            if last < first:
                raise InterpError(f"the range '{part.strip()}' in '{text}' is empty: write '{last}-{first}'")
            ranges.append((first, last))
        return cls(layer, tuple(ranges))

    def channels_of(self, count: int) -> list[int]:
        """The channels this pattern names in a layer of ``count`` channels, in order; those out of range are kept, to be refused.

        Which are the ``top`` ones cannot be told from their number: `strongest` picks them.
        """
        if not self.channels:
            return list(range(count))
        return list(dict.fromkeys(c for first, last in self.channels for c in range(first, min(last, max(first, count)) + 1)))

    def strongest(self, strengths: Sequence[float]) -> list[int]:
        """The ``top`` channels of a layer by the strength of each, strongest first; equal ones in order, NaN last.

        Raises InterpError where a layer that is named has fewer; of a glob's layers, all there are are taken.
        """
        assert self.top is not None
        if self.top > (count := len(strengths)) and not self.glob:
            raise InterpError(f"'{self.layer}:top{self.top}' asks for {self.top} channels, but there are {count}: write 'top{count}'")
        order = sorted(range(len(strengths)), key=lambda c: (math.isnan(strengths[c]), -strengths[c]))
        return order[: self.top]


def is_glob(text: str) -> bool:
    """Whether a layer's name is a pattern for several."""
    return any(c in text for c in _GLOB)
