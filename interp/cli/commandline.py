"""Options written as the command line that gives them."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, get_args, get_origin

import tyro

from interp.runs.origin import program_of


@dataclass(frozen=True)
class Option:
    """A field of a frozen dataclass as tyro puts it on the command line.

    ``name`` is what stands behind the dashes, ``path`` the dotted name of the field, ``kind`` its type without `Annotated`,
    ``default`` what it is if it is not given (`dataclasses.MISSING` where it must be).
    """

    name: str
    path: str
    kind: Any
    value: object
    default: object
    marks: tuple[object, ...]

    @property
    def positional(self) -> bool:
        return tyro.conf.Positional in self.marks

    @property
    def changed(self) -> bool:
        return self.value != self.default

    @property
    def flag(self) -> bool:
        return self.kind is bool and tyro.conf.FlagConversionOff not in self.marks

    @property
    def values(self) -> list[str]:
        return list(_texts(self.value, tyro.conf.EnumChoicesFromValues in self.marks))

    @property
    def words(self) -> list[str]:
        """The words that give it; of a positional its values alone."""
        if self.positional:
            return self.values
        if self.flag:
            return [f"--{self.name}" if self.value else f"--{negated(self.name)}"]
        values = self.values
        if values and values[0].startswith("-"):
            return [f"--{self.name}={values[0]}", *values[1:]]
        return [f"--{self.name}", *values]


def command_line(config: object) -> list[str]:
    """The words that a shell takes to make ``config``: the program, what has no name, then what differs from its defaults.

    What a run does not record (where it is written) is left out. One case cannot be typed: a word in a list of words behind
    the first that begins with a dash and a letter; `--config` can give that.
    """
    program = program_of(config)
    start = ["interp" if program.kind == "command" else "python", program.name]
    given = [option for option in options(config) if option.path]
    unnamed = [option for option in given if option.positional]
    last = max((index for index, option in enumerate(unnamed) if option.changed), default=-1)
    first = [word for option in unnamed[: last + 1] for word in option.words]
    named = [word for option in given if option.changed and not option.positional for word in option.words]
    if any(word.startswith("-") for word in first):
        return [*start, *named, "--", *first]
    return [*start, *first, *named]


def options(config: object, base: object = None, prefix: str = "", place: str = "") -> Iterator[Option]:
    """The options of the frozen dataclass ``config`` that a run records, nested ones behind their prefix.

    ``base`` is the instance whose values are the defaults, ``prefix`` stands before the names and ``place`` before the paths.
    """
    assert is_dataclass(config)
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field in fields(config):
        kind, marks = _unwrapped(hints[field.name])
        hidden = tyro.conf.Suppress in marks or tyro.conf.Fixed in marks
        if not field.init or hidden or not field.metadata.get("manifest", True):
            continue
        default = getattr(base, field.name) if isinstance(base, type(config)) else field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        value = getattr(config, field.name)
        name, prefixed = _named(field.name, marks)
        name = ".".join(part for part in (prefix if prefixed else "", name) if part)
        if is_dataclass(value) and not isinstance(value, type):
            yield from options(value, default, name, f"{place}{field.name}.")
        else:
            yield Option(name, place + field.name, kind, value, default, marks)


def negated(name: str) -> str:
    """The name that turns the flag ``name`` off."""
    before, dot, last = name.rpartition(".")
    return f"{before}{dot}no-{last}"


def _unwrapped(hint: Any) -> tuple[Any, tuple[object, ...]]:
    marks: tuple[object, ...] = ()
    while get_origin(hint) is Annotated:
        hint, marks = get_args(hint)[0], (*marks, *hint.__metadata__)
    return hint, marks


def _named(name: str, marks: Sequence[object]) -> tuple[str, bool]:
    """What tyro calls the field ``name``, and whether it puts the prefix before that; see `tyro.conf.arg`."""
    prefixed = True
    for mark in marks:
        if type(mark).__name__ == "_ArgConfig":
            own = getattr(mark, "name", None)
            name = name if own is None else own
            prefixed = prefixed and getattr(mark, "prefix_name", None) is not False
    return name.replace("_", "-"), prefixed


def _texts(value: object, by_value: bool) -> Iterator[str]:
    """A value as words."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, by_value)
    elif isinstance(value, Enum):
        yield str(value.value) if by_value else value.name
    else:
        yield value.as_posix() if isinstance(value, PurePath) else str(value)
