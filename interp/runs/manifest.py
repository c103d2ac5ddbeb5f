"""What a run is made of: enough to repeat it, and the hash of all it left behind.

A manifest is the last file of a run to be written, so a folder that has one is complete. It holds no
path of the machine it was made on: two researchers who run the same command get comparable manifests.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interp.errors import BadFile, InterpError, Unsupported
from interp.runs.plain import canonical, portable, relative_path
from interp.runs.reading import JsonObject, read

FORMAT = 1
MANIFEST = "manifest.json"
ARRAYS = "arrays.safetensors"
METRICS = "metrics.json"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_DTYPES = frozenset(["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "b1"])


@dataclass(frozen=True)
class ModelEntry:
    """Which network was looked at: its reference, where the weights came from, their SHA-256, their number."""

    reference: str
    weights: str
    weights_sha256: str
    parameters: int


@dataclass(frozen=True)
class InputEntry:
    """A file that was read: base name, SHA-256 and size in bytes."""

    name: str
    sha256: str
    size: int

    @classmethod
    def of(cls, path: Path) -> InputEntry:
        """Hash the file at `path`; InterpError if it cannot be read."""
        try:
            digest, size = file_hash(path)
        except OSError as error:
            raise BadFile(f"cannot read the input `{path}`: {error.strerror}") from error
        return cls(path.name, digest, size)

    @classmethod
    def of_bytes(cls, name: str, data: bytes) -> InputEntry:
        """An input that came without a file, such as a photograph shipped with a package."""
        return cls(name, hashlib.sha256(data).hexdigest(), len(data))


@dataclass(frozen=True)
class CommitEntry:
    """The commit of the source checkout; `dirty` when the source differed from it."""

    hash: str
    dirty: bool


@dataclass(frozen=True)
class ArrayEntry:
    """SHA-256 of dtype, shape and bytes, with the dtype (numpy's name) and the shape."""

    sha256: str
    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: NDArray[np.generic]) -> ArrayEntry:
        return cls(array_hash(array), array.dtype.name, array.shape)


@dataclass(frozen=True)
class FileEntry:
    """SHA-256 and size in bytes of a file of the run."""

    sha256: str
    bytes: int


def array_hash(array: NDArray[np.generic]) -> str:
    """SHA-256 over dtype, shape and the elements in C order, little-endian: the same on every machine.

    Equal bytes read as another dtype or in another shape hash differently; memory layout does not matter.
    """
    if array.dtype.kind not in "biufc" or array.dtype.str[1:] not in _DTYPES:
        raise Unsupported(f"arrays of dtype {array.dtype} are not stored; use bool, an integer or a float dtype")
    little = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    head = json.dumps([little.dtype.name, list(little.shape)], separators=(",", ":"))
    digest = hashlib.sha256(head.encode("ascii") + b"\n")
    digest.update(little.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def file_hash(path: Path) -> tuple[str, int]:
    """SHA-256 and size in bytes of the file at `path`, read in pieces."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.hexdigest(), file.tell()


@dataclass(frozen=True)
class Manifest:
    """All there is to say about one run. `created` is ISO 8601 in UTC, `seconds` wall-clock time.

    Construction refuses absolute paths and malformed hashes, so no such manifest can be written or read.
    """

    experiment: str
    command: tuple[str, ...]
    config: dict[str, object]
    seed: int
    model: ModelEntry | None
    inputs: tuple[InputEntry, ...]
    versions: dict[str, str]
    device: str
    threads: int
    platform: str
    commit: CommitEntry | None
    created: str
    seconds: float
    arrays: dict[str, ArrayEntry]
    files: dict[str, FileEntry]
    format: int = FORMAT

    def __post_init__(self) -> None:
        object.__setattr__(self, "seconds", float(self.seconds))
        if not 0 <= self.seconds < math.inf:
            raise InterpError(f"`seconds` is {self.seconds}, not a time")
        for where, text in _strings(asdict(self), ""):
            if portable(text) != text:
                raise InterpError(f"`{where}` holds an absolute path, {text!r}; a manifest holds names only")
        for item in self.inputs:
            if not item.name or "/" in item.name or "\\" in item.name:
                raise InterpError(f"`inputs` names {item.name!r}; inputs go by their base name")
        for path in self.files:
            relative_path(path, "`files`")
            if path == MANIFEST:
                raise InterpError(f"`files` lists {MANIFEST}, which cannot hold its own hash")
        hashes = {f"inputs.{item.name}": item.sha256 for item in self.inputs}
        hashes |= {f"arrays.{name}": entry.sha256 for name, entry in self.arrays.items()}
        hashes |= {f"files.{name}": entry.sha256 for name, entry in self.files.items()}
        if self.model is not None:
            hashes["model.weights_sha256"] = self.model.weights_sha256
        for where, digest in hashes.items():
            if not _SHA256.fullmatch(digest):
                raise InterpError(f"`{where}` is not a SHA-256 in lower-case hex: {digest!r}")
        if self.commit is not None and not _COMMIT.fullmatch(self.commit.hash):
            raise InterpError(f"`commit.hash` is not a git commit in lower-case hex: {self.commit.hash!r}")
        try:
            offset = datetime.fromisoformat(self.created).utcoffset()
        except ValueError:
            offset = None
        if offset != timedelta(0):
            raise InterpError(f"`created` is not an ISO time in UTC: {self.created!r}")

    def to_json(self) -> str:
        """The manifest as JSON with sorted keys, and under `digest` the SHA-256 of the rest of it."""
        value = asdict(self)
        return canonical(value | {"digest": _digest(value)})

    @classmethod
    def from_json(cls, text: str, name: str = MANIFEST) -> Manifest:
        """The inverse of `to_json`; InterpError names the file `name` and what is wrong in it."""
        manifest = read(text, name, _manifest)
        if text.replace("\r\n", "\n") != manifest.to_json():
            raise BadFile(f"{name}: it does not match its own `digest`: damaged, or edited by hand")
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


def _digest(value: Mapping[str, object]) -> str:
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


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
    version = top.whole("format")
    if version != FORMAT:
        raise InterpError(f"`format` is {version}; this interp reads format {FORMAT}")
    top.text("digest")
    return Manifest(
        experiment=top.text("experiment"),
        command=top.texts("command"),
        config=top.mapping("config"),
        seed=top.whole("seed", least=None),
        model=top.optional("model", _model),
        inputs=top.entries("inputs", lambda item: InputEntry(item.text("name"), item.text("sha256"), item.whole("size"))),
        versions=top.named_texts("versions"),
        device=top.text("device"),
        threads=top.whole("threads", least=1),
        platform=top.text("platform"),
        commit=top.optional("commit", lambda item: CommitEntry(item.text("hash"), item.truth("dirty"))),
        created=top.text("created"),
        seconds=top.number("seconds"),
        arrays=top.table("arrays", lambda a: ArrayEntry(a.text("sha256"), a.text("dtype"), a.sizes("shape"))),
        files=top.table("files", lambda item: FileEntry(item.text("sha256"), item.whole("bytes"))),
    )


def _model(item: JsonObject) -> ModelEntry:
    return ModelEntry(item.text("reference"), item.text("weights"), item.text("weights_sha256"), item.whole("parameters"))
