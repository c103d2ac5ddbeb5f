"""JSON read strictly: nothing missing, nothing unknown, nothing twice, every type as written.

A manifest may come from someone else, so nothing in it is believed before it is checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TypeVar

from interp.errors import BadFile, InterpError
from interp.runs.plain import DEEPEST

T = TypeVar("T")

# Of bytes, of threads, of numbers in an array: more there is not, and arithmetic would go beyond what a float holds.
_MOST = 1 << 62


class _WrongError(Exception):
    """A problem inside the text, before the file's name is put to it."""


def read(text: str, name: str, build: Callable[[JsonObject], T]) -> T:
    """What `build` makes of the JSON object in `text`; every error is a BadFile that begins with `name`."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        _refuse_depth(value)
        return entry(value, "", build)
    except json.JSONDecodeError as error:
        raise BadFile(f"{name}: it is not JSON: {error}") from None
    except RecursionError:
        raise BadFile(f"{name}: it is nested too deeply") from None
    except (_WrongError, InterpError, ValueError) as error:
        raise BadFile(f"{name}: {_shown(str(error))}") from None


def _shown(message: str) -> str:
    """One line of moderate length that does nothing to a terminal, whatever of the text it repeats."""
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in message)
    return line if len(line) <= 400 else f"{line[:390]}..."


def _refuse_depth(value: object) -> None:
    # Far below what the interpreter can recurse into, so that what was read can be compared, copied and written too.
    layer, depth = [value], 0
    while layer:
        if depth > DEEPEST:
            raise RecursionError
        inner = [item for item in layer if isinstance(item, dict | list)]
        layer = [found for item in inner for found in (item.values() if isinstance(item, dict) else item)]
        depth += 1


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in pairs:
        if key in result:
            raise _WrongError(f"the key `{key}` appears twice")
        result[key] = value
    return result


def _no_constant(text: str) -> object:
    raise _WrongError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise _WrongError(f"{text} is beyond the largest number")
    return float(text)


class JsonObject:
    """A JSON object read key by key; what is left over at the end is unknown."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise _WrongError(f"`{where or 'the manifest'}` is {_kind(value)}, not an object")
        self.rest = dict(value)
        self.where = where

    def path(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def take(self, key: str) -> object:
        if key not in self.rest:
            raise _WrongError(f"`{self.path(key)}` is missing")
        return self.rest.pop(key)

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str):
            raise _WrongError(f"`{self.path(key)}` is {_kind(value)}, not a string")
        return value

    def whole(self, key: str, least: int | None = 0) -> int:
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _WrongError(f"`{self.path(key)}` is {_kind(value)}, not a whole number")
        if least is not None and value < least:
            raise _WrongError(f"`{self.path(key)}` is {value}, less than {least}")
        if least is not None and value > _MOST:
            raise _WrongError(f"`{self.path(key)}` is more than anything has: {_MOST} at most")
        return value

    def number(self, key: str) -> float:
        value = self.take(key)
        if not isinstance(value, float):
            raise _WrongError(f"`{self.path(key)}` is {_kind(value)}, not a number with a decimal point")
        if value < 0:
            raise _WrongError(f"`{self.path(key)}` is {value}, less than 0")
        return value

    def truth(self, key: str) -> bool:
        value = self.take(key)
        if not isinstance(value, bool):
            raise _WrongError(f"`{self.path(key)}` is {_kind(value)}, not true or false")
        return value

    def items(self, key: str) -> list[object]:
        value = self.take(key)
        if not isinstance(value, list):
            raise _WrongError(f"`{self.path(key)}` is {_kind(value)}, not a list")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.items(key)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise _WrongError(f"`{self.path(key)}[{index}]` is {_kind(value)}, not a string")
        return tuple(str(value) for value in values)

    def sizes(self, key: str) -> tuple[int, ...]:
        values = self.items(key)
        if any(not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST for value in values):
            raise _WrongError(f"`{self.path(key)}` is {values}, not a list of sizes")
        return tuple(value for value in values if isinstance(value, int))

    def entries(self, key: str, read: Callable[[JsonObject], T]) -> tuple[T, ...]:
        return tuple(entry(item, f"{self.path(key)}[{i}]", read) for i, item in enumerate(self.items(key)))

    def mapping(self, key: str) -> dict[str, object]:
        return JsonObject(self.take(key), self.path(key)).rest

    def named_texts(self, key: str) -> dict[str, str]:
        inner = JsonObject(self.take(key), self.path(key))
        return {name: inner.text(name) for name in list(inner.rest)}

    def table(self, key: str, read: Callable[[JsonObject], T]) -> dict[str, T]:
        inner = JsonObject(self.take(key), self.path(key))
        return {name: entry(inner.rest[name], inner.path(name), read) for name in inner.rest}

    def one(self, key: str, read: Callable[[JsonObject], T]) -> T:
        return entry(self.take(key), self.path(key), read)

    def optional_text(self, key: str) -> str | None:
        if self.rest.get(key, "") is None:
            self.take(key)
            return None
        return self.text(key)

    def optional(self, key: str, read: Callable[[JsonObject], T]) -> T | None:
        value = self.take(key)
        return None if value is None else entry(value, self.path(key), read)

    def end(self) -> None:
        if self.rest:
            raise _WrongError(f"`{self.path(min(self.rest))}` is not a known key")


def entry(value: object, where: str, build: Callable[[JsonObject], T]) -> T:
    """What `build` makes of the object `value`, with nothing left over in it; `where` is its place in the text."""
    inner = JsonObject(value, where)
    result = build(inner)
    inner.end()
    return result


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
