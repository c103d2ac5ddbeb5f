"""Films: moments of many pictures as one moving sheet, in the order of a contact sheet.

Animated WebP, which every browser shows as a picture; MP4 where there is an ``ffmpeg`` to make it. The same
frames give the same WebP bytes.
"""

from __future__ import annotations

import io
import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from interp.errors import InterpError, Unsupported

Frames = NDArray[Any]  # uint8, checked

_GAP, _TEXT = 4, 14
_WHITE, _INK = 255, (40, 40, 40)


@dataclass(frozen=True)
class FilmOptions:
    """``seconds`` a film lasts, then ``rest`` on its last frame before it begins anew; ``side``: pixels of a sheet at most, either way."""

    seconds: float = 4.0
    rest: float = 1.5
    side: int = 1280

    def __post_init__(self) -> None:
        if not (0 < self.seconds < math.inf and 0 <= self.rest < math.inf):
            raise InterpError(f"a film of {self.seconds} seconds and {self.rest} of rest is not possible: give positive times")
        if self.side < 32:
            raise InterpError(f"the `side` of a film is {self.side} px: give 32 or more")


def sheet(films: Sequence[Frames], labels: Sequence[str] = (), options: FilmOptions = FilmOptions()) -> Frames:
    """One film (frames, h, w, 3) uint8 of several, eight in a row at most, ``labels`` under them.

    ``films``: (frames, h, w, 3) uint8 each, of one size. One with fewer frames than the longest stays at its last.
    Both sides of the sheet are even, which MP4 needs. Raises InterpError where there is none, or one has another shape.
    """
    _check(films, labels)
    count, (height, width) = max(len(f) for f in films), films[0].shape[1:3]
    # As a contact sheet: as few rows as possible, filled evenly.
    rows = math.ceil(len(films) / max(8, math.ceil(math.sqrt(len(films)))))
    columns = math.ceil(len(films) / rows)
    text = _TEXT if labels else 0
    room = ((options.side - _GAP) / rows - _GAP - text, (options.side - _GAP) / columns - _GAP)
    zoom = min(1.0, room[0] / height, room[1] / width)
    height, width = max(1, int(height * zoom)), max(1, int(width * zoom))
    pitch = (height + text + _GAP, width + _GAP)
    size = (_even(rows * pitch[0] + _GAP), _even(columns * pitch[1] + _GAP))
    corners = [(i // columns * pitch[0] + _GAP, i % columns * pitch[1] + _GAP) for i in range(len(films))]
    ground = _ground(size, [(top + height, left) for top, left in corners], labels, width)
    whole = np.repeat(ground[None], count, axis=0)
    for (top, left), film in zip(corners, films, strict=True):
        for k in range(count):
            whole[k, top : top + height, left : left + width] = _resized(film[min(k, len(film) - 1)], (height, width))
    return whole


def webp(frames: Frames, options: FilmOptions = FilmOptions()) -> bytes:
    """Animated WebP bytes of (frames, h, w, 3) uint8, without end; a single frame is a still picture."""
    _check([frames], ())
    pictures = [Image.fromarray(frame) for frame in frames]
    stream = io.BytesIO()
    # Frames without loss are three times the size, and films are looked at, not measured.
    pictures[0].save(
        stream,
        "webp",
        save_all=True,
        append_images=pictures[1:],
        duration=_milliseconds(len(frames), options),
        loop=0,
        quality=85,
        method=4,
        minimize_size=False,
    )
    return stream.getvalue()


def mp4(frames: Frames, options: FilmOptions = FilmOptions()) -> bytes:
    """MP4 (H.264) bytes of (frames, h, w, 3) uint8 with even sides; raises Unsupported where no ``ffmpeg`` is on the PATH or it fails."""
    _check([frames], ())
    program = encoder()
    rate = len(frames) / options.seconds
    rest = [frames[-1]] * round(options.rest * rate)
    height, width = frames.shape[1:3]
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{rate:.6f}", "-i", "-"]
    target = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-threads", "1"]
    target += ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"]
    # An MP4 can be written to a pipe only in fragments.
    packed = ["-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "-"]
    raw = b"".join(np.ascontiguousarray(frame).tobytes() for frame in [*frames, *rest])
    try:
        made = subprocess.run([program, "-v", "error", *source, *target, *packed], input=raw, capture_output=True, check=False)
    except OSError as error:
        raise Unsupported(f"'ffmpeg' cannot be run: {error.strerror}; films as animated WebP need no ffmpeg") from None
    if made.returncode != 0:
        said = made.stderr.decode(errors="replace").strip().splitlines()
        reason = said[0] if said else f"it ended with {made.returncode}"
        raise Unsupported(f"ffmpeg makes no MP4 here: {reason}; films as animated WebP need no ffmpeg")
    return made.stdout


def encoder() -> str:
    """Where ``ffmpeg`` is; raises Unsupported where none is on the PATH."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise Unsupported("a film as MP4 needs the program 'ffmpeg', which is not on the PATH: install it, or ask for webp")
    return program


def _milliseconds(count: int, options: FilmOptions) -> list[int]:
    each = max(20, round(1000 * options.seconds / count))
    return [each] * (count - 1) + [each + round(1000 * options.rest)]


def _ground(size: tuple[int, int], places: Sequence[tuple[int, int]], labels: Sequence[str], width: int) -> Frames:
    """The white sheet with its labels, (row, col) of each text's top left corner."""
    page = Image.new("RGB", (size[1], size[0]), (_WHITE, _WHITE, _WHITE))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(10)
    for (row, col), label in zip(places, labels, strict=False):
        pen.text((col, row), _fitted(label, width, font), fill=_INK, font=font)
    return np.array(page)


def _fitted(label: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much of ``label`` as is no wider: its end, where the channel stands."""
    # The font that Pillow brings has few letters beyond ASCII.
    label = label.encode("ascii", "replace").decode()
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(".." + label) > width:
        label = label[1:]
    return ".." + label if label else ""


def _resized(frame: Frames, size: tuple[int, int]) -> Frames:
    if frame.shape[:2] == size:
        return frame
    return np.array(Image.fromarray(frame).resize((size[1], size[0]), Image.Resampling.LANCZOS))


def _even(length: int) -> int:
    return length + length % 2


def _check(films: Sequence[Frames], labels: Sequence[str]) -> None:
    if not films:
        raise InterpError("`films` is empty: give the frames of at least one picture")
    for film in films:
        if not isinstance(film, np.ndarray) or film.dtype != np.uint8 or film.ndim != 4 or film.shape[-1] != 3 or 0 in film.shape:
            given = f"{film.dtype} of shape {film.shape}" if isinstance(film, np.ndarray) else f"a {type(film).__name__}"
            raise InterpError(f"a film is {given}, but frames are uint8 (frames, h, w, 3)")
        if film.shape[1:] != films[0].shape[1:]:
            raise InterpError(f"films of {films[0].shape[1:3]} and {film.shape[1:3]} px (rows, cols) do not fit one sheet: give one size")
    if labels and len(labels) != len(films):
        raise InterpError(f"`labels` has {len(labels)} texts for {len(films)} films; give one each, or none")
