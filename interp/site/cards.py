"""A run as a card of a gallery: what its manifest says of it, and whether it was proved."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from interp.runs.listing import Listed
from interp.runs.manifest import Manifest
from interp.runs.words import machine_name, model_of

# What a browser shows, in the order of preference: that of `interp.report.formats`, as on the run's own page.
_SHOWN = ("webp", "png", "svg")
PAGE = "index.html"


class Proved(Enum):
    """What is known of a run, in the words a reader is told; the first two are good news."""

    IDENTICAL = "identical"
    WITHIN = "within tolerance"
    UNKNOWN = "not verified yet"
    UNCHECKED = "cannot be checked"
    DIFFERENT = "different"
    CHANGED = "files changed"


@dataclass(frozen=True)
class Status:
    """What is known of a run, and in words why, or on what it was found; "" where there is no more to say."""

    proved: Proved
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.proved.value} ({self.detail})" if self.detail else self.proved.value


@dataclass(frozen=True)
class Shown:
    """A figure: its stem, its file relative to the gallery, what is seen and what it means."""

    stem: str
    file: str
    alt: str
    caption: str

    @property
    def href(self) -> str:
        return quote(self.file)


@dataclass(frozen=True)
class Card:
    """One run. ``folder`` is relative to the gallery; ``page`` is that of its own page, "" where it has none."""

    folder: str
    run: Listed
    status: Status
    figures: tuple[Shown, ...]
    page: str

    @property
    def manifest(self) -> Manifest:
        return self.run.manifest

    @property
    def question(self) -> str:
        """What the run asks; its title or the name of its experiment where nobody wrote a question."""
        about = self.manifest.about
        return about.question.strip() or about.title.strip() or self.manifest.experiment

    @property
    def title(self) -> str:
        """Its title; "" where that is its question."""
        title = self.manifest.about.title.strip()
        return "" if title == self.question else title

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """What it shows, in paragraphs of one line."""
        parts = (" ".join(part.split()) for part in re.split(r"\n\s*\n", self.manifest.about.lead))
        return tuple(part for part in parts if part and part != self.question)

    @property
    def command(self) -> str:
        return shlex.join(self.manifest.command)

    @property
    def model(self) -> str:
        return model_of(self.manifest)

    @property
    def machine(self) -> str:
        return machine_name(self.manifest.machine)

    @property
    def href(self) -> str:
        return quote(self.page)


def card(run: Listed, root: Path, status: Status, changed: Collection[str] = ()) -> Card:
    """The card of a run below ``root``. A file in ``changed`` is not as it was written, so it is not shown and not led to."""
    manifest = run.manifest
    folder = run.folder.relative_to(root).as_posix()
    sound = manifest.files.keys() - set(changed)
    figures = []
    for stem in sorted(manifest.figures, key=lambda stem: (manifest.figures[stem].place, stem)):
        file = next((f"figures/{stem}.{suffix}" for suffix in _SHOWN if f"figures/{stem}.{suffix}" in sound), None)
        if file is not None:
            entry = manifest.figures[stem]
            figures.append(Shown(stem, f"{folder}/{file}", entry.alt.strip() or f"Figure {stem}", entry.caption))
    return Card(folder, run, status, tuple(figures), f"{folder}/{PAGE}" if PAGE in sound else "")


def status_of(seal: str, record: Mapping[str, Status], problems: Sequence[str]) -> Status:
    """What is known of a run: that its files changed where ``problems`` names any, else what ``record`` has of its manifest."""
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        return Status(Proved.CHANGED, f"{problems[0]}{more}")
    return record.get(seal, Status(Proved.UNKNOWN))
