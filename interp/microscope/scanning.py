"""The pass over the data: one for all layers that no earlier pass had, and the results of those that had, as one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from interp.activations import stream
from interp.activations.stream import ScanConfig
from interp.activations.stream.keys import plan_key
from interp.core.model import Model
from interp.datasets import DataSet
from interp.errors import BadFile
from interp.runs.partial import write_whole

OnScan = Callable[[int, int], None]


def scanned(model: Model, data: DataSet, layers: Sequence[str], config: ScanConfig, folder: Path, on_batch: OnScan) -> stream.Scan:
    """What a pass over ``data`` gives for ``layers``; checkpoints lie in ``folder``, and finished passes are not made again.

    Each pass is over a group of layers; a layer that was in an earlier group of the same network, data and options is taken from
    there. ``on_batch(done, total)`` counts pictures.
    """
    base = plan_key(model, data, (), config)[:32]
    index = folder / f"{base}.json"
    groups = _groups(index)
    known = {name for group in groups for name in group}
    missing = [name for name in layers if name not in known]
    if missing:
        groups.append(missing)
        _write(index, groups)
    needed = [(number, group) for number, group in enumerate(groups) if set(group) & set(layers)]
    found: dict[str, stream.LayerStatistics] = {}
    scan = None
    for turn, (number, group) in enumerate(needed):

        def step(step: stream.Step, turn: int = turn) -> None:
            on_batch(turn * step.total + step.done, len(needed) * step.total)

        checkpoint = folder / f"{base}-{number}.safetensors"
        scan = stream.scan(model, data, group, config, step, checkpoint)
        found |= scan.layers
    assert scan is not None
    return replace(scan, layers={name: found[name] for name in layers})


def _groups(index: Path) -> list[list[str]]:
    try:
        return [[str(name) for name in group] for group in json.loads(index.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def _write(index: Path, groups: list[list[str]]) -> None:
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        write_whole(index, json.dumps(groups).encode())
    except OSError as error:
        raise BadFile(f"`{index.parent}` cannot be written: {error.strerror or error}; make room, and the same command goes on") from None
