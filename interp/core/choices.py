"""Methods and metrics by name, with options: ``occlusion``, ``integrated-gradients:n_steps=64,baseline=blur``.

A text is parsed once, at the edge, into a `Choice`; what it makes are frozen dataclasses.
"""

from __future__ import annotations

import sys
import types
import typing
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from interp.errors import InterpError, UnknownName, nearest

T = TypeVar("T")

# Python's whole numbers have no end, and those beyond this cannot be compared with a float.
_MOST = sys.float_info.max


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A kind (a frozen dataclass) and the options that were named for it."""

    kind: type[T]
    options: tuple[tuple[str, Any], ...] = ()

    def make(self, **defaults: Any) -> T:
        """The value: what was named, then ``defaults`` (``layer``, ``seed``, ``batch_size``) where the kind has such a field."""
        known = {field.name for field in _fields(self.kind)}
        return self.kind(**{**{k: v for k, v in defaults.items() if k in known}, **dict(self.options)})


def choice(text: str, kinds: Mapping[str, type[T]], what: str) -> Choice[T]:
    """``name`` or ``name:option=value,option=value`` as a `Choice` among ``kinds``; ``what`` names them in messages ("method").

    Values are numbers, members of an option's enumeration, ``none``, ``true``, ``false``, the name of another kind, or several
    of those with ``+`` between them. Raises UnknownName for a name or option that does not exist, InterpError for a value that
    does not fit or is given twice.
    """
    name, _, rest = text.strip().partition(":")
    if name not in kinds:
        raise UnknownName(f"no {what} '{name}': {nearest(name, kinds) or 'there are ' + ', '.join(kinds)}")
    kind = kinds[name]
    hints = typing.get_type_hints(kind)
    named = [field.name for field in _fields(kind)]
    options: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for piece in rest.split(","))):
        option, equals, value = (piece.strip() for piece in part.partition("="))
        if option not in named:
            hint = nearest(option, named) or ("its options are " + ", ".join(named) if named else "it has no options")
            raise UnknownName(f"the {what} '{name}' has no option '{option}': {hint}")
        if not equals or not value:
            raise InterpError(f"the option '{option}' of the {what} '{name}' has no value: write {name}:{option}=VALUE")
        if option in options:
            raise InterpError(f"the option '{option}' of the {what} '{name}' is given twice: write it once")
        options[option] = _value(value, hints[option], kinds, f"the {what} '{name}'", option)
    return Choice(kind, tuple(options.items()))


def titled(item: Any) -> str:
    """The title of a method or metric, with those options that differ from its defaults: "Occlusion (window 16)"."""
    said = []
    for field in _fields(type(item)):
        value = getattr(item, field.name)
        if field.name in ("layer", "seed", "batch_size") or value == field.default:
            continue
        said.append(f"{field.name.replace('_', ' ')} {_shown(value)}")
    return f"{item.title} ({', '.join(said)})" if said else str(item.title)


def refuse_same(titles: Iterable[str], what: str) -> None:
    """Raise InterpError where two share a title, under which one would hide the other in tables and files."""
    title, count = next(iter(Counter(titles).most_common(1)), ("", 0))
    if count > 1:
        raise InterpError(f"{count} {what}s are called '{title}': they differ in seed or batch size only, so give one of them")


def _fields(kind: type) -> tuple[Any, ...]:
    return tuple(field for field in fields(kind) if field.init)


def _shown(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return "+".join(map(_shown, value))
    if is_dataclass(value):
        return str(getattr(value, "title", type(value).__name__.lower()))
    return str(value)


def _value(text: str, hint: Any, kinds: Mapping[str, type[Any]], owner: str, option: str) -> Any:
    if typing.get_origin(hint) is tuple:
        return tuple(_value(part.strip(), typing.get_args(hint)[0], kinds, owner, option) for part in text.split("+"))
    allowed = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for kind in allowed:
        if isinstance(kind, type) and issubclass(kind, Enum):
            members = {str(member.value).lower(): member for member in kind}
            if text.lower() in members:
                return members[text.lower()]
            raise InterpError(f"{owner} has no {option} '{text}': {nearest(text, members) or 'there are ' + ', '.join(members)}")
    if type(None) in allowed and text.lower() == "none":
        return None
    if bool in allowed:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise InterpError(f"the {option} of {owner} is '{text}': give true or false")
    for number in (int, float):
        if number in allowed:
            try:
                value = number(text)
            except ValueError:
                continue
            if -_MOST <= value <= _MOST:  # neither infinity nor NaN is
                return value
    if int in allowed or float in allowed:
        wanted = ("a number" if float in allowed else "a whole number") + (" or none" if type(None) in allowed else "")
        raise InterpError(f"the {option} of {owner} is '{text}': give {wanted}")
    if str in allowed:
        return text
    parts = {kind.__name__.lower(): kind for kind in allowed if isinstance(kind, type) and is_dataclass(kind)}
    if parts:
        if text.lower() in parts:
            return parts[text.lower()]()
        raise InterpError(f"{owner} has no {option} '{text}': {nearest(text, parts) or 'there are ' + ', '.join(parts)}")
    if text in kinds:
        if any(field.default is MISSING for field in _fields(kinds[text])):
            raise InterpError(f"{owner} cannot have the {option} '{text}', which needs a layer: that is possible in Python only")
        return kinds[text]()
    raise UnknownName(f"{owner} cannot have the {option} '{text}': {nearest(text, kinds) or 'give the name of a method'}")
