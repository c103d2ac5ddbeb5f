"""Who competes: methods, at layers where they need one, and the controls without which no number means anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from interp.attribution.registry import CONTROLS
from interp.core.choices import Choice, titled
from interp.core.method import Family, Method, Place


@dataclass(frozen=True)
class Contender:
    """One method, at one layer if it works at a layer; ``named`` where the user asked for it, so that it may not be left out."""

    method: Method
    layer: str = ""
    named: bool = False

    @property
    def title(self) -> str:
        return titled(self.method)

    @property
    def label(self) -> str:
        """The title, and the layer where there is one."""
        return f"{self.title} at {self.layer}" if self.layer else self.title

    @property
    def key(self) -> str:
        """A name for files and arrays."""
        options = self.title.removeprefix(self.method.title).strip(" ()").replace(", ", " ").replace(" ", "-")
        name = f"{self.method.name}-{options}" if options else self.method.name
        return f"{name}@{self.layer}" if self.layer else name

    @property
    def control(self) -> bool:
        return self.method.family is Family.CONTROL


@dataclass(frozen=True)
class Limits:
    """What methods and metrics run with: the ``seed`` of their draws, and how many images go through the network at once."""

    seed: int = 0
    batch_size: int = 32


def contenders(choices: Sequence[Choice[Method]], layers: Sequence[str], limits: Limits, *, named: bool) -> list[Contender]:
    """Each method once, those that work at a layer at each of ``layers``; in the order of ``choices``."""
    found: dict[Contender, None] = {}
    for choice in choices:
        fixed = dict(choice.options).get("layer")
        places = [fixed] if fixed else layers if choice.kind.place is Place.LAYER else [""]
        for layer in places:
            method = choice.make(layer=layer, seed=limits.seed, batch_size=limits.batch_size)
            found[Contender(method, layer, named)] = None
    return list(found)


def names(contenders: Iterable[Contender]) -> dict[Contender, str]:
    """The title of each, with its layer where several share a title."""
    known = list(contenders)
    titles = Counter(c.title for c in known)
    return {c: c.title if titles[c.title] == 1 else c.label for c in known}


def controls(limits: Limits) -> list[Contender]:
    """A random map, the image's own magnitude, its edges, and a blob in the middle."""
    return [Contender(Choice(kind).make(seed=limits.seed)) for kind in CONTROLS]
