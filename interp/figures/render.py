"""Figures as files: PNG and WebP from one drawing of pixels, PDF and SVG as vectors. Bytes repeat."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from interp.errors import InterpError, Unsupported, nearest
from interp.figures import stamp as stamping
from interp.figures.draw import draw, own_style
from interp.figures.raster import DPI
from interp.figures.spec import Grid, Panel
from interp.runs.stamp import Stamp

FORMATS = ("png", "pdf", "svg", "webp")
MOST_WEBP = 16383  # pixels either way that its header can say
MOST_PIXELS = 1 << 28  # a gigabyte while it is drawn


@dataclass(frozen=True)
class Rendered:
    """One figure's ``files``, the bytes of each format; `width` and `height` in pixels, as its PNG has or would have them."""

    files: Mapping[str, bytes]
    width: int
    height: int


def render(
    grid: Grid, formats: Iterable[str] = ("png", "pdf"), dpi: int = 150, stamp: Stamp | None = None, webp_quality: int | None = None
) -> Rendered:
    """All ``formats`` (of `FORMATS`) of one drawing. ``stamp`` goes into the metadata of each; `dpi` is that of PNG and WebP.

    WebP loses nothing; with ``webp_quality``, 1 to 100, it may where that makes a smaller file: on photographs, seldom on lines.

    InterpError for a format that is not known; Unsupported where the picture would be too large for its format.
    """
    wanted = _known(formats)
    figure = draw(grid)
    width, height = _size(figure, dpi)
    pixels = _pixels(figure, dpi) if {"png", "webp"} & set(wanted) else None
    files: dict[str, bytes] = {}
    for name in wanted:
        if pixels is None or name in ("pdf", "svg"):
            files[name] = _vectors(figure, name, stamp)
        else:
            files[name] = _png(pixels, dpi, stamp) if name == "png" else _webp(pixels, stamp, webp_quality)
    return Rendered(files, width, height)


def png(grid: Grid, dpi: int = 150) -> bytes:
    """PNG bytes, without alpha."""
    return render(grid, ("png",), dpi).files["png"]


def pdf(grid: Grid) -> bytes:
    """PDF bytes: text and lines as vectors, pictures as they are."""
    return render(grid, ("pdf",)).files["pdf"]


def save(
    grid: Grid, folder: Path | str, stem: str, formats: Iterable[str] = ("png", "pdf"), dpi: int = 150, stamp: Stamp | None = None
) -> tuple[Path, ...]:
    """Write `folder/stem.png`, `.pdf`, `.svg` or `.webp`; all are drawn before the first is written."""
    drawn = render(grid, formats, dpi, stamp).files
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = {name: Path(folder) / f"{stem}.{name}" for name in drawn}
    for name, path in paths.items():
        path.write_bytes(drawn[name])
    return tuple(paths.values())


def picture(shown: Panel | Grid, dpi: int = 150) -> bytes:
    """PNG bytes of a panel or a grid: what a notebook's `_repr_png_` returns."""
    return png(shown if isinstance(shown, Grid) else Grid(rows=((shown,),), panel_size=2.5), dpi)


def _known(formats: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(formats))
    for name in wanted:
        if name not in FORMATS:
            hint = nearest(name.lower(), FORMATS)
            raise InterpError(f"figures are written as {', '.join(FORMATS)}, not {name!r}" + (f"; {hint}" if hint else ""))
    return wanted


def _size(figure: Figure, dpi: int) -> tuple[int, int]:
    return int(figure.get_figwidth() * dpi), int(figure.get_figheight() * dpi)


def _pixels(figure: Figure, dpi: int) -> Image.Image:
    width, height = _size(figure, dpi)
    if width * height > MOST_PIXELS:
        raise Unsupported(f"a figure at {dpi} dpi is {width} x {height} px, more than can be drawn: choose a lower --dpi, or pdf or svg")
    canvas = FigureCanvasAgg(figure)
    with own_style():
        figure.set_dpi(dpi)
        drawn, size = canvas.print_to_buffer()  # type: ignore[no-untyped-call]
    return Image.frombuffer("RGBA", size, drawn).convert("RGB")


def _png(pixels: Image.Image, dpi: int, stamp: Stamp | None) -> bytes:
    """Lightly compressed: Pillow's `optimize` takes eight times as long for 7% of the bytes."""
    stream = io.BytesIO()
    pixels.save(stream, "png", compress_level=6, dpi=(dpi, dpi), pnginfo=stamping.of_png(stamp))
    return stream.getvalue()


def _webp(pixels: Image.Image, stamp: Stamp | None, quality: int | None) -> bytes:
    """Without loss in two thirds of PNG's bytes: a quarter of the time gives 3% more, ten times the time 3% less."""
    if max(pixels.size) > MOST_WEBP:
        width, height = pixels.size
        raise Unsupported(f"a figure is {width} x {height} px, WebP holds {MOST_WEBP} either way: choose a lower --dpi, or png")
    ways = [{"lossless": True, "quality": 75}, *([] if quality is None else [{"quality": quality}])]
    return stamping.into_webp(min((_encoded(pixels, method=4, **way) for way in ways), key=len), stamp)


def _encoded(pixels: Image.Image, **how: bool | int) -> bytes:
    stream = io.BytesIO()
    pixels.save(stream, "webp", **how)
    return stream.getvalue()


def _vectors(figure: Figure, name: str, stamp: Stamp | None) -> bytes:
    stream = io.BytesIO()
    metadata = stamping.of_pdf(stamp) if name == "pdf" else stamping.of_svg(stamp)
    with own_style():
        figure.savefig(stream, format=name, dpi=DPI, metadata=metadata)
    return stream.getvalue()
