"""``interp runs``: what is listed, how two runs are set side by side, and every bad input as one line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fake_runs import MACHINE, Config, make, outdated

from interp.cli import run
from interp.cli.runs import spelled
from interp.runs import About, Manifest


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("once") / "results"
    make(root / "tour" / "small", config=Config(steps=16), created="2026-11-20T09:00:00+00:00", seconds=75.0)
    parent = Manifest.read(root / "tour" / "small").identity
    arrays = {"maps": [1.0, 3.0], "more": [0.0]}
    make(root / "tour" / "large", config=Config(steps=512), arrays=arrays, metrics={"score": 0.75}, parent=parent)
    make(root / "walk" / "one", "walk", model="resnet18", machine=replace(MACHINE, threads=1), created="2026-11-19T09:00:00+00:00")
    return root


@pytest.fixture
def results(made_once, here):
    return Path(shutil.copytree(made_once, here / "results"))


def told(capsys, *words: str) -> str:
    assert run(list(words)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys, *words: str) -> str:
    assert run(list(words)) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def rows(out: str) -> list[list[str]]:
    """The cells of each line of a table: two spaces stand between them."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.splitlines() if line.strip()]


def test_runs_alone_lists_the_newest_first(results, capsys):
    found = rows(told(capsys, "runs"))
    assert found[0] == ["run", "experiment", "model", "created", "time", "machine", "figures", "size", "parent"]
    shown = [row[:7] for row in found[2:5]]
    assert shown == [
        ["results/tour/large", "tour", "embedded", "2026-11-20 10:00", "12 s", "AMD EPYC 9V74, 2 threads", "1"],
        ["results/tour/small", "tour", "embedded", "2026-11-20 09:00", "1 min 15 s", "AMD EPYC 9V74, 2 threads", "1"],
        ["results/walk/one", "walk", "resnet18", "2026-11-19 09:00", "12 s", "AMD EPYC 9V74, 1 thread", "1"],
    ]
    assert [row[8:] for row in found[2:5]] == [["results/tour/small"], [], []]
    assert found[5][0].startswith("3 runs, ")
    assert told(capsys, "runs", "list") == told(capsys, "runs")


def test_runs_are_filtered_and_sorted(results, capsys):
    def listed(*words: str) -> list[str]:
        return [item["folder"] for item in json.loads(told(capsys, "runs", "list", *words, "--json"))["runs"]]

    assert listed("--where", "steps=16") == ["results/tour/small"]
    assert listed("--where", "saving.dpi=120", "steps=512") == ["results/tour/large"]
    assert listed("--model", "resnet*") == ["results/walk/one"]
    assert listed("--experiment", "tour", "--sort", "seconds") == ["results/tour/small", "results/tour/large"]
    assert listed("results/walk", "results/tour/large", "--sort", "experiment") == ["results/tour/large", "results/walk/one"]
    assert "1 run, " in told(capsys, "runs", "list", "--where", "steps=16")
    assert "; 2 more do not match" in told(capsys, "runs", "list", "--where", "steps=16")


def test_what_cannot_be_read_stands_below_the_list(results, capsys):
    outdated(results / "old")
    (results / "walk" / "one" / "manifest.json").write_bytes(b"\xff")
    out = told(capsys, "runs")
    assert out.splitlines()[-2:] == [
        "not listed: results/old: `format` is 1, of an older interp; this one reads format 2: make the run again",
        "not listed: results/walk/one: it is not ASCII JSON: byte 0 is damaged",
    ]
    assert "2 runs, " in out
    assert [bad["folder"] for bad in json.loads(told(capsys, "runs", "list", "--json"))["unreadable"]] == [
        "results/old",
        "results/walk/one",
    ]


def test_nothing_in_a_name_is_obeyed_by_the_terminal(here, capsys):
    make(here / "results" / "[red]x", "a\x1b[2Jb[bold]", about=About("t", "q", "l"))
    out = told(capsys, "runs")
    assert "\x1b" not in out
    assert "a?[2Jb[bold]" in out
    assert "results/[red]x" in out


def test_two_runs_are_compared(results, capsys):
    out = told(capsys, "runs", "compare", "small", "tour/l")
    lines = rows(out)
    assert lines[0][:2] == ["A", "results/tour/small"]
    assert lines[1][:2] == ["B", "results/tour/large"]
    assert ["steps", "16", "512"] in lines
    assert ["options: 1 differs, 6 equal"] in lines
    assert ["what went in: none differ, 5 equal"] in [
        [line[0].partition(", with")[0]] for line in lines
    ] or "what went in: none differ" in out
    assert "machine: none differ, 8 equal" in out
    assert ["score", "0.5", "0.75", "+0.25", "1.5"] in lines
    assert "metrics: 1 differs, 0 equal, 1 only in A" in out
    assert "arrays: 1 different, 1 only in B" in out
    assert "maps: different" in out
    assert "figures only" not in out


def test_a_comparison_says_what_else_differs(results, capsys):
    other = {"config": Config(images=()), "machine": replace(MACHINE, accelerator="H200")}
    make(results / "walk" / "two", "walk", figures={"wide": ("a", "b")}, metrics={}, arrays={}, **other)
    out = told(capsys, "runs", "compare", "walk/one", "walk/two")
    lines = rows(out)
    assert ["images", "cat,coffee", "[]"] in lines
    assert ["model", "resnet18", "embedded"] in lines
    assert ["accelerator", '""', "H200"] in lines
    assert ["threads", "1", "2"] in lines
    assert "machine: 2 differ, 6 equal" in out
    assert "figures only in A: grid" in out
    assert "figures only in B: wide" in out


def test_a_comparison_as_json(results, capsys):
    found = json.loads(told(capsys, "runs", "compare", "small", "large", "--json"))
    assert found["first"]["folder"] == "results/tour/small"
    assert found["config"] == {"differing": [{"name": "steps", "first": 16, "second": 512}], "equal": 6}
    by_name = {item["name"]: item for item in found["metrics"]["differing"]}
    assert by_name["score"] == {"name": "score", "first": 0.5, "second": 0.75, "difference": 0.25, "ratio": 1.5}
    assert "second" not in by_name["name"]
    assert {name: entry["verdict"] for name, entry in found["arrays"].items()} == {"maps": "different", "more": "different"}
    assert found["figures"] == {"only_first": [], "only_second": []}


def test_a_run_equals_itself(results, capsys):
    out = told(capsys, "runs", "compare", "small", "small")
    assert "options: none differ, 7 equal" in out
    assert "metrics: none differ, 2 equal" in out
    assert "arrays: 1 identical" in out


def test_figures_of_a_run_are_exported(results, capsys):
    out = told(capsys, "runs", "export", "small", "--to", "paper", "--figures", "gr*", "--formats", "png")
    assert out.splitlines() == ["paper/tour-grid.png", "paper/tour-grid.provenance.json"]
    assert (results.parent / "paper" / "tour-grid.png").read_bytes() == (results / "tour" / "small" / "figures" / "grid.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "smal1", "large"], "no run 'smal1' below 'results': did you mean 'tour/small'"),
        (["compare", "tour", "large"], "'tour' begins 2 runs"),
        (["compare", "small"], "required"),
        (["export", "small"], "--to"),
        (["export", "nothing", "--to", "x"], "no run 'nothing'"),
        (["list", "nowhere"], "there is no folder 'nowhere' to look for runs in"),
        (["list", "--where", "step=3"], "no run has 'step' in its config: did you mean 'steps'"),
        (["list", "--where", "steps"], "'steps' is no condition: write KEY=VALUE"),
        (["list", "--sort", "size"], "--sort"),
        (["list", "--exprement", "x"], "--experiment"),
    ],
)
def test_bad_input_is_one_line(results, capsys, words, message):
    assert message in refused(capsys, "runs", *words)


@pytest.mark.parametrize("words", [["runs"], ["runs", "list"], ["runs", "compare"], ["runs", "export"]])
def test_each_has_its_help(here, capsys, words):
    assert run([*words, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"usage: interp {' '.join(words)} " in out
    if words == ["runs"]:
        assert {"list", "compare", "export"} <= set(out.split())


def test_without_a_folder_of_results_the_line_says_so(here, capsys):
    assert "there is no folder 'results'" in refused(capsys, "runs")


def test_the_word_list_may_be_left_out():
    assert spelled(["runs", "results/tour", "--json"]) == ["runs", "list", "results/tour", "--json"]
    assert spelled(["runs", "--where", "steps=3"]) == ["runs", "list", "--where", "steps=3"]
    for words in (
        ["runs"],
        ["runs", "list", "x"],
        ["runs", "compare", "a", "b"],
        ["runs", "export"],
        ["runs", "--help"],
        ["gallery", "x"],
        [],
    ):
        assert spelled(words) == words
