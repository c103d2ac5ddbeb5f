"""Where two sets of options part: each one by its dotted name, with both values in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from interp.errors import BadFile
from interp.runs.configfile import from_yaml
from interp.runs.entries import SHA256
from interp.runs.manifest import CONFIG

NOTHING = "nothing"
# Longer than any options are: what claims to be some is not read whole.
_MOST_BYTES = 1 << 20


def differing(first: object, second: object, name: str) -> Iterator[tuple[str, str, str]]:
    """(name, value in the first, value in the second) of every leaf that differs; `NOTHING` where one does not have it.

    ``list(differing({"steps": 129}, {"steps": 128}, "config")) == [("config.steps", "129", "128")]``
    """
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys((*first, *second)):
            inner = f"{name}.{key}"
            if key not in second:
                yield inner, said(first[key]), NOTHING
            elif key not in first:
                yield inner, NOTHING, said(second[key])
            else:
                yield from differing(first[key], second[key], inner)
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from differing(one, other, f"{name}[{index}]")
    elif (type(first), first) != (type(second), second):
        yield name, said(first), said(second)


def said(value: object) -> str:
    """A plain value as it stands in a manifest, on one line; of a hash the beginning."""
    if isinstance(value, str) and SHA256.fullmatch(value):
        return short(value)
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 160 else f"{text[:150]}..."


def short(digest: str) -> str:
    """The beginning of a SHA-256, enough to tell it from any other."""
    return f"{digest[:12]}..."


def written_config(folder: Path) -> dict[str, object] | None:
    """The options in the `config.yaml` of a run; None where there is none or it cannot be read. Links are not followed."""
    path = folder / CONFIG
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        value = from_yaml(path.read_bytes().decode("ascii"), CONFIG)
    except (OSError, UnicodeDecodeError, BadFile):
        return None
    return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else None
