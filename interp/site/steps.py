"""A page that shows something at many moments: a slider goes through pictures that were drawn before. Without scripts they are stacked."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from interp.errors import InterpError
from interp.site.link import beside
from interp.site.pages import Page, Picture
from interp.site.templating import fill


@dataclass(frozen=True)
class Track:
    """One view through all moments: what is seen in it, how it is to be read, and a picture ``file`` for each, all of one size."""

    title: str
    caption: str
    alt: str
    files: tuple[str, ...]
    width: int
    height: int

    def __post_init__(self) -> None:
        for file in self.files:
            beside(file, "picture")


@dataclass(frozen=True)
class Steps:
    """``moments`` are the names of the slider's places; every track has a picture at each. ``films`` show the same moving by itself."""

    title: str
    text: str
    moments: tuple[str, ...]
    tracks: tuple[Track, ...]
    films: tuple[Picture, ...] = ()

    def __post_init__(self) -> None:
        for track in self.tracks:
            if len(track.files) != len(self.moments):
                raise InterpError(f"'{track.title}' has {len(track.files)} pictures for {len(self.moments)} moments: give one for each")


def render(page: Page, steps: Steps) -> str:
    """``page`` as one HTML document with the slider as its first section; the only script is in it, and allowed by its hash."""
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return fill(
        "steps.html", ("page.css", "steps.css"), page=page, steps=steps, script=Markup(script), script_hash=digest, home="", generator=""
    )


@cache
def _script() -> str:
    return files("interp.site").joinpath("static").joinpath("steps.js").read_text(encoding="utf-8")
