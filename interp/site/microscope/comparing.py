"""Two networks, or two checkpoints of one, side by side, unit by unit: pages made from the open data of their sites."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from interp.errors import BadFile, InterpError
from interp.site.microscope import pages, shards
from interp.site.microscope.address import DATA, PAGE, PICTURES, folder_of
from interp.site.microscope.compared import CompareContent, Compared, ComparedLayer
from interp.site.microscope.content import Column
from interp.site.microscope.picture import Picture
from interp.site.microscope.placing import whole, write
from interp.site.microscope.writing import NETWORK, UNITS, check_pictures, write_page, write_shared

COMPARISON = "comparison.json"
_FIRST, _SECOND = f"{PICTURES}/first/", f"{PICTURES}/second/"

DISTANCE = Column(
    "distance",
    "distance",
    "How unlike the unit is in both: the root mean square of the differences of all its statistics, each in standard deviations of that "
    "statistic over the layer's units of both networks",
    2,
)

Values = Sequence[float | None]


def comparison_of(first: Path, second: Path) -> CompareContent:
    """The comparison of two sites, read from ``data/*.json`` of each.

    Units are sorted by their `distance`, and by the absolute differences of the statistics that both have. Its pictures are those of the
    sites, under ``pictures/first`` and ``pictures/second``.
    BadFile where a folder is no microscope or a layer's pages are missing; InterpError where layers or their channels do not match.
    """
    one, other = _read(first / DATA / NETWORK), _read(second / DATA / NETWORK)
    _refuse_unlike(first, one, second, other)
    layers = []
    for summary in one["layers"]:
        file = f"{summary['folder']}.json"
        layers.append(_layer(_read(first / DATA / file), _read(second / DATA / file)))
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


def distance(pairs: Sequence[tuple[Values, Values]]) -> tuple[float | None, ...]:
    """`DISTANCE` of each unit; ``pairs``: of each statistic the units' values in either network, as many in all; at least one.

    A statistic that is the same for all units does not count, nor one that a unit has in one network alone; None where none is left.
    """
    squares = []
    for pair in pairs:
        one, other = (np.array([np.nan if value is None else value for value in values], np.float64) for values in pair)
        known = np.concatenate([one, other])
        spread = float(known[np.isfinite(known)].std()) if np.isfinite(known).any() else 0.0
        if spread > 0:
            squares.append(np.square((one - other) / spread))
    if not squares:
        return (None,) * len(pairs[0][0])
    found = np.stack(squares)
    there = np.isfinite(found)
    count = there.sum(axis=0)
    mean = np.where(there, found, 0).sum(axis=0) / np.maximum(count, 1)
    return tuple(float(np.sqrt(value)) if many else None for value, many in zip(mean, count, strict=True))


def _layer(one: Any, other: Any) -> ComparedLayer:
    there = {str(column["key"]) for column in other["columns"]}
    common = [column for column in one["columns"] if column["key"] in there]
    pairs = [(one["values"][column["key"]], other["values"][column["key"]]) for column in common]
    columns = tuple(_difference(column) for column in common)
    values = {
        column.key: tuple(None if a is None or b is None else abs(float(a) - float(b)) for a, b in zip(*pair, strict=True))
        for column, pair in zip(columns, pairs, strict=True)
    }
    if pairs:
        columns, values = (DISTANCE, *columns), {DISTANCE.key: distance(pairs)} | values
    titles = tuple(one["titles"].get(str(channel)) for channel in range(one["channels"])) if one["titles"] else ()
    return ComparedLayer(
        str(one["name"]),
        str(one["kind"]),
        int(one["channels"]),
        columns,
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
