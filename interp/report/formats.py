"""What files a figure may be written as: checked before any work is done."""

from __future__ import annotations

from collections.abc import Sequence

from interp.errors import InterpError

# What browsers show, the smallest first: the page shows the first that is there.
SHOWN = ("webp", "png", "svg")
DPI = (30, 1200)
QUALITY = (1, 100)


def check(formats: Sequence[str], dpi: int, webp_quality: int | None = None) -> None:
    """InterpError where no page could show a figure in any of ``formats``, one is there twice, or a number is out of range.

    ``webp_quality`` is None where WebP is to lose nothing.
    """
    twice = next((name for name in formats if formats.count(name) > 1), None)
    if twice is not None:
        raise InterpError(f"--formats names {twice} twice: name each once")
    if not set(formats) & set(SHOWN):
        given = ", ".join(formats) or "nothing"
        raise InterpError(f"--formats is {given}, which a page cannot show: add webp, png or svg")
    if not DPI[0] <= dpi <= DPI[1]:
        raise InterpError(f"--dpi is {dpi}, but runs from {DPI[0]} to {DPI[1]}")
    if webp_quality is None:
        return
    if not QUALITY[0] <= webp_quality <= QUALITY[1]:
        raise InterpError(f"--webp-quality is {webp_quality}, but runs from {QUALITY[0]} to {QUALITY[1]}")
    if "webp" not in formats:
        raise InterpError(f"--webp-quality is given, but figures are written as {', '.join(formats)}: add webp to --formats")


def shown(formats: Sequence[str]) -> str:
    """The one of ``formats`` that the page shows."""
    return next(name for name in SHOWN if name in formats)
