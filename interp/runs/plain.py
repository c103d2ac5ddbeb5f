"""Values made fit for a manifest: plain JSON, and free of this machine's paths."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath, PurePosixPath

import numpy as np

from interp.errors import InterpError

# An absolute path (POSIX, drive letter or UNC), or one that leads upwards, after a separator inside of an option's value.
# `//` after a colon is left alone: it is a web address, and those are the same on every machine.
_INSIDE = re.compile(
    r"""([=,;@|"'`<\[({]|:(?!//))"""
    r"""(?:/+|(?:\.\.[\\/]+)+|[A-Za-z]:[\\/]+|\\{2,})(?=[^\\/\s=,;:|"'`<>\])}])"""
    r"""[^=,;:|"'`<>\])}]*"""
)
# The same in a sentence, where a path ends at a space, and one name after a slash is no path: `1 /f`, `(/s)`.
_SAID = re.compile(
    r"""(^|[\s=,;@|"'`<\[({]|:(?!//))"""
    r"""(?:/+|[A-Za-z]:[\\/]+|\\{2,})[^\\/\s=,;:|"'`<>\])}]+(?:[\\/]+[^\\/\s=,;:|"'`<>\])}]+)+[\\/]*"""
)
_ROOTED = re.compile(r"/|\\\\|[A-Za-z]:[\\/]")
_OPTION = re.compile(r"--?\w[\w.-]*=")
_SEPARATORS = re.compile(r"[\\/]+")
_FILE_URL = re.compile(r"\bfile:/+", re.IGNORECASE)
DEEPEST = 50
"""Lists and objects inside each other, at most."""


def portable(text: str) -> str:
    """An option's value with every path that is absolute or leads upwards cut down to its last name.

    `portable("--out=/home/me/cats") == "--out=cats"`. Relative paths that lead down stay as typed; a folder without a name, such
    as `..`, becomes `.`. Applying it twice changes nothing more, so what it leaves as it is leads nowhere outside.
    """
    if "/" not in text and "\\" not in text and not text.endswith(".."):  # of most texts this is all there is to do
        return text
    option = _OPTION.match(text)
    if option is not None:
        return option.group(0) + portable(text[option.end() :])
    while True:
        shorter = _FILE_URL.sub("/", text)
        whole = _ROOTED.match(shorter) or ".." in _SEPARATORS.split(shorter)
        shorter = _last(shorter) if whole else _SAID.sub(_last_name, _INSIDE.sub(_last_name, shorter))
        if shorter == text:
            return text
        text = shorter


def prose(text: str) -> str:
    """A sentence with every absolute path cut down to its last name; slashes between words stay.

    `prose("the mean of /data/cats/one.png, in km/h") == "the mean of one.png, in km/h"`.
    """
    while True:
        shorter = _SAID.sub(_last_name, _FILE_URL.sub("/", text))
        if shorter == text:
            return text
        text = shorter


def _last_name(match: re.Match[str]) -> str:
    return match.group(1) + _last(match.group(0)[len(match.group(1)) :])


def _last(path: str) -> str:
    """The last name of a path; `.` of one that has none."""
    real = [name for name in _SEPARATORS.split(path) if name.strip() and name not in ("..", ".") and not re.fullmatch("[A-Za-z]:", name)]
    return real[-1] if real else "."


def plain(value: object, where: str) -> object:
    """`value` as JSON types: dataclasses and mappings become dicts, sequences lists, enums their name.

    A field with ``metadata={"manifest": False}`` is left out: the array behind a hash that another field holds.

    A nested dataclass also carries its class name under `class`, a key no field can have: otherwise two
    options with equal fields (`Jitter(8)`, `Pad(8)`) would make one entry. Raises InterpError naming
    `where` for anything JSON cannot hold exactly: NaN and infinity, sets, arrays, functions.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InterpError(f"`{where}` is {value}, which JSON cannot hold; use None for an undefined value")
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, PurePath):
        return value.as_posix()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"class": type(value).__name__} | _fields(value, where)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InterpError(f"`{where}` has the key {key!r}; JSON keys are strings")
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise InterpError(
        f"`{where}` is a {type(value).__name__}, which a manifest cannot hold; "
        "use numbers, strings, None, lists, dicts with string keys, or frozen dataclasses of these"
    )


def _fields(value: object, where: str) -> dict[str, object]:
    assert dataclasses.is_dataclass(value)
    shown = [field.name for field in dataclasses.fields(value) if field.metadata.get("manifest", True)]
    return {name: plain(getattr(value, name), f"{where}.{name}") for name in shown}


def config_entry(config: object) -> dict[str, object]:
    """The fields of a frozen dataclass as the manifest's `config`; absolute paths become names."""
    if isinstance(config, type) or not dataclasses.is_dataclass(config):
        name = config.__name__ if isinstance(config, type) else type(config).__name__
        raise InterpError(f"`config` is {name}, not an instance of a dataclass; pass a frozen dataclass of options")
    parameters = getattr(type(config), "__dataclass_params__", None)
    if not getattr(parameters, "frozen", False):
        raise InterpError(f"`config` {type(config).__name__} can change during the run; use @dataclass(frozen=True)")
    entry = without_paths(_fields(config, "config"))
    assert isinstance(entry, dict)
    return entry


def without_paths(value: object) -> object:
    """A plain JSON value with `portable` applied to every string in it (keys are left as they are)."""
    if isinstance(value, str):
        return portable(value)
    if isinstance(value, list):
        return [without_paths(item) for item in value]
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items()}
    return value


def canonical(value: object) -> str:
    """The one JSON text of a plain value: sorted keys, two spaces, ASCII, a newline at the end."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def canonical_digest(value: object) -> str:
    """SHA-256 of the one JSON text of a plain value."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


def relative_path(path: str, what: str) -> str:
    """`path` if it names a file strictly inside the run's folder, in its one normal form; else InterpError."""
    parts = path.split("/")
    if not path or PurePosixPath(path).is_absolute() or re.match(r"[A-Za-z]:", path):
        problem = "it is not a relative path"
    elif ".." in parts:
        problem = "`..` leads out of the run's folder"
    elif "" in parts or "." in parts:
        problem = "empty and `.` parts are not in normal form"
    elif "\\" in path or any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) < 0xE000 for letter in path):
        problem = "backslashes, control characters and lone surrogates are not portable"
    else:
        return path
    raise InterpError(f"{what}: the path {path!r} is refused: {problem}; write it like 'figures/grid.png'")
