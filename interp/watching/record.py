"""One record of a recording: its entry, ``records/000100.json``, and its arrays, ``records/000100.safetensors``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float16, UInt8
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from interp.core.method import Heatmap
from interp.core.unit import Unit
from interp.errors import BadFile, UnknownName, nearest
from interp.kernels import Kernels
from interp.runs.entries import ArrayEntry
from interp.runs.plain import canonical, plain
from interp.watching import looking
from interp.watching.header import Header

FOLDER = "records"
_NAME = re.compile(r"(?P<step>\d{6,})(?:-(?P<session>\d+))?\.(?P<kind>json|safetensors)")


@dataclass(frozen=True)
class Entry:
    """When and what: ``step`` and ``epoch`` (how many are over, None where none are counted) of the training, ``seconds`` into it,
    in which ``session`` (1, and one more each time that it is resumed).

    ``cost``: seconds that the record took; ``spent``: that the recorder did in all; ``passed_over``: records that were due since the
    last one and did not fit the budget. The others as in `interp.watching.looking.Look`; ``arrays`` by name: hash, dtype, shape.
    """

    step: int
    epoch: int | None
    session: int
    seconds: float
    cost: float
    spent: float
    passed_over: int
    targets: tuple[int, ...]
    missing: Mapping[str, str]
    summary: Mapping[str, Mapping[str, float]]
    arrays: Mapping[str, ArrayEntry]

    @property
    def stem(self) -> str:
        """The name of its files, without what follows the dot."""
        return f"{self.step:06d}" + (f"-{self.session}" if self.session > 1 else "")

    @property
    def text(self) -> str:
        return canonical(plain({field.name: getattr(self, field.name) for field in fields(self)}, "record"))


@dataclass(frozen=True, eq=False)
class Record:
    """What a network was at one step. Arrays are read, and checked against their hashes, when they are first asked for."""

    folder: Path
    header: Header
    entry: Entry

    def __repr__(self) -> str:
        return f"Record(step {self.step}, {len(self.entry.arrays)} arrays)"

    @property
    def step(self) -> int:
        return self.entry.step

    @property
    def summary(self) -> Mapping[str, Mapping[str, float]]:
        """By convolution: means over its filters, and shares of them (see `interp.watching.filters.summed_up`)."""
        return self.entry.summary

    @cached_property
    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """All arrays by name; BadFile where the file is missing, damaged, or not what the entry says."""
        path = self.folder / FOLDER / f"{self.entry.stem}.safetensors"
        try:
            found = load_file(path)
        except (OSError, SafetensorError) as error:
            raise BadFile(f"the record of step {self.step} in `{self.folder}` cannot be read: {' '.join(str(error).split())}") from None
        for name in dict.fromkeys((*self.entry.arrays, *found)):
            if name not in found or self.entry.arrays.get(name) != ArrayEntry.of(found[name]):
                raise BadFile(f"the record of step {self.step} in `{self.folder}` is damaged: `{name}` is not what was written")
            found[name].flags.writeable = False
        return found

    def has(self, name: str) -> bool:
        """Whether there is an array of that name: a part may be missing (`Entry.missing`)."""
        return name in self.entry.arrays

    def array(self, name: str) -> NDArray[np.generic]:
        """The array of that name; UnknownName, with why it is missing, where there is none."""
        if not self.has(name):
            why = "; ".join(f"its {part} are missing ({reason})" for part, reason in self.entry.missing.items())
            hint = why or nearest(name, self.entry.arrays) or "`entry.arrays` lists them"
            raise UnknownName(f"the record of step {self.step} holds no `{name}`: {hint}")
        return self.arrays[name]

    def kernels(self, layer: str) -> Kernels:
        """The weights of one of the layers that are kept whole."""
        weights = self.array(f"{looking.KERNELS}/{layer}")
        kind = next(one.kind for one in self.header.network.layers if one.name == layer)
        return Kernels(layer, kind, weights)

    def statistics(self, layer: str) -> dict[str, NDArray[np.generic]]:
        """Per filter of a convolution, (out,): see `interp.watching.filters.measured`; and ``dead``, bool."""
        prefix = f"{looking.STATISTICS}/{layer}/"
        names = ("norm", "change", "stable_rank", "effective_rank", "noise_p", "dead")
        found = {name: self.array(prefix + name) for name in names if self.has(prefix + name)}
        return found or {"norm": self.array(prefix + "norm")}

    def activations(self, layer: str) -> Float16[np.ndarray, "n k rows cols"]:
        """Of each probe the maps of the channels that the plan names."""
        return self.array(f"{looking.ACTIVATIONS}/{layer}")

    def gradcam(self, layer: str) -> list[Heatmap]:
        """One signed map per probe, of the class ``entry.targets`` of it."""
        maps = self.array(f"{looking.GRADCAM}/{layer}")
        units = [Unit(self.header.network.output, target) for target in self.entry.targets]
        return [Heatmap(values, unit, "Grad-CAM", layer) for values, unit in zip(maps, units, strict=True)]

    @property
    def scores(self) -> Float[np.ndarray, "n classes"]:
        """What the network gives for each probe."""
        return self.array(looking.SCORES)

    @property
    def images(self) -> UInt8[np.ndarray, "units rows cols c"]:
        """The optimized image of each unit, in the plan's order."""
        return self.array(looking.IMAGES)


def records_of(folder: Path, header: Header, damaged: list[BadFile] | None = None) -> list[Record]:
    """All records of a recording, by session and step; the one being written is not among them.

    BadFile where an entry is damaged, or one of the two files of a record is missing; where a list ``damaged`` is given, these errors are
    put there, and the other records are given all the same.
    """
    place = folder / FOLDER
    there: dict[tuple[int, int], dict[str, str]] = {}
    for file in sorted(place.iterdir()) if place.is_dir() else []:
        match = _NAME.fullmatch(file.name)
        if match is not None:
            there.setdefault((int(match["session"] or 1), int(match["step"])), {})[match["kind"]] = file.name
    found = []
    for place_in_time, files in sorted(there.items()):
        if "json" not in files and place_in_time == max(there):
            continue
        try:
            found.append(Record(folder, header, _entry_of(folder, files, place_in_time)))
        except BadFile as error:
            if damaged is None:
                raise
            damaged.append(error)
    return found


def _entry_of(folder: Path, files: dict[str, str], place_in_time: tuple[int, int]) -> Entry:
    """The entry of one record, whose ``files`` are named by their kind."""
    if len(files) == 1:
        missing = "json" if "json" not in files else "safetensors"
        (name,) = files.values()
        raise BadFile(f"the record of step {place_in_time[1]} in `{folder}` is half missing: there is `{name}` and no .{missing} beside it")
    return _entry(folder / FOLDER / files["json"], place_in_time)


def unfinished(folder: Path) -> list[Path]:
    """Arrays whose entry was never written, as the process ended before."""
    place = folder / FOLDER
    arrays = [file for file in place.glob("*.safetensors") if _NAME.fullmatch(file.name)] if place.is_dir() else []
    return [file for file in arrays if not file.with_suffix(".json").exists()]


def _entry(path: Path, place_in_time: tuple[int, int]) -> Entry:
    try:
        entry = _built(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadFile(f"`{path}` is damaged: {type(error).__name__}: {' '.join(str(error).split())[:200]}") from None
    if (entry.session, entry.step) != place_in_time:
        raise BadFile(f"`{path}` is damaged: it says that it is of step {entry.step} and session {entry.session}")
    return entry


def _built(found: dict[str, Any]) -> Entry:
    """By hand, as there may be thousands of records of hundreds of arrays. Raises one of the errors of wrong keys, types and values."""
    arrays = {str(k): ArrayEntry(str(v["sha256"]), str(v["dtype"]), tuple(map(int, v["shape"]))) for k, v in found["arrays"].items()}
    summary = {str(layer): {str(k): float(v) for k, v in values.items()} for layer, values in found["summary"].items()}
    epoch = found["epoch"]
    return Entry(
        int(found["step"]),
        None if epoch is None else int(epoch),
        int(found["session"]),
        float(found["seconds"]),
        float(found["cost"]),
        float(found["spent"]),
        int(found["passed_over"]),
        tuple(map(int, found["targets"])),
        {str(part): str(reason) for part, reason in found["missing"].items()},
        summary,
        arrays,
    )
