"""From a lone picture to the run it was made in: by the stamp inside it, by its bytes, or by its pixels."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interp.errors import BadFile
from interp.proof.pictures import RASTER
from interp.proof.stamped import UNREADABLE, content, kind_of, stamp_in
from interp.runs.entries import file_hash
from interp.runs.listing import Listed, Listing, listing
from interp.runs.stamp import Stamp

__all__ = ["Found", "Match", "whence"]

_MOST_PIXELS = 1 << 27


class Match(Enum):
    """How a lone file compares with that of the run."""

    BYTES = "unchanged since it was made"
    PIXELS = "the same pixels, saved anew"
    CHANGED = "changed since it was made"


@dataclass(frozen=True)
class Found:
    """What is known of the file at ``path``; of the run and its file (relative to it) None where no run was found.

    ``why_not`` says why no stamp could be read, ``detail`` what differs from the file of the run; ``runs`` were looked through,
    ``unreadable`` could not be.
    """

    path: Path
    stamp: Stamp | None = None
    why_not: str = ""
    run: Listed | None = None
    file: str | None = None
    match: Match | None = None
    detail: str = ""
    runs: int = 0
    unreadable: int = 0

    @property
    def known(self) -> bool:
        return self.stamp is not None or self.run is not None

    @property
    def unchanged(self) -> bool:
        """Byte for byte that of the run."""
        return self.match is Match.BYTES


def whence(path: Path, folders: Sequence[Path]) -> Found:
    """Find the run of the figure at ``path`` among those at or below ``folders``.

    A copy is told from a changed one by the SHA-256 in the run's manifest, whatever its stamp says. BadFile where ``path`` cannot
    be read, or one of ``folders`` is none; a picture of which nothing is known is no error.
    """
    return among(path, listing(folders))


def among(path: Path, runs: Listing) -> Found:
    """As `whence`, among runs that were read before."""
    data = content(path)
    stamp, why_not = _stamp(data, str(path))
    found = Found(path, stamp, why_not, runs=len(runs.runs), unreadable=len(runs.unreadable))
    hit = _by_stamp(data, stamp, runs.runs) or _by_bytes(data, runs.runs) or _by_pixels(data, runs.runs)
    if hit is None:
        return found
    run, file, match, detail = hit
    return replace(found, run=run, file=file, match=match, detail=detail)


_Hit = tuple[Listed, str | None, Match, str]


def _stamp(data: bytes, name: str) -> tuple[Stamp | None, str]:
    try:
        return stamp_in(data, name), ""
    except BadFile as error:
        return None, str(error)


def _by_stamp(data: bytes, stamp: Stamp | None, runs: Sequence[Listed]) -> _Hit | None:
    """In the run of that identity; of several, which differ in time only, the one whose file it is."""
    own = [run for run in runs if stamp is not None and run.manifest.identity == stamp.identity]
    if stamp is None or not own:
        return None
    return _by_bytes(data, own) or _by_pixels(data, own) or _changed(data, stamp, own[0])


def _by_bytes(data: bytes, runs: Sequence[Listed]) -> _Hit | None:
    digest = hashlib.sha256(data).hexdigest()
    hits = ((run, name) for run in runs for name, entry in run.manifest.files.items() if entry.sha256 == digest)
    return next(((run, name, Match.BYTES, "") for run, name in hits), None)


def _by_pixels(data: bytes, runs: Sequence[Listed]) -> _Hit | None:
    pixels = _pixels(data)
    if pixels is None:
        return None
    for run in runs:
        for name in run.manifest.files:
            if name.startswith("figures/") and Path(name).suffix in RASTER:
                other = _recorded(run, name, pixels.shape)
                if other is not None and np.array_equal(other, pixels):
                    return run, name, Match.PIXELS, ""
    return None


def _changed(data: bytes, stamp: Stamp, run: Listed) -> _Hit:
    """What the stamp's own figure is in the run, and how far the file is from it."""
    kind = kind_of(data)
    own = {f"{folder}/{stamp.figure}" for folder in ("figures", "films")}
    names = [name for name in run.manifest.files if name.rpartition(".")[0] in own]
    same = sorted(names, key=lambda name: (Path(name).suffix != f".{kind}", Path(name).suffix not in RASTER, name))
    if not same:
        return run, None, Match.CHANGED, "the run has no figure of that name"
    pixels = _pixels(data)
    other = _recorded(run, same[0]) if pixels is not None and Path(same[0]).suffix in RASTER else None
    if pixels is None or other is None:
        return run, same[0], Match.CHANGED, "its bytes are other than those that were written"
    if pixels.shape != other.shape:
        said, was = (f"{shape[1]} x {shape[0]} px" for shape in (pixels.shape, other.shape))
        return run, same[0], Match.CHANGED, f"it is {said}, {was} was written"
    away = np.abs(pixels.astype(np.int16) - other).max(axis=-1)
    return run, same[0], Match.CHANGED, f"{np.count_nonzero(away):,} of {away.size:,} pixels differ, by {away.max()} of 255 at most"


def _recorded(run: Listed, name: str, shape: tuple[int, ...] | None = None) -> NDArray[Any] | None:
    """The pixels of a run's file, if it is still the one that was written (and of that ``shape``)."""
    path = run.folder / name
    try:
        if path.is_symlink() or file_hash(path)[0] != run.manifest.files[name].sha256:
            return None
        return _pixels(path.read_bytes(), shape)
    except OSError:
        return None


def _pixels(data: bytes, shape: tuple[int, ...] | None = None) -> NDArray[Any] | None:
    """(rows, cols, 4) uint8 of a still picture, None where it is none, or none of that ``shape``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as picture:
                other = shape is not None and (picture.height, picture.width) != shape[:2]
                if other or picture.width * picture.height > _MOST_PIXELS or getattr(picture, "is_animated", False):
                    return None
                return np.array(picture.convert("RGBA"))
    except UNREADABLE:
        return None
