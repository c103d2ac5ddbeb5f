"""Where a layer's pages lie: a folder whose name is the layer's, with what a path or an address could mistake written in hex."""

from __future__ import annotations

import re
from urllib.parse import quote

PAGE = "index.html"
DATA, STATIC, PICTURES = "data", "static", "pictures"
_PLAIN = re.compile(r"[A-Za-z0-9._-]")
# Folders of the site itself, and what Windows takes for devices.
_TAKEN = {DATA, STATIC, PICTURES, PAGE, "con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(10))}


def folder_of(layer: str) -> str:
    """The folder's name: ``layer4.1.conv2`` as it is; other letters than ``A-Z a-z 0-9 . _ -`` as ``~`` and two hex digits a byte.

    Different layers have different folders; none is hidden, leads elsewhere, or is taken by the site or by Windows.
    """
    name = "".join(letter if _PLAIN.fullmatch(letter) else _hex(letter) for letter in layer)
    if name.startswith((".", "-")) or name.lower() in _TAKEN or name.lower().split(".")[0] in _TAKEN - {DATA, STATIC, PICTURES, PAGE}:
        name = _hex(name[0]) + name[1:]
    if name.endswith("."):
        name = name[:-1] + _hex(".")
    return name or "~"


def unit_page(root: str, layer: str, channel: int) -> str:
    """The address of a unit's page, from a page whose way to the site's folder is ``root`` ("", "../" or "../../")."""
    return f"{root}{folder_of(layer)}/{channel}/{PAGE}"


def layer_page(root: str, layer: str) -> str:
    """The address of a layer's page, likewise."""
    return f"{root}{folder_of(layer)}/{PAGE}"


def file(root: str, path: str) -> str:
    """The address of a file of the site."""
    return root + quote(path)


def _hex(letter: str) -> str:
    return "".join(f"~{byte:02x}" for byte in letter.encode("utf-8", "surrogatepass"))
