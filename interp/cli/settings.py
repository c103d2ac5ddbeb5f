"""``key=value`` words put into the recorded options of a run: which option is meant, and what value."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interp.errors import BadFile, InterpError, UnknownName, nearest
from interp.runs.configfile import from_yaml
from interp.runs.decode import WrongType, decode


@dataclass(frozen=True)
class Setting:
    """One word ``key=value``: the dotted place of the option in the recorded ones, and the text of its new value."""

    place: str
    text: str

    @property
    def said(self) -> str:
        return f"--set {self.place}={self.text}"


def settings(words: Sequence[str], options: Mapping[str, object], program: str) -> tuple[Setting, ...]:
    """What the ``words`` set among the recorded ``options`` of ``program``; InterpError for what is not there, or set twice.

    The name of a nested option is enough where no other has it: ``seed=1`` for ``loading.seed=1``.
    """
    known = dict(leaves(options))
    found: dict[str, Setting] = {}
    for word in words:
        key, equals, text = word.partition("=")
        key = key.strip()
        if not equals or not key:
            raise InterpError(f"'{word}' sets nothing: write --set NAME=VALUE, such as --set {next(iter(known), 'seed')}=...")
        place = _place(key, known, program)
        if place in found:
            raise InterpError(f"'{place}' is set twice, to '{found[place].text}' and to '{text}'")
        found[place] = Setting(place, text.strip())
    return tuple(found.values())


def leaves(options: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """The dotted name and value of each option that is no mapping of others."""
    for key, value in options.items():
        if isinstance(value, Mapping) and "class" in value:
            yield from leaves({name: item for name, item in value.items() if name != "class"}, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _place(key: str, known: Mapping[str, object], program: str) -> str:
    for name in (key, key.replace("-", "_")):
        same = [place for place in known if place == name] or [place for place in known if place.rpartition(".")[2] == name]
        if len(same) == 1:
            return same[0]
        if same:
            raise InterpError(f"'{key}' is the name of {' and '.join(same)}: write which")
    last = {place.rpartition(".")[2]: place for place in known}
    hint = nearest(key, [*last, *known]) or f"there are {', '.join(known)}"
    raise UnknownName(f"`{program}` has no option '{key}': {hint}")


def changed(options: Mapping[str, object], asked: Sequence[Setting], kind: type[Any] | None) -> dict[str, object]:
    """The ``options`` with what was ``asked``, checked against the dataclass ``kind`` where it is known.

    A value is read as YAML, a list also as words between commas; where text is wanted, as it stands.
    """
    made = copy.deepcopy(dict(options))
    for setting in asked:
        *above, last = setting.place.split(".")
        inner: Any = made
        for name in above:
            inner = inner[name]
        if kind is None:
            inner[last] = _as_recorded(setting, inner[last])
        else:
            _declare(setting, made, inner, last, kind)
    if kind is not None:
        decode(kind, made)
    return made


def _declare(setting: Setting, made: dict[str, object], inner: dict[str, object], last: str, kind: type[Any]) -> None:
    """Put into ``inner`` the first reading that is of the declared type; what else may be wrong with it is said at the end."""
    problem: InterpError | None = None
    for inner[last] in _readings(setting):
        try:
            decode(kind, made)
        except WrongType as error:
            problem = problem or error
            continue
        except InterpError:
            return
        return
    raise InterpError(f"{setting.said}: {problem}")


def _readings(setting: Setting) -> Iterator[object]:
    try:
        yield _nothing(from_yaml(setting.text, setting.said))
    except BadFile:
        if "," not in setting.text and setting.text.startswith(("[", "{")):
            raise
    yield setting.text
    yield _listed(setting.text)
    yield _words(setting.text)


def _as_recorded(setting: Setting, recorded: object) -> object:
    """The reading that is like the ``recorded`` value: the declared type is known to the script alone."""
    try:
        value = _nothing(from_yaml(setting.text, setting.said))
    except BadFile:
        if isinstance(recorded, list) and setting.text.startswith("["):
            raise
        value = setting.text
    if isinstance(recorded, list) and not isinstance(value, list):
        texts = bool(recorded) and all(isinstance(item, str) for item in recorded)
        return _words(setting.text) if texts else _listed(setting.text)
    if isinstance(recorded, str) and value is not None:
        return setting.text if not setting.text.startswith(("'", '"')) else value
    return value


def _words(text: str) -> list[str]:
    """What stands between commas; none of an empty text."""
    return [part.strip() for part in text.split(",")] if text else []


def _listed(text: str) -> list[object]:
    """The same as plain values."""
    return [_plain(word) for word in _words(text)]


def _plain(text: str) -> object:
    try:
        value = from_yaml(text, f"'{text}'")
    except BadFile:
        return text
    return text if isinstance(value, list | dict) else value


def _nothing(value: object) -> object:
    return None if value == "None" else value
