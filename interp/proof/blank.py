"""A file without what may differ between two makings of one: the names of run and commit, the command line, where its parts begin."""

from __future__ import annotations

import re
from dataclasses import replace

from interp.runs.manifest import Manifest
from interp.runs.stamp import Stamp

# Where each part of a PDF begins: a command line of another length moves what follows it.
_PLACES = re.compile(rb"(?:\d{10} \d{5} [nf] ?\r?\n)+")
_START = re.compile(rb"startxref\s+\d+\s+%%EOF\s*\Z")


def blanked(data: bytes, manifest: Manifest, figure: str = "") -> bytes:
    """``data``, a file of the run that ``manifest`` tells of, of the ``figure`` of that stem, if of any.

    Of the figure's stamp only those parts are blanked that `Stamp.of` would write and that may differ: what else it says remains.
    """
    if figure:
        stamp = Stamp.of(manifest, figure)
        bare = replace(stamp, identity="0" * 64, command="", commit="", dirty=False).to_text()
        for encoded in _encodings(stamp.to_text()):
            data = data.replace(encoded, bare.encode("ascii"))
    data = data.replace(manifest.identity.encode("ascii"), b"identity")
    if manifest.commit is not None:
        data = data.replace(manifest.commit.hash.encode("ascii"), b"commit")
    return _without_places(data) if data.startswith(b"%PDF-") else data


def _encodings(text: str) -> set[bytes]:
    """As it stands in an SVG, and in a PDF."""
    svg = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    pdf = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return {part.encode("ascii") for part in (text, svg, pdf)}


def _without_places(data: bytes) -> bytes:
    head, mark, tail = data.rpartition(b"\nxref\n")
    return head + mark + _START.sub(b"", _PLACES.sub(b"", tail)) if mark else data
