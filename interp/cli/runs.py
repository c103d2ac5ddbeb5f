"""``interp runs``: list runs, compare two, export the figures of one."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from interp.cli.options import Flag, Words

Format = Literal["png", "pdf", "svg", "webp"]
Folders = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DIR", help="runs are looked for below them")]
ROOTS = (Path("results"),)


@dataclass(frozen=True)
class List:
    """List the runs below folders: what each looked at, when, for how long, where, and how much it left."""

    folders: Folders = ROOTS
    experiment: Annotated[str, tyro.conf.arg(metavar="GLOB")] = "*"
    """Only runs of such experiments."""
    model: Annotated[str, tyro.conf.arg(metavar="GLOB")] = "*"
    """Only runs of such models."""
    where: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE ...")] = ()
    """Only runs with such options: steps=128, saving.dpi=300, images=cat."""
    sort: Literal["created", "seconds", "experiment"] = "created"
    """The newest first, the longest first, or by name."""
    json: Flag = False
    """As JSON, for programs."""

    def run(self) -> None:
        from interp.cli.runs_table import list_json, list_table
        from interp.errors import BadFile
        from interp.runs.listing import Condition, Sort, chosen, listing, ordered

        for folder in self.folders:
            if not folder.exists():
                raise BadFile(f"there is no folder '{folder}' to look for runs in")
        conditions = [Condition.parse(text) for text in self.where]
        found = listing(self.folders)
        runs = ordered(chosen(found.runs, self.experiment, self.model, conditions), Sort(self.sort))
        (list_json if self.json else list_table)(runs, found)


@dataclass(frozen=True)
class Compare:
    """Show what differs between two runs: options, machine, versions, metrics, arrays, figures."""

    first: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="a run's folder, or what its name or identity begins with")
    ]
    second: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OTHER", help="the run beside it")]
    json: Flag = False
    """As JSON, for programs."""

    def run(self) -> None:
        from interp.cli.runs_table import compare_json, compare_table
        from interp.proof.compare import compare
        from interp.runs import Manifest
        from interp.runs.contrast import contrast
        from interp.runs.listing import Listed, locate

        one, two = (Listed(folder, Manifest.read(folder)) for folder in (locate(self.first, ROOTS), locate(self.second, ROOTS)))
        (compare_json if self.json else compare_table)(one, two, contrast(one, two), compare(one.folder, two.folder))


@dataclass(frozen=True)
class Export:
    """Copy figures of a run, for a paper, each with a sidecar that says where it comes from."""

    name_of_run: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(name="run", metavar="RUN", help="a run's folder, or what its name or identity begins with")
    ]
    to: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the copies; made where there is none."""
    figures: Words = ()
    """Figures or globs of them, by their file names without an ending; all if none are named."""
    formats: Annotated[tuple[Format, ...], tyro.conf.arg(metavar="{png,pdf,svg,webp} ...")] = ()
    """Which files of each; all that the run has if none are named."""
    name: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Name of the copy, of one figure; <experiment>-<figure> if not given."""
    force: Flag = False
    """Replace a file of that name."""

    def run(self) -> None:
        from interp.proof.export import export
        from interp.runs.listing import locate

        written = export(locate(self.name_of_run, ROOTS), self.to, self.figures, self.formats, name=self.name, force=self.force)
        sys.stdout.write("".join(f"{path}\n" for path in written))


@dataclass(frozen=True)
class Runs:
    """List runs, compare two, export the figures of one; lists where nothing else is asked."""

    what: Annotated[
        Annotated[List, tyro.conf.subcommand(name="list")]
        | Annotated[Compare, tyro.conf.subcommand(name="compare")]
        | Annotated[Export, tyro.conf.subcommand(name="export")],
        tyro.conf.arg(name=""),
    ] = field(default_factory=List)

    def run(self) -> None:
        self.what.run()


def spelled(words: list[str]) -> list[str]:
    """The words of a command line with the ``list`` that may be left out after ``runs``."""
    if words[:1] == ["runs"] and words[1:2] and words[1] not in ("list", "compare", "export", "-h", "--help"):
        return ["runs", "list", *words[1:]]
    return words
