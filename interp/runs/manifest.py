"""What a run is made of: enough to repeat it, and the hash of all it left behind.

A manifest is the last file of a run to be written, so a folder that has one is complete. It holds no
path of the machine it was made on: two researchers who run the same command get comparable manifests.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from interp.errors import BadFile, InterpError
from interp.runs.entries import SHA256, About, ArrayEntry, CommitEntry, FigureEntry, FileEntry, InputEntry, ModelEntry, Program, Role
from interp.runs.machine import Machine
from interp.runs.plain import canonical, canonical_digest, portable, prose, relative_path
from interp.runs.reading import JsonObject, read
from interp.runs.tolerance import Tolerance

FORMAT = 2
MANIFEST = "manifest.json"
ARRAYS = "arrays.safetensors"
METRICS = "metrics.json"
CONFIG = "config.yaml"
# What changes from one making to the next and says nothing of the result: in no digest.
_PASSING = ("created", "seconds")
# What came out: all the rest went in, and is known before a figure is drawn.
_OUTCOME = ("about", "figures", "files")

_COMMAND = re.compile(r"[a-z][a-z0-9_-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True)
class Manifest:
    """All there is to say about one run. `created` is ISO 8601 in UTC, `seconds` wall-clock time; neither is in a digest.

    ``command`` is the command line that makes the run again, written from ``config``. ``tolerances`` says how far a repeated
    run may be, by patterns over names (see `interp.runs.tolerance`); ``figures`` go by their stems; ``parent`` is the identity of
    the run that this one was derived from, or None.

    Construction refuses absolute paths, paths that lead out of the folder, and malformed hashes, so no such manifest can be
    written or read.
    """

    experiment: str
    program: Program
    command: tuple[str, ...]
    config: dict[str, object]
    seed: int
    model: ModelEntry | None
    inputs: tuple[InputEntry, ...]
    versions: dict[str, str]
    machine: Machine
    commit: CommitEntry | None
    parent: str | None
    created: str
    seconds: float
    tolerances: dict[str, Tolerance]
    arrays: dict[str, ArrayEntry]
    figures: dict[str, FigureEntry]
    files: dict[str, FileEntry]
    about: About
    format: int = FORMAT

    def __post_init__(self) -> None:
        object.__setattr__(self, "seconds", float(self.seconds))
        if not 0 <= self.seconds < math.inf:
            raise InterpError(f"`seconds` is {self.seconds}, not a time")
        value = asdict(self)
        told = {"about": value.pop("about"), "figures": value.pop("figures")}
        for part, shortened in ((value, portable), (told, prose)):
            for where, text in _strings(part, ""):
                if shortened(text) != text:
                    raise InterpError(f"`{where}` holds an absolute path, or one that leads upwards, {text[:80]!r}; only names are held")
        self._check_paths()
        self._check_hashes()
        try:
            offset = datetime.fromisoformat(self.created).utcoffset()
        except ValueError:
            offset = None
        if offset != timedelta(0):
            raise InterpError(f"`created` is not an ISO time in UTC: {self.created!r}")

    def _check_paths(self) -> None:
        if self.program.kind not in ("command", "script"):
            raise InterpError(f"`program.kind` is {self.program.kind!r}; it is 'command' or 'script'")
        if self.program.kind == "script":
            relative_path(self.program.name, "`program`")
        elif not _COMMAND.fullmatch(self.program.name) or self.program.sha256:
            raise InterpError(f"`program` is {self.program.name[:80]!r}; a command goes by its name, in lower case and without a hash")
        for item in self.inputs:
            if "/" in item.name:
                raise InterpError(f"`inputs` names {item.name[:80]!r}; inputs go by their base name")
            relative_path(item.name, "`inputs`")
            if item.path:
                relative_path(item.path, "`inputs`")
        for stem in self.figures:
            relative_path(f"figures/{stem}", "`figures`")
        for path in self.files:
            relative_path(path, "`files`")
            if path == MANIFEST:
                raise InterpError(f"`files` lists {MANIFEST}, which cannot hold its own hash")

    def _check_hashes(self) -> None:
        hashes = {f"inputs.{item.name}": item.sha256 for item in self.inputs}
        hashes |= {f"arrays.{name}": entry.sha256 for name, entry in self.arrays.items()}
        hashes |= {f"figures.{name}": entry.spec for name, entry in self.figures.items()}
        hashes |= {f"files.{name}": entry.sha256 for name, entry in self.files.items()}
        if self.model is not None:
            hashes["model.weights_sha256"] = self.model.weights_sha256
        if self.program.kind == "script":
            hashes["program.sha256"] = self.program.sha256
        if self.parent is not None:
            hashes["parent"] = self.parent
        for where, digest in hashes.items():
            if not SHA256.fullmatch(digest):
                raise InterpError(f"`{where}` is not a SHA-256 in lower-case hex: {digest!r}")
        if self.commit is not None and not _COMMIT.fullmatch(self.commit.hash):
            raise InterpError(f"`commit.hash` is not a git commit in lower-case hex: {self.commit.hash!r}")

    @property
    def identity(self) -> str:
        """SHA-256 of all that went in and of every array: what stands in the run's figures, and names the run."""
        value = _value(self)
        return canonical_digest({key: value[key] for key in value.keys() - {*_PASSING, *_OUTCOME}})

    @property
    def seal(self) -> str:
        """SHA-256 of all that it says but the times: what was found of a run is known by it, captions and pictures included."""
        return canonical_digest({key: entry for key, entry in _value(self).items() if key not in _PASSING})

    def to_json(self) -> str:
        """The manifest as JSON with sorted keys, its `identity`, and under `digests` the SHA-256 of each part but the times."""
        value = _value(self)
        digests = {key: canonical_digest(value[key]) for key in value if key not in _PASSING}
        return canonical(value | {"digests": digests, "identity": self.identity})

    @classmethod
    def from_json(cls, text: str, name: str = MANIFEST) -> Manifest:
        """The inverse of `to_json`; InterpError names the file `name` and what is wrong in it."""
        told: dict[str, str] = {}

        def build(top: JsonObject) -> Manifest:
            manifest = _manifest(top)
            told.update(top.named_texts("digests"), identity=top.text("identity"))
            return manifest

        manifest = read(text, name, build)
        value = _value(manifest)
        changed = [key for key in value if key not in _PASSING and told.get(key) != canonical_digest(value[key])]
        if changed:
            parts = ", ".join(f"`{key}`" for key in sorted(changed))
            said = "does not match its digest" if len(changed) == 1 else "do not match their digests"
            raise ChangedManifest(f"{name}: {parts} {said}: damaged, or edited by hand", manifest, tuple(sorted(changed)))
        if text.replace("\r\n", "\n") != manifest.to_json():
            raise BadFile(f"{name}: it is not as it was written: damaged, or edited by hand")
        return manifest

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of the run in `folder`; InterpError if there is none or it is not sound."""
        path = folder / MANIFEST
        try:
            text = path.read_bytes().decode("ascii")
        except (FileNotFoundError, NotADirectoryError):
            raise BadFile(f"`{folder}` is no finished run: it has no {MANIFEST}") from None
        except OSError as error:
            raise BadFile(f"cannot read `{path}`: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise BadFile(f"{path}: it is not ASCII JSON: byte {error.start} is damaged") from None
        return cls.from_json(text, str(path))


class ChangedManifest(BadFile):
    """Parts of a manifest that are not what was written; ``manifest`` is what it says now, ``parts`` their keys."""

    def __init__(self, message: str, manifest: Manifest, parts: tuple[str, ...]) -> None:
        super().__init__(message)
        self.manifest = manifest
        self.parts = parts


def _value(manifest: Manifest) -> dict[str, object]:
    value = asdict(manifest)
    value["tolerances"] = {pattern: tolerance.value for pattern, tolerance in manifest.tolerances.items()}
    for item, entry in zip(value["inputs"], manifest.inputs, strict=True):
        item["role"] = entry.role.value
    return value


def _strings(value: object, where: str) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(where, value)]
    if isinstance(value, Mapping):
        keys = [(f"{where}.{key}".lstrip("."), key) for key in value]
        return keys + [found for key in value for found in _strings(value[key], f"{where}.{key}".lstrip("."))]
    if isinstance(value, list | tuple):
        return [found for index, item in enumerate(value) for found in _strings(item, f"{where}[{index}]")]
    return []


def _manifest(top: JsonObject) -> Manifest:
    if not {"format", "experiment"} <= top.rest.keys():
        raise InterpError("it is not a manifest of interp: it has no `format` and `experiment`")
    version = top.whole("format")
    if version > FORMAT:
        raise InterpError(f"`format` is {version}, of a newer interp; this one reads format {FORMAT}: upgrade interp")
    if version < FORMAT:
        raise InterpError(f"`format` is {version}, of an older interp; this one reads format {FORMAT}: make the run again")
    return Manifest(
        experiment=top.text("experiment"),
        program=top.one("program", lambda item: Program(item.text("kind"), item.text("name"), item.text("sha256"))),
        command=top.texts("command"),
        config=top.mapping("config"),
        seed=top.whole("seed", least=None),
        model=top.optional("model", _model),
        inputs=top.entries("inputs", _input),
        versions=top.named_texts("versions"),
        machine=top.one("machine", _machine),
        commit=top.optional("commit", lambda item: CommitEntry(item.text("hash"), item.truth("dirty"))),
        parent=top.optional_text("parent"),
        created=top.text("created"),
        seconds=top.number("seconds"),
        tolerances={pattern: _tolerance(pattern, name) for pattern, name in top.named_texts("tolerances").items()},
        arrays=top.table("arrays", lambda a: ArrayEntry(a.text("sha256"), a.text("dtype"), a.sizes("shape"))),
        figures=top.table("figures", _figure),
        files=top.table("files", lambda item: FileEntry(item.text("sha256"), item.whole("bytes"))),
        about=top.one("about", lambda item: About(item.text("title"), item.text("question"), item.text("lead"))),
    )


def _model(item: JsonObject) -> ModelEntry:
    return ModelEntry(item.text("reference"), item.text("weights"), item.text("weights_sha256"), item.whole("parameters"))


def _figure(item: JsonObject) -> FigureEntry:
    return FigureEntry(item.text("spec"), item.text("alt"), item.text("caption"), item.whole("place"))


def _input(item: JsonObject) -> InputEntry:
    role = item.text("role")
    if role not in {known.value for known in Role}:
        raise InterpError(f"`inputs` has the role {role!r}, which this interp does not know")
    return InputEntry(item.text("name"), item.text("sha256"), item.whole("size"), item.text("path"), Role(role))


def _machine(item: JsonObject) -> Machine:
    texts = {name: item.text(name) for name in ("system", "processor", "capability", "device", "accelerator", "precision")}
    return Machine(**texts, threads=item.whole("threads", least=1), unrepeatable=item.texts("unrepeatable"))


def _tolerance(pattern: str, name: str) -> Tolerance:
    if name not in {known.value for known in Tolerance}:
        raise InterpError(f"`tolerances.{pattern}` is {name!r}, which this interp does not know")
    return Tolerance(name)
