"""Is a run still what its manifest says? Every file and every array is hashed again.

A check is a function of folder and manifest that yields problems, so that a floor above can add its own
(rendering the figures again, which needs matplotlib) without this module knowing of it. One fault is named once, by the
smallest thing that it is in: where single arrays are other than written, their file is not complained of beside them.
A manifest that was itself changed is explained by `interp.runs.changed`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from safetensors import SafetensorError, safe_open

from interp.errors import BadFile, InterpError
from interp.runs.differing import differing, short, written_config
from interp.runs.entries import ArrayEntry, file_hash
from interp.runs.manifest import ARRAYS, CONFIG, MANIFEST, METRICS, Manifest

# Finder, Explorer and Dolphin write these into any folder that is looked at; no run holds files of these names.
_OF_FILE_MANAGERS = (".DS_Store", "Thumbs.db", "desktop.ini", ".directory")


class Kind(Enum):
    """What is wrong with a file or an array."""

    MISSING = "missing"
    CHANGED = "changed"
    EXTRA = "extra"
    ARRAY = "array"
    MANIFEST = "manifest"


@dataclass(frozen=True)
class Problem:
    """One difference between a run and its manifest: what was found, of a path, an array or, such as `config.steps`, an entry."""

    kind: Kind
    name: str
    detail: str

    def __str__(self) -> str:
        name = f"`{self.name}` " if self.kind is Kind.MANIFEST else f"{self.name}: "
        return f"{self.kind.value}: {name}{self.detail}"


@dataclass(frozen=True)
class Report:
    """What `verify` found. `ok` when there is no problem at all."""

    folder: Path
    manifest: Manifest
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def names(self, kind: Kind) -> tuple[str, ...]:
        return tuple(problem.name for problem in self.problems if problem.kind is kind)

    @property
    def missing(self) -> tuple[str, ...]:
        return self.names(Kind.MISSING)

    @property
    def changed(self) -> tuple[str, ...]:
        return self.names(Kind.CHANGED)

    @property
    def extra(self) -> tuple[str, ...]:
        return self.names(Kind.EXTRA)

    @property
    def arrays(self) -> tuple[str, ...]:
        return self.names(Kind.ARRAY)


Check = Callable[[Path, Manifest], Iterable[Problem]]


def check_files(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Every listed file is there with its size and hash, and nothing else is. Links are not followed."""
    found = set(walk(folder))
    for name, entry in sorted(manifest.files.items()):
        path = folder / name
        if name not in found:
            yield Problem(Kind.MISSING, name, "listed in the manifest, not in the folder")
            continue
        if path.is_symlink() or not path.is_file():
            yield Problem(Kind.CHANGED, name, "a link or a special file, where a plain file was written")
            continue
        try:
            digest, size = file_hash(path)
        except OSError as error:
            yield Problem(Kind.CHANGED, name, f"cannot be read: {error.strerror}")
            continue
        if size != entry.bytes:
            yield Problem(Kind.CHANGED, name, f"{size} bytes, {entry.bytes} were written")
        elif digest != entry.sha256:
            yield Problem(Kind.CHANGED, name, f"SHA-256 {short(digest)}, {short(entry.sha256)} was written")
    for name in sorted(found - manifest.files.keys() - {MANIFEST}):
        yield Problem(Kind.EXTRA, name, "in the folder, not listed in the manifest")


def check_arrays(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Every array has its dtype, shape and bytes, read one at a time; also where the file's own hash was forged."""
    path = folder / ARRAYS
    if not path.is_file() or path.is_symlink():
        for name in sorted(manifest.arrays):
            yield Problem(Kind.ARRAY, name, f"there is no {ARRAYS}")
        return
    try:
        with safe_open(path, framework="numpy") as file:
            stored = set(file.keys())
            for name, entry in sorted(manifest.arrays.items()):
                if name not in stored:
                    yield Problem(Kind.ARRAY, name, f"listed in the manifest, not in {ARRAYS}")
                    continue
                found = ArrayEntry.of(file.get_tensor(name))
                if found != entry:
                    yield Problem(Kind.ARRAY, name, _difference(found, entry))
            for name in sorted(stored - manifest.arrays.keys()):
                yield Problem(Kind.ARRAY, name, f"in {ARRAYS}, not listed in the manifest")
    except (SafetensorError, InterpError, OSError, TypeError, ValueError) as error:
        yield Problem(Kind.ARRAY, ARRAYS, f"its arrays cannot be read: {error}")


def _difference(found: ArrayEntry, entry: ArrayEntry) -> str:
    if (found.dtype, found.shape) != (entry.dtype, entry.shape):
        return f"{found.dtype} {list(found.shape)}, {entry.dtype} {list(entry.shape)} was written"
    return f"other values of the same {entry.dtype} {list(entry.shape)}"


def check_config(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """The options in `config.yaml`, which `--config` reads, are those of the manifest; also where its digests were forged."""
    entry = manifest.files.get(CONFIG)
    written = written_config(folder)
    if entry is None or written is None or file_hash(folder / CONFIG)[0] != entry.sha256:
        return  # missing or changed: a matter of `check_files`
    for name, now, then in differing(manifest.config, written, "config"):
        yield Problem(Kind.MANIFEST, name, f"is {now}; {then} stands in {CONFIG}")


CHECKS: tuple[Check, ...] = (check_files, check_arrays, check_config)


def verify(folder: Path, checks: Sequence[Check] = CHECKS) -> Report:
    """Compare the run in `folder` with its manifest.

    InterpError if there is no manifest, or if it is damaged or names a file outside of the folder; every
    other difference is in the report.
    """
    manifest = Manifest.read(folder)
    return Report(folder, manifest, named_once(problem for check in checks for problem in check(folder, manifest)))


def named_once(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """`problems`, of those that come of one fault the one that says most: the array, else its file."""
    found = list(problems)
    file = next((problem.kind for problem in found if problem.name == ARRAYS and problem.kind is not Kind.ARRAY), None)
    arrays = [problem for problem in found if problem.kind is Kind.ARRAY and problem.name != ARRAYS]
    if file is Kind.CHANGED and arrays:
        return tuple(problem for problem in found if problem.kind is Kind.ARRAY or problem.name != ARRAYS)
    if file is not None:
        return tuple(problem for problem in found if problem.kind is not Kind.ARRAY)
    return tuple(found)


def find(folder: Path) -> tuple[Path, ...]:
    """The runs at or below `folder`, sorted; hidden folders (runs being made) and links are not entered."""
    if not folder.is_dir():
        raise BadFile(f"`{folder}` is not a folder; runs are looked for in folders such as `results`")
    runs = []
    for base, folders, files in os.walk(folder):
        if MANIFEST in files:
            runs.append(Path(base))
            folders.clear()
        folders[:] = [name for name in folders if not name.startswith(".")]
    return tuple(sorted(runs))


def strays(folder: Path) -> tuple[tuple[Path, str], ...]:
    """What `find` passes over at or below `folder` though it may be a run, and why, sorted: nobody is to take it for checked.

    A folder that holds what runs do but no manifest, a link to a folder or to nothing, and a folder that cannot be read.
    """
    found: dict[Path, str] = {}

    def unreadable(error: OSError) -> None:
        found[Path(error.filename)] = f"the folder cannot be read: {error.strerror}"

    for base, folders, files in os.walk(folder, onerror=unreadable):
        if MANIFEST in files:
            folders.clear()
            continue
        held = next((name for name in (CONFIG, ARRAYS, METRICS) if name in files), None)
        if held is not None:
            found[Path(base)] = f"it has no {MANIFEST}, but the {held} of a run"
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in (*folders, *(name for name in files if not name.startswith("."))):
            path = Path(base) / name
            if os.path.islink(path) and (name in folders or not os.path.exists(path)):
                found[path] = "it is a link to a folder, and links are not followed" if name in folders else "it is a link to nothing"
    return tuple(sorted(found.items()))


def walk(folder: Path) -> Iterator[str]:
    """Every file below `folder`, links to folders included, as relative paths with `/`; not what file managers leave behind."""
    for base, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(base) / name).is_symlink()]
        for name in (*files, *links):
            path = Path(base) / name
            if name in _OF_FILE_MANAGERS and path.is_file() and not path.is_symlink():
                continue
            yield path.relative_to(folder).as_posix()
