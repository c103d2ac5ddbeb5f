"""What a manifest says of a run, in a few words for a list."""

from __future__ import annotations

import re

from interp.runs.entries import CommitEntry
from interp.runs.machine import Machine
from interp.runs.manifest import Manifest


def said(value: object) -> str:
    """A value of a config as it is typed: ``none``, ``true``, ``128``, ``cat,coffee``."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(said, value))
    return str(value)


def visible(text: str) -> str:
    """``text`` without control characters: a manifest may come from anyone, and a terminal would obey them."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def commit_name(commit: CommitEntry | None) -> str:
    """The beginning of a commit's hash, and whether the source differed from it."""
    return "none" if commit is None else commit.hash[:7] + (" with changes" if commit.dirty else "")


def model_of(manifest: Manifest) -> str:
    """The reference of the model that was looked at; "" of a run without one."""
    return "" if manifest.model is None else manifest.model.reference


def machine_name(machine: Machine) -> str:
    """A machine in a few words: its accelerator, or its processor with the threads that were used."""
    if machine.accelerator:
        return machine.accelerator
    name = re.sub(r"\s*\([\d/]+\)$|\((?:R|TM)\)|\s+CPU\b|\s+Processor\b|\s+\d+-Core\b|\s+@.*", "", machine.processor).strip()
    threads = f"{machine.threads} thread{'s' if machine.threads > 1 else ''}"
    return f"{name}, {threads}" if machine.device == "cpu" else f"{name}, {machine.device}"


def time_taken(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size_of(number: int) -> str:
    """Bytes as ``812 B``, ``14 kB``, ``1.2 MB``: powers of ten."""
    if number < 1000:
        return f"{number} B"
    if number < 999_500:
        return f"{number / 1e3:.0f} kB"
    unit, value = ("MB", number / 1e6) if number < 999_500_000 else ("GB", number / 1e9)
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
