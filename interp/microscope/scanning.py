"""The pass over the data: one for all layers that no earlier pass had, and the results of those that had, as one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from interp.activations import stream
from interp.activations.stream import Examples, LayerStatistics, ScanConfig
from interp.activations.stream.keys import plan_key, result_key
from interp.core.model import Model
from interp.datasets import DataSet
from interp.errors import BadFile
from interp.microscope.store import key_of
from interp.runs.partial import write_whole

OnScan = Callable[[int, int], None]

LEAST = 16
"""Examples at either end, and neighbours, that a pass keeps of each channel at least: fewer than it keeps are had without another."""
# Of the list of passes: to be raised when what it says changes.
_FORMAT = 2


@dataclass(frozen=True)
class _Pass:
    """A pass that was begun: over which layers, and how many examples and neighbours it keeps."""

    layers: tuple[str, ...]
    top: int
    nearest: int

    def holds(self, layer: str, config: ScanConfig) -> bool:
        return layer in self.layers and self.top >= config.top and self.nearest >= config.nearest


def scanned(
    model: Model, data: DataSet, layers: Sequence[str], asked: ScanConfig, kept: ScanConfig, folder: Path, on_batch: OnScan
) -> stream.Scan:
    """What a pass with the options ``asked`` over ``data`` gives for ``layers``; checkpoints lie in ``folder``.

    A layer that was in an earlier pass over the same network and data, which kept no less, is taken from there. Those that are left
    share a new one, which keeps as much as ``kept`` says, no less than ``asked``. Which pass a layer is from makes no difference to the
    result, its key included. ``on_batch(done, total)`` counts pictures.
    """
    # How much is kept changes no number, so passes that keep more are of the same name.
    index = folder / f"{key_of(_FORMAT, plan_key(model, data, (), replace(asked, top=1, nearest=1)))}.json"
    passes = _passes(index)
    missing = tuple(name for name in layers if not any(one.holds(name, asked) for one in passes))
    if missing:
        passes.append(_Pass(missing, kept.top, kept.nearest))
        _write(index, passes)
    source = {name: next(one for one in passes if one.holds(name, asked)) for name in layers}
    needed = tuple(dict.fromkeys(source.values()))
    scans: dict[_Pass, stream.Scan] = {}
    for turn, one in enumerate(needed):

        def step(step: stream.Step, turn: int = turn) -> None:
            on_batch(turn * step.total + step.done, len(needed) * step.total)

        config = replace(asked, top=one.top, nearest=one.nearest)
        checkpoint = folder / f"{index.stem}-{passes.index(one)}.safetensors"
        scans[one] = stream.scan(model, data, one.layers, config, step, checkpoint)
    last = scans[needed[-1]]
    found = {name: _shortened(scans[one].layers[name], asked) for name, one in source.items()}
    return replace(last, layers=found, key=result_key(plan_key(model, data, tuple(layers), asked), last.sources, last.skipped))


def read_behind(scan: stream.Scan, read: Mapping[str, str]) -> stream.Scan:
    """A pass over the layers ``read`` and where each of them is read, as one of the layers alone.

    Examples are those of the layer itself, as its optimized images are; statistics those of where it is read, with that module's class
    as their ``kind``: it says what 0 means there.
    """
    own = scan.layers
    layers = {layer: replace(own[at], layer=layer, top=own[layer].top, bottom=own[layer].bottom) for layer, at in read.items()}
    return replace(scan, layers=layers)


def _shortened(found: LayerStatistics, config: ScanConfig) -> LayerStatistics:
    """The statistics as a pass that keeps no more than ``config`` says gives them: all lists are in order."""
    near, values = found.nearest, found.nearest_correlation
    return replace(
        found,
        top=_first(found.top, config.top),
        bottom=_first(found.bottom, config.top),
        nearest=None if near is None else near[:, : config.nearest],
        nearest_correlation=None if values is None else values[:, : config.nearest],
    )


def _first(found: Examples, count: int) -> Examples:
    return Examples(found.values[:, :count], found.images[:, :count], found.rows[:, :count], found.cols[:, :count])


def _passes(index: Path) -> list[_Pass]:
    try:
        told = json.loads(index.read_text(encoding="utf-8"))
        return [_Pass(tuple(map(str, one["layers"])), int(one["top"]), int(one["nearest"])) for one in told]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _write(index: Path, passes: Sequence[_Pass]) -> None:
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        write_whole(index, json.dumps([asdict(one) for one in passes]).encode())
    except OSError as error:
        raise BadFile(f"`{index.parent}` cannot be written: {error.strerror or error}; make room, and the same command goes on") from None
