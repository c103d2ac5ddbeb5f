"""Options read back: the plain values that a manifest or a file holds, made into the frozen dataclass they came from.

The inverse of `interp.runs.plain.config_entry`. What a file says is checked against the types of the fields, and nothing is
guessed: an unknown name and a value of another type are errors that name the place, what was found and what is wanted.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from interp.errors import InterpError, UnknownName, nearest

T = TypeVar("T")

_PLAIN = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "nothing",
    dict: "a mapping",
    list: "a list",
}
_LISTS = (list, Sequence)
_MAPPINGS = (dict, Mapping)


class WrongType(InterpError):
    """A value of another type than its field's; ``where`` it stands."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message)
        self.where = where


def decode(kind: type[T], value: Mapping[str, object], where: str = "config") -> T:
    """The dataclass ``kind`` with the fields that ``value`` says, by the types they are declared with.

    A missing field takes its default. Enums go by name (or value), nested dataclasses are mappings whose key ``class`` must be
    their name where it is there, paths are texts, and a whole number will do for a float. Raises InterpError in one line for an
    unknown or missing field and for a value of another type (`WrongType`), with the dotted place below ``where``.
    """
    made = _dataclass(kind, value, where, None)
    assert isinstance(made, kind)
    return made


def field_names(kind: type, prefix: str = "") -> list[str]:
    """All names that a mapping for the dataclass ``kind`` can have, dotted for what is nested: ``seed``, ``saving``, ``saving.dpi``."""
    names = []
    for name, hint in _hints(kind).items():
        names.append(prefix + name)
        inner = _bare(hint)
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            names += field_names(inner, f"{prefix}{name}.")
    return names


def _hints(kind: type) -> dict[str, Any]:
    """The declared types of the fields that can be given."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _dataclass(kind: type, value: object, where: str, base: object) -> object:
    """``base`` is the instance whose values are the defaults, where the field that holds it has one."""
    if not isinstance(value, Mapping):
        raise _wrong(kind, value, where)
    given = {key: item for key, item in value.items() if key != "class"}
    if value.get("class", kind.__name__) != kind.__name__:
        raise WrongType(f"`{where}.class` is {_found(value['class'])}; the options here are those of {kind.__name__}", where)
    hints = _hints(kind)
    for key in given:
        if key not in hints:
            raise _unknown(kind, key, where)
    made = {}
    for field in dataclasses.fields(kind):
        if not field.init:
            continue
        default = getattr(base, field.name) if isinstance(base, kind) else _default(field)
        if field.name in given:
            made[field.name] = _value(hints[field.name], given[field.name], f"{where}.{field.name}", default)
        elif default is dataclasses.MISSING:
            raise InterpError(f"`{where}.{field.name}` is missing, and has no default: it takes {_wanted(hints[field.name])}")
        else:
            made[field.name] = default
    try:
        return kind(**made)
    except ValueError as error:
        raise InterpError(f"`{where}`: {error}") from error


def _default(field: dataclasses.Field[Any]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _unknown(kind: type, key: object, where: str) -> InterpError:
    if not isinstance(key, str):
        return InterpError(f"`{where}` has the key {_found(key)}; the names of options are texts")
    known = field_names(kind)
    same = [name for name in known if name.rpartition(".")[2] == key]
    hint = f"did you mean {' or '.join(repr(name) for name in same)}?" if same else nearest(key, known)
    return UnknownName(f"`{where}.{key}` is no option of {kind.__name__}: {hint or 'there are ' + ', '.join(_hints(kind))}")


def _value(kind: Any, value: object, where: str, base: object = None) -> object:
    """``value`` as the declared type ``kind``."""
    kind = _bare(kind)
    origin, inside = get_origin(kind), get_args(kind)
    if kind in (Any, object):
        return value
    if origin in (Union, UnionType):
        return _union(kind, value, where, base)
    if origin is Literal:
        return _literal(kind, value, where)
    if origin is tuple or kind is tuple:
        return _tuple(kind, value, where)
    if (origin or kind) in _LISTS and isinstance(value, list | tuple):
        return [_value(inside[0] if inside else Any, item, f"{where}[{i}]") for i, item in enumerate(value)]
    if (origin or kind) in _MAPPINGS and isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _value(inside[1] if inside else Any, item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, where, base)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind, value, where)
    if isinstance(kind, type) and issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    if kind is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    if kind in (str, int, bool, NoneType) and type(value) is kind:
        return value
    raise _wrong(kind, value, where)


def _bare(kind: Any) -> Any:
    """The type without what `Annotated` says of it."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind


def _union(kind: Any, value: object, where: str, base: object) -> object:
    # That of the value's own type first: of `float | int`, 3 is the int.
    members = sorted(get_args(kind), key=lambda member: _bare(member) is not type(value))
    deeper = []
    for member in members:
        try:
            return _value(member, value, where, base)
        except WrongType as error:
            deeper += [error] if error.where != where else []
        except InterpError:
            # What stands inside is wrong, not its kind: said unless another member takes the value, or there is but one mapping.
            if sum(dataclasses.is_dataclass(_bare(other)) for other in members) == 1:
                raise
    raise deeper[0] if deeper else _wrong(kind, value, where)


def _literal(kind: Any, value: object, where: str) -> object:
    choices = get_args(kind)
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    raise _wrong(kind, value, where, [str(choice) for choice in choices])


def _enum(kind: type[Enum], value: object, where: str) -> Enum:
    if isinstance(value, str) and value in kind.__members__:
        return kind[value]
    for member in kind:
        if type(value) in (str, int) and member.value == value:
            return member
    raise _wrong(kind, value, where, list(kind.__members__))


def _tuple(kind: Any, value: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(kind, value, where)
    inside = get_args(kind) or ((Any, ...) if kind is tuple else ())
    if len(inside) == 2 and inside[1] is Ellipsis:
        inside = (inside[0],) * len(value)
    if len(value) != len(inside):
        raise WrongType(f"`{where}` is a list of {len(value)}; it takes {_wanted(kind)}", where)
    return tuple(_value(member, item, f"{where}[{i}]") for i, (member, item) in enumerate(zip(inside, value, strict=True)))


def _wrong(kind: Any, value: object, where: str, choices: Sequence[str] = ()) -> WrongType:
    hint = nearest(value, choices) if isinstance(value, str) else ""
    if type(value) in (bool, int, float) and any(_bare(member) is str for member in (kind, *get_args(kind))):
        hint = f"write '{str(value).lower() if isinstance(value, bool) else value}' in quotes"
    return WrongType(f"`{where}` is {_found(value)}; it takes {_wanted(kind)}{': ' + hint if hint else ''}", where)


def _found(value: object) -> str:
    """What stands there, in short."""
    if isinstance(value, str):
        return f"'{value if len(value) <= 60 else value[:57] + '...'}'"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, dict | list):
        return _PLAIN[type(value)]
    return f"{value}" if isinstance(value, int | float) else f"a {type(value).__name__}"


def _wanted(kind: Any) -> str:
    """What a field takes, in words."""
    kind = _bare(kind)
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_wanted, sorted(inside, key=lambda member: member is NoneType))))
    if origin is Literal:
        return "one of " + ", ".join(f"'{choice}'" for choice in inside)
    if (origin or kind) in (tuple, *_LISTS):
        if not inside:
            return "a list"
        if origin is not tuple or inside[-1] is Ellipsis:
            return f"a list, each {_wanted(inside[0])}"
        return f"a list of {len(inside)}: {', '.join(map(_wanted, inside))}"
    if (origin or kind) in _MAPPINGS:
        return "a mapping"
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return f"a mapping of the options {', '.join(_hints(kind))}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(f"'{name}'" for name in kind.__members__)
    if isinstance(kind, type) and issubclass(kind, PurePath):
        return "a path"
    return _PLAIN.get(kind, f"a {getattr(kind, '__name__', kind)}")
