"""``interp gallery``: all runs below a folder as one page, or as a Markdown file for a code host."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from interp.cli.options import Flag
from interp.errors import BadFile, InterpError

if TYPE_CHECKING:
    from interp.site.cards import Card, Status

RECORD = "verified.json"
"""Beside the runs: what `interp verify` found of them."""


@dataclass(frozen=True)
class Gallery:
    """Show all runs below a folder on one page: question, figure, time, and whether each is proved."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")] = Path("results")
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of a site that needs nothing else: figures are copied. Default: DIR/index.html, beside the runs."""
    readme: Flag = False
    """Write DIR/README.md instead, for reading on a code host."""

    def run(self) -> None:
        if self.readme and self.out is not None:
            raise InterpError("--readme writes README.md beside the runs: leave out --out")
        from interp.runs.words import visible

        found = gathered(self.folder)
        for line in found.left_out:
            sys.stderr.write(f"interp: left out: {visible(' '.join(line.split()))}\n")
        sys.stdout.write(f"{self._write(found)}\n")

    def _write(self, found: Gathered) -> Path:
        from interp.site import gallery, readme
        from interp.site.replacing import refuse_foreign, replace

        if self.out is not None:
            return write_site(found, self.out)
        if self.readme:
            path, mark, text = self.folder / "README.md", readme.MARK, readme_of(found, self.folder)
        else:
            path, mark, text = self.folder / "index.html", gallery.MARK, gallery.render_gallery(found.cards, found.left_out)
        refuse_foreign(path, mark)
        replace(path, text.encode("utf-8"))
        return path


@dataclass(frozen=True)
class Gathered:
    """The cards of the runs below ``root``, and of each folder that has none why, in a line."""

    root: Path
    cards: tuple[Card, ...]
    left_out: tuple[str, ...]


def gathered(root: Path) -> Gathered:
    """Every run below ``root`` with what is known of it; BadFile where there is none that can be read."""
    from interp.runs import verify
    from interp.runs.listing import listing
    from interp.runs.manifest import MANIFEST
    from interp.site.cards import card, status_of

    if not root.is_dir():
        raise BadFile(f"there is no folder '{root}' to make a gallery of")
    if (root / MANIFEST).exists():
        raise BadFile(f"'{root}' is a run, which has a page of its own: name the folder above it")
    found = listing((root,))
    left_out = tuple(f"{bad.folder.relative_to(root).as_posix()}: {bad.reason}" for bad in found.unreadable)
    if not found.runs:
        why = f": {left_out[0]}{f' ({len(left_out)} such)' if len(left_out) > 1 else ''}" if left_out else f" with a {MANIFEST}"
        raise BadFile(f"there is no run below '{root}' that can be shown{why}")
    record = read_statuses(root / RECORD)
    cards = []
    for run in found.runs:
        problems = verify(run.folder).problems
        status = status_of(run.manifest.seal, record, [problem.name for problem in problems])
        cards.append(card(run, root, status, {problem.name for problem in problems}))
    return Gathered(root, tuple(cards), left_out)


def readme_of(found: Gathered, folder: Path) -> str:
    """README.md of the runs; ``folder`` goes by its name, not by its place on this machine."""
    from interp.site.readme import render_readme

    return render_readme(found.cards, folder.resolve().name, found.left_out)


def read_statuses(path: Path) -> dict[str, Status]:
    """What a record of `interp verify` says of runs, by the seals of their manifests; {} where there is none."""
    from interp.proof.record import Recorded, read_record
    from interp.proof.verdict import Verdict
    from interp.site.cards import Proved, Status

    proved = {
        Verdict.IDENTICAL: Proved.IDENTICAL,
        Verdict.WITHIN: Proved.WITHIN,
        Verdict.UNCHECKED: Proved.UNCHECKED,
        Verdict.DIFFERENT: Proved.DIFFERENT,
    }

    def detail(entry: Recorded) -> str:
        if entry.verdict is Verdict.WITHIN and entry.largest:
            return f"largest: {entry.largest}"
        return "" if entry.verdict.holds else entry.reason

    if not os.path.lexists(path):
        return {}
    return {seal: Status(proved[entry.verdict], detail(entry)) for seal, entry in read_record(path).items()}


def write_site(found: Gathered, out: Path) -> Path:
    """The gallery in the folder ``out`` with a page for each run and copies of its figures; the index is written last."""
    from dataclasses import replace as changed

    from interp.runs.manifest import MANIFEST
    from interp.site.cards import PAGE
    from interp.site.gallery import MARK, render_gallery, render_run
    from interp.site.replacing import refuse_foreign, replace

    if out.resolve() == found.root.resolve():
        raise InterpError(f"--out '{out}' is the folder of the runs: leave it out to write the gallery beside them")
    inside = next((folder for folder in (out.resolve(), *out.resolve().parents) if (folder / MANIFEST).exists()), None)
    if inside is not None:
        raise BadFile(f"--out '{out}' is inside a run, which is closed: choose another folder")
    if out.is_dir() and any(out.iterdir()) and not (out / PAGE).exists():
        raise BadFile(f"`{out}` is not empty, and holds no gallery: choose a new folder")
    refuse_foreign(out / PAGE, MARK)
    for card in found.cards:
        _refuse_others(card, found.root, out)
    for card in found.cards:
        for figure in card.figures:
            replace(out / figure.file, (found.root / figure.file).read_bytes())
        home = "../" * len(Path(card.folder).parts) + PAGE
        replace(out / card.folder / PAGE, render_run(card, home).encode("utf-8"))
    own = [changed(card, page=f"{card.folder}/{PAGE}") for card in found.cards]
    replace(out / PAGE, render_gallery(own, found.left_out).encode("utf-8"))
    return out / PAGE


def _refuse_others(card: Card, root: Path, out: Path) -> None:
    """BadFile where the page or a picture of ``card`` would go into a run, or over a file that no gallery wrote."""
    from interp.runs.manifest import MANIFEST
    from interp.site.cards import PAGE
    from interp.site.gallery import MARK
    from interp.site.replacing import refuse_foreign, refuse_other

    folder = out / card.folder
    for place in (folder, *(out / figure.file for figure in card.figures)):
        inside = next((above for above in (place.resolve(), *place.resolve().parents) if os.path.lexists(above / MANIFEST)), None)
        if inside is not None:
            raise BadFile(f"`{place}` is in a run, which is closed (it has a {MANIFEST}): choose another folder with --out")
    refuse_foreign(folder / PAGE, MARK)
    for figure in card.figures:
        refuse_other(out / figure.file, root / figure.file, folder / PAGE)
