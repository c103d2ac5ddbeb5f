"""A link to a file beside the page: the only kind there is."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from interp.errors import BadFile, InterpError
from interp.runs.plain import relative_path


@dataclass(frozen=True)
class Link:
    """A link to a file beside the page; `file` is a relative path, not a URL: it is quoted when rendered."""

    text: str
    file: str

    def __post_init__(self) -> None:
        beside(self.file, "link")

    @property
    def href(self) -> str:
        return quote(self.file)


def beside(file: str, what: str) -> None:
    """Raises BadFile for a path that is absolute or leads out of the page's folder."""
    try:
        relative_path(file, what)
    except InterpError as error:
        raise BadFile(f"a page leads only to files beside it: {error}") from None
