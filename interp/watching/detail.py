"""``Detail``: how much of everything a record holds, and how long units are optimized."""

from __future__ import annotations

from dataclasses import dataclass, fields

from interp.errors import InterpError


@dataclass(frozen=True)
class Detail:
    """What bounds the size and the price of a record.

    ``channels`` of each layer's activations are kept, evenly over the layer, at ``side`` x ``side`` px at most. A unit's image takes
    ``steps`` of ascent in each record, from where it was. Of a convolution that is not among the recorded kernels, ``tested`` filters
    are held against noise, evenly over the layer; 0 for none. ``seed``: of all that is drawn.
    """

    channels: int = 8
    side: int = 32
    steps: int = 16
    tested: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises InterpError where a number is out of range."""
        for field in fields(self):
            least = 0 if field.name in ("seed", "tested") else 1
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InterpError(f"`{field.name}` of Detail is {value!r}: give a whole number, {least} or more, such as {field.default}")
