"""Plain values: no path of the machine, nothing JSON cannot hold, no path out of the run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from interp.errors import InterpError
from interp.runs.entries import reference
from interp.runs.plain import config_entry, portable, prose, relative_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/me/cat.jpg", "cat.jpg"),
        ("/home/my cats/my cat.jpg", "my cat.jpg"),
        ("--out=/home/me/x/", "--out=x"),
        ("checkpoint:/home/me/w.pt", "checkpoint:w.pt"),
        ("file:///home/me/w.pt", "w.pt"),
        (r"C:\Users\me\w.pt", "w.pt"),
        (r"\\server\share\w.pt", "w.pt"),
        ("a=/a/b,/c/d", "a=b,d"),
        ("/data/lr=0.1,bs=32/w.pt", "w.pt"),
        ("docs/cat.jpg", "docs/cat.jpg"),
        ("../cat.jpg", "cat.jpg"),
        ("../../x/cat.jpg", "cat.jpg"),
        (r"..\cat.jpg", "cat.jpg"),
        ("photos/../cat.jpg", "cat.jpg"),
        ("x)/../../cat.jpg", "cat.jpg"),
        ("--images=../cats", "--images=cats"),
        ("net:../cats", "net:cats"),
        ("..", "."),
        ("--images=..", "--images=."),
        ("../..", "."),
        ("/", "."),
        ("C:/", "."),
        ("more..", "more.."),
        ("a..b/c", "a..b/c"),
        ("see /home/me/x and/or y", "see x and/or y"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("layer4.1.conv2:37@3,5", "layer4.1.conv2:37@3,5"),
        ("cat / dog", "cat / dog"),
        ("and/or", "and/or"),
        ("~/x", "~/x"),
        ("C: drive", "C: drive"),
        ("layer[1-4]/*", "layer[1-4]/*"),
        ("", ""),
    ],
)
def test_absolute_paths_are_cut_to_their_last_name(text: str, expected: str) -> None:
    assert portable(text) == expected


@given(st.text(alphabet="ab /\\:=,;C\"'()[]{}file~.-", max_size=20))
@settings(deadline=None)
def test_what_was_cut_once_stays_and_leads_nowhere_outside(text: str) -> None:
    once = portable(text)
    assert portable(once) == once
    assert not re.match(r"/|\\\\|[A-Za-z]:[\\/]", once)
    assert ".." not in re.split(r"[\\/]", once)


NAMES = st.from_regex(r"[a-z0-9.,=_ -]{0,5}[a-z0-9]", fullmatch=True) | st.just("..")


@given(st.lists(NAMES, min_size=1, max_size=4).map("/".join), st.booleans())
@settings(deadline=None)
def test_a_path_in_the_options_is_that_of_its_input(text: str, rooted: bool) -> None:
    path = f"/{text}" if rooted else text
    # An option such as `-a=b` is cut behind its `=`, and not as a whole.
    assume(not text.startswith("-"))
    assert portable(path) == reference(Path(path))


@pytest.mark.parametrize(
    "text",
    [
        "1 / f",
        "a power spectrum of 1/f, or 1 /f",
        "input/output",
        "a /b",
        "and/or",
        "km/h",
        "~/x",
        "C: drive",
        "of each (/s)",
        "../x is the neighbour of x",
        "https://example.org/a/b",
        "docs/cat.jpg",
        "photographs, /4 of them",
        "a // b",
    ],
)
def test_slashes_in_a_sentence_stay(text: str) -> None:
    assert prose(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the mean of /data/cats/one.png, and/or in km/h", "the mean of one.png, and/or in km/h"),
        ("`/home/me/cat.jpg`: 1 / f", "`cat.jpg`: 1 / f"),
        ("weights:/home/me/w.pt.", "weights:w.pt."),
        ("in file:///home/me/w.pt", "in w.pt"),
        (r"from C:\Users\me\w.pt on", "from w.pt on"),
        (r"from \\server\share\w.pt on", "from w.pt on"),
    ],
)
def test_absolute_paths_in_a_sentence_are_cut(text: str, expected: str) -> None:
    assert prose(text) == expected
    assert prose(expected) == expected


class Mode(Enum):
    FAST = 1


@dataclass(frozen=True)
class Jitter:
    pixels: int = 8


@dataclass(frozen=True)
class Pad:
    pixels: int = 8


@dataclass(frozen=True)
class Options:
    image: Path = Path("/home/me/cat.jpg")
    mode: Mode = Mode.FAST
    rate: float = 0.5
    transforms: tuple[Jitter | Pad, ...] = (Jitter(), Pad())
    sizes: dict[str, np.float64] = field(default_factory=lambda: {"a": np.float64(0.25)})
    extra: object = None


def test_a_config_becomes_its_fields() -> None:
    assert config_entry(Options()) == {
        "image": "cat.jpg",
        "mode": "FAST",
        "rate": 0.5,
        "transforms": [{"class": "Jitter", "pixels": 8}, {"class": "Pad", "pixels": 8}],
        "sizes": {"a": 0.25},
        "extra": None,
    }


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (float("nan"), "`config.extra` is nan, which JSON cannot hold"),
        ([1, float("inf")], r"`config.extra\[1\]` is inf, which JSON cannot hold"),
        ({1: 2}, "`config.extra` has the key 1; JSON keys are strings"),
        ({"a": {1}}, "`config.extra.a` is a set, which a manifest cannot hold"),
        (np.zeros(2), "`config.extra` is a ndarray, which a manifest cannot hold"),
        (len, "is a builtin_function_or_method, which a manifest cannot hold"),
    ],
)
def test_a_config_refuses_what_json_cannot_hold(extra: object, message: str) -> None:
    with pytest.raises(InterpError, match=message):
        config_entry(Options(extra=extra))


def test_a_config_is_an_instance_of_a_frozen_dataclass() -> None:
    @dataclass
    class Loose:
        steps: int = 1

    with pytest.raises(InterpError, match=r"Loose can change during the run; use @dataclass\(frozen=True\)"):
        config_entry(Loose())
    with pytest.raises(InterpError, match="`config` is Options, not an instance"):
        config_entry(Options)
    with pytest.raises(InterpError, match="`config` is dict, not an instance"):
        config_entry({})


@pytest.mark.parametrize("path", ["", "/etc/x", "../x", "a/../x", "a//b", "./a", "a/", "a\\b", "C:/x", "a\nb", "a\0", "\ud800"])
def test_only_plain_relative_paths_pass(path: str) -> None:
    with pytest.raises(InterpError, match=r"`files`: the path .* is refused: .*; write it like 'figures/grid.png'"):
        relative_path(path, "`files`")
