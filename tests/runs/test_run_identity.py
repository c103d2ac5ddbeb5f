"""Two makings of the same: the same bytes but for the times, and one identity, in which all that went in has its part."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import interp.runs.run as module
from interp.runs import (
    About,
    CommitEntry,
    FigureEntry,
    InputEntry,
    Machine,
    Manifest,
    ModelEntry,
    Program,
    Role,
    Run,
    Tolerance,
)
from interp.runs.entries import ArrayEntry, FileEntry

Start = Callable[[Path], Run]


def made(folder: Path, start: Start, change: Callable[[Run], object] = lambda run: None) -> Manifest:
    with start(folder) as run:
        run.arrays({"maps": np.arange(12, dtype=np.float32), "scale": np.array(2, dtype=np.int16)})
        run.tolerances({"maps": Tolerance.EXACT})
        change(run)
        run.write("figures/grid.png", run.identity.encode())
        run.figure("grid", FigureEntry("a" * 64, "seen", "meant"))
        run.about(About("title", "question?", "lead"))
        run.metrics({"score": 0.5})
    return Manifest.read(folder)


def test_two_makings_differ_in_their_times_only(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(tmp_path / "a", start)
    later = time.monotonic() + 1000
    monkeypatch.setattr(time, "monotonic", iter([later, *(later + 90 + step for step in range(50))]).__next__)

    class Tomorrow(module.datetime):
        @classmethod
        def now(cls, tz: object = None) -> module.datetime:
            return module.datetime(2031, 1, 1, tzinfo=module.UTC)

    monkeypatch.setattr(module, "datetime", Tomorrow)
    second = made(tmp_path / "b", start)
    assert second.created == "2031-01-01T00:00:00+00:00"
    assert second.seconds >= 90
    assert second != first
    assert replace(second, created=first.created, seconds=first.seconds) == first
    assert second.identity == first.identity
    names = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert len(names) == 5
    for name in names - {Path("manifest.json")}:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    texts = [json.loads((tmp_path / which / "manifest.json").read_text()) for which in "ab"]
    assert {key for key in texts[0] if texts[0][key] != texts[1][key]} == {"created", "seconds"}


def test_the_order_in_which_things_are_given_does_not_matter(tmp_path: Path, start: Start) -> None:
    for name, order in (("a", ("x", "y")), ("b", ("y", "x"))):
        with start(tmp_path / name) as run:
            for key in order:
                run.arrays({key: np.full(3, ord(key))})
                run.metrics({key: 1})
                run.tolerances({key: Tolerance.EXACT})
    first, second = Manifest.read(tmp_path / "a"), Manifest.read(tmp_path / "b")
    assert first.files == second.files
    assert first.identity == second.identity


MODEL = ModelEntry("resnet18", "torchvision", "a" * 64, 1)
BASE = Manifest(
    experiment="tour",
    program=Program("command", "tour"),
    command=("interp", "tour"),
    config={"steps": 3},
    seed=0,
    model=MODEL,
    inputs=(InputEntry("cat.png", "b" * 64, 5, "photos/cat.png"),),
    versions={"python": "3.11"},
    machine=Machine("Linux", "a processor"),
    commit=CommitEntry("c" * 40, dirty=False),
    parent=None,
    created="2026-11-21T00:00:00+00:00",
    seconds=1.5,
    tolerances={},
    arrays={"maps": ArrayEntry("d" * 64, "float32", (2, 3))},
    figures={},
    files={"index.html": FileEntry("e" * 64, 9)},
    about=About(),
)
WENT_IN: dict[str, list[object]] = {
    "experiment": ["other"],
    "program": [Program("command", "other"), Program("script", "tour", "a" * 64)],
    "command": [("interp", "tour", "--steps", "3")],
    "config": [{"steps": 4}, {"steps": 3.0}, {"steps": "3"}, {}],
    "seed": [1],
    "model": [
        None,
        *(
            replace(MODEL, **{key: value})
            for key, value in (("reference", "x"), ("weights", "x"), ("weights_sha256", "0" * 64), ("parameters", 2))
        ),
    ],
    "inputs": [
        (),
        *(
            (replace(BASE.inputs[0], **{key: value}),)
            for key, value in (("name", "dog.png"), ("sha256", "0" * 64), ("size", 6), ("path", "cat.png"), ("role", Role.MASK))
        ),
    ],
    "versions": [{"python": "3.12"}, {"python": "3.11", "torch": "2"}],
    "machine": [
        replace(BASE.machine, **{key: value})
        for key, value in (
            ("system", "x"),
            ("processor", "x"),
            ("capability", "x"),
            ("device", "x"),
            ("accelerator", "x"),
            ("threads", 2),
            ("precision", "x"),
            ("unrepeatable", ("x",)),
        )
    ],
    "commit": [None, CommitEntry("0" * 40, dirty=False), CommitEntry("c" * 40, dirty=True)],
    "parent": ["f" * 64],
    "tolerances": [{"*": Tolerance.EXACT}],
    "arrays": [
        {},
        {"other": ArrayEntry("d" * 64, "float32", (2, 3))},
        {"maps": ArrayEntry("0" * 64, "float32", (2, 3))},
        {"maps": ArrayEntry("d" * 64, "int32", (2, 3))},
        {"maps": ArrayEntry("d" * 64, "float32", (3, 2))},
    ],
}
CAME_OUT: dict[str, object] = {
    "created": "2027-11-21T00:00:00+00:00",
    "seconds": 3.5,
    "figures": {"grid": FigureEntry("a" * 64)},
    "files": {},
    "about": About("title"),
}


def test_every_part_is_in_the_identity_or_among_what_came_out() -> None:
    assert {field.name for field in fields(Manifest)} == WENT_IN.keys() | CAME_OUT.keys() | {"format"}


@pytest.mark.parametrize("part", WENT_IN)
def test_the_identity_changes_with_all_that_went_in_and_every_array(part: str) -> None:
    identities = [BASE.identity, *(replace(BASE, **{part: other}).identity for other in WENT_IN[part])]
    assert len(set(identities)) == len(WENT_IN[part]) + 1


@pytest.mark.parametrize("part", CAME_OUT)
def test_the_identity_does_not_change_with_what_came_out(part: str) -> None:
    other = replace(BASE, **{part: CAME_OUT[part]})
    assert other != BASE
    assert other.identity == BASE.identity


def test_one_bit_of_one_array_is_another_identity(tmp_path: Path, start: Start) -> None:
    array = np.zeros(5, dtype=np.float32)
    first = made(tmp_path / "a", start, lambda run: run.arrays({"more": array}))
    array.view(np.uint8)[7] ^= 1
    second = made(tmp_path / "b", start, lambda run: run.arrays({"more": array}))
    assert first.identity != second.identity
    assert (tmp_path / "a" / "figures" / "grid.png").read_text() == first.identity


def test_what_is_said_of_a_run_names_no_place(tmp_path: Path, start: Start) -> None:
    with start(tmp_path / "one") as run:
        run.about(About("Of /home/me/cats", "input/output, 1 / f?", "in /data/x/y.png"))
        run.figure("grid", FigureEntry("a" * 64, "of /home/me/cats", "a /b and/or c"))
    manifest = Manifest.read(tmp_path / "one")
    assert manifest.about == About("Of cats", "input/output, 1 / f?", "in y.png")
    assert manifest.figures == {"grid": FigureEntry("a" * 64, "of cats", "a /b and/or c")}
