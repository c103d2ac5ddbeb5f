"""Figures of a run in a paper's folder, each with a sidecar that says where it comes from and how to check it."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path

from interp.errors import BadFile, InterpError, UnknownName, nearest
from interp.runs.entries import FileEntry, reference
from interp.runs.manifest import Manifest
from interp.runs.partial import sweep
from interp.runs.plain import canonical
from interp.runs.verify import Kind, verify

SIDECAR = ".provenance.json"
_FOLDER = "figures/"


def export(
    run: Path, to: Path, figures: Sequence[str] = (), formats: Sequence[str] = (), *, name: str | None = None, force: bool = False
) -> list[Path]:
    """Copy figures of the finished ``run`` into the folder ``to``, all or none; returns what is there now, sidecars included.

    ``figures`` are globs over stems, ``formats`` such as pdf; () is all there are. Files are named ``<experiment>-<stem>``, or
    ``name`` where there is one figure. What is there already with the same bytes is fine. BadFile where the run is not as it was
    written, or where a file of other bytes is in the way and ``force`` was not given; UnknownName for a figure or format it lacks.
    """
    manifest = _checked(run)
    if to.resolve().is_relative_to(run.resolve()):
        raise BadFile(f"`{to}` is inside the run `{run}`, which is closed: choose another folder (`--to`)")
    stems = _stems(manifest, figures)
    if name is not None:
        _refuse_name(name, stems)
    made: dict[str, bytes] = {}
    for stem in stems:
        stem_name = name or _plain(f"{manifest.experiment}-{stem}")
        files = _files(manifest, stem)
        copied = {suffix: _read(run, *files[suffix]) for suffix in _suffixes(stem, files, formats)}
        new = {f"{stem_name}.{suffix}": data for suffix, data in copied.items()}
        new[f"{stem_name}{SIDECAR}"] = canonical(_provenance(run, manifest, stem, stem_name, files)).encode("ascii")
        clash = next((file for file in new if file.casefold() in {known.casefold() for known in made}), None)
        if clash is not None:
            raise InterpError(f"two figures would be called `{clash}`: export them one by one, with --name")
        made |= new
    _place(made, to, force)
    return [to / file for file in made]


def _checked(run: Path) -> Manifest:
    """The manifest of a run of which nothing is missing or changed; what was added beside it is no matter."""
    report = verify(run)
    bad = [problem for problem in report.problems if problem.kind is not Kind.EXTRA]
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise BadFile(f"`{run}` is not as it was written: {bad[0]}{more}; nothing was exported, `interp verify {run}` tells all")
    return report.manifest


def _stems(manifest: Manifest, patterns: Sequence[str]) -> list[str]:
    known = sorted(manifest.figures)
    if not known:
        raise UnknownName(f"the run of `{manifest.experiment}` has no figures to export")
    for pattern in patterns:
        if not any(fnmatchcase(stem, pattern) for stem in known):
            hint = nearest(pattern, known) or f"there is {', '.join(known[:6])}{' ...' if len(known) > 6 else ''}"
            raise UnknownName(f"the run of `{manifest.experiment}` has no figure `{pattern}`: {hint}")
    return [stem for stem in known if not patterns or any(fnmatchcase(stem, pattern) for pattern in patterns)]


def _files(manifest: Manifest, stem: str) -> dict[str, tuple[str, FileEntry]]:
    """Of one figure, by format."""
    found = {path.rpartition("."): entry for path, entry in manifest.files.items()}
    return {suffix: (f"{base}.{suffix}", entry) for (base, _, suffix), entry in sorted(found.items()) if base == f"{_FOLDER}{stem}"}


def _suffixes(stem: str, files: Mapping[str, object], formats: Sequence[str]) -> list[str]:
    for wanted in formats:
        if wanted not in files:
            remedy = f"make it with `interp rerun RUN --set formats={','.join([*files, wanted])}`"
            raise UnknownName(f"the figure `{stem}` was not written as {wanted}, only as {', '.join(files) or 'nothing'}: {remedy}")
    return [suffix for suffix in files if not formats or suffix in formats]


def _refuse_name(name: str, stems: Sequence[str]) -> None:
    if len(stems) > 1:
        raise InterpError(f"--name {name} is for one figure, not {len(stems)} ({', '.join(stems[:4])}): choose one with --figures")
    if not name or _plain(name) != name:
        near = _plain(name) or "figure"
        raise InterpError(f"--name {name!r} is no plain file name: use letters, digits, `.`, `_` and `-`, such as {near}")


def _plain(name: str) -> str:
    """A name that is safe in every folder: a manifest may come from anyone."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:120]


def _read(run: Path, path: str, entry: FileEntry) -> bytes:
    """The bytes, which are still those that were checked."""
    try:
        data = (run / path).read_bytes()
    except OSError as error:
        raise BadFile(f"cannot read `{run / path}`: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise BadFile(f"`{run / path}` changed while it was read; nothing was exported")
    return data


def _provenance(run: Path, manifest: Manifest, stem: str, name: str, files: Mapping[str, tuple[str, FileEntry]]) -> dict[str, object]:
    """What a reader of the paper needs. No time, and all formats of the figure: the same whichever of them were asked for."""
    figure, where = manifest.figures[stem], reference(run)
    return {
        "identity": manifest.identity,
        "experiment": manifest.experiment,
        "figure": stem,
        "spec": figure.spec,
        "alt": figure.alt,
        "caption": figure.caption,
        "command": list(manifest.command),
        "config": manifest.config,
        "seed": manifest.seed,
        "model": asdict(manifest.model) if manifest.model else None,
        "inputs": [{"name": item.name, "sha256": item.sha256, "role": item.role.value} for item in manifest.inputs],
        "commit": asdict(manifest.commit) if manifest.commit else None,
        "versions": manifest.versions,
        "files": {f"{name}.{suffix}": {"sha256": entry.sha256, "bytes": entry.bytes} for suffix, (_, entry) in files.items()},
        "verify": [f"interp verify {where}", *(f"interp whence {name}.{suffix} --in {where}" for suffix in files)],
    }


def _place(made: Mapping[str, bytes], to: Path, force: bool) -> None:
    """Write all files, or leave the folder as it was."""
    before: dict[str, bytes | None] = {}
    try:
        for file in made:
            before[file] = (to / file).read_bytes() if os.path.lexists(to / file) else None
    except OSError as error:
        raise BadFile(f"`{to / file}` is in the way and cannot be read: {error.strerror}; choose another folder (`--to`)") from None
    new = {file: data for file, data in made.items() if before[file] != data}
    taken = [file for file in new if before[file] is not None]
    if taken and not force:
        remedy = "give --force, or another --to or --name"
        raise BadFile(f"`{to / taken[0]}` is already there, and is another file; nothing was exported: {remedy}")
    missing = [folder for folder in (to, *to.parents) if not folder.exists()]
    mark = f".{secrets.token_hex(4)}.partial"
    placed: list[str] = []
    try:
        to.mkdir(parents=True, exist_ok=True)
        for file, data in new.items():
            sweep(to / file)
            (to / f".{file}{mark}").write_bytes(data)
        for file in new:
            (to / f".{file}{mark}").replace(to / file)
            placed.append(file)
    except BaseException as error:
        _undo(to, placed, before, [to / f".{file}{mark}" for file in new], missing)
        if isinstance(error, OSError):
            raise BadFile(f"cannot write into `{to}`: {error.strerror}; nothing was exported") from error
        raise


def _undo(to: Path, placed: Sequence[str], before: Mapping[str, bytes | None], partial: Sequence[Path], made: Sequence[Path]) -> None:
    """As it was before, as far as the folder lets."""
    for path in partial:
        path.unlink(missing_ok=True)
    for file in placed:
        earlier = before[file]
        if earlier is None:
            (to / file).unlink(missing_ok=True)
        else:
            (to / file).write_bytes(earlier)
    for folder in made:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
