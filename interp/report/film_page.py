"""How a film is written into a run: as any product, with pictures of every moment beside it, and a page whose slider goes through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from interp.figures.tiles import encode
from interp.films import Timeline, climbs, frames
from interp.films.tiles import Tiles
from interp.report.product import Product, Tick, drawn, page
from interp.runs import Run
from interp.site.steps import Steps, Track, render


@dataclass(frozen=True, eq=False)
class Filmed:
    """What is written into the run: the ``product``, and the ``steps`` of the page with their ``pictures`` (path -> bytes)."""

    product: Product
    steps: Steps
    pictures: Mapping[str, bytes]


@dataclass(frozen=True, eq=False)
class View:
    """A view through all moments of a film that is a script's own: ``pixels`` (moments, rows, cols, 3), in the frames of ``folder``."""

    title: str
    caption: str
    alt: str
    folder: str
    pixels: frames.Frames


def stepped(timeline: Timeline, tiles: Sequence[Tiles]) -> tuple[Steps, dict[str, bytes]]:
    """The slider through the moments of ``timeline``, with the pictures that it shows."""
    pictures: dict[str, bytes] = {}
    tracks = []
    for one in tiles:
        pixels = frames.of_filters(one)
        count = min(one.values.shape[1], frames.MOST_FILTERS)
        caption = f"{_how_many(one.values.shape[1], count)}, by index line by line. Colours: {one.said}; one scale for all moments."
        tracks.append(_track(f"Filters of {one.layer}", caption, f"Filters of {one.layer}", one.layer, pixels, pictures))
    if timeline.probe is not None:
        probe = timeline.probe
        names = ["the picture", *(f"unit {unit}" for unit in probe.units.values()), *(f"Grad-CAM at {layer}" for layer in probe.gradcam)]
        caption = f"From left to right: {', '.join(names)}. Each has one scale for all moments, as in the figure below."
        tracks.append(
            _track(f"Photograph '{probe.name}'", caption, "Activations and Grad-CAM", "photograph", frames.of_probe(probe), pictures)
        )
    if timeline.images is not None:
        count = len(timeline.images.units)
        caption = f"Images optimized for {count} unit{'s' * (count != 1)}, each going on from that of the record before."
        tracks.append(_track("Images of units", caption, "Images of units", "units", climbs.sheets(timeline.images), pictures))
    text = "Every picture was drawn beforehand. The slider takes the arrow keys, Home and End."
    return Steps("Step by step", text, timeline.names, tuple(tracks)), pictures


def joined(own: Product, filmed: Filmed, views: Sequence[View] = ()) -> Filmed:
    """The film as a part of a larger product, whose title, figures and tolerances come first; what is told of the film follows its lead.

    ``views`` go below those of the film, on the same slider. Raises InterpError where one has not a picture for each moment.
    """
    film, pictures = filmed.product, dict(filmed.pictures)
    tracks = [_track(view.title, view.caption, view.alt, view.folder, view.pixels, pictures) for view in views]
    whole = replace(
        own,
        lead=f"{own.lead}\n\n{film.lead}",
        figures=[*own.figures, *film.figures],
        arrays={**own.arrays, **film.arrays},
        metrics={**own.metrics, **film.metrics},
        films=[*own.films, *film.films],
        numbers=[*own.numbers, *film.numbers],
        files={**own.files, **film.files},
    )
    return Filmed(whole, replace(filmed.steps, tracks=(*filmed.steps.tracks, *tracks)), pictures)


def _how_many(filters: int, shown: int) -> str:
    return f"All {filters} filters" if filters == shown else f"{shown} of {filters} filters, evenly over the layer"


def _track(title: str, caption: str, alt: str, folder: str, pixels: frames.Frames, pictures: dict[str, bytes]) -> Track:
    files = []
    for place, frame in enumerate(pixels):
        files.append(f"frames/{folder}/{place:03d}.png")
        pictures[files[-1]] = encode(frame)
    return Track(title, caption, alt, tuple(files), int(pixels.shape[2]), int(pixels.shape[1]))


def write(filmed: Filmed, run: Run, tick: Tick, question: str, formats: Sequence[str], dpi: int, webp_quality: int | None) -> None:
    """As `interp.report.product.write`, with a slider on the page and the films below it."""
    sections, films = drawn(filmed.product, run, tick, question, formats, dpi, webp_quality)
    for path, data in filmed.pictures.items():
        run.write(path, data)
    run.text("index.html", render(page(filmed.product, run, sections), replace(filmed.steps, films=tuple(films))))
