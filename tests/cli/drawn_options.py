"""Options of every command and script, drawn at random over their fields."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import types
import typing
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from hypothesis import strategies as st

from interp.cli import makes_run
from interp.cli.commands import COMMANDS
from interp.cli.options import ModelOptions, SaveOptions
from interp.runs.plain import portable
from interp.synthetic.digit_training import DigitOptions

SCRIPTS = sorted((Path(__file__).parents[2] / "experiments").glob("*.py"))
NAMES = [*(name for name, kind in COMMANDS.items() if makes_run(kind)), *(path.stem for path in SCRIPTS)]


def options_of(name: str) -> type[Any]:
    """The class of the options of a command or script; a script is loaded once."""
    if name in COMMANDS:
        return COMMANDS[name]
    module = f"drawn_{name}"
    if module not in sys.modules:
        spec = importlib.util.spec_from_file_location(module, next(path for path in SCRIPTS if path.stem == name))
        sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module])
    return sys.modules[module].Config


# Words as they are typed, and some that a command line could take for something else.
WORDS = [
    "cat",
    "a b",
    "stage1:0-5",
    "layer:*",
    "occlusion:window=16",
    "it's",
    "é",
    "",
    "1e-3",
    "-1",
    "--seed",
    "-x=1",
    "-",
    "None",
    "$HOME",
]
TEXTS = (st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["C"]), max_size=6)).filter(lambda text: portable(text) == text)
OWN = (ModelOptions, SaveOptions, DigitOptions)
# What these options themselves refuse otherwise.
CHECKED = {
    "memory": st.sampled_from([None, "500MB", "1.5GiB"]),
    "input_size": st.none() | st.tuples(st.integers(1, 999)) | st.tuples(st.integers(1, 999), st.integers(1, 999)),
    "formats": st.sampled_from([("png",), ("svg", "pdf"), ("pdf", "webp", "png")]),
    "dpi": st.integers(30, 1200),
    "webp_quality": st.none(),
    "steps": st.integers(1, 999),
    "batch": st.integers(2, 999),
    "rate": st.floats(1e-6, 1),
    "moved": st.floats(0, 0.3),
    "widths": st.tuples(*[st.integers(1, 99)] * 4),
}
PATHS = st.sampled_from(["w.pt", "a b/c", "-w.pt", "x=1"]).map(Path)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Values of the fields of a dataclass. It is made outside of the drawing: beartype's checks draw numbers of their own."""

    kind: type[Any]
    values: dict[str, Any]

    def made(self) -> Any:
        return self.kind(**{name: value.made() if isinstance(value, Drawn) else value for name, value in self.values.items()})


def drawn(kind: type[Any]) -> st.SearchStrategy[Drawn]:
    """Options of the class ``kind``; each field also as it is by default, and what a run does not record always so."""
    hints = typing.get_type_hints(kind, include_extras=True)
    given = {}
    for field in dataclasses.fields(kind):
        if field.metadata.get("manifest", True):
            values = CHECKED[field.name] if kind in OWN and field.name in CHECKED else _values(hints[field.name])
            if field.default is not dataclasses.MISSING:
                values = st.just(field.default) | values
            given[field.name] = values
    return st.fixed_dictionaries(given).map(lambda values: Drawn(kind, values))


def _values(kind: Any) -> st.SearchStrategy[Any]:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(_values, inside))
    if origin is Literal:
        return st.sampled_from(inside)
    if origin is tuple and inside[-1] is Ellipsis:
        return st.lists(_values(inside[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_values, inside))
    if dataclasses.is_dataclass(kind):
        return drawn(kind)
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    plain = {str: TEXTS, Path: PATHS, bool: st.booleans(), int: st.integers(-9, 999), type(None): st.none()}
    return plain[kind] if kind in plain else st.floats(allow_nan=False, allow_infinity=False)
