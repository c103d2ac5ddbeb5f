"""Device names from the edge, checked against what this machine has."""

from __future__ import annotations

import re

import torch

from interp.errors import UnknownName, nearest

_FORM = re.compile(r"(?P<kind>cpu|cuda|mps)(?::(?P<index>\d{1,4}))?")


def available() -> list[str]:
    """The devices that exist here, the fastest first."""
    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def device(name: str) -> torch.device:
    """``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto`` (the first there is of cuda, mps, cpu).

    Raises UnknownName where it is no such name or the machine has no such device.
    """
    text, existing = name.strip().lower(), available()
    if text == "auto":
        return torch.device(existing[0])
    match = _FORM.fullmatch(text)
    if match is None:
        hint = nearest(text, ["auto", *existing])
        raise UnknownName(f"no device '{name}': {hint + ' ' if hint else ''}there {_list(existing)}, and 'auto' takes the fastest")
    wanted = match["kind"] if match["kind"] != "cuda" else f"cuda:{int(match['index'] or 0)}"
    if wanted not in existing or (match["kind"] != "cuda" and int(match["index"] or 0) > 0):
        raise UnknownName(f"device '{name}' does not exist on this machine: there {_list(existing)}")
    return torch.device(text)


def _list(names: list[str]) -> str:
    return ("is only " if len(names) == 1 else "are ") + ", ".join(f"'{n}'" for n in names)
