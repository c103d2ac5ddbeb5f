"""Which runs there are: found below folders, chosen by what went into them, and named by a few letters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path

from interp.errors import BadFile, InterpError, UnknownName, nearest
from interp.runs.manifest import MANIFEST, Manifest
from interp.runs.verify import find
from interp.runs.words import model_of, said

# So many letters of an identity name a run among those of one person.
SHORT = 12
_HEX = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class Listed:
    """A run that can be read, and where it lies."""

    folder: Path
    manifest: Manifest

    @property
    def size(self) -> int:
        """Bytes of all its files but the manifest."""
        return sum(entry.bytes for entry in self.manifest.files.values())


@dataclass(frozen=True)
class Unreadable:
    """A folder with a manifest that is damaged, edited, or of another format; ``reason`` says which."""

    folder: Path
    reason: str


@dataclass(frozen=True)
class Listing:
    """What lies below some folders, each sorted by folder."""

    runs: tuple[Listed, ...]
    unreadable: tuple[Unreadable, ...]


class Sort(Enum):
    """In which order runs are listed: the newest first, the longest first, or by name."""

    CREATED = "created"
    SECONDS = "seconds"
    EXPERIMENT = "experiment"


def listing(roots: Sequence[Path]) -> Listing:
    """Every run at or below ``roots``, once; a manifest that cannot be read does not stop the others. BadFile for a root that is none."""
    folders = {folder.resolve(): folder for root in roots for folder in find(root)}
    runs, unreadable = [], []
    for folder in sorted(folders.values()):
        try:
            runs.append(Listed(folder, Manifest.read(folder)))
        except InterpError as error:
            unreadable.append(Unreadable(folder, str(error).removeprefix(f"{folder / MANIFEST}: ")))
    return Listing(tuple(runs), tuple(unreadable))


@dataclass(frozen=True)
class Condition:
    """``key=value`` on a config: a dotted name or the end of one, and a value or a glob of one."""

    key: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        key, equals, value = text.partition("=")
        if not (key.strip() and equals):
            raise InterpError(f"'{text}' is no condition: write KEY=VALUE, such as steps=128")
        return cls(key.strip().replace("-", "_"), value.strip())

    def names(self, config: Mapping[str, object]) -> list[str]:
        """The dotted names in ``config`` (flat) that are meant."""
        return [name for name in config if name == self.key or name.endswith(f".{self.key}")]

    def holds(self, config: Mapping[str, object]) -> bool:
        """Whether any name that is meant has the value; of a list, whether the list or one of its items has it."""
        return any(self._equals(config[name]) for name in self.names(config))

    def _equals(self, value: object) -> bool:
        if isinstance(value, list):
            return ",".join(map(said, value)) == self.value.replace(" ", "") or any(self._equals(item) for item in value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return value == float(self.value)
            except ValueError:
                return False
        return fnmatchcase(said(value).lower(), self.value.lower())


def chosen(runs: Iterable[Listed], experiment: str = "*", model: str = "*", where: Sequence[Condition] = ()) -> tuple[Listed, ...]:
    """The runs whose experiment and model match the globs, and whose config meets every condition.

    UnknownName where a condition names what no run of those globs has in its config.
    """
    found = [run for run in runs if fnmatchcase(run.manifest.experiment, experiment) and fnmatchcase(model_of(run.manifest), model)]
    configs = [flat(run.manifest.config) for run in found]
    for condition in where:
        if found and not any(condition.names(config) for config in configs):
            known = sorted({name for config in configs for name in config})
            short = [name for name in known if condition.key.rpartition(".")[2] in name.split(".")]
            near = nearest(condition.key, [*short, *known, *(name.rpartition(".")[2] for name in known)]) or f"there is {_few(known)}"
            raise UnknownName(f"no run has '{condition.key}' in its config: {near}")
    return tuple(run for run, config in zip(found, configs, strict=True) if all(condition.holds(config) for condition in where))


def ordered(runs: Iterable[Listed], sort: Sort) -> tuple[Listed, ...]:
    """``runs`` in the order of ``sort``; those that are equal in it by folder."""
    by_folder = sorted(runs, key=lambda run: run.folder)
    if sort is Sort.EXPERIMENT:
        return tuple(sorted(by_folder, key=lambda run: run.manifest.experiment))
    if sort is Sort.SECONDS:
        return tuple(sorted(by_folder, key=lambda run: -run.manifest.seconds))
    return tuple(sorted(by_folder, key=lambda run: run.manifest.created, reverse=True))


def flat(config: object, name: str = "") -> dict[str, object]:
    """The values of nested options by dotted names, ``transforms[0].pixels``; a list of plain values is one value."""
    if isinstance(config, Mapping) and (config or not name):
        found: dict[str, object] = {}
        for key, value in config.items():
            found |= flat(value, f"{name}.{key}" if name else str(key))
        return found
    if isinstance(config, list) and any(isinstance(item, Mapping | list) for item in config):
        return {key: value for index, item in enumerate(config) for key, value in flat(item, f"{name}[{index}]").items()}
    return {name: config}


def locate(text: str, roots: Sequence[Path] = (Path("results"),)) -> Path:
    """The folder of the run that ``text`` names: its path, or what begins only its identity, its path below a root, or its name.

    UnknownName where it names none, with the nearest, or several.
    """
    path = Path(text)
    if path.name == MANIFEST and path.is_file():
        return path.parent
    if (path / MANIFEST).is_file():
        return path
    names = {folder: _names(folder, root) for root in roots if root.is_dir() for folder in find(root)}
    wanted = text.rstrip("/")
    exact = [folder for folder, own in names.items() if wanted in own]
    begun = [folder for folder, own in names.items() if wanted and any(name.startswith(wanted) for name in own)]
    if _HEX.fullmatch(wanted):
        begun += [folder for folder in names if folder not in begun and _identity(folder).startswith(wanted)]
    found = exact or begun
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownName(f"'{text}' begins {len(found)} runs: {_few([str(folder) for folder in sorted(found)])}: write more of one")
    if path.is_dir() and not names:
        raise BadFile(f"'{text}' is no finished run: it has no {MANIFEST}")
    looked = " or ".join(f"'{root}'" for root in roots)
    there = f"there is {_few([str(folder) for folder in sorted(names)])}" if names else "there is none at all"
    near = nearest(text, sorted(own[0] for own in names.values())) or nearest(text, sorted(own[1] for own in names.values()))
    raise UnknownName(f"no run '{text}' below {looked}: {near or there}")


def _names(folder: Path, root: Path) -> tuple[str, ...]:
    below = folder.relative_to(root).as_posix()
    return (below, folder.name, (root / below).as_posix())


def _identity(folder: Path) -> str:
    try:
        return Manifest.read(folder).identity
    except InterpError:
        return ""


def _few(names: Sequence[str], count: int = 4) -> str:
    return ", ".join(f"'{name}'" for name in names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")
