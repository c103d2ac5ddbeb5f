"""Two networks, or two checkpoints of one, side by side, unit by unit: pages made from the open data of their sites."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from interp.errors import BadFile, InterpError
from interp.site.microscope import pages, shards
from interp.site.microscope.address import DATA, PAGE, PICTURES, folder_of
from interp.site.microscope.content import Column, CompareContent, Compared, ComparedLayer, Picture
from interp.site.microscope.placing import whole, write
from interp.site.microscope.writing import NETWORK, UNITS, check_pictures, write_page, write_shared

COMPARISON = "comparison.json"
_FIRST, _SECOND = f"{PICTURES}/first/", f"{PICTURES}/second/"

Distances = Mapping[str, Mapping[str, tuple[float | None, ...]]]
"""Layer -> key -> one number per channel."""


def comparison_of(first: Path, second: Path, distances: Distances | None = None, columns: tuple[Column, ...] = ()) -> CompareContent:
    """The comparison of two sites, read from ``data/*.json`` of each.

    Units are sorted by the absolute differences of the statistics that both have, and by ``distances`` (named by ``columns``), such as
    that of the weights. Its pictures are those of the sites, under ``pictures/first`` and ``pictures/second``.
    BadFile where a folder is no microscope or a layer's pages are missing; InterpError where layers or their channels do not match.
    """
    one, other = _read(first / DATA / NETWORK), _read(second / DATA / NETWORK)
    _refuse_unlike(first, one, second, other)
    layers = []
    for summary in one["layers"]:
        name, file = str(summary["name"]), f"{summary['folder']}.json"
        extra = {} if distances is None else distances.get(name, {})
        layers.append(_layer(_read(first / DATA / file), _read(second / DATA / file), [c for c in columns if c.key in extra], extra))
    sides = [_side(told) for told in (one, other)]
    if sides[0].title == sides[1].title:
        sides = [replace(side, title=f"{side.title} ({side.weights_hash[:8]})") for side in sides]
    origins = [dict(told.get("provenance", ())) for told in (one, other)]
    notes = []
    if origins[0].get("Data") != origins[1].get("Data"):
        notes.append("They are over different pictures: differences of statistics are also those of the pictures.")
    if len({_options(found.get("Command", "")) for found in origins}) > 1:
        notes.append("They were made with different options (below): differences of optimized images are also those of the options.")
    if sides[0].weights_hash == sides[1].weights_hash:
        notes.insert(0, "Both have the same weights.")
    provenance = tuple(
        (f"{side}: {name}", text) for side, told in zip(("First", "Second"), origins, strict=True) for name, text in told.items()
    )
    return CompareContent(f"{sides[0].title} and {sides[1].title}", sides[0], sides[1], tuple(layers), tuple(notes), provenance)


def write_comparison(folder: Path, content: CompareContent, first: Path | None = None, second: Path | None = None) -> None:
    """Write the pages of a comparison into ``folder``: ``index.html`` and ``LAYER/index.html``.

    Pictures under ``pictures/first`` and ``pictures/second`` are copied from the sites ``first`` and ``second``, and units lead to their
    pages there; without sites the pictures must be in ``folder`` already. BadFile where ``folder`` holds something else, a picture is
    missing, or it cannot be written.
    """
    _refuse_other(folder, content)
    if first is not None:
        content = replace(content, first=replace(content.first, site=_way(folder, first)))
    if second is not None:
        content = replace(content, second=replace(content.second, site=_way(folder, second)))
    for layer in content.layers:
        for site, pictures, prefix in ((first, layer.first, _FIRST), (second, layer.second, _SECOND)):
            if site is not None:
                _copy(site, folder, pictures, prefix)
            check_pictures(folder, pictures)
    write_shared(folder)
    write(folder / DATA / COMPARISON, shards.comparison_json(content))
    for layer in content.layers:
        titles = {channel: title for channel, title in enumerate(layer.titles) if title}
        with whole(folder / folder_of(layer.name)) as inside:
            write_page(inside / UNITS, shards.layer_script(layer.name, layer.columns, layer.values, layer.channels, titles))
            write_page(inside / PAGE, pages.compared_layer_page(content, layer))
    write(folder / PAGE, pages.comparison_page(content))


def _options(command: str) -> tuple[str, ...]:
    """The words of a command but for those that name the network."""
    words = command.split()[2:]
    while words and not words[0].startswith("-"):
        words.pop(0)
    for name in ("--weights", "--weights-key"):
        if name in words:
            del words[words.index(name) : words.index(name) + 2]
    return tuple(words)


def _read(path: Path) -> Any:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadFile(f"`{path}` is not there: `{path.parent.parent}` is no finished microscope of this kind") from None
    except (OSError, ValueError) as error:
        raise BadFile(f"`{path}` cannot be read: {error}") from None
    if not isinstance(value, dict) or value.get("format") != shards.FORMAT:
        raise BadFile(f"`{path}` is not of the format `{shards.FORMAT}`; make that microscope anew")
    return value


def _refuse_unlike(first: Path, one: Any, second: Path, other: Any) -> None:
    sizes = [{str(layer["name"]): int(layer["channels"]) for layer in told["layers"]} for told in (one, other)]
    for name in [*sizes[0], *sizes[1]]:
        here, there = sizes[0].get(name), sizes[1].get(name)
        if here is None or there is None:
            has, lacks = (first, second) if there is None else (second, first)
            raise InterpError(f"`{has}` has the layer `{name}`, and `{lacks}` has not; two microscopes are compared layer by layer")
        if here != there:
            raise InterpError(
                f"`{name}` has {here} channels in `{first}` and {there} in `{second}`; the same layer and channel is compared"
            )


def _layer(one: Any, other: Any, columns: Sequence[Column], distances: Mapping[str, tuple[float | None, ...]]) -> ComparedLayer:
    told = {str(column["key"]): column for column in other["columns"]}
    common = [column for column in one["columns"] if column["key"] in told]
    differences = tuple(_difference(column) for column in common)
    values = {column.key: distances[column.key] for column in columns}
    for column, known in zip(differences, common, strict=True):
        pairs = zip(one["values"][known["key"]], other["values"][known["key"]], strict=True)
        values[column.key] = tuple(None if a is None or b is None else abs(float(a) - float(b)) for a, b in pairs)
    titles = tuple(one["titles"].get(str(channel)) for channel in range(one["channels"])) if one["titles"] else ()
    return ComparedLayer(
        str(one["name"]),
        str(one["kind"]),
        int(one["channels"]),
        (*columns, *differences),
        values,
        tuple(_picture(entry, _FIRST) for entry in one["thumbnails"]),
        tuple(_picture(entry, _SECOND) for entry in other["thumbnails"]),
        titles,
    )


def _difference(told: Any) -> Column:
    help_text = f"The absolute difference. {told['help']}"
    return Column(f"difference-{told['key']}", f"{told['label']}, difference", help_text, int(told["decimals"]))


def _picture(entry: Any, prefix: str) -> Picture:
    top, left, bottom, right = (int(side) for side in entry.get("box", (0, 0, 0, 0)))
    box = (top, left, bottom, right) if "box" in entry else None
    sheet = (int(entry["sheet"][0]), int(entry["sheet"][1])) if "sheet" in entry else None
    return Picture(prefix + str(entry["path"]), int(entry["rows"]), int(entry["cols"]), str(entry["alt"]), box, sheet)


def _side(told: Any) -> Compared:
    return Compared(str(told["title"]), str(told["reference"]), str(told["weights_sha256"]))


def _way(folder: Path, site: Path) -> str:
    """From the comparison to a site; "" where no relative way leads there (another drive)."""
    try:
        return Path(os.path.relpath(site.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return ""


def _copy(site: Path, folder: Path, pictures: Sequence[Picture], prefix: str) -> None:
    for path in sorted({picture.path for picture in pictures}):
        source, target = site / path.removeprefix(prefix), folder / path
        try:
            if not target.is_file() or target.stat().st_size != source.stat().st_size or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        except OSError as error:
            raise BadFile(f"`{source}` cannot be copied to `{target}`: {error.strerror or error}") from None


def _refuse_other(folder: Path, content: CompareContent) -> None:
    known = folder / DATA / COMPARISON
    if known.is_file():
        told = _read(known)
        if told.get("weights_sha256") != [content.first.weights_hash, content.second.weights_hash]:
            raise BadFile(f"`{folder}` holds the comparison `{told.get('title')}`, not `{content.title}`; choose another folder")
    elif os.path.lexists(folder / PAGE):
        raise BadFile(f"`{folder / PAGE}` is there and was not written as a comparison; choose another folder")
