"""Figures side by side: by their specs, and by their pixels.

A figure is derived: its spec is made from the arrays, its files are drawn from the spec. The same spec drawn by the same
versions gives the same pixels, on any machine. Where others drew it, or where numbers are a little different, so are the pixels, and
a figure holds where they are few and faint. That bound is coarse: what a figure shows is judged by its arrays. Pages of vectors have
no pixels: they are equal where machine and versions are, and not judged elsewhere.
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
RASTER = (".png", ".webp")
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
    # Who drew the same spec excuses other files; what was drawn is excused by the machine only.
    excuse = pair.drawing if same_spec else ()
    shares = [gap.share for _, gap in gaps if gap.share is not None]
    words = [f"{Path(file).suffix[1:]}: {gap.detail}" for file, gap in gaps]
    return pair.judged(name, Gap(all(gap.holds for _, gap in gaps), max(shares, default=None), "; ".join((*words, *excuse))), excuse)


def _gap(pair: Pair, file: str, tolerance: Tolerance, same_spec: bool) -> Gap:
    """Of one file of a figure, whose bytes differ."""
    if Path(file).suffix.lower() in RASTER:
        return _raster(pair, file, tolerance, same_spec)
    if same_bytes(pair, file, file.removeprefix(FOLDER).rpartition(".")[0]):
        return SAME
    words = "other bytes of the same spec" if same_spec else "derived from the arrays"
    if pair.why or (same_spec and pair.drawing):
        return Gap(same_spec or tolerance is not Tolerance.EXACT, None, f"not judged: {words}")
    return Gap(False, None, words if same_spec else "other bytes of another spec")


def _raster(pair: Pair, file: str, tolerance: Tolerance, same_spec: bool) -> Gap:
    try:
        first, second = (_pixels(folder / file) for folder in (pair.recorded, pair.repeated))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Gap(False, None, f"cannot be read: {error}")
    if first.shape != second.shape:
        return Gap(False, None, f"{_size(second)}, {_size(first)} was recorded")
    away = np.abs(first.astype(np.int16) - second)
    if not away.any():
        return SAME if pair.first.identity != pair.second.identity or pair.drawing else Gap(True, None, "other bytes, the same pixels")
    mean, changed = float(away.mean()), float((away.max(axis=-1) > CHANGED).mean())
    words = f"pixels differ by {number(mean)} levels in the mean, {changed:.2%} by more than {CHANGED}"
    share = max(mean / MOST_MEAN, changed / MOST_CHANGED)
    if same_spec:
        # Nothing that was drawn differs: no tolerance of what was computed excuses anything.
        return Gap(share <= 1, share, words) if pair.drawing else Gap(False, share, f"{words}, of the same spec drawn by the same versions")
    if tolerance in (Tolerance.OPTIMIZED, Tolerance.TOLD):
        return Gap(True, None, f"{words}; not judged")
    if tolerance is Tolerance.EXACT:
        return Gap(False, None, f"{words}; it is to be equal everywhere")
    return Gap(share <= 1, share, words)


def _pixels(path: Path) -> NDArray[Any]:
    """(rows, cols, 4) uint8, with the opacity; what is fully transparent has no colour."""
    with Image.open(path, formats=("PNG", "WEBP")) as picture:
        pixels = np.array(picture.convert("RGBA"))
    pixels[pixels[..., 3] == 0] = 0
    return pixels


def _size(pixels: NDArray[Any]) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]} px"
