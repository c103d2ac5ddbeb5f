"""``interp whence``: the run that lone pictures were made in."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from interp.errors import BadFile, InterpError

if TYPE_CHECKING:
    from interp.proof.whence import Found
    from interp.runs.manifest import Manifest
    from interp.runs.stamp import Stamp

FiguresNamed = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FIGURE", help="PNG, PDF, SVG or WebP files, under any name")
]
RESULTS = Path("results")


@dataclass(frozen=True)
class Whence:
    """Find the run that a lone picture was made in, after any copy or rename, and whether it was changed since."""

    figures: FiguresNamed
    folders: Annotated[tuple[Path, ...], tyro.conf.arg(name="in", metavar="DIR ...")] = ()
    """Runs are looked for below them; below results if none are named."""

    def run(self) -> None:
        from interp.proof.whence import among
        from interp.runs.listing import listing
        from interp.runs.words import visible

        if not self.figures:
            raise InterpError("which picture? name one or more, such as paper/figs/gradcam.pdf")
        runs = listing(self._folders())
        unknown: list[str] = []
        for path in self.figures:
            try:
                found = among(path, runs)
            except BadFile as error:
                unknown.append(str(error))
                continue
            if found.known:
                sys.stdout.write("".join(f"{visible(line)}\n" for line in _told(found, self._looked())))
            else:
                unknown.append(f"{found.why_not}, and no run {self._looked()} has its bytes or pixels")
        if unknown:
            raise BadFile("; ".join(unknown))

    def _folders(self) -> tuple[Path, ...]:
        for folder in self.folders:
            if not folder.is_dir():
                raise BadFile(f"`--in {folder}`: there is no such folder to look for runs in")
        return self.folders or ((RESULTS,) if RESULTS.is_dir() else ())

    def _looked(self) -> str:
        return f"below {', '.join(f'`{folder}`' for folder in self.folders or (RESULTS,))}"


def _told(found: Found, where: str) -> Iterator[str]:
    yield str(found.path)
    if found.run is None:
        assert found.stamp is not None
        yield from _of_stamp(found.stamp)
        passed = f"; {found.unreadable} manifests could not be read" if found.unreadable else ""
        yield f"  run         not found among {found.runs} runs {where}{passed}: name its folder with --in"
        yield "  state       not known: only its run can tell whether it was changed"
        return
    folder, manifest = found.run.folder, found.run.manifest
    yield f"  run         {folder}" + (f", {found.file}" if found.file else "")
    yield from _of_manifest(manifest)
    assert found.match is not None
    yield f"  state       {found.match.value}" + (f": {found.detail}" if found.detail else "")
    if found.stamp is None:
        yield f"  stamp       none: {found.why_not}"
    elif found.stamp.identity != manifest.identity:
        yield f"  stamp       of another run, {found.stamp.identity[:12]}, which was not found {where}"
    yield f"  to check    interp verify {shlex.quote(str(folder))}"


def _of_manifest(manifest: Manifest) -> Iterator[str]:
    model, commit = manifest.model, manifest.commit
    weights = (model.reference, f"{model.weights}, SHA-256 {model.weights_sha256}") if model else ("", "")
    source = (commit.hash, commit.dirty) if commit else ("", False)
    yield from _lines(manifest.experiment, weights, shlex.join(manifest.command), source, manifest.identity)


def _of_stamp(stamp: Stamp) -> Iterator[str]:
    weights = (stamp.model, f"SHA-256 {stamp.weights}") if stamp.model else ("", "")
    yield f"  figure      {stamp.figure}, as its stamp says"
    yield from _lines(stamp.experiment, weights, stamp.command, (stamp.commit, stamp.dirty), stamp.identity)


def _lines(experiment: str, model: Sequence[str], command: str, source: tuple[str, bool], identity: str) -> Iterator[str]:
    yield f"  experiment  {experiment}"
    if model[0]:
        yield f"  model       {model[0]} ({model[1]})"
    yield f"  command     {command}"
    if source[0]:
        yield f"  commit      {source[0]}" + (", with changes that were not committed" if source[1] else "")
    yield f"  identity    {identity}"
