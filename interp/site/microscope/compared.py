"""What the pages of a comparison show, as plain values: two networks, or two checkpoints of one, unit by unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interp.errors import InterpError
from interp.site.microscope.content import Column, check_values
from interp.site.microscope.picture import Picture


@dataclass(frozen=True)
class Compared:
    """One of two networks side by side: its title, and where its own microscope lies, relative to the comparison's folder ("" nowhere)."""

    title: str
    reference: str
    weights_hash: str
    site: str = ""


@dataclass(frozen=True)
class ComparedLayer:
    """The units of one layer in both networks: thumbnails of each, and distances (``values``, as in ``LayerContent``) to sort by."""

    name: str
    kind: str
    channels: int
    columns: tuple[Column, ...]
    values: Mapping[str, tuple[float | None, ...]]
    first: Sequence[Picture]
    second: Sequence[Picture]
    titles: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        for side, pictures in (("first", self.first), ("second", self.second)):
            if len(pictures) != self.channels:
                raise InterpError(f"the {side} network has {len(pictures)} thumbnails for {self.channels} channels of `{self.name}`")
        check_values(self.name, self.channels, self.columns, self.values)


@dataclass(frozen=True)
class CompareContent:
    """Two networks, or two checkpoints of one, unit by unit: the same layer and channel side by side."""

    title: str
    first: Compared
    second: Compared
    layers: tuple[ComparedLayer, ...]
    notes: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
