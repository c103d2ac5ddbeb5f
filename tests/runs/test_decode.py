"""Options read back: what a manifest holds becomes the dataclass it came from, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import BadFile, InterpError, UnknownName
from interp.runs.configfile import from_yaml, read_config, to_yaml
from interp.runs.decode import decode
from interp.runs.plain import config_entry


class Mode(Enum):
    FAST = "quick"
    SLOW = "careful"


@dataclass(frozen=True)
class Jitter:
    pixels: int = 8


@dataclass(frozen=True)
class Pad:
    pixels: int = 8


@dataclass(frozen=True)
class Inner:
    seed: int = 0
    weights: Path | None = None
    out: Path | None = field(default=None, metadata={"manifest": False})


@dataclass(frozen=True)
class Options:
    name: str
    steps: int = 1
    rate: float = 0.5
    flag: bool = False
    mode: Mode = Mode.FAST
    kind: Literal["a", "b", 3] = "a"
    pair: tuple[str, int] = ("x", 1)
    sizes: tuple[float, ...] = ()
    either: int | float | str | None = None
    move: Jitter | Pad | None = None
    moves: tuple[Jitter | Pad, ...] = ()
    named: dict[str, Annotated[int, "counts"]] = field(default_factory=dict)
    listed: list[Path] = field(default_factory=list)
    inner: Annotated[Inner, "nested"] = field(default_factory=lambda: Inner(seed=7, weights=Path("w.pt")))


TEXTS = st.text("ab:é ", max_size=4)
MOVES = st.builds(Jitter, st.integers()) | st.builds(Pad, st.integers())
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
RELATIVE = st.sampled_from([Path("a"), Path("a/b.pt"), Path(".")])
DRAWN = st.builds(
    Options,
    TEXTS,
    st.integers(),
    FLOATS,
    st.booleans(),
    st.sampled_from(Mode),
    st.sampled_from(["a", "b", 3]),
    st.tuples(TEXTS, st.integers()),
    st.lists(FLOATS).map(tuple),
    st.integers() | FLOATS | TEXTS | st.none(),
    MOVES | st.none(),
    st.lists(MOVES, max_size=3).map(tuple),
    st.dictionaries(TEXTS, st.integers(), max_size=2),
    st.lists(RELATIVE, max_size=2),
    st.builds(Inner, st.integers(), RELATIVE | st.none()),
)


@given(DRAWN)
@settings(deadline=None, max_examples=60)
def test_what_a_manifest_and_a_file_hold_is_read_back(options: Options) -> None:
    entry = config_entry(options)
    back = decode(Options, json.loads(json.dumps(entry)))
    assert back == options
    assert [type(value) for value in vars(back).values()] == [type(value) for value in vars(options).values()]
    assert from_yaml(to_yaml("made", entry).decode(), "the file") == entry


@given(st.text())
@settings(deadline=None)
def test_every_text_stays_a_text_in_a_file(text: str) -> None:
    assert from_yaml(to_yaml("made", {"key": text, "list": [text]}).decode(), "the file") == {"key": text, "list": [text]}


@pytest.mark.parametrize("text", ["1e-3", "1e5", ".5", "no", "1:20", "2024-01-01", "null", "~", "", "0x1", "1_0", "true", "=", "<<"])
def test_words_that_look_like_something_else_stay_texts(text: str) -> None:
    assert from_yaml(to_yaml("made", {"key": text}).decode(), "the file") == {"key": text}


def test_words_of_a_hand_written_file_mean_what_they_look_like() -> None:
    text = "a: 1e-3\nb: no\nc: 1:20\nd: 2024-01-01\ne: 010\nf: -4\ng: 1.\nh: True\ni: ~\nj:\nk: [stage1.*, fc:3]"
    values = {"a": 0.001, "b": "no", "c": "1:20", "d": "2024-01-01", "e": 10, "f": -4, "g": 1.0, "h": True, "i": None, "j": None}
    assert from_yaml(text, "the file") == values | {"k": ["stage1.*", "fc:3"]}


def test_what_is_missing_takes_its_default_that_of_the_field_before_that_of_its_class() -> None:
    assert decode(Options, {"name": "n"}) == Options("n")
    assert decode(Options, {"name": "n", "inner": {"weights": None}}).inner == Inner(seed=7, weights=None)
    assert decode(Options, {"name": "n", "inner": {"class": "Inner", "out": "here"}}).inner.out == Path("here")


def test_a_whole_number_will_do_for_a_float_and_becomes_one() -> None:
    rate = decode(Options, {"name": "n", "rate": 2}).rate
    assert (rate, type(rate)) == (2.0, float)
    assert type(decode(Options, {"name": "n", "either": 2}).either) is int


def test_an_enum_goes_by_name_or_value() -> None:
    assert decode(Options, {"name": "n", "mode": "SLOW"}).mode is Mode.SLOW
    assert decode(Options, {"name": "n", "mode": "careful"}).mode is Mode.SLOW


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stpes": 3}, r"^`config.stpes` is no option of Options: did you mean 'steps'"),
        ({"seed": 3}, r"^`config.seed` is no option of Options: did you mean 'inner.seed'\?$"),
        ({"pixels": 3}, r"^`config.pixels` is no option of Options: there are name, steps, rate, "),
        ({"inner": {"sed": 3}}, r"^`config.inner.sed` is no option of Inner: did you mean 'seed'\?$"),
        ({"inner": {"class": "Outer"}}, r"^`config.inner.class` is 'Outer'; the options here are those of Inner$"),
        ({"inner": {"seed": None}}, r"^`config.inner.seed` is nothing; it takes a whole number$"),
        ({"inner": 3}, r"^`config.inner` is 3; it takes a mapping of the options seed, weights, out$"),
        ({"inner": {"weights": 3}}, r"^`config.inner.weights` is 3; it takes a path or nothing$"),
        ({"name": 281}, r"^`config.name` is 281; it takes text: write '281' in quotes$"),
        ({"name": None}, r"^`config.name` is nothing; it takes text$"),
        ({"steps": True}, r"^`config.steps` is true; it takes a whole number$"),
        ({"steps": 1.0}, r"^`config.steps` is 1.0; it takes a whole number$"),
        ({"steps": "many"}, r"^`config.steps` is 'many'; it takes a whole number$"),
        ({"rate": True}, r"^`config.rate` is true; it takes a number$"),
        ({"rate": float("nan")}, r"^`config.rate` is nan; it takes a number$"),
        ({"flag": 1}, r"^`config.flag` is 1; it takes true or false$"),
        ({"mode": "FATS"}, r"^`config.mode` is 'FATS'; it takes one of 'FAST', 'SLOW': did you mean 'FAST'\?$"),
        ({"kind": "c"}, r"^`config.kind` is 'c'; it takes one of 'a', 'b', '3'$"),
        ({"kind": "3"}, r"^`config.kind` is '3'; it takes one of 'a', 'b', '3'"),
        ({"pair": ["x"]}, r"^`config.pair` is a list of 1; it takes a list of 2: text, a whole number$"),
        ({"pair": ["x", "y"]}, r"^`config.pair\[1\]` is 'y'; it takes a whole number$"),
        ({"sizes": 3.0}, r"^`config.sizes` is 3.0; it takes a list, each a number$"),
        ({"sizes": [1, "b"]}, r"^`config.sizes\[1\]` is 'b'; it takes a number$"),
        ({"either": []}, r"^`config.either` is a list; it takes a whole number or a number or text or nothing$"),
        ({"move": {"class": "Pad", "pixels": "x"}}, r"^`config.move.pixels` is 'x'; it takes a whole number$"),
        ({"moves": [{"class": "Crop"}]}, r"^`config.moves\[0\]` is a mapping; it takes a mapping of the options pixels"),
        ({"named": {"a": 1, "b": "c"}}, r"^`config.named.b` is 'c'; it takes a whole number$"),
        ({"listed": "a"}, r"^`config.listed` is 'a'; it takes a list, each a path$"),
        ({1: 2}, r"^`config` has the key 1; the names of options are texts$"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(change: dict[str, object], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        decode(Options, {"name": "n"} | change)


def test_a_field_without_default_must_be_given_and_an_unknown_one_is_an_unknown_name() -> None:
    with pytest.raises(InterpError, match=r"^`file.name` is missing, and has no default: it takes text$"):
        decode(Options, {}, "file")
    with pytest.raises(UnknownName):
        decode(Options, {"name": "n", "other": 1})


def bomb() -> str:
    return "a: &a [1,1]\n" + "".join(f"b{i}: &b{i} [*a,*a]\n" for i in range(9))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1\nb: 2\na: 3\n", r"is not YAML in line 1: the key `a` stands twice$"),
        (b"a: {b: 1, b: 2}\n", r"is not YAML in line 1: the key `b` stands twice$"),
        (b"a: [1, 2\n", r"is not YAML in line 2: expected ',' or '\]'"),
        (b"a: !!python/object/apply:os.system [ls]\n", r"is not YAML in line 1: could not determine a constructor"),
        (bomb().encode(), r"is not YAML in line 2: `\*` refers to another place"),
        (b"layers: [*]\n", r"is not YAML in line 1"),
        (b"[1, 2]", r"holds no options: write one `name: value` in each line"),
        (b"just words", r"holds no options"),
        (b"a: 1\n---\nb: 2\n", r"is not YAML in line 2: but found another document"),
        (b"\xff\xfe\x00", r"holds no options: it is not text at byte 0$"),
        (b"a: \x00", r"is not YAML: .*special characters are not allowed"),
        (b"a: " + b"[" * 3000, r"(is nested too deeply|is not YAML)"),
        (b"a: " + b"9" * 5000, r"is not YAML: .*digits"),
        (b"a: " + b"b" * (1 << 20), r"is too large for options: 1 MiB, at most 1$"),
        (b'{"digests": {}, "identity": ""}', r"it is not a manifest of interp"),
    ],
)
def test_a_file_without_options_is_told_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "options.yaml"
    path.write_bytes(data)
    with pytest.raises(BadFile, match=message) as told:
        read_config(path)
    assert "\n" not in str(told.value)
    assert str(path) in str(told.value)


def test_an_empty_file_says_nothing_and_a_folder_or_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_bytes(b"# nothing\n")
    assert read_config(tmp_path / "empty.yaml").options == {}
    with pytest.raises(BadFile, match=r"is a folder, where a file of options is wanted: give `.*config.yaml`"):
        read_config(tmp_path)
    with pytest.raises(BadFile, match=r"cannot read the options in `.*none.yaml`: No such file"):
        read_config(tmp_path / "none.yaml")
