"""The data beside the pages: JSON for anyone, and the same as a script for pages that are opened from disk, where none may be fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from interp.site.markdown import one_line
from interp.site.microscope.address import folder_of
from interp.site.microscope.compared import CompareContent
from interp.site.microscope.content import Column, LayerContent, NetworkContent, finite
from interp.site.microscope.picture import Picture

FORMAT = "interp microscope 1"
"""Stands in every JSON file; another number says that names in it have changed."""
LOADED = "microscopeLoaded"
"""The function of the script that takes a shard."""


def network_json(network: NetworkContent) -> str:
    """``data/network.json``."""
    value = {
        "format": FORMAT,
        "title": network.title,
        "reference": network.reference,
        "weights_sha256": network.weights_hash,
        "layers": [
            {
                "name": layer.name,
                "folder": folder_of(layer.name),
                "kind": layer.kind,
                "channels": layer.channels,
                "total": layer.channels if layer.total is None else layer.total,
                "thumbnail": None if layer.thumbnail is None else picture_entry(layer.thumbnail),
            }
            for layer in network.layers
        ],
        "edges": [list(edge) for edge in network.edges],
        "numbers": [[name, _plain(value)] for name, value in network.numbers],
        "notes": list(network.notes),
        "provenance": [list(line) for line in network.provenance],
    }
    return _json(value)


def layer_json(network: NetworkContent, layer: LayerContent, titles: Mapping[int, str]) -> str:
    """``data/LAYER.json``: statistics of each unit, class names where there are any, thumbnails."""
    value = {
        "format": FORMAT,
        "weights_sha256": network.weights_hash,
        "name": layer.name,
        "folder": folder_of(layer.name),
        "kind": layer.kind,
        "channels": layer.channels,
        "places": list(layer.places),
        "field": layer.field,
        "read": layer.read,
        "notes": list(layer.notes),
        "numbers": [[name, _plain(value)] for name, value in layer.numbers],
        "columns": [{"key": c.key, "label": c.label, "help": c.help, "decimals": c.decimals} for c in layer.columns],
        "values": {column.key: [finite(value) for value in layer.values[column.key]] for column in layer.columns},
        "titles": {str(channel): title for channel, title in sorted(titles.items())},
        "thumbnails": [picture_entry(picture) for picture in layer.thumbnails],
    }
    return _json(value)


def layer_script(
    name: str, columns: Sequence[Column], values: Mapping[str, tuple[float | None, ...]], channels: int, titles: Mapping[int, str]
) -> str:
    """The shard of a layer for the pages' script: columns with their values, and class names."""
    value = {
        "layer": one_line(name),
        "channels": channels,
        "columns": [
            {"key": c.key, "label": one_line(c.label), "decimals": c.decimals, "values": [_short(v) for v in values[c.key]]}
            for c in columns
        ],
        "titles": {str(channel): one_line(title) for channel, title in sorted(titles.items())},
    }
    return _script(value)


def network_script(network: NetworkContent) -> str:
    """The shard of the network: layers by name, with folders, so that a unit can be found by its name."""
    layers = [
        {"name": one_line(layer.name), "folder": folder_of(layer.name), "channels": layer.channels, "titled": layer.titled}
        for layer in network.layers
    ]
    return _script({"layers": layers})


def comparison_json(content: CompareContent) -> str:
    """``data/comparison.json``: whose units are compared, and by what distances."""
    value = {
        "format": FORMAT,
        "title": content.title,
        "weights_sha256": [content.first.weights_hash, content.second.weights_hash],
        "layers": [
            {
                "name": layer.name,
                "folder": folder_of(layer.name),
                "channels": layer.channels,
                "columns": [{"key": c.key, "label": c.label, "help": c.help, "decimals": c.decimals} for c in layer.columns],
                "values": {column.key: [finite(value) for value in layer.values[column.key]] for column in layer.columns},
            }
            for layer in content.layers
        ],
        "provenance": [list(line) for line in content.provenance],
    }
    return _json(value)


def picture_entry(picture: Picture) -> dict[str, object]:
    """A picture as data; a tile with its box in its sheet."""
    entry: dict[str, object] = {"path": picture.path, "rows": picture.rows, "cols": picture.cols, "alt": picture.alt}
    if picture.box is not None and picture.sheet is not None:
        entry |= {"box": list(picture.box), "sheet": list(picture.sheet)}
    return entry


def _short(value: float | None) -> float | None:
    """Six digits: what sorts and filters in a page is not what is computed with."""
    known = finite(value)
    return None if known is None else float(f"{known:.6g}")


def _plain(value: float | int | str) -> float | int | str | None:
    return value if isinstance(value, str | int) else finite(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")) + "\n"


def _script(value: object) -> str:
    return f"{LOADED}({_json(value).rstrip()});\n"
