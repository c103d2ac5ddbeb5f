"""``interp methods`` and ``interp metrics``: what can be named, with options and sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Methods:
    """List the attribution methods: name, what it is made of, where it looks, options with their defaults, source."""

    def run(self) -> None:
        from interp.attribution.registry import METHODS

        _print(METHODS, ("family", "place"))


@dataclass(frozen=True)
class Metrics:
    """List the metrics of attribution maps: name, which way is better, options with their defaults, source."""

    def run(self) -> None:
        from interp.metrics.registry import METRICS

        _print(METRICS, ("better", "needs"))


def _print(kinds: Mapping[str, type[Any]], traits: tuple[str, ...]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "title", *traits, "options", "source", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, kind in kinds.items():
        table.add_row(name, kind.title, *(_trait(kind, trait) for trait in traits), _options(kind), kind.source)
    console = Console(width=None if Console().is_terminal else 170, highlight=False)
    console.print(table, markup=False)
    console.print("Options are written behind the name: integrated-gradients:n_steps=64,baseline=blur", soft_wrap=True, markup=False)


def _trait(kind: type[Any], trait: str) -> str:
    if trait != "needs":
        return str(getattr(kind, trait).value)
    images = f"{kind.least_images} images" if kind.least_images > 1 else ""
    return images or ("masks" if kind.needs_masks else "")


def _options(kind: type[Any]) -> str:
    """Those with a default; the layer, the seed and the batch size have options of their own on the command line."""
    own = [f for f in fields(kind) if f.init and f.name not in ("layer", "seed", "batch_size")]
    return ", ".join(f"{f.name}={_shown(f.default)}" for f in own)


def _shown(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return "+".join(map(_shown, value))
    return str(getattr(value, "name", None) or (type(value).__name__.lower() if hasattr(value, "__dataclass_fields__") else value)).lower()
