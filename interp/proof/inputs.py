"""The files that went into a run, found again by their hashes and laid out as its options name them.

A manifest may come from someone else. It says which files are read, so each must have the recorded SHA-256; and it says which
code is run: the user's own, again of the recorded SHA-256, never a file that lies in the folder of a run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from interp.errors import InterpError
from interp.runs.differing import short
from interp.runs.entries import Role, file_hash
from interp.runs.manifest import CONFIG, MANIFEST, Manifest
from interp.runs.program import checkout

_RUNNABLE = (".py", ".pyc", ".so", ".pyd")
# Scripts in here come with interp: they go with its source, which may have changed since.
_EXPERIMENTS = "experiments/"


class Unrepeatable(InterpError):
    """A run cannot be made again here; the message says why, without the run's name."""


@dataclass(frozen=True)
class Needed:
    """A file that the run needs: its recorded path, SHA-256 and size (None where it was not recorded), and whether it is run."""

    path: str
    sha256: str
    size: int | None
    code: bool

    @property
    def word(self) -> str:
        return f"the code `{self.path}`" if self.code else f"the input `{self.path}`"


@dataclass(frozen=True)
class Staged:
    """What a run is made from: the ``folder`` to start in; of a script its file, and the folder that its neighbours are imported from.

    Of the user's script both lie in ``folder``, where only code of the recorded SHA-256 is; of interp's own, in its source.
    """

    folder: Path
    script: Path | None = None
    imports: Path | None = None
    notes: tuple[str, ...] = ()


class Search:
    """Where inputs are looked for: ``here`` by their recorded paths, then in ``folders`` by these, and by name at any depth."""

    def __init__(self, here: Path, folders: Sequence[Path] = ()) -> None:
        self.here = here
        self.folders = tuple(folders)

    def exact(self, path: str) -> list[Path]:
        """The files of that path below ``here`` and the folders."""
        return [file for file in (folder / path for folder in (self.here, *self.folders)) if file.is_file()]

    def named(self, name: str) -> list[Path]:
        """The files of that base name anywhere below the folders; hidden folders and linked ones are not entered."""
        return self._by_name.get(name, [])

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for folder in self.folders:
            for base, inner, files in os.walk(folder):
                inner[:] = sorted(name for name in inner if not name.startswith("."))
                for name in files:
                    found.setdefault(name, []).append(Path(base) / name)
        return found


def stage(manifest: Manifest, run: Path, folder: Path, search: Search) -> Staged:
    """Find all that the run in ``run`` was made from, and lay it out in ``folder``; Unrepeatable names all that is missing or changed."""
    script, notes = _of_checkout(manifest)
    needed = _needed(manifest, own_script=script is None)
    found: dict[str, Path] = {}
    problems = []
    for item in needed:
        try:
            found[item.path] = find(item, run, search)
        except Unrepeatable as problem:
            problems.append(str(problem))
    if problems:
        raise Unrepeatable("; ".join(problems))
    for item in needed:
        _lay(item, found[item.path], folder)
    if manifest.program.kind == "script" and script is None:
        own = folder / manifest.program.name
        return Staged(folder, own, own.parent, notes)
    return Staged(folder, script, None if script is None else script.parent, notes)


def find(item: Needed, run: Path, search: Search) -> Path:
    """The file with the recorded hash, absolute; Unrepeatable where there is none, or only one that has changed."""
    exact, named = search.exact(item.path), search.named(item.path.rpartition("/")[2])
    inside = [file for file in (*exact, *named) if _in_run(file, run, item.code)]
    usable = [file for file in (*exact, *(file for file in named if _size(file) == item.size)) if file not in inside]
    for file in dict.fromkeys(usable):
        if (item.size is None or _size(file) == item.size) and _hash(file) == item.sha256:
            return file.absolute()
    # A file of that path is the one that was meant; a lone file of that name too, but not one of many.
    meant = [file for file in exact if file not in inside] or (named if len(named) == 1 and not inside else [])
    if meant:
        raise Unrepeatable(f"{item.word} has changed: SHA-256 {short(_hash(meant[0]))}, {short(item.sha256)} was used")
    if inside:
        raise Unrepeatable(f"{item.word} lies in the folder of a run: nothing in there is {'run' if item.code else 'taken for an input'}")
    raise Unrepeatable(f"{item.word} is not there: it was looked for in {_looked(search)}")


def _needed(manifest: Manifest, own_script: bool) -> list[Needed]:
    """All files to be found, by path; Unrepeatable where two of them cannot lie in one folder."""
    wanted = [
        Needed(entry.path, entry.sha256, entry.size, entry.role is Role.CODE or entry.path.endswith(_RUNNABLE))
        for entry in manifest.inputs
        if entry.path
    ]
    if manifest.program.kind == "script" and own_script:
        wanted.append(Needed(manifest.program.name, manifest.program.sha256, None, code=True))
    by_path: dict[str, Needed] = {}
    for item in wanted:
        other = by_path.setdefault(item.path, item)
        if other.sha256 != item.sha256:
            raise Unrepeatable(f"two inputs were recorded by the path `{item.path}`: they lay in folders that were not recorded")
        if item.code:
            by_path[item.path] = item
    for path in by_path:
        above = next((parent.as_posix() for parent in Path(path).parents if parent.as_posix() in by_path), None)
        if above is not None:
            raise Unrepeatable(f"the inputs `{above}` and `{path}` cannot lie in one folder")
    return list(by_path.values())


def _of_checkout(manifest: Manifest) -> tuple[Path | None, tuple[str, ...]]:
    """The file of a script that comes with interp, and what is to be said of it; None of any other."""
    program = manifest.program
    if program.kind != "script" or not program.name.startswith(_EXPERIMENTS):
        return None, ()
    path = checkout() / program.name
    if not path.is_file() or not (checkout() / "pyproject.toml").is_file() or _in_run(path, path, code=True):
        return None, ()
    return path, () if _hash(path) == program.sha256 else (f"`{program.name}` has changed since",)


def _lay(item: Needed, source: Path, folder: Path) -> None:
    """Code is copied, so that only recorded code is imported beside it, and hashed as it is copied; all else is linked."""
    target = folder / item.path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if item.code:
            data = source.read_bytes()
            if hashlib.sha256(data).hexdigest() != item.sha256:
                raise Unrepeatable(f"{item.word} has changed while it was copied")
            target.write_bytes(data)
            return
        try:
            target.symlink_to(source)
        except OSError:
            shutil.copyfile(source, target)
    except OSError as error:
        raise Unrepeatable(f"{item.word} cannot be laid out: {error.strerror}") from None


def _in_run(file: Path, run: Path, code: bool) -> bool:
    """Whether ``file`` lies in the run that is proved; of code, whether in any run."""
    real = file.resolve()
    if real.is_relative_to(run.resolve()) and real != run.resolve():
        return True
    return code and any((parent / MANIFEST).is_file() and (parent / CONFIG).is_file() for parent in real.parents)


def _hash(file: Path) -> str:
    try:
        return file_hash(file)[0]
    except OSError as error:
        raise Unrepeatable(f"`{file.name}` cannot be read: {error.strerror}") from None


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


def _looked(search: Search) -> str:
    if search.folders:
        return "the current folder and in " + ", ".join(f"`{folder}`" for folder in search.folders)
    return "the current folder; name others with --inputs"
