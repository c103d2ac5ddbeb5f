"""The text that a figure says of its run: short, the same each time, and believed only where it is sound."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import BadFile, InterpError
from interp.runs.manifest import Manifest
from interp.runs.stamp import Stamp

STAMP = Stamp("0123456789abcdef" * 4, "grid", "tour", "interp tour", 7, "embedded", "b" * 64, "c" * 40, True)
TEXTS = st.text().filter(str.isprintable)


@given(st.builds(Stamp, st.just("a" * 64), TEXTS, TEXTS, TEXTS, st.integers(), TEXTS, TEXTS, TEXTS, st.booleans()))
def test_reading_is_the_inverse_of_writing(stamp: Stamp) -> None:
    text = stamp.to_text()
    assert text.isascii()
    assert text.isprintable()
    assert Stamp.from_text(text, "figure") == stamp


def test_it_tells_the_run_and_no_time(made: Path) -> None:
    manifest = Manifest.read(made)
    stamp = Stamp.of(manifest, "grid")
    assert stamp.identity == manifest.identity
    assert (stamp.figure, stamp.experiment, stamp.seed, stamp.model, stamp.weights) == ("grid", "tour", 7, "resnet18", "a" * 64)
    assert stamp.command == "interp tour '--out=x y' docs/cat.png"
    assert manifest.commit is None or (stamp.commit, stamp.dirty) == (manifest.commit.hash, manifest.commit.dirty)
    later = replace(manifest, created="2030-01-01T00:00:00+00:00", seconds=99.0)
    assert Stamp.of(later, "grid") == stamp


def test_a_run_without_model_and_commit_says_so_by_silence(made: Path) -> None:
    stamp = Stamp.of(replace(Manifest.read(made), model=None, commit=None), "grid")
    assert (stamp.model, stamp.weights, stamp.commit, stamp.dirty) == ("", "", "", False)


def test_a_long_command_is_cut_and_what_cannot_be_printed_left_out(made: Path) -> None:
    manifest = replace(Manifest.read(made), command=("interp", *["picture.png"] * 500), experiment="a\x1b[2Jb")
    stamp = Stamp.of(manifest, "grid")
    assert len(stamp.command) == 1000
    assert stamp.command.endswith(" ...")
    assert stamp.experiment == "a [2Jb"


def without(key: str) -> str:
    value = json.loads(STAMP.to_text())
    del value[key]
    return json.dumps(value)


def having(**other: object) -> str:
    return json.dumps(json.loads(STAMP.to_text()) | other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"^figure: it is not JSON"),
        ("{}", r"^figure: it holds JSON, but not a stamp of interp"),
        (without("seed"), r"^figure: `seed` is missing"),
        (having(more=1), r"^figure: `more` is not a known key"),
        (having(interp=2), r"^figure: its stamp is of version 2; this interp reads version 1"),
        (having(identity="a" * 63), r"^figure: `identity` of a stamp is 'a+', not a SHA-256"),
        (having(seed="7"), r"^figure: `seed` is a string, not a whole number"),
        (having(command="\x1b[31mred"), r"^figure: `command` of a stamp holds characters that cannot be printed"),
        (having(experiment="a\nb"), r"^figure: `experiment` of a stamp holds characters that cannot be printed"),
        ("[" * 9999, r"^figure: it is nested too deeply"),
        (having(command="x" * 70_000), r"^figure: its stamp has \d+ characters, 65536 at most are read"),
    ],
)
def test_an_unsound_stamp_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(BadFile, match=message) as caught:
        Stamp.from_text(text, "figure")
    assert "\n" not in str(caught.value)


def test_a_stamp_names_its_run_by_a_hash() -> None:
    with pytest.raises(InterpError, match=r"`identity` of a stamp is 'nobody', not a SHA-256"):
        Stamp("nobody", "grid", "tour", "interp tour", 7)
