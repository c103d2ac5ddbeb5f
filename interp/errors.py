"""The errors of interp: each is one line that says what was asked, of what, why not, and the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InterpError(Exception):
    """Something that was asked cannot be done. The message is one line, fit to be shown to a user as it is."""


class UnknownName(InterpError):
    """A model, layer, unit, class or option of that name does not exist."""


class BadFile(InterpError):
    """A file or folder cannot be read or written as what it was given as."""


class Unsupported(InterpError):
    """The thing exists, but what was asked of it is not defined for it."""


def nearest(name: str, choices: Iterable[str], count: int = 3) -> str:
    """A sentence part that names the choices closest to ``name``: ``"did you mean 'conv1'?"``, or ``""``."""
    options = list(dict.fromkeys(choices))
    lowered: dict[str, str] = {}
    for option in options:
        lowered.setdefault(option.lower(), option)
    close = difflib.get_close_matches(name.lower(), list(lowered), n=count, cutoff=0.5)
    if not close:
        # A part of a long dotted name is the commonest mistake, and too far off for edit distance.
        close = [low for low in lowered if name and (name.lower() in low or low in name.lower())][:count]
    if not close:
        return ""
    return "did you mean " + " or ".join(f"'{lowered[c]}'" for c in close) + "?"


def a(thing: object) -> str:
    """The kind of ``thing`` with its article: ``a Tensor``, ``an OrderedDict``; ``None`` for nothing."""
    if thing is None:
        return "None"
    name = type(thing).__name__
    return f"{'an' if name[0] in 'AEIOUaeio' else 'a'} {name}"
