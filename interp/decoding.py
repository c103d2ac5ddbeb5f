"""Picture files are opened here: by few decoders, in one line of refusal, never larger than can be held.

Pillow knows more than forty formats, and some of them start programs (EPS: Ghostscript). Only those that are named here are tried,
whatever a file is called and whatever is in it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from interp.errors import BadFile

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
"""As Pillow calls them; those that `benchmarks/fuzz.py` fuzzes."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".avif")
# Above this a file is refused before it is decoded: 200 million pixels are 600 MB.
MOST_PIXELS = 200_000_000


@contextmanager
def opened(source: Path | BytesIO, called: str) -> Iterator[Image.Image]:
    """Context with the picture in a file or its bytes; ``called``, such as ``the mask 'a.png'``, is what messages call it.

    Raises BadFile where it is missing, in none of ``FORMATS``, larger than ``MOST_PIXELS``, or where decoding it within the
    context fails in any way.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source, formats=_known()) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise BadFile(
                        f"{called} has {width} x {height} px, more than {MOST_PIXELS // 1_000_000} million: make it smaller first"
                    )
                yield image
    except BadFile:
        raise
    except UnidentifiedImageError:
        raise BadFile(f"{called} is in none of the formats that are read: give {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from None
    except Exception as error:  # whatever a decoder finds in a file that is none of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadFile(f"{called} cannot be decoded: {reason}") from None


@cache
def _known() -> tuple[str, ...]:
    """Those of ``FORMATS`` that this Pillow was built with: older ones have no AVIF."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
