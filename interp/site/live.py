"""The page of `interp live`: a skeleton, a style and two scripts, which ask their own server for all that they show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from interp.site.templating import fill

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
"""The Content-Security-Policy of every answer: nothing is loaded or sent but from and to the server itself."""
_STYLES = ("page.css", "steps.css", "live.css")
_SCRIPTS = ("live-charts.js", "live.js")


@dataclass(frozen=True)
class Document:
    """One file of the page: its text and type."""

    text: str
    kind: str


@cache
def documents() -> dict[str, Document]:
    """By their addresses; all are the same for every training."""
    folder = files("interp.site").joinpath("static")
    text = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in (*_STYLES, *_SCRIPTS)}
    scripts = {f"/{name}": Document(text[name], "text/javascript; charset=utf-8") for name in _SCRIPTS}
    style = Document("".join(text[name] for name in _STYLES), "text/css; charset=utf-8")
    page = Document(fill("live.html", (), scripts=tuple(scripts)), "text/html; charset=utf-8")
    return {"/": page, "/live.css": style, **scripts}
