"""Finished work on disk, each piece under a hash of all that it depends on: found again after a kill, and when other options change."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from interp.errors import BadFile, InterpError
from interp.runs import array_hash
from interp.runs.arrayfile import save_arrays
from interp.runs.partial import replacing, write_whole
from interp.runs.plain import canonical, canonical_digest, plain

Arrays = Mapping[str, NDArray[Any]]

_SEAL, _MARK = "seal", "mark"


def key_of(*parts: object) -> str:
    """The name of a piece of work: 32 hex digits of the SHA-256 of all that it depends on, given as plain values or dataclasses."""
    return canonical_digest([plain(part, "key") for part in parts])[:32]


class Store:
    """A folder of arrays, each set of them under its key.

    A file is written whole or not at all; one that cannot be read, or is not what was written, counts as not there. Several
    processes may write into one folder at once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> str:
        """Make the folder; gives its mark, by which another process can tell that it sees the same folder."""
        path = self.folder / _MARK
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.is_file():
                write_whole(path, secrets.token_hex(16).encode())
            return path.read_text()
        except OSError as error:
            raise _refused(self.folder, error) from error

    def sees(self, mark: str) -> bool:
        """Whether this is the folder of that mark: on another machine the same path may be another folder."""
        try:
            return (self.folder / _MARK).read_text() == mark
        except OSError:
            return False

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """The arrays under ``key``; None where there are none, or they are damaged."""
        try:
            arrays = load_file(self.path(key))
            seal = json.loads(arrays.pop(_SEAL).tobytes())
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
        return arrays if seal == _seal(key, arrays) else None

    def put(self, key: str, arrays: Arrays) -> None:
        """Keep ``arrays`` under ``key``; BadFile where the disk refuses."""
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        seal = np.frombuffer(json.dumps(_seal(key, arrays)).encode(), np.uint8)
        path = self.path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                save_arrays(arrays | {_SEAL: seal}, partial)
        except OSError as error:
            raise _refused(self.folder, error) from error


def _refused(folder: Path, error: OSError) -> BadFile:
    reason = error.strerror or str(error)
    return BadFile(f"finished work cannot be kept in `{folder}`: {reason}; make room, and the same command goes on from there")


def _seal(key: str, arrays: Arrays) -> str:
    hashes = {name: array_hash(array) for name, array in sorted(arrays.items())}
    return hashlib.sha256(canonical([key, hashes]).encode()).hexdigest()


def text_array(text: str) -> NDArray[np.uint8]:
    """A text as an array, for a store that holds nothing else."""
    return np.frombuffer(text.encode(), np.uint8)


def array_text(array: NDArray[Any]) -> str:
    """The inverse of `text_array`."""
    if array.dtype != np.uint8:
        raise InterpError(f"an array of {array.dtype} holds no text")
    return array.tobytes().decode()
