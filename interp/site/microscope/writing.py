"""From content to a folder of pages: the network's, and each layer's as one piece of work that appears whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from interp.errors import BadFile, InterpError
from interp.site.microscope import pages, shards
from interp.site.microscope.address import DATA, PAGE, STATIC, folder_of
from interp.site.microscope.content import LayerContent, NetworkContent, UnitContent
from interp.site.microscope.picture import Picture
from interp.site.microscope.placing import whole, write
from interp.site.microscope.tiles import rules

UNITS = "units.js"
NETWORK = "network.json"


def write_network(folder: Path, network: NetworkContent) -> None:
    """Write ``index.html``, the shared style and script, ``data/network.json`` and ``data/README.md`` into ``folder``.

    May be written again, before or after the layers. BadFile where ``folder`` holds the microscope of other weights or another's page,
    where a picture is not there, or where it cannot be written; InterpError where two layers would share a folder.
    """
    refuse_other(folder, network)
    _refuse_twins(network)
    check_pictures(folder, pages.pictures_of(network))
    write_shared(folder)
    write(folder / DATA / "README.md", _static("microscope.data.md"))
    write(folder / DATA / NETWORK, shards.network_json(network))
    write(folder / DATA / "network.js", shards.network_script(network))
    write(folder / PAGE, pages.network_page(network))


def write_layer(folder: Path, network: NetworkContent, layer: LayerContent) -> None:
    """Write ``LAYER/index.html``, ``LAYER/CHANNEL/index.html`` of each unit and ``data/LAYER.json``; units are taken one by one.

    The layer's folder is made beside its place and renamed: it is there whole, as it was, or not at all. The same content gives the same
    bytes. The pictures must be there. BadFile as in ``write_network``; InterpError where units are missing or out of order.
    """
    summary = network.layer(layer.name)
    if summary is None or summary.channels != layer.channels:
        told = "none of that name" if summary is None else f"{summary.channels} channels"
        raise InterpError(f"the layer `{layer.name}` has {layer.channels} channels, but `{network.title}` has {told}")
    refuse_other(folder, network)
    by_name = {other.name: other for other in network.layers}
    seen: set[str] = set()
    check_pictures(folder, layer.thumbnails, seen)
    titles: dict[int, str] = {}
    with whole(folder / folder_of(layer.name)) as inside:
        count = 0
        for unit in layer.units():
            _check_turn(layer, unit, count)
            check_pictures(folder, pages.pictures_of_unit(unit), seen)
            if unit.title:
                titles[unit.channel] = unit.title
            write_page(inside / str(unit.channel) / PAGE, pages.unit_page(network, layer, unit, by_name))
            count += 1
        if count != layer.channels:
            raise InterpError(f"the layer `{layer.name}` has {layer.channels} channels, but {count} units were given")
        write_page(inside / UNITS, shards.layer_script(layer.name, layer.columns, layer.values, layer.channels, titles))
        write_page(inside / PAGE, pages.layer_page(network, layer, titles))
        write(folder / DATA / f"{folder_of(layer.name)}.json", shards.layer_json(network, layer, titles))


def layer_is_written(folder: Path, layer: str) -> bool:
    """Whether the pages of that layer are in ``folder`` (whole, as they never are otherwise)."""
    return (folder / folder_of(layer) / PAGE).is_file()


def refuse_other(folder: Path, network: NetworkContent) -> None:
    """BadFile where ``folder`` is the microscope of other weights, or holds a page that no microscope wrote."""
    known = folder / DATA / NETWORK
    if known.is_file():
        try:
            told = json.loads(known.read_text(encoding="utf-8"))
            reference, weights = str(told["reference"]), str(told["weights_sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            raise BadFile(f"`{known}` cannot be read as a microscope's; move it away, or choose another folder") from None
        if weights != network.weights_hash:
            raise BadFile(
                f"`{folder}` is the microscope of `{reference}` with weights {weights[:12]}, not of `{network.reference}` with "
                f"{network.weights_hash[:12]}; choose another folder"
            )
    elif os.path.lexists(folder / PAGE):
        raise BadFile(f"`{folder / PAGE}` is there and was not written by interp microscope; choose another folder")


def write_shared(folder: Path) -> None:
    """The style and the script that all pages share."""
    write(folder / STATIC / "microscope.css", _static("page.css") + _static("microscope.css") + rules())
    write(folder / STATIC / "microscope.js", _static("microscope.js"))


def check_pictures(folder: Path, pictures: Iterable[Picture], seen: set[str] | None = None) -> None:
    """BadFile for a picture that is not in ``folder``; those ``seen`` are not looked for again."""
    known = set() if seen is None else seen
    for picture in pictures:
        if picture.path not in known:
            if not (folder / picture.path).is_file():
                raise BadFile(f"the picture `{picture.path}` is not in `{folder}`; pictures are written before the pages that show them")
            known.add(picture.path)


def _check_turn(layer: LayerContent, unit: UnitContent, turn: int) -> None:
    if unit.channel != turn:
        raise InterpError(f"the units of `{layer.name}` come in the order of channels: {unit.channel} came when it was {turn}'s turn")


def _refuse_twins(network: NetworkContent) -> None:
    """Two names that differ in capitals alone are one folder on many systems."""
    known: dict[str, str] = {}
    for layer in network.layers:
        other = known.setdefault(folder_of(layer.name).lower(), layer.name)
        if other != layer.name:
            raise InterpError(f"the layers `{other}` and `{layer.name}` differ in capitals alone, and would share a folder; leave one out")


def write_page(path: Path, text: str) -> None:
    """Write a file of a folder that is not in its place yet."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode("utf-8"))


def _static(name: str) -> str:
    return files("interp.site").joinpath("static").joinpath(name).read_text(encoding="utf-8")
