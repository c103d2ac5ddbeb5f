"""``Product``: what a command has made, before it is written; and how it is written into a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

import numpy as np

from interp import figures
from interp.core.model import Model
from interp.figures import Grid
from interp.figures.stamp import into_webp
from interp.images import Photo
from interp.report.formats import check, shown
from interp.runs import About, FigureEntry, InputEntry, ModelEntry, Run, Tolerance
from interp.runs.entries import reference
from interp.runs.inputs import in_folder
from interp.runs.stamp import Stamp
from interp.site import Fact, Link, Page, Picture, Section, Table, manifest_facts, render, run_links

# Enough for a page on a screen; the PDF beside it is for print.
DPI = 120
FORMATS = ("png", "pdf")

Tick = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all)."""


def silent(stage: str, done: int, total: int) -> None:
    """A Tick that shows nothing."""


@dataclass(frozen=True, eq=False)
class Figure:
    """One figure: file stem, spec, what is seen (``alt``) and what it means (``caption``)."""

    stem: str
    grid: Grid
    alt: str
    caption: str
    section: str


@dataclass(frozen=True, eq=False)
class Film:
    """One film: file stem, animated WebP and, where asked for, MP4 bytes; ``size`` (rows, cols) in pixels; texts as of a `Figure`."""

    stem: str
    webp: bytes
    mp4: bytes | None
    size: tuple[int, int]
    alt: str
    caption: str
    section: str


@dataclass(frozen=True, eq=False)
class Numbers:
    """A table of numbers in a section of the page, the ``files`` (path -> bytes) that hold it, and paragraphs before it."""

    section: str
    table: Table
    files: Mapping[str, bytes]
    text: str = ""


@dataclass(frozen=True, eq=False)
class Product:
    """Figures and films with their numbers. Arrays are the truth, figures are derived from them.

    ``tolerances`` declares how far each may be when the run is repeated on another machine, by patterns over the names of
    arrays, ``metrics/KEY/...`` and ``figures/STEM``; what no pattern matches is `Tolerance.COMPUTED`.
    """

    title: str
    lead: str
    figures: Sequence[Figure]
    arrays: Mapping[str, np.ndarray]
    metrics: Mapping[str, object] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()
    films: Sequence[Film] = ()
    numbers: Sequence[Numbers] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)


def write(
    product: Product,
    run: Run,
    tick: Tick = silent,
    question: str = "",
    formats: Sequence[str] = FORMATS,
    dpi: int = DPI,
    webp_quality: int | None = None,
) -> None:
    """Write into ``run`` what `drawn` does, and ``index.html``."""
    sections, films = drawn(product, run, tick, question, formats, dpi, webp_quality)
    for film, picture in zip(product.films, films, strict=True):
        sections.setdefault(film.section, []).append(picture)
    run.text("index.html", render(page(product, run, sections)))


def drawn(
    product: Product, run: Run, tick: Tick, question: str, formats: Sequence[str], dpi: int, webp_quality: int | None
) -> tuple[dict[str, list[Picture]], list[Picture]]:
    """Draw every figure in ``formats`` into ``run``, with films, arrays, metrics and other files; each knows the run it is of.

    Gives how a page shows them: the figures by section, and the films. ``question`` is what the program asks, for whoever lists
    the run; ``dpi`` is that of PNG and WebP, ``webp_quality`` how much WebP keeps (`figures.render`). InterpError where a page
    could show none of the formats.
    """
    check(formats, dpi, webp_quality)
    run.about(About(product.title, question, product.lead))
    run.tolerances(product.tolerances)
    run.arrays(product.arrays)
    run.metrics(product.metrics)
    stamp = Stamp.of(run.manifest(), "", run.identity)
    sections: dict[str, list[Picture]] = {}
    for done, figure in enumerate(product.figures):
        tick("drawing", done, len(product.figures))
        run.figure(figure.stem, FigureEntry(figures.spec_hash(figure.grid), figure.alt, figure.caption))
        sections.setdefault(figure.section, []).append(_drawn(figure, run, stamp, formats, dpi, webp_quality))
    tick("drawing", len(product.figures), len(product.figures))
    films = [_written(film, run, stamp) for film in product.films]
    for path, data in [*product.files.items(), *(pair for numbers in product.numbers for pair in numbers.files.items())]:
        run.write(path, data)
    return sections, films


def _drawn(figure: Figure, run: Run, stamp: Stamp, formats: Sequence[str], dpi: int, webp_quality: int | None) -> Picture:
    """The figure's files, and how the page shows it: the picture that loads first, links to all."""
    drawn = figures.render(figure.grid, formats, dpi, replace(stamp, figure=figure.stem), webp_quality)
    name = f"figures/{figure.stem}"
    for suffix, data in drawn.files.items():
        run.write(f"{name}.{suffix}", data)
    first = shown(formats)
    links = [Link(suffix.upper() if suffix != "webp" else "WebP", f"{name}.{suffix}") for suffix in drawn.files if suffix != first]
    size = (round(drawn.width * 96 / dpi), round(drawn.height * 96 / dpi))
    return Picture(f"{name}.{first}", figure.alt, figure.caption, (*links, Link("full size", f"{name}.{first}")), *size)


def _written(film: Film, run: Run, stamp: Stamp) -> Picture:
    """The film's files, and how the page shows it: as a picture that moves."""
    name = f"films/{film.stem}"
    run.write(f"{name}.webp", into_webp(film.webp, replace(stamp, figure=film.stem)))
    links = [Link("full size", f"{name}.webp")]
    if film.mp4 is not None:
        run.write(f"{name}.mp4", film.mp4)
        links.insert(0, Link("MP4", f"{name}.mp4"))
    return Picture(f"{name}.webp", film.alt, film.caption, tuple(links), film.size[1], film.size[0])


def page(product: Product, run: Run, sections: Mapping[str, Sequence[Picture]]) -> Page:
    """The page of a run: facts, a section for each kind of figure, links to the arrays and the manifest."""
    facts = tuple(Fact(name, value) for name, value in product.facts)
    titles = dict.fromkeys([*sections, *(numbers.section for numbers in product.numbers)])
    return Page(
        product.title,
        product.lead,
        (),
        (
            *(_section(title, sections.get(title, ()), product.numbers) for title in titles),
            Section("How this was made", "", (), (*facts, *manifest_facts(run.manifest()))),
        ),
        run_links(arrays=bool(product.arrays), metrics=bool(product.metrics)),
        "Made by interp. Every file and array is listed with its SHA-256 in manifest.json.",
    )


def _section(title: str, pictures: Sequence[Picture], numbers: Sequence[Numbers]) -> Section:
    own = [one for one in numbers if one.section == title]
    return Section(title, "\n\n".join(one.text for one in own), tuple(pictures), (), tuple(one.table for one in own))


def model_entry(model: Model) -> ModelEntry:
    """What the manifest says of a model."""
    return ModelEntry(model.spec.reference, model.spec.weights, model.spec.sha256, sum(p.numel() for p in model.module.parameters()))


def input_entries(photos: Sequence[Photo]) -> tuple[InputEntry, ...]:
    """What the manifest says of the photographs: files go by their name and path, samples by their name alone."""
    return tuple(
        InputEntry(Path(photo.path).name or photo.given or photo.name, photo.sha256, photo.file_bytes, _path(photo)) for photo in photos
    )


def _path(photo: Photo) -> str:
    if not photo.path:
        return ""
    path, given = Path(photo.path), Path(photo.given)
    return reference(path) if path == given else in_folder(given, PurePath(path.name))
