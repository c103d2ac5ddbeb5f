"""All or nothing: a run is a folder that appears complete, under its own name, or not at all.

Everything is written into a hidden folder beside the final one, the manifest last, and renamed at the end.
Whatever stops the work, an error or Ctrl-C, removes the hidden folder; an existing run is never touched.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from interp.errors import BadFile, InterpError
from interp.runs.configfile import to_yaml
from interp.runs.entries import About, ArrayEntry, FigureEntry, FileEntry, InputEntry, ModelEntry, Program, array_hash
from interp.runs.machine import Machine
from interp.runs.manifest import ARRAYS, CONFIG, MANIFEST, METRICS, Manifest
from interp.runs.origin import source_commit, versions
from interp.runs.plain import canonical, config_entry, plain, portable, relative_path
from interp.runs.tolerance import Tolerance

_RESERVED = {
    MANIFEST: "it is written last, by the run itself",
    ARRAYS: "use `arrays`",
    METRICS: "use `metrics`",
    CONFIG: "it is written by the run itself",
}


def default_folder(root: Path, experiment: str, model_name: str, config: object, now: datetime) -> Path:
    """`root/experiment/YYYYmmdd-HHMMSS-<model>-<8 hex of the config's hash>`, with -2, -3 ... if that exists."""
    config_hash = hashlib.sha256(canonical(config_entry(config)).encode("ascii")).hexdigest()[:8]
    parent = root / _slug(experiment)
    name = f"{now:%Y%m%d-%H%M%S}-{_slug(model_name)}-{config_hash}"
    folder, number = parent / name, 1
    while os.path.lexists(folder) or any(parent.glob(f".{folder.name}.*.partial")):
        number += 1
        folder = parent / f"{name}-{number}"
    return folder


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", portable(name)).strip("-.")[:80] or "unnamed"


class Run:
    """A run being made: `with Run.create(folder, ...) as run:` and write into it; the folder appears at the end."""

    def __init__(self, folder: Path, entry: Mapping[str, Any]) -> None:
        self.folder = folder
        self._entry = entry
        self._final = Path(os.path.realpath(folder))
        self._temporary: Path | None = None
        self._made: list[Path] = []
        self._files: dict[str, FileEntry] = {}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._hashes: dict[str, ArrayEntry] = {}
        self._metrics: dict[str, object] = {}
        self._tolerances: dict[str, Tolerance] = {}
        self._figures: dict[str, FigureEntry] = {}
        self._about = About()
        self._known = False
        self._started = 0.0

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        experiment: str,
        program: Program,
        config: object,
        seed: int,
        machine: Machine,
        model: ModelEntry | None = None,
        inputs: Sequence[InputEntry] = (),
        command: Sequence[str] = (),
        parent: str | None = None,
    ) -> Run:
        """Check that `folder` can be made, and note all that is known before the work starts.

        `config` is a frozen dataclass; `command` the command line that makes the run, absolute paths cut to their names; `parent`
        the identity of the run it was derived from.
        InterpError at once if `folder` exists and is not empty, or if it could not be written.
        """
        refuse(folder)
        if model is not None:
            model = ModelEntry(portable(model.reference), portable(model.weights), model.weights_sha256, model.parameters)
        entry: dict[str, Any] = {
            "experiment": experiment,
            "program": program,
            "command": tuple(portable(word) for word in command),
            "config": config_entry(config),
            "seed": seed,
            "model": model,
            "inputs": tuple(inputs),
            "versions": versions(),
            "machine": machine,
            "commit": source_commit(),
            "parent": parent,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        run = cls(folder, entry)
        run.manifest()
        return run

    def manifest(self) -> Manifest:
        """The manifest as it would be now: what a page about the run is made from, before the run is closed."""
        seconds = round(time.monotonic() - self._started, 3) if self._started else 0.0
        return Manifest(
            **self._entry,
            seconds=seconds,
            tolerances=dict(self._tolerances),
            arrays=dict(self._hashes),
            figures=dict(self._figures),
            files=dict(self._files),
            about=self._about,
        )

    @property
    def identity(self) -> str:
        """What names the run in its figures. It depends on every array: none can be added once it was asked for."""
        self._known = True
        return self.manifest().identity

    def write(self, path: str, data: bytes) -> None:
        """Write `data` to the file `path`, relative to the run, with `/` between folders; each path once."""
        if path in _RESERVED:
            raise InterpError(f"`{path}` cannot be written directly: {_RESERVED[path]}")
        self._write(relative_path(path, "`write`"), data)

    def text(self, path: str, text: str) -> None:
        """Write `text` as UTF-8, with its line ends as they are."""
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InterpError(f"`{path}`: the text is not valid Unicode at character {error.start}") from None
        self.write(path, data)

    def arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep a copy of each array for `arrays.safetensors`, which is written at the end; each name once."""
        self._refuse_once_known("arrays")
        for name, array in arrays.items():
            if not name or name == "__metadata__" or name in self._arrays:
                problem = "is already there" if name in self._arrays else "is not a name an array can have"
                raise InterpError(f"`arrays`: {name!r} {problem}; give each array of the run its own name")
            kept = storable(name, array)
            self._hashes[name] = ArrayEntry.of(kept)
            self._arrays[name] = kept

    def tolerances(self, declared: Mapping[str, Tolerance]) -> None:
        """Declare how far a repeated run may be, by patterns over names: see `interp.runs.tolerance`."""
        self._refuse_once_known("tolerances")
        self._tolerances.update(declared)

    def figure(self, stem: str, entry: FigureEntry) -> None:
        """Note the figure whose files are `figures/STEM.*`; each stem once."""
        if stem in self._figures:
            raise InterpError(f"the figure `{stem}` is already there; give each figure of the run its own stem")
        self._figures[stem] = FigureEntry(entry.spec, portable(entry.alt), portable(entry.caption))

    def about(self, about: About) -> None:
        """Say what the run is about."""
        self._about = About(portable(about.title), portable(about.question), portable(about.lead))

    def _refuse_once_known(self, what: str) -> None:
        if self._known:
            raise InterpError(f"`{what}` after the run's identity was asked for, which depends on them: give them first")

    def metrics(self, metrics: Mapping[str, object]) -> None:
        """Keep `metrics` for `metrics.json`: numbers, strings, None, lists and dicts of them; each key once."""
        for key, value in metrics.items():
            if key in self._metrics:
                raise InterpError(f"`metrics`: {key!r} is already there; give each metric of the run its own name")
            self._metrics.update({str(key): plain(value, f"metrics.{key}")})

    def __enter__(self) -> Run:
        if self._started:
            raise InterpError(f"the run `{self.folder}` was already entered; create another one")
        self._started = time.monotonic()
        try:
            self._make_parents()
            hidden = self._final.parent / f".{self._final.name}.{secrets.token_hex(4)}.partial"
            self._temporary = hidden
            hidden.mkdir()
        except OSError as error:
            self._undo()
            raise BadFile(f"`{self.folder}` cannot be made: {error.strerror}; choose another folder (`--out`)") from None
        except BaseException:
            self._undo()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._undo()
            return
        try:
            self._finish()
        except OSError as problem:
            self._undo()
            reason = problem.strerror or str(problem)
            raise BadFile(f"`{self.folder}` was not written: {reason}; nothing was left behind") from problem
        except BaseException:
            self._undo()
            raise

    def _finish(self) -> None:
        if self._arrays:
            self._write(ARRAYS, save(dict(sorted(self._arrays.items()))))
        if self._metrics:
            self._write(METRICS, canonical(self._metrics).encode("ascii"))
        self._write(CONFIG, to_yaml(self._entry["experiment"], self._entry["config"]))
        manifest = self.manifest()
        for path in self._files:
            _sync(self._open() / path)
        (self._open() / MANIFEST).write_bytes(manifest.to_json().encode("ascii"))
        _sync(self._open() / MANIFEST)
        for folder, _, _ in os.walk(self._open(), topdown=False):
            _sync(Path(folder))
        refuse(self.folder)
        os.rename(self._open(), self._final)  # fails on a folder that is not empty: nothing is overwritten
        self._temporary = None
        _sync(self._final.parent)

    def _write(self, path: str, data: bytes) -> None:
        target = self._open() / path
        taken = {known.casefold() for known in self._files}
        if path.casefold() in taken:
            raise InterpError(f"`{path}` was already written in this run; give each file its own name")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(data)
        except OSError as error:
            raise BadFile(f"`{path}` cannot be written into the run `{self.folder}`: {error.strerror}") from error
        self._files[path] = FileEntry(hashlib.sha256(data).hexdigest(), len(data))

    def _open(self) -> Path:
        if self._temporary is None:
            raise InterpError(f"the run `{self.folder}` is not open; write inside `with Run.create(...) as run:`")
        return self._temporary

    def _make_parents(self) -> None:
        missing = [parent for parent in self._final.parents if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
            self._made.append(parent)

    def _undo(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None
        for parent in reversed(self._made):
            try:
                parent.rmdir()
            except OSError:
                break
        self._made = []


def storable(name: str, array: object) -> NDArray[Any]:
    """A copy of `array` as it is stored: in C order, little-endian. InterpError if it is not a storable array."""
    if not isinstance(array, np.ndarray):
        kind = type(array).__name__
        raise InterpError(f"`arrays`: {name!r} is a {kind}, not a numpy array; of a tensor, pass `.cpu().numpy()`")
    array_hash(array[:0] if array.ndim else array)  # refuses a dtype before anything is copied
    return np.array(array, dtype=array.dtype.newbyteorder("<"), order="C")


def refuse(folder: Path) -> None:
    """Raise a BadFile if a run cannot be made at `folder`: it holds something, or nothing can be made there."""
    remedy = "choose another folder (`--out`)"
    if folder.is_dir():
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            raise BadFile(f"`{folder}` cannot be read: {error.strerror}; {remedy}") from None
        if names:
            raise BadFile(f"`{folder}` already holds {_contents(folder, names)}; nothing is overwritten: {remedy}")
    elif os.path.lexists(folder) and not folder.is_symlink():
        raise BadFile(f"`{folder}` is a file, not a folder; {remedy}")
    final = Path(os.path.realpath(folder))
    base = next((parent for parent in final.parents if os.path.lexists(parent)), final)
    if not base.is_dir():
        raise BadFile(f"`{folder}` cannot be made: `{base}` is a file, not a folder; {remedy}")
    if not os.access(base, os.W_OK | os.X_OK):
        raise BadFile(f"`{folder}` cannot be made: no permission to write in `{base}`; {remedy}")


def _contents(folder: Path, names: list[str]) -> str:
    try:
        manifest = Manifest.read(folder)
    except InterpError:
        shown = ", ".join(f"`{name}`" for name in names[:3]) + (", ..." if len(names) > 3 else "")
        return f"{len(names)} {'entry' if len(names) == 1 else 'entries'} ({shown})"
    return f"a run of `{manifest.experiment}` made at {manifest.created}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
