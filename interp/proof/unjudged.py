"""What a repeated run was not judged by, in few words: who reads that it holds is to know of what."""

from __future__ import annotations

import re
from collections.abc import Iterator

from interp.proof.compare import SCORES
from interp.proof.pictures import FOLDER
from interp.proof.verdict import Compared, Verdict
from interp.runs.manifest import CONFIG

_VECTOR, _PIXELS = re.compile(r"\b(pdf|svg): not judged"), re.compile(r"pixels differ by [^;]*; not judged")
_SAID = re.compile(r"not judged|judged by its score")
_MOST = 3


def unjudged(compared: Compared) -> Iterator[str]:
    """Each kind of thing that is within its tolerance without having been judged, or by its score alone."""
    held = {item.name: item.detail for item in compared.of(Verdict.WITHIN)}
    figures = {name: detail for name, detail in held.items() if name.startswith(FOLDER)}
    if SCORES in held:
        yield f"{SCORES}: {held.pop(SCORES)}"
        held = {name: detail for name, detail in held.items() if not detail.endswith("judged by its score")}
    if CONFIG in held:
        yield held.pop(CONFIG)
    vectors = {name: _VECTOR.findall(detail) for name, detail in figures.items() if _VECTOR.search(detail)}
    if vectors:
        kinds = " and ".join(sorted({kind for found in vectors.values() for kind in found}))
        yield f"not judged: {kinds} of {_named(list(vectors))}"
    pixels = [name for name, detail in figures.items() if _PIXELS.search(detail)]
    if pixels:
        yield f"not judged: pixels of {_named(pixels)}"
    others = [name for name, detail in held.items() if name not in figures and _SAID.search(detail)]
    if others:
        yield f"not judged: {_named(others)}"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(f"`{name}`" for name in names[:_MOST]) + more
