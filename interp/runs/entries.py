"""The entries of a manifest: what went in, what came out, and how each is hashed."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from interp.errors import BadFile, Unsupported

SHA256 = re.compile(r"[0-9a-f]{64}")
_DTYPES = frozenset(["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "b1"])


@dataclass(frozen=True)
class ModelEntry:
    """Which network was looked at: its reference, where the weights came from, their SHA-256, their number."""

    reference: str
    weights: str
    weights_sha256: str
    parameters: int


class Role(Enum):
    """What an input was read as."""

    PICTURE = "picture"
    WEIGHTS = "weights"
    CODE = "code"
    MASK = "mask"


@dataclass(frozen=True)
class Program:
    """What made the run: a ``command`` of interp by its name, or a ``script`` by its path, with the SHA-256 of its text.

    The path of a script is that below the source checkout, or below the folder it was started in; only its name where it lay
    elsewhere.
    """

    kind: str
    name: str
    sha256: str = ""


@dataclass(frozen=True)
class InputEntry:
    """A file that was read: base name, SHA-256 and size in bytes; as what; and where.

    ``path`` is where it lay below the folder that the work was started in, with ``/``; its name alone where it lay elsewhere; and
    "" for what ships with a package.
    """

    name: str
    sha256: str
    size: int
    path: str = ""
    role: Role = Role.PICTURE

    @classmethod
    def of(cls, path: Path, role: Role = Role.PICTURE) -> InputEntry:
        """Hash the file at `path`; InterpError if it cannot be read."""
        try:
            digest, size = file_hash(path)
        except OSError as error:
            raise BadFile(f"cannot read the input `{path}`: {error.strerror}") from error
        return cls(path.name, digest, size, reference(path), role)

    @classmethod
    def of_bytes(cls, name: str, data: bytes) -> InputEntry:
        """An input that came without a file, such as a photograph shipped with a package."""
        return cls(name, hashlib.sha256(data).hexdigest(), len(data))


def reference(path: PurePath) -> str:
    """`path` as a manifest writes it: as it was given where it leads down from the current folder, else its last name.

    `.` of a folder that has none, such as `..`; the same as `interp.runs.plain.portable` makes of it as an option's value.
    """
    # On Windows a path may have a drive, or a root, without being absolute: `C:cats`, `\\cats`.
    below = not path.anchor and ".." not in path.parts
    names = [name for name in path.parts[len(path.anchor and "/") :] if name != ".."]
    return path.as_posix() if below else (names[-1] if names else ".")


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


@dataclass(frozen=True)
class FigureEntry:
    """Of the figure in the files `figures/STEM.*`: the hash of its spec, what is seen (``alt``), what it means (``caption``).

    ``place`` is its place among the figures of the run, 0 the first.
    """

    spec: str
    alt: str = ""
    caption: str = ""
    place: int = 0


@dataclass(frozen=True)
class About:
    """What the run is about: the title of its page, the question it asks (of the program), and what it shows."""

    title: str = ""
    question: str = ""
    lead: str = ""


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
