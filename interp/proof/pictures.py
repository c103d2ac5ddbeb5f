"""Figures side by side: by their specs, and by their pixels.

A figure is derived: its spec is made from the arrays, its files are drawn from the spec. The same spec drawn by the same
versions gives the same pixels; where numbers are a little different, so are the pixels, and a figure holds where they are few and
faint. That bound is coarse: what a figure shows is judged by its arrays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interp.proof.files import same_bytes
from interp.proof.gap import SAME, Gap, number
from interp.proof.pair import Pair, absent
from interp.proof.verdict import Item
from interp.runs.tolerance import Tolerance

FOLDER = "figures/"
_RASTER = (".png", ".webp")
# Levels of 255, the mean over all pixels and colours.
MOST_MEAN = 2.0
# A pixel is another one where a colour is so many levels away, and so large a share of the pixels may be.
CHANGED, MOST_CHANGED = 16, 0.05


def figure_items(pair: Pair) -> list[Item]:
    """Of each figure, all of its files together."""
    stems = {name.rpartition(".")[0] for files in (pair.first.files, pair.second.files) for name in files if name.startswith(FOLDER)}
    stems |= {f"{FOLDER}{stem}" for manifest in (pair.first, pair.second) for stem in manifest.figures}
    return [_item(pair, stem) for stem in sorted(stems)]


def _item(pair: Pair, name: str) -> Item:
    first, second = (
        {file: entry.sha256 for file, entry in manifest.files.items() if file.rpartition(".")[0] == name}
        for manifest in (pair.first, pair.second)
    )
    for file in sorted(first.keys() ^ second.keys()):
        return absent(name, Path(file).name if file in first else None)
    stem = name.removeprefix(FOLDER)
    one, other = pair.first.figures.get(stem), pair.second.figures.get(stem)
    same_spec = one is not None and other is not None and one.spec == other.spec
    told = [(file, _gap(pair, file, pair.tolerance(name), same_spec)) for file in sorted(first) if first[file] != second[file]]
    gaps = [(file, gap) for file, gap in told if gap is not SAME]
    if not gaps:
        return pair.item(name, SAME)
    # Who drew, and what stands in the stamp, excuses other bytes; what was drawn is excused by the machine only.
    excuse = pair.drawing if same_spec else ()
    if same_spec and all(Path(file).suffix.lower() not in _RASTER for file, _ in gaps):
        excuse = pair.telling
    shares = [gap.share for _, gap in gaps if gap.share is not None]
    words = [f"{Path(file).suffix[1:]}: {gap.detail}" for file, gap in gaps]
    return pair.item(name, Gap(all(gap.holds for _, gap in gaps), max(shares, default=None), "; ".join((*words, *excuse))), excuse)


def _gap(pair: Pair, file: str, tolerance: Tolerance, same_spec: bool) -> Gap:
    """Of one file of a figure, whose bytes differ."""
    if Path(file).suffix.lower() in _RASTER:
        return _raster(pair, file, tolerance, same_spec)
    if same_bytes(pair, file):
        return SAME
    if same_spec:
        return Gap(True, None, "other bytes of the same spec")
    return Gap(tolerance is not Tolerance.EXACT, None, "not judged: derived from the arrays")


def _raster(pair: Pair, file: str, tolerance: Tolerance, same_spec: bool) -> Gap:
    try:
        first, second = (_pixels(folder / file) for folder in (pair.recorded, pair.repeated))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Gap(False, None, f"cannot be read: {error}")
    if same_spec and pair.drawing:
        return SAME if np.array_equal(first, second) else Gap(True, None, "other pixels of the same spec")
    if first.shape != second.shape:
        return Gap(False, None, f"{_size(second)}, {_size(first)} was recorded")
    away = np.abs(first.astype(np.int16) - second)
    if not away.any():
        return SAME if pair.first.identity != pair.second.identity or pair.drawing else Gap(True, None, "other bytes, the same pixels")
    mean, changed = float(away.mean()), float((away.max(axis=-1) > CHANGED).mean())
    words = f"pixels differ by {number(mean)} levels in the mean, {changed:.2%} by more than {CHANGED}"
    if tolerance is Tolerance.OPTIMIZED:
        return Gap(True, None, f"{words}; not judged")
    if tolerance is Tolerance.EXACT:
        return Gap(False, None, f"{words}; it is to be equal everywhere")
    share = max(mean / MOST_MEAN, changed / MOST_CHANGED)
    return Gap(share <= 1, share, words)


def _pixels(path: Path) -> NDArray[Any]:
    """(rows, cols, 4) uint8, with the opacity; what is fully transparent has no colour."""
    with Image.open(path) as picture:
        pixels = np.array(picture.convert("RGBA"))
    pixels[pixels[..., 3] == 0] = 0
    return pixels


def _size(pixels: NDArray[Any]) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]} px"
