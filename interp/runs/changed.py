"""What exactly was changed in a manifest that is not as it was written.

Each part of a manifest has its SHA-256 beside it. A digest cannot be read backwards, but it tells whether a guess is right:
the options as `config.yaml` has them, the entries as the files and arrays in the folder make them, or the part as it
stands with one bit turned back. Where a guess fits, what was written is known for certain, and the two are compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open

from interp.errors import InterpError
from interp.runs.differing import NOTHING, differing, written_config
from interp.runs.entries import ArrayEntry, FileEntry, file_hash
from interp.runs.manifest import ARRAYS, MANIFEST, ChangedManifest
from interp.runs.plain import canonical, canonical_digest
from interp.runs.verify import Kind, Problem, check_arrays, check_files, named_once, walk

# A part that is longer is not searched for its one turned bit: hashing it so many times takes too long.
_MOST_BYTES = 1 << 14


def explain(folder: Path, changed: ChangedManifest) -> tuple[Problem, ...]:
    """What is not as it was written in the manifest of `folder`, which `Manifest.read` refused; then in its files and arrays."""
    value = json.loads((folder / MANIFEST).read_bytes())
    told = value["digests"]
    problems = [problem for part in sorted(changed.parts) for problem in _part(folder, part, value[part], told.get(part))]
    named = {problem.name for problem in problems}
    others = named_once([*check_files(folder, changed.manifest), *check_arrays(folder, changed.manifest)])
    return (*problems, *(problem for problem in others if not _explained(problem, named)))


def _part(folder: Path, part: str, now: object, told: str | None) -> Iterator[Problem]:
    if told is None:
        yield Problem(Kind.MANIFEST, f"digests.{part}", "is missing")
        return
    actual = canonical_digest(now)
    if len(told) == len(actual) and sum(one != other for one, other in zip(told, actual, strict=True)) == 1:
        yield Problem(Kind.MANIFEST, f"digests.{part}", f"is changed in one letter; `{part}` itself is as it was written")
        return
    written = _written(folder, part, now, told)
    if written is None:
        yield Problem(Kind.MANIFEST, part, "does not match its digest; what was written is not known")
        return
    for name, found, then in differing(now, written, part):
        if then == NOTHING:
            yield Problem(Kind.MANIFEST, name, f"is {found}; it was not written")
        elif found == NOTHING:
            yield Problem(Kind.MANIFEST, name, f"is not there; {then} was written")
        else:
            yield Problem(Kind.MANIFEST, name, f"is {found}; {then} was written")


def _written(folder: Path, part: str, now: object, told: str) -> object | None:
    """What the part was when it was written, None where no guess fits its digest."""
    guesses: dict[str, Callable[[Path], object | None]] = {"config": written_config, "files": _files, "arrays": _arrays}
    if part in guesses:
        guess = guesses[part](folder)
        if guess is not None and canonical_digest(guess) == told:
            return guess
    return _one_bit(now, told)


def _files(folder: Path) -> object | None:
    """The entry `files` as it would be written of the folder as it is."""
    names = sorted(set(walk(folder)) - {MANIFEST})
    paths = [folder / name for name in names]
    if any(path.is_symlink() or not path.is_file() for path in paths):
        return None
    try:
        return {name: asdict(FileEntry(*file_hash(path))) for name, path in zip(names, paths, strict=True)}
    except OSError:
        return None


def _arrays(folder: Path) -> object | None:
    """The entry `arrays` as it would be written of the arrays that are there."""
    path = folder / ARRAYS
    if path.is_symlink() or not path.is_file():
        return {}
    try:
        with safe_open(path, framework="numpy") as file:
            entries = {name: asdict(ArrayEntry.of(file.get_tensor(name))) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, InterpError, OSError, TypeError, ValueError):
        return None
    return {name: entry | {"shape": list(entry["shape"])} for name, entry in entries.items()}


def _one_bit(now: object, told: str) -> object | None:
    """The value whose digest is ``told`` and whose text differs from that of ``now`` in one bit; None where there is none."""
    text = canonical(now).encode("ascii")
    if len(text) > _MOST_BYTES:
        return None
    before = hashlib.sha256()
    for position, byte in enumerate(text):
        rest = text[position + 1 :]
        for bit in range(7):
            digest = before.copy()
            digest.update(bytes([byte ^ (1 << bit)]) + rest)
            if digest.hexdigest() == told:
                return _parsed(text[:position] + bytes([byte ^ (1 << bit)]) + rest)
        before.update(text[position : position + 1])
    return None


def _parsed(text: bytes) -> object | None:
    try:
        value: object = json.loads(text)
    except ValueError:
        return None
    return value


def _explained(problem: Problem, named: set[str]) -> bool:
    """Whether a file or an array is only complained of because its entry in the manifest was changed."""
    entry = f"{'arrays' if problem.kind is Kind.ARRAY else 'files'}.{problem.name}"
    return any(name == entry or name.startswith(f"{entry}.") for name in named)
