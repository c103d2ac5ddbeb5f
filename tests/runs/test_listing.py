"""Runs found, chosen and named; two of them side by side."""

import json
import re
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import BadFile, InterpError, UnknownName
from interp.runs import Machine, Manifest, Program, Run
from interp.runs.contrast import Absent, Pair, contrast
from interp.runs.listing import Condition, Listed, Sort, chosen, flat, listing, locate, ordered
from interp.runs.words import machine_name, said, size_of, time_taken


@dataclass(frozen=True)
class Step:
    pixels: int = 8


@dataclass(frozen=True)
class Options:
    steps: int = 128
    images: tuple[str, ...] = ("cat", "coffee")
    target: str | None = None
    whole: bool = False
    chain: tuple[Step, ...] = (Step(8), Step(4))
    first: Step = field(default_factory=Step)


def make(folder: Path, options: Options = Options(), experiment: str = "tour", metrics: dict[str, object] | None = None) -> Path:
    program, machine = Program("command", experiment), Machine("Linux x86_64", "a processor")
    with Run.create(folder, experiment=experiment, program=program, config=options, seed=1, machine=machine) as run:
        run.text("figures/one.png", "x")
        run.metrics(metrics or {})
    return folder


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("once") / "results"
    make(root / "tour" / "short", Options(steps=16))
    make(root / "tour" / "long", Options(steps=512, target="tabby"))
    make(root / "walk" / "one", Options(images=("cat",), whole=True), "walk")
    return root


@pytest.fixture
def three(made_once, tmp_path):
    return Path(shutil.copytree(made_once, tmp_path / "results"))


def names(runs) -> list[str]:
    return [run.folder.name for run in runs]


def test_every_run_is_listed_once_and_what_cannot_be_read_beside_them(three):
    (three / "old").mkdir()
    (three / "old" / "manifest.json").write_text('{"experiment": "tour", "format": 1}')
    edited = three / "walk" / "two"
    make(edited, experiment="walk")
    path = edited / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 1', '"seed": 2'))
    found = listing((three, three / "tour"))
    assert names(found.runs) == ["long", "short", "one"]
    assert [run.size for run in found.runs] == [sum(f.stat().st_size for f in run.folder.rglob("*.[!j]*")) for run in found.runs]
    assert [(bad.folder.name, bad.reason) for bad in found.unreadable] == [
        ("old", "`format` is 1, of an older interp; this one reads format 2: make the run again"),
        ("two", "`seed` does not match its digest: damaged, or edited by hand"),
    ]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["steps=16"], ["short"]),
        (["steps=16.0"], ["short"]),
        (["steps=1*"], []),
        (["target=tab*"], ["long"]),
        (["target=none"], ["short", "one"]),
        (["whole=TRUE"], ["one"]),
        (["images=coffee"], ["long", "short"]),
        (["images=cat"], ["long", "short", "one"]),
        (["images=cat,coffee"], ["long", "short"]),
        (["first.pixels=8", "steps=512"], ["long"]),
        (["chain[1].pixels=4"], ["long", "short", "one"]),
        (["pixels=4"], ["long", "short", "one"]),
        (["steps=512", "whole=true"], []),
    ],
)
def test_runs_are_chosen_by_their_options(three, conditions, expected):
    found = chosen(listing((three,)).runs, where=[Condition.parse(text) for text in conditions])
    assert sorted(names(found)) == sorted(expected)


def test_runs_are_chosen_by_experiment_and_put_in_order(three):
    runs = listing((three,)).runs
    assert names(chosen(runs, experiment="w*")) == ["one"]
    assert names(chosen(runs, model="resnet*")) == []
    given = {"short": (3.0, "2026-01-01"), "long": (1.0, "2026-03-01"), "one": (2.0, "2026-02-01")}
    timed = [
        Listed(run.folder, replace(run.manifest, seconds=given[run.folder.name][0], created=f"{given[run.folder.name][1]}T00:00:00+00:00"))
        for run in runs
    ]
    assert names(ordered(timed, Sort.CREATED)) == ["long", "one", "short"]
    assert names(ordered(timed, Sort.SECONDS)) == ["short", "one", "long"]
    assert names(ordered(timed, Sort.EXPERIMENT)) == ["long", "short", "one"]


def test_an_option_that_no_run_has_is_named_with_the_nearest(three):
    runs = listing((three,)).runs
    with pytest.raises(UnknownName, match=r"^no run has 'stpes' in its config: did you mean 'steps'"):
        chosen(runs, where=[Condition("stpes", "1")])
    with pytest.raises(UnknownName, match=r"^no run has 'firts.pixels' in its config: did you mean 'first.pixels'"):
        chosen(runs, where=[Condition("firts.pixels", "1")])
    with pytest.raises(InterpError, match=r"^'steps' is no condition: write KEY=VALUE, such as steps=128$"):
        Condition.parse("steps")
    with pytest.raises(InterpError, match=r"'=3' is no condition"):
        Condition.parse("=3")


def test_options_by_dotted_names():
    config = {"a": {"b": 1, "c": {}}, "l": [{"x": 1}, [2, 3]], "plain": [1, 2], "none": None}
    assert flat(config) == {"a.b": 1, "a.c": {}, "l[0].x": 1, "l[1]": [2, 3], "plain": [1, 2], "none": None}
    assert flat({}) == {}


VALUES = st.recursive(
    st.integers() | st.none(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3), max_leaves=8
)


@given(VALUES)
@settings(max_examples=40, deadline=None)
def test_flat_options_hold_every_value(value):
    def leaves(item) -> list:
        return [leaf for inner in item.values() for leaf in leaves(inner)] if isinstance(item, dict) else [item]

    config = {"top": value}
    assert sorted(map(repr, flat(config).values())) == sorted(map(repr, leaves(config)))


def test_a_run_is_named_by_path_name_or_what_begins_its_identity(three, monkeypatch):
    monkeypatch.chdir(three.parent)
    roots = (Path("results"),)
    short = Path("results/tour/short")
    identity = Manifest.read(short).identity
    for text in (
        "results/tour/short",
        "results/tour/short/",
        "tour/short",
        "tour/s",
        "short",
        "sho",
        identity,
        identity[:12],
        str(short / "manifest.json"),
    ):
        assert locate(text, roots) == short, text
    assert locate("walk", roots) == Path("results/walk/one")
    assert locate(str(three / "walk" / "one"), roots) == three / "walk" / "one"


def test_an_exact_name_wins_over_what_it_begins(three):
    make(three / "tour" / "shorter")
    assert locate("short", (three,)) == three / "tour" / "short"


def test_a_name_that_names_no_run_or_several_is_refused(three, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    roots = (Path("results"),)
    with pytest.raises(UnknownName, match=r"^'tour' begins 2 runs: 'results/tour/long', 'results/tour/short': write more of one$"):
        locate("tour", roots)
    with pytest.raises(UnknownName, match=r"^no run 'tour/shrot' below 'results': did you mean 'tour/short'"):
        locate("tour/shrot", roots)
    with pytest.raises(UnknownName, match=r"^no run 'zzzz' below 'results': there is 'results/tour/long', .*'results/walk/one'$"):
        locate("zzzz", roots)
    with pytest.raises(UnknownName, match=r"^no run 'x' below 'nowhere': there is none at all$"):
        locate("x", (Path("nowhere"),))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadFile, match=r"^'empty' is no finished run: it has no manifest\.json$"):
        locate("empty", (Path("nowhere"),))


def test_two_runs_side_by_side(three):
    one = make(three / "a", Options(), metrics={"score": {"cat": 2.0, "dog": 1}, "zero": 0.0, "only": 3, "word": "x"})
    two = make(three / "b", Options(steps=9), metrics={"score": {"cat": 3.0, "dog": 1}, "zero": 1.0, "word": "y", "new": None})
    found = contrast(*(Listed(folder, Manifest.read(folder)) for folder in (one, two)))
    assert found.config.differing == (Pair("steps", 128, 9),)
    assert found.config.equal == len(flat(Manifest.read(one).config)) - 1
    assert found.origin.differing == found.machine.differing == found.versions.differing == ()
    pairs = {pair.name: pair for pair in found.metrics.differing}
    assert pairs.keys() == {"score.cat", "zero", "only", "word", "new"}
    assert (pairs["score.cat"].difference, pairs["score.cat"].ratio) == (1.0, 1.5)
    assert (pairs["zero"].difference, pairs["zero"].ratio) == (1.0, None)
    assert pairs["word"].difference is pairs["word"].ratio is None
    assert (pairs["only"].second, pairs["new"].first, pairs["new"].second) == (Absent.ABSENT, Absent.ABSENT, None)
    assert [pairs[name].both for name in ("word", "only", "new")] == [True, False, False]
    assert found.metrics.equal == 1
    assert found.figures_first == found.figures_second == ()


def test_metrics_that_cannot_be_read_are_said_so(three):
    one = make(three / "a", metrics={"score": 1.0})
    (one / "metrics.json").write_text("{oops")
    runs = [Listed(folder, Manifest.read(folder)) for folder in (one, three / "walk" / "one")]
    with pytest.raises(BadFile, match=re.escape(f"{one / 'metrics.json'}: it is not JSON")):
        contrast(*runs)
    (one / "metrics.json").unlink()
    with pytest.raises(BadFile, match="No such file"):
        contrast(*runs)


def test_words():
    assert [time_taken(s) for s in (0.44, 9.94, 9.96, 59.4, 59.6, 185.0, 7800.0)] == [
        "0.4 s",
        "9.9 s",
        "10 s",
        "59 s",
        "1 min 0 s",
        "3 min 5 s",
        "2 h 10 min",
    ]
    assert [size_of(n) for n in (0, 999, 1000, 999_499, 999_500, 1_249_999, 9_960_000, 2_000_000_000)] == [
        "0 B", "999 B", "1 kB", "999 kB", "1.0 MB", "1.2 MB", "10 MB", "2.0 GB",
    ]  # fmt: skip
    assert [said(v) for v in (None, True, 3, 0.5, ["a", None])] == ["none", "true", "3", "0.5", "a,none"]
    cpu = Machine("Linux", "AMD EPYC 9V74 80-Core Processor (25/17/1)", threads=2)
    assert machine_name(cpu) == "AMD EPYC 9V74, 2 threads"
    assert machine_name(replace(cpu, processor="Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz", threads=1)) == "Intel Xeon E5-2690 v4, 1 thread"
    assert machine_name(replace(cpu, device="cuda:0", accelerator="NVIDIA H200")) == "NVIDIA H200"


def test_the_manifest_is_not_needed_to_be_ours_to_be_skipped(three):
    (three / "theirs").mkdir()
    (three / "theirs" / "manifest.json").write_text(json.dumps({"name": "a web app"}))
    found = listing((three,))
    assert [bad.reason for bad in found.unreadable] == ["it is not a manifest of interp: it has no `format` and `experiment`"]
