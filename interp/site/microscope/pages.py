"""The HTML of the microscope's pages, from content: every value is escaped, nothing is inline but pictures drawn as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from interp.site.microscope import address, charts, graph
from interp.site.microscope.compared import CompareContent, Compared, ComparedLayer
from interp.site.microscope.content import Example, LayerContent, LayerSummary, Link, NetworkContent, UnitContent
from interp.site.microscope.picture import Picture
from interp.site.microscope.tiles import classes
from interp.site.microscope.wording import counted, extent, number, pieces
from interp.site.templating import fill

# Scripts and styles come from the site's own files alone. `file:` is for a page opened from disk, where browsers differ on 'self'.
POLICY = "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file:; base-uri 'none'; form-action 'none'"
GENERATOR = "interp microscope"
COMPARISON = "interp microscope comparison"


@dataclass(frozen=True)
class Neighbours:
    """A list of links under a heading; ``measure`` says what the numbers are."""

    title: str
    measure: str
    links: tuple[Link, ...]


def network_page(network: NetworkContent) -> str:
    """``index.html``."""
    names = [layer.name for layer in network.layers]
    shapes = (("wide", graph.WIDE), ("narrow", graph.NARROW))
    drawings = [(name, graph.draw(names, network.edges, shape), shape) for name, shape in shapes]
    units = sum(layer.channels for layer in network.layers)
    return _fill("network.html", "", network=network, drawings=drawings, units=units, card=_card)


def layer_page(network: NetworkContent, layer: LayerContent, titles: Mapping[int, str]) -> str:
    """``LAYER/index.html``: a grid of all units, which the script sorts and filters."""
    before, after = _around([summary.name for summary in network.layers], layer.name)
    data = f"{address.DATA}/{address.folder_of(layer.name)}.json"
    return _fill("layer.html", "../", network=network, layer=layer, titles=titles, before=before, after=after, data=data)


def unit_page(network: NetworkContent, layer: LayerContent, unit: UnitContent, pictures: Mapping[str, LayerSummary]) -> str:
    """``LAYER/CHANNEL/index.html``; ``pictures`` are the layers by name, for the thumbnails of those that are linked."""
    lists = [
        Neighbours("Alike by weights", "cosine of the weights", unit.near_by_weights),
        Neighbours("Alike by activations", "correlation of the activations", unit.near_by_activations),
        Neighbours("Strongest inputs", "norm of the weights, with the sign of their sum", unit.incoming),
        Neighbours("Strongest outputs", "norm of the weights, with the sign of their sum", unit.outgoing),
    ]
    return _fill(
        "unit.html",
        "../../",
        network=network,
        layer=layer,
        unit=unit,
        lists=[entry for entry in lists if entry.links],
        curves=[(curve, charts.of_curve(curve)) for curve in unit.curves],
        histogram=None if unit.histogram is None else charts.of_histogram(unit.histogram),
        thumbnail=lambda link: _thumbnail(pictures, link),
        has_page=lambda link: link.layer in pictures and link.channel < pictures[link.layer].channels,
        crop=_crop,
    )


def comparison_page(content: CompareContent) -> str:
    """``index.html`` of a comparison."""
    means = {layer.name: [_mean(layer.values[column.key]) for column in layer.columns] for layer in content.layers}
    columns = {column.key: column for layer in content.layers for column in layer.columns}
    return _fill("comparison.html", "", content=content, means=means, columns=tuple(columns.values()), mean=_mean)


def compared_layer_page(content: CompareContent, layer: ComparedLayer) -> str:
    """``LAYER/index.html`` of a comparison: pairs of units."""
    before, after = _around([other.name for other in content.layers], layer.name)
    return _fill("compared.html", "../", content=content, layer=layer, before=before, after=after, theirs=_theirs)


def pictures_of(network: NetworkContent) -> Iterable[Picture]:
    """The pictures on the network's page."""
    return (layer.thumbnail for layer in network.layers if layer.thumbnail is not None)


def pictures_of_unit(unit: UnitContent) -> Iterable[Picture]:
    """The pictures on a unit's page, but for those of its links."""
    for image in unit.optimized:
        yield image.picture
    for example in (*unit.top, *unit.bottom):
        yield from (picture for picture in (example.picture, example.heat, example.whole) if picture is not None)
    yield from (curve.picture for curve in unit.curves if curve.picture is not None)
    if unit.kernel is not None:
        yield unit.kernel


def _fill(template: str, root: str, **values: object) -> str:
    shared = {
        "root": root,
        "csp": POLICY,
        "generator": GENERATOR,
        "number": number,
        "counted": counted,
        "pieces": pieces,
        "extent": lambda layer: extent(layer.channels, layer.total),
        "classes": classes,
        "file": lambda path: address.file(root, path),
        "layer_href": lambda name: address.layer_page(root, name),
        "unit_href": lambda name, channel: address.unit_page(root, name, channel),
    }
    return fill(f"microscope/{template}", (), **shared, **values)


def _around(names: Sequence[str], name: str) -> tuple[str | None, str | None]:
    place = names.index(name)
    return (names[place - 1] if place else None), (names[place + 1] if place + 1 < len(names) else None)


@dataclass(frozen=True)
class _Named:
    """A layer's name in two lines that fit a card: its last part, and what is before it."""

    tail: str
    head: str


def _card(name: str, width: int) -> _Named:
    """For ``width`` pixels, in letters of 7.8 and 6."""
    parts = name.split(".")
    tail = parts[-1]
    if tail.isdigit() and len(parts) > 1:  # `features.0`: a number alone says little
        tail = ".".join(parts[-2:])
    head = name[: len(name) - len(tail)].rstrip(".")
    room, more = int(width / 7.8), width // 6
    short = tail if len(tail) <= room else f"{tail[: room // 2 - 1]}\u2026{tail[-(room - room // 2) :]}"
    return _Named(short, head if len(head) <= more else f"\u2026{head[1 - more :]}")


def _thumbnail(pictures: Mapping[str, LayerSummary], link: Link) -> Picture | None:
    layer = pictures.get(link.layer)
    if layer is None or not 0 <= link.channel < len(layer.thumbnails):
        return None
    return layer.thumbnails[link.channel]


def _crop(example: Example) -> tuple[str, str, str, str] | None:
    """The crop's box in thousandths of the whole picture, as left, top, width, height of SVG."""
    if example.crop is None:
        return None
    top, left, bottom, right = (round(1000 * side) for side in example.crop)
    return f"{left}", f"{top}", f"{max(right - left, 1)}", f"{max(bottom - top, 1)}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _theirs(side: Compared, layer: str, channel: int) -> str:
    """The unit's page in its own microscope, from a layer's page of the comparison; "" where that is not known."""
    return f"../{quote(side.site)}/{address.folder_of(layer)}/{channel}/{address.PAGE}" if side.site else ""
