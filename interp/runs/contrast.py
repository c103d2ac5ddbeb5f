"""Two runs side by side: what went into each, and the numbers that came out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TypeGuard

from interp.errors import BadFile
from interp.runs.listing import Listed, flat
from interp.runs.manifest import METRICS, Manifest
from interp.runs.reading import read
from interp.runs.words import model_of


class Absent(Enum):
    """In the place of a value that a run does not have."""

    ABSENT = "absent"


@dataclass(frozen=True)
class Pair:
    """A value by its dotted name at the first and the second run; `Absent.ABSENT` where there is none of that name."""

    name: str
    first: object
    second: object

    @property
    def both(self) -> bool:
        """Whether both runs have it."""
        return Absent.ABSENT not in (self.first, self.second)

    @property
    def difference(self) -> float | None:
        """The second number minus the first; None where they are not both numbers."""
        if _number(self.first) and _number(self.second):
            difference = float(self.second) - float(self.first)
            return difference if math.isfinite(difference) else None
        return None

    @property
    def ratio(self) -> float | None:
        """The second number over the first; None where there is none."""
        if _number(self.first) and _number(self.second) and self.first != 0:
            ratio = float(self.second) / float(self.first)
            return ratio if math.isfinite(ratio) else None
        return None


@dataclass(frozen=True)
class Part:
    """What differs of one part of two runs, and how many values of it are equal."""

    differing: tuple[Pair, ...]
    equal: int


@dataclass(frozen=True)
class Contrast:
    """All parts of two runs: options, what else went in, machine, versions, metrics; and figures that only one of them has."""

    config: Part
    origin: Part
    machine: Part
    versions: Part
    metrics: Part
    figures_first: tuple[str, ...]
    figures_second: tuple[str, ...]


def contrast(first: Listed, second: Listed) -> Contrast:
    """What differs between two runs by their manifests and metrics; BadFile where the metrics cannot be read."""
    one, two = first.manifest, second.manifest
    figures_one, figures_two = stems(one), stems(two)
    return Contrast(
        config=_part(flat(one.config), flat(two.config)),
        origin=_part(_origin(one), _origin(two)),
        machine=_part(asdict(one.machine), asdict(two.machine)),
        versions=_part(one.versions, two.versions),
        metrics=_part(_metrics(first.folder, one), _metrics(second.folder, two)),
        figures_first=tuple(name for name in figures_one if name not in figures_two),
        figures_second=tuple(name for name in figures_two if name not in figures_one),
    )


def stems(manifest: Manifest) -> tuple[str, ...]:
    """The figures of a run, sorted: those with an entry, and others by their files."""
    files = {Path(name).stem for name in manifest.files if name.startswith("figures/")}
    return tuple(sorted(files | manifest.figures.keys()))


def _part(first: Mapping[str, object], second: Mapping[str, object]) -> Part:
    names = [*first, *(name for name in second if name not in first)]
    pairs = [Pair(name, first.get(name, Absent.ABSENT), second.get(name, Absent.ABSENT)) for name in names]
    differing = tuple(pair for pair in pairs if pair.first != pair.second)
    return Part(differing, len(pairs) - len(differing))


def _origin(manifest: Manifest) -> dict[str, object]:
    """What went in beside the options."""
    model, commit = manifest.model, manifest.commit
    found: dict[str, object] = {"experiment": manifest.experiment, "seed": manifest.seed, "model": model_of(manifest)}
    if model is not None:
        found |= {"weights": model.weights, "weights SHA-256": model.weights_sha256}
    if manifest.program.sha256:
        found |= {"script": manifest.program.name, "script SHA-256": manifest.program.sha256}
    for item in manifest.inputs:
        found[f"input {item.path or item.name}"] = item.sha256
    if commit is not None:
        found["commit"] = commit.hash + (", with uncommitted changes" if commit.dirty else "")
    return found


def _metrics(folder: Path, manifest: Manifest) -> dict[str, object]:
    """The metrics of the run by dotted names; {} of a run without."""
    if METRICS not in manifest.files:
        return {}
    path = folder / METRICS
    try:
        text = path.read_bytes().decode("ascii")
    except OSError as error:
        raise BadFile(f"cannot read `{path}`: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadFile(f"{path}: it is not ASCII JSON: byte {error.start} is damaged") from None
    return flat(read(f'{{"metrics": {text}}}', str(path), lambda top: top.mapping("metrics")))


def _number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
