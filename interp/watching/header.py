"""``Header``: what a recording is of, in ``watch.json``: written once, before the first record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interp.core.model import Model
from interp.errors import BadFile
from interp.images import Preprocess
from interp.runs.decode import decode
from interp.runs.origin import versions
from interp.runs.partial import write_whole
from interp.runs.plain import canonical, plain, portable
from interp.watching.detail import Detail
from interp.watching.interval import Interval
from interp.watching.plan import Plan
from interp.watching.probes import Probes

NAME, FORMAT, VERSION = "watch.json", "interp-watch", 1


@dataclass(frozen=True)
class Structure:
    """A layer that fires: its name, class and output shape without the batch."""

    name: str
    kind: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.kind} {'x'.join(map(str, self.shape)) or 'without shape'}"


@dataclass(frozen=True)
class Network:
    """Which network: its name, number of parameters, the layer of its classes, their names, and all layers in firing order."""

    reference: str
    parameters: int
    output: str
    classes: tuple[str, ...]
    layers: tuple[Structure, ...]


@dataclass(frozen=True)
class Probe:
    """One probe image: its name, and the SHA-256 of its shape and values."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Header:
    """``created`` in UTC; ``versions`` of packages; ``shape`` (channels, rows, cols) of the probes; ``every`` so many steps and
    ``epochs`` so many epochs a record is due, None: not by these; ``budget``: the share of time, None: no limit."""

    created: str
    versions: Mapping[str, str]
    network: Network
    preprocess: Preprocess
    probes: tuple[Probe, ...]
    shape: tuple[int, int, int]
    plan: Plan
    detail: Detail
    every: int | None
    epochs: int | None
    budget: float | int | None


def header_of(model: Model, probes: Probes, plan: Plan, detail: Detail, interval: Interval, budget: float | None) -> Header:
    """The `Header` of a recording that begins now."""
    layers = tuple(Structure(layer.name, layer.kind, layer.shape) for layer in model.layers)
    count = sum(parameter.numel() for parameter in model.module.parameters())
    network = Network(portable(model.spec.reference), count, model.output, model.spec.classes, layers)
    entries = tuple(Probe(name, digest) for name, digest in zip(probes.names, probes.hashes, strict=True))
    channels, rows, cols = probes.images.shape[1:]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    shape = (int(channels), int(rows), int(cols))
    return Header(now, versions(), network, probes.preprocess, entries, shape, plan, detail, interval.every, interval.epochs, budget)


def write(header: Header, folder: Path) -> None:
    """Write ``watch.json`` as a whole."""
    values = plain({"format": FORMAT, "version": VERSION} | {field.name: getattr(header, field.name) for field in fields(header)}, "header")
    write_whole(folder / NAME, canonical(values).encode())


def read(folder: Path) -> Header:
    """The header of the recording in ``folder``; BadFile where there is none, of another version, or damaged."""
    path = folder / NAME
    if not folder.is_dir():
        raise BadFile(f"there is no folder `{folder}` that a recording could be in")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadFile(f"`{folder}` is no recording of a training: it holds no `{NAME}`, which interp.watch begins with") from None
    except (OSError, ValueError) as error:
        raise BadFile(f"`{path}` cannot be read as the head of a recording: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
        raise BadFile(f"`{path}` is not the head of a recording: it does not say `format`: `{FORMAT}`")
    version = found.pop("version", None)
    if version != VERSION:
        raise BadFile(f"`{folder}` is a recording of version {version}, and this interp reads version {VERSION}: use the one that made it")
    return _decoded(found, path)


def _decoded(found: dict[str, Any], path: Path) -> Header:
    try:
        return decode(Header, found, NAME)
    except Exception as error:  # a file that someone changed may fail in any of the values that it is made into
        raise BadFile(f"`{path}` is damaged: {' '.join(str(error).split())}") from None


def difference(header: Header, model: Model) -> str:
    """In which layer ``model`` differs from the network of the recording, in words; "" where they are of one structure."""
    there = {layer.name: layer for layer in header.network.layers}
    here = {layer.name: Structure(layer.name, layer.kind, layer.shape) for layer in model.layers}
    for name in dict.fromkeys((*there, *here)):
        if there.get(name) != here.get(name):
            return f"layer '{name}' is {there.get(name, 'not there')} in it and {here.get(name, 'not there')} here"
    count = sum(parameter.numel() for parameter in model.module.parameters())
    if count != header.network.parameters:
        return f"it has {header.network.parameters:,} parameters there and {count:,} here"
    return ""
