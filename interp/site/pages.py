"""A page as data, and the one function that makes HTML of it. A class name, a file name or a caption from anywhere stays text."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from interp.errors import InterpError
from interp.runs.manifest import ARRAYS, MANIFEST, METRICS, Manifest
from interp.site.link import Link, beside
from interp.site.table import Table
from interp.site.templating import fill

WIDE = 704
"""Pictures at least this wide (CSS pixels) keep it on small screens and scroll in their box."""


@dataclass(frozen=True)
class Fact:
    """One line of a table of facts."""

    name: str
    value: str


@dataclass(frozen=True)
class Picture:
    """A picture beside the page. `alt` says what is seen, `caption` what it means.

    `width` and `height` (pixels, both or none) let the page keep its place while the picture loads.
    """

    file: str
    alt: str
    caption: str
    links: tuple[Link, ...] = ()
    width: int | None = None
    height: int | None = None

    def __post_init__(self) -> None:
        beside(self.file, "picture")
        if not self.alt.strip():
            raise InterpError(f"the picture `{self.file}` has no `alt` text; say in a few words what is seen in it")
        if (self.width is None) != (self.height is None):
            raise InterpError(f"the picture `{self.file}` has one of `width` and `height`; give both or none")
        if self.width is not None and self.height is not None and min(self.width, self.height) < 1:
            raise InterpError(f"the picture `{self.file}` is {self.width} x {self.height}; sizes are positive")

    @property
    def href(self) -> str:
        return quote(self.file)

    @property
    def span(self) -> str:
        """How the page places it: `wide` has a row and scrolls on small screens, `full` has a row, `part` shares one."""
        if self.width is None:
            return "full"
        if self.width < WIDE:
            return "part"
        return "wide"


@dataclass(frozen=True)
class Section:
    """A part of the page: paragraphs (separated by an empty line in `text`), facts, tables, pictures."""

    title: str
    text: str = ""
    pictures: tuple[Picture, ...] = ()
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()

    @property
    def paragraphs(self) -> tuple[str, ...]:
        return _paragraphs(self.text)


@dataclass(frozen=True)
class Page:
    """A whole page. `facts` say what was looked at and how, `links` lead to the files, `footer` closes it."""

    title: str
    lead: str
    facts: tuple[Fact, ...] = ()
    sections: tuple[Section, ...] = ()
    links: tuple[Link, ...] = ()
    footer: str = ""

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise InterpError("the page has no `title`; name what it shows")

    @property
    def paragraphs(self) -> tuple[str, ...]:
        return _paragraphs(self.lead)


def render(page: Page, home: str = "", generator: str = "") -> str:
    """The page as one HTML document, to be written as UTF-8 `index.html` in the folder its paths refer to.

    ``home`` is the relative address of the gallery that the page is part of, ``generator`` what wrote it, "" where not to say.
    """
    return fill("page.html", ("page.css",), page=page, home=home, generator=generator)


def manifest_facts(manifest: Manifest) -> tuple[Fact, ...]:
    """What a reader must know of a run before its pictures: model, weights, inputs, seed, versions, commit."""
    facts = [Fact("Experiment", manifest.experiment)]
    if manifest.model is not None:
        model = manifest.model
        facts += [
            Fact("Model", f"{model.reference}, {model.parameters:,} parameters"),
            Fact("Weights", f"{model.weights}, SHA-256 {model.weights_sha256}"),
        ]
    facts += [Fact("Input", f"{item.name}, SHA-256 {item.sha256}") for item in manifest.inputs[:4]]
    if len(manifest.inputs) > 4:
        facts.append(Fact("Input", f"and {len(manifest.inputs) - 4} more, listed in {MANIFEST}"))
    facts.append(Fact("Seed", str(manifest.seed)))
    facts.append(Fact("Command", " ".join(manifest.command)))
    facts.append(Fact("Versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())))
    machine = manifest.machine
    device = f"{machine.device}, {machine.accelerator}" if machine.accelerator else machine.device
    threads = f"{machine.threads} thread{'s' if machine.threads > 1 else ''}"
    processor = f"{machine.processor} {machine.capability}".strip()
    facts.append(Fact("Machine", f"{device}, {threads}, {machine.precision}, {processor}, {machine.system}"))
    if manifest.commit is not None:
        changed = ", with uncommitted changes" if manifest.commit.dirty else ""
        facts.append(Fact("Commit", manifest.commit.hash + changed))
    if manifest.parent is not None:
        facts.append(Fact("Derived from", f"the run {manifest.parent}"))
    return tuple(facts)


def run_links(*, arrays: bool = True, metrics: bool = True) -> tuple[Link, ...]:
    """Links to the files every run has: its manifest, and its arrays and metrics where there are any."""
    links = [Link("Arrays (safetensors)", ARRAYS)] if arrays else []
    links += [Link("Metrics (JSON)", METRICS)] if metrics else []
    return (*links, Link("Manifest (JSON)", MANIFEST))


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("\n\n") if part.strip())
