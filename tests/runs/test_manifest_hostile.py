"""A manifest may come from anyone: whatever is changed in one, it is refused in one line or it says what was written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_manifest import SOUND

from interp.errors import BadFile
from interp.runs.manifest import Manifest
from interp.runs.plain import canonical

TEXT = SOUND.to_json()


def places(value: object, here: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value inside of `value`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*here, key)
        yield from places(item, (*here, key))


PLACES = list(places(json.loads(TEXT)))
ODD = st.sampled_from(
    [
        "",
        ".",
        "..",
        "/",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "C:\\x",
        "\\\\host\\x",
        "a\0b",
        "a\nb",
        "\ud800",
        "x" * 10_000,
        "NaN",
        "d" * 64,
        "\x1b[2J",
        "2026-11-21T00:00:00Z",
        "2026-11-21",
        "9999-99-99T00:00:00+00:00",
        "command",
        "script",
        "exact",
        "picture",
        "~/x",
    ]
)
NUMBERS = st.sampled_from([0, 1, 2, 3, -1, 10**30, 10**4000, -(10**4000), 0.0, -0.0, 1.5, 1e308, -1e-300, True, False])
VALUES = st.recursive(
    st.none() | NUMBERS | ODD | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(ODD, inner, max_size=2)
)


def holds(text: str) -> bool:
    """Whether `text` is read as what was written; False where it is refused as it should be."""
    try:
        read = Manifest.from_json(text, "m.json")
    except BadFile as error:
        said = str(error)
    else:
        assert replace(read, created=SOUND.created, seconds=SOUND.seconds) == SOUND
        return True
    assert said.startswith("m.json: ")
    assert said.isprintable()
    assert len(said) < 500
    return False


@given(st.sampled_from(PLACES), st.sampled_from(["set", "delete", "add", "twice"]), VALUES, ODD)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_change_of_a_value_passes_unseen(place: tuple[str | int, ...], how: str, value: object, name: str) -> None:
    top: Any = json.loads(TEXT)
    inside = top
    for key in place[:-1]:
        inside = inside[key]
    before = canonical(top)
    if how == "delete":
        del inside[place[-1]]
    elif how == "add" and isinstance(inside, dict):
        inside[name] = value
    elif how == "add":
        inside.append(value)
    elif how == "twice" and isinstance(inside, list):
        inside.append(inside[int(place[-1])])
    else:
        inside[place[-1]] = value
    changed = canonical(top)
    assert holds(changed) == (changed == before or (place in (("created",), ("seconds",)) and holds(changed)))


@given(st.integers(0, len(TEXT) - 1), st.sampled_from(["flip", "drop", "double", "insert"]), st.integers(1, 127))
@settings(max_examples=150, deadline=None)
def test_no_change_of_a_letter_passes_unseen(place: int, how: str, letter: int) -> None:
    with_it = {"flip": chr(ord(TEXT[place]) ^ letter), "drop": "", "double": TEXT[place] * 2, "insert": TEXT[place] + chr(letter)}
    changed = TEXT[:place] + with_it[how] + TEXT[place + 1 :]
    holds(changed)


@pytest.mark.parametrize("depth", [52, 900, 3000, 200_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a": ', "}")])
def test_nesting_at_any_depth_is_refused(depth: int, left: str, right: str) -> None:
    text = TEXT.replace('"steps": 3', f'"steps": {left * depth}0{right * depth}')
    with pytest.raises(BadFile, match=r"^m\.json: it is nested too deeply$"):
        Manifest.from_json(text, "m.json")


def test_a_key_that_stands_twice_anywhere_is_refused() -> None:
    for key in ("steps", "sha256", "seed", "identity", "maps"):
        line = next(line for line in TEXT.splitlines() if f'"{key}":' in line)
        twice = TEXT.replace(line, f'"{key}": 0,\n{line}', 1)
        with pytest.raises(BadFile, match=rf"^m\.json: the key `{key}` appears twice$"):
            Manifest.from_json(twice, "m.json")


def test_what_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(TEXT.encode("utf-16"))
    with pytest.raises(BadFile, match="it is not ASCII JSON: byte 0 is damaged"):
        Manifest.read(tmp_path)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(BadFile, match=r"cannot read `.*manifest\.json`: Is a directory"):
        Manifest.read(tmp_path)
