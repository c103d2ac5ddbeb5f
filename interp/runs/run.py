"""All or nothing: a run is a folder that appears complete, under its own name, or not at all.

Everything is written into a hidden folder (see `interp.runs.place`), the manifest last, and renamed at the end.
Whatever stops the work, an error or Ctrl-C, removes the hidden folder; an existing run is never touched.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from interp.errors import BadFile, InterpError
from interp.runs.arrayfile import save_arrays, storable
from interp.runs.configfile import to_yaml
from interp.runs.entries import About, ArrayEntry, FigureEntry, FileEntry, InputEntry, ModelEntry, Program, file_hash
from interp.runs.machine import Machine
from interp.runs.manifest import ARRAYS, CONFIG, MANIFEST, METRICS, Manifest
from interp.runs.origin import source_commit, versions
from interp.runs.partial import sync
from interp.runs.place import Place, numbered
from interp.runs.plain import canonical, config_entry, plain, portable, prose, relative_path
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
    folder = root / _slug(experiment) / f"{now:%Y%m%d-%H%M%S}-{_slug(model_name)}-{config_hash}"
    return next(path for path in numbered(folder) if not os.path.lexists(path))


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", portable(name)).strip("-.")[:80] or "unnamed"


class Run:
    """A run being made: `with Run.create(folder, ...) as run:` and write into it; the folder appears at the end."""

    def __init__(self, place: Place, entry: Mapping[str, Any]) -> None:
        self._place = place
        self._entry = entry
        self._files: dict[str, FileEntry] = {}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._hashes: dict[str, ArrayEntry] = {}
        self._metrics: dict[str, object] = {}
        self._tolerances: dict[str, Tolerance] = {}
        self._figures: dict[str, FigureEntry] = {}
        self._about = About()
        self._identity: str | None = None
        self._started = 0.0

    @classmethod
    def create(
        cls,
        folder: Path | Place,
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

        A `Place` that was entered before is kept for this run from then on; a path only once the run is entered.
        `config` is a frozen dataclass; `command` the command line that makes the run, absolute paths cut to their names; `parent`
        the identity of the run it was derived from.
        InterpError at once if `folder` exists and is not empty, or if it could not be written.
        """
        place = folder if isinstance(folder, Place) else Place(folder)
        place.check()
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
        run = cls(place, entry)
        run.manifest()
        return run

    @property
    def folder(self) -> Path:
        """Where the run is going to be; of a place that takes the next free name this is certain only at the end."""
        return self._place.folder

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
        if self._identity is None:
            self._identity = self.manifest().identity
        return self._identity

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
            if not name or name == "__metadata__" or name in self._arrays or portable(name) != name:
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
        relative_path(f"figures/{stem}", "`figure`")
        self._figures[stem] = FigureEntry(entry.spec, prose(entry.alt), prose(entry.caption), len(self._figures))

    def unrepeatable(self, reasons: Sequence[str]) -> None:
        """Note in words why results may differ from one making to the next, as it showed during the work."""
        self._refuse_once_known("unrepeatable")
        machine = self._entry["machine"]
        known = tuple(dict.fromkeys((*machine.unrepeatable, *reasons)))
        self._entry = {**self._entry, "machine": replace(machine, unrepeatable=known)}

    def about(self, about: About) -> None:
        """Say what the run is about."""
        self._about = About(prose(about.title), prose(about.question), prose(about.lead))

    def _refuse_once_known(self, what: str) -> None:
        if self._identity is not None:
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
        if not self._place.is_open:
            self._place.__enter__()
        self._started = self._place.since  # whoever took the place before may have loaded a network since, or trained one
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise BadFile(f"`{self.folder}` was not written: {reason}; nothing was left behind") from problem
        finally:
            self._place.close()

    def _finish(self) -> None:
        if self._arrays:
            self._save_arrays()
        if self._metrics:
            self._write(METRICS, canonical(self._metrics).encode("ascii"))
        self._write(CONFIG, to_yaml(self._entry["experiment"], self._entry["config"]))
        inside = self._place.inside
        (inside / MANIFEST).write_bytes(self.manifest().to_json().encode("ascii"))
        # One disk waits for many files in the time of one.
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(sync, [inside / path for path in (*self._files, MANIFEST)]))
        for folder, _, _ in os.walk(inside, topdown=False):
            sync(Path(folder))
        self._place.publish()

    def _save_arrays(self) -> None:
        path = self._place.inside / ARRAYS
        save_arrays(self._arrays, path)
        self._arrays.clear()
        self._files[ARRAYS] = FileEntry(*file_hash(path))

    def _write(self, path: str, data: bytes) -> None:
        target = self._place.inside / path
        if path.casefold() in {known.casefold() for known in self._files}:
            raise InterpError(f"`{path}` was already written in this run; give each file its own name")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(data)
        except OSError as error:
            raise BadFile(f"`{path}` cannot be written into the run `{self.folder}`: {error.strerror}") from error
        self._files[path] = FileEntry(hashlib.sha256(data).hexdigest(), len(data))
