"""From a template and its style to one HTML document that loads nothing but pictures and runs nothing.

The style is inside, there is no script, and a Content-Security-Policy forbids both scripts and remote loads. Every value is
escaped: what comes from a run is text.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def fill(template: str, styles: tuple[str, ...], **values: object) -> str:
    """The HTML of ``templates/<template>`` with ``values``, ``style`` (``static/<name>`` of each, in order) and ``policy``."""
    style = _style(styles)
    return _environment().get_template(template).render(**values, style=Markup(style), policy=_policy(style))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("interp.site"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _shown(value: object) -> object:
    """What UTF-8 or HTML cannot hold, and marks that turn the direction of writing, as the sign for a character that is none."""
    if isinstance(value, Markup) or not isinstance(value, str) or value.isprintable():
        return value
    return "".join("\N{REPLACEMENT CHARACTER}" if _misleading(letter) else letter for letter in value)


def _misleading(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs") and letter not in "\n\r\t\u00ad\u200c\u200d"


@cache
def _style(names: tuple[str, ...]) -> str:
    folder = files("interp.site").joinpath("static")
    return "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


def _policy(style: str) -> str:
    # `file:` is for a page opened from disk, where browsers differ on what 'self' means.
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; img-src 'self' file:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
