"""``interp verify``: what was changed is named, what cannot be made again is said, and only what holds ends with 0."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from proving import MACHINE, SAMPLE, TOUR, Config, again, entries, lay_files, make

from interp.cli import run as interp
from interp.proof.record import read_record
from interp.proof.verdict import Verdict
from interp.runs import InputEntry, Manifest

NET = """
import torch
from torch import nn

classes = ["ant", "bee"]
preprocess = {"size": (16, 16), "resize": 16}


def make():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
"""


@dataclass
class Said:
    """What the command said, and with which exit code it ended."""

    code: int
    out: str
    err: str

    @property
    def row(self) -> str:
        """The cells of a table with one row, joined."""
        name, *others = columns(self.out)
        return " ".join(["".join(name), *(" ".join(" ".join(lines).split()) for lines in others if any(lines))])

    @property
    def named(self) -> list[str]:
        """What is named below the table, of whichever run."""
        return [line.strip() for line in self.out.splitlines()[place(self.out)[1] :] if line.startswith("    ") and line.strip()]


def place(out: str) -> tuple[int, int]:
    """The lines between which the rows of the table stand: after a rule, before an empty line."""
    lines = out.splitlines()
    rule = next(number for number, line in enumerate(lines) if "\u2500" in line)
    return rule + 1, next(number for number, line in enumerate(lines) if number > rule and not line.strip())


def columns(out: str) -> list[list[str]]:
    """The lines of each column of the table."""
    lines = [line.ljust(160) for line in out.splitlines()]
    first, end = place(out)
    starts = [lines[first - 2].index(head) for head in ("run", "verdict", "largest", "reason")]
    return [[line[start:stop].strip() for line in lines[first:end]] for start, stop in zip(starts, [*starts[1:], 160], strict=True)]


Ask = Callable[..., Said]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Start `interp verify` with these words; runs are made again in this process by ``made``."""

    def asked(*words: object, made: Callable[..., None] | None = again) -> Said:
        if made is not None:
            monkeypatch.setattr("interp.proof.replay.replay", made)
        capsys.readouterr()
        code = interp(["verify", *map(str, words)])
        told = capsys.readouterr()
        return Said(code, told.out, told.err)

    return asked


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the inputs of a run in `made`."""
    lay_files(tmp_path)
    make(tmp_path / "made", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def never(*_: object) -> None:
    raise AssertionError("it was made again")


def flip(path: Path, position: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def edit(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    value = json.loads((folder / "manifest.json").read_text())
    change(value)
    (folder / "manifest.json").write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def test_a_run_that_repeats_holds(here: Path, ask: Ask) -> None:
    said = ask("made")
    assert said.code == 0
    assert said.row == "made identical –"
    assert said.named == []
    assert re.search(r"^1 run: 1 identical, in \d", said.out, re.MULTILINE)


def test_one_bit_in_an_array_is_named(here: Path, ask: Ask) -> None:
    flip(here / "made" / "arrays.safetensors")
    said = ask("made", made=never)
    assert (said.code, said.row) == (1, "made different – not as it was written: `maps`")
    assert said.named == ["maps: other values of the same float32 [3, 4]"]


@pytest.mark.parametrize("name", ["figures/grid.png", "metrics.json", "index.html", "config.yaml"])
def test_one_bit_in_a_figure_or_another_file_is_named(here: Path, ask: Ask, name: str) -> None:
    flip(here / "made" / name)
    said = ask("made", made=never)
    assert (said.code, said.row) == (1, f"made different – not as it was written: `{name}`")
    assert re.fullmatch(rf"{name}: SHA-256 [0-9a-f]{{12}}\.\.\., [0-9a-f]{{12}}\.\.\. was written", said.named[0])
    assert len(said.named) == 1


def test_one_bit_in_an_option_is_named(here: Path, ask: Ask) -> None:
    edit(here / "made", lambda v: v["config"].update(steps=129))  # type: ignore[attr-defined]
    said = ask("made", made=never)
    assert (said.code, said.row) == (1, "made different – the manifest was changed: `config.steps`")
    assert said.named == ["config.steps: is 129; 128 was written"]


@pytest.mark.parametrize(
    ("path", "word"), [("pics/cat.png", "the input"), ("weights/net.safetensors", "the input"), ("net.py", "the code")]
)
def test_one_bit_in_an_input_or_in_code_is_named(here: Path, ask: Ask, path: str, word: str) -> None:
    was = hashlib.sha256((here / path).read_bytes()).hexdigest()[:12]
    flip(here / path)
    now = hashlib.sha256((here / path).read_bytes()).hexdigest()[:12]
    said = ask("made", made=never)
    expected = f"made cannot be checked – {word} `{path}` has changed: SHA-256 {now}..., {was}... was used"
    assert (said.code, said.row, said.named) == (1, expected, [])


def test_code_that_is_gone_is_named_and_found_where_it_is_said_to_be(here: Path, ask: Ask) -> None:
    (here / "elsewhere" / "deep").mkdir(parents=True)
    (here / "net.py").rename(here / "elsewhere" / "deep" / "net.py")
    said = ask("made", made=never)
    assert said.code == 1
    assert said.row == (
        "made cannot be checked – the code `net.py` is not there: it was looked for in the current folder; name others with --inputs"
    )
    assert ask("made", "--inputs", "elsewhere").row == "made identical –"


def test_what_comes_out_different_is_named(here: Path, ask: Ask) -> None:
    said = ask("made", made=partial(again, noise=1e-3))
    assert said.code == 1
    assert said.row.startswith("made different maps: ")
    assert any(line.startswith("maps: ") for line in said.named)
    assert any(line.startswith("metrics/score: ") for line in said.named)
    assert not any(line.startswith(("count", "arrays.safetensors")) for line in said.named)


def test_another_machine_is_judged_by_tolerances_and_said(here: Path, ask: Ask) -> None:
    said = ask("made", "--threads", 2, made=partial(again, noise=1e-6))
    assert said.code == 0
    assert re.match(r"made within tolerance maps: .* threads 1, not 2", said.row)
    said = ask("made", "--threads", 2, made=partial(again, noise=0.1))
    assert said.code == 1
    assert said.row.startswith("made different ")
    other = replace(MACHINE, processor="another processor", capability="AVX512")
    said = ask("made", made=partial(again, noise=1e-6, machine=other))
    assert said.code == 0
    assert "capability AVX2, not AVX512" in said.row


def test_weights_that_are_others_now_are_named(here: Path, ask: Ask) -> None:
    said = ask("made", made=partial(again, weights="c" * 64))
    expected = "made cannot be checked – the weights of net.py:make have changed: SHA-256 cccccccccccc..., aaaaaaaaaaaa... was used"
    assert (said.code, said.row) == (1, expected)


def test_a_sample_that_is_another_now_is_named(here: Path, ask: Ask) -> None:
    other = InputEntry.of_bytes("coffee.png", b"another sample")
    said = ask("made", made=partial(again, inputs=[*entries(here), other]))
    hashes = f"SHA-256 {other.sha256[:12]}..., {SAMPLE.sha256[:12]}... was used"
    assert (said.code, said.row) == (1, f"made cannot be checked – the sample `coffee.png` has changed: {hashes}")
    said = ask("made", made=partial(again, inputs=entries(here)))
    assert (said.code, said.row) == (1, "made cannot be checked – the sample `coffee.png` was not read")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda v: v.clear(), "it is not a manifest of interp: it has no `format` and `experiment`"),
        (lambda v: v.update(format=99), "`format` is 99, of a newer interp; this one reads format 2: upgrade interp"),
        (lambda v: v.update(format=1), "`format` is 1, of an older interp; this one reads format 2: make the run again"),
        (lambda v: v["files"].update({"../secret": v["files"]["index.html"]}), r"../secret"),
        (lambda v: v["inputs"][0].update(path="../secret"), r"../secret"),
        (lambda v: v["inputs"][0].update(path="/etc/passwd"), r"/etc/passwd"),
        (lambda v: v["inputs"][0].update(name="../secret"), r"../secret"),
        (lambda v: v["program"].update(kind="script", name="../evil.py", sha256="a" * 64), r"../evil.py"),
        (lambda v: v["program"].update(kind="shell", name="rm"), "`program.kind` is 'shell'; it is 'command' or 'script'"),
    ],
)
def test_a_hostile_manifest_gives_one_line_and_nothing_is_run(
    here: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, object]], object], reason: str
) -> None:
    edit(here / "made", change)
    opened = []
    real = os.open
    monkeypatch.setattr("os.open", lambda path, *rest, **more: opened.append(str(path)) or real(path, *rest, **more))
    said = ask("made", made=never)
    assert said.code == 1
    assert said.row.startswith("made cannot be checked – made/manifest.json: ")
    assert reason in said.row
    assert said.named == []
    assert not any("secret" in path or "passwd" in path for path in opened)


def test_a_file_that_no_run_left_is_no_manifest(here: Path, ask: Ask) -> None:
    (here / "made" / "manifest.json").write_text("[1]")
    said = ask("made", made=never)
    assert (said.code, said.row) == (1, "made cannot be checked – made/manifest.json: `the manifest` is a list, not an object")


def test_each_run_is_proved_though_one_is_damaged(here: Path, ask: Ask) -> None:
    for name in ("b", "c/deep"):
        make(here / "runs" / name, here, Config(steps=10))
    make(here / "runs" / "a", here)
    flip(here / "runs" / "b" / "index.html")
    said = ask("runs", "made", "runs/a")
    assert said.code == 1
    found = re.findall(r"^ (\S+) +(identical|different) ", said.out, re.MULTILINE)
    assert found == [("runs/a", "identical"), ("runs/b", "different"), ("runs/c/deep", "identical"), ("made", "identical")]
    assert "4 runs: 3 identical, 1 different, in " in said.out


def test_files_only_makes_nothing_again(here: Path, ask: Ask) -> None:
    (here / "net.py").unlink()
    said = ask("made", "--files-only", made=never)
    assert (said.code, said.row) == (0, "made files unchanged – files and arrays are as they were written")


def test_two_finished_runs_are_compared(here: Path, ask: Ask) -> None:
    make(here / "same", here)
    assert ask("made", "--against", "same", made=never).row == "made identical –"
    make(here / "threads", here, machine=replace(MACHINE, threads=4), noise=1e-6)
    said = ask("made", "--against", "threads", made=never)
    assert said.code == 0
    assert said.row.endswith("threads 1, not 4")
    make(here / "steps", here, Config(steps=100))
    said = ask("made", "--against", "steps", made=never)
    assert said.code == 1
    assert "`config.steps` 128, not 100" in said.row
    assert any(line.startswith("maps: ") for line in said.named)
    make(here / "other", here, experiment="voyage")
    said = ask("made", "--against", "other", made=never)
    assert said.code == 1
    assert "it is a run of `tour`, `other` one of `voyage`: only runs of one program are compared" in said.row


def test_a_damaged_run_is_not_compared_with(here: Path, ask: Ask) -> None:
    make(here / "other", here)
    flip(here / "other" / "index.html")
    said = ask("made", "--against", "other", made=never)
    assert (said.code, said.row) == (1, "made different – `other`: not as it was written: `index.html`")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], r"no run .nowhere. below .results."),
        (["pics"], r"'pics' holds no run: no manifest.json below it"),
        (["made", "--threads", "0"], r"--threads 0 is too small: give 1 or more"),
        (["made", "--inputs", "none"], r"there is no folder 'none' to look for inputs in \(--inputs\)"),
        (["made", "--against", "none"], r"--against: no run 'none' below 'results': there is none at all"),
        (["made", "more", "--against", "made"], r"--against compares one run with another, but 2 are named: name one"),
        (["made", "--files-only", "--record", "r.json"], r"--files-only and --record do not go together"),
        (["made", "--files-only", "--threads", "2"], r"--threads says how runs are made again, but --files-only makes none again"),
        (["made", "--record", "none/r.json"], r"the record `none/r.json` cannot be written: there is no folder `none`"),
        (["made", "--record", "net.py"], r"net.py: it is not JSON"),
    ],
)
def test_bad_input_is_said_before_any_work(here: Path, ask: Ask, words: list[str], message: str) -> None:
    make(here / "more", here)
    said = ask(*words, made=never)
    assert (said.code, said.out) == (2, "")
    assert re.match(f"interp: {message}", said.err)
    assert said.err.count("\n") == 1


def test_what_was_found_is_kept(here: Path, ask: Ask) -> None:
    make(here / "more", here, Config(steps=10))
    ask("made", "--record", "found.json", "--threads", 2, made=partial(again, noise=1e-6))
    first = read_record(here / "found.json")
    (seal,) = first
    kept = first[seal]
    assert seal == Manifest.read(here / "made").seal
    assert (kept.verdict, kept.reason, kept.machine) == (Verdict.WITHIN, "threads 1, not 2", "a processor, 2 threads")
    assert kept.difference is not None
    assert 0 < kept.difference < 1
    assert kept.torch == Manifest.read(here / "made").versions["torch"]
    flip(here / "pics" / "cat.png")
    ask("more", "--record", "found.json")
    second = read_record(here / "found.json")
    assert second.keys() == {seal, Manifest.read(here / "more").seal}
    assert second[seal] == kept
    other = second[Manifest.read(here / "more").seal]
    assert (other.verdict, other.difference, other.machine) == (Verdict.UNCHECKED, None, "")
    assert other.reason.startswith("the input `pics/cat.png` has changed")
    assert sorted(path.name for path in here.glob("*found*")) == ["found.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("format"), r"it is not a record of what was verified: it has no `format`"),
        (lambda v: v.update(format=7), r"`format` is 7; this interp reads records of format 1: verify again"),
        (lambda v: v["runs"].update(x=next(iter(v["runs"].values()))), r"`runs` names 'x', which is no digest of a manifest"),
        (lambda v: next(iter(v["runs"].values())).update(verdict="splendid"), r"`verdict` is 'splendid', which this interp does not know"),
        (lambda v: next(iter(v["runs"].values())).update(more=1), r"`runs.[0-9a-f]{64}.more` is not a known key"),
        (lambda v: next(iter(v["runs"].values())).update(difference="1"), r"`runs.[0-9a-f]{64}.difference` is a string, not a number"),
    ],
)
def test_a_record_is_read_strictly(here: Path, ask: Ask, change: Callable[[dict[str, object]], object], message: str) -> None:
    ask("made", "--record", "found.json")
    value = json.loads((here / "found.json").read_text())
    change(value)
    (here / "found.json").write_text(json.dumps(value))
    said = ask("made", "--record", "found.json", made=never)
    assert said.code == 2
    assert re.match(f"interp: found.json: {message}", said.err)


def test_of_many_differences_some_are_named_and_the_rest_counted(here: Path, ask: Ask) -> None:
    for number in range(20):
        (here / "made" / f"extra{number:02}").write_bytes(b"")
    said = ask("made", made=never)
    assert said.named[:2] == [f"extra{number:02}: in the folder, not listed in the manifest" for number in range(2)]
    assert (len(said.named), said.named[-1]) == (13, "and 8 more")
    assert "not as it was written: `extra00`, `extra01` and 18 more" in said.row


def test_nothing_is_cut_off_on_a_narrow_terminal(here: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "results/first_layer_kernels_of_many_networks/20261121-150203-convnext_tiny.fb_in22k-abcdef01"
    make(here / name, here)
    (here / "net.py").unlink()
    for variable, value in {"COLUMNS": "100", "TTY_COMPATIBLE": "1", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(variable, value)
    said = ask("results", made=never)
    out = re.sub(r"\x1b\[[0-9;]*m", "", said.out)
    table = out.split("1 run: ")[0]
    assert max(map(len, table.splitlines())) <= 100
    assert "\u2026" not in out
    runs, verdicts, _, reasons = columns(out)
    assert "".join(runs) == name
    assert "".join(verdicts) == "cannot be checked"
    assert " ".join(" ".join(reasons).split()).startswith("the code `net.py` is not there: it was looked for in the current folder;")


def test_what_is_in_a_name_does_not_reach_the_terminal(here: Path, ask: Ask) -> None:
    (here / "made" / "\x1b[31mred [bold]").write_bytes(b"")
    said = ask("made", made=never)
    assert "\x1b" not in said.out
    assert said.named == ["?[31mred [bold]: in the folder, not listed in the manifest"]


# From here on runs are made again by processes of their own.


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a network of the user's own, its weights and a picture, and the run `made` of these."""
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("own")
    (folder / "net.py").write_text(NET)
    (folder / "pics").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)).save(folder / "pics" / "a.png")
    draw = torch.Generator().manual_seed(0)
    shapes = {"0.weight": (4, 3, 3, 3), "0.bias": (4,), "4.weight": (2, 4), "4.bias": (2,)}
    save_file({name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}, folder / "net.safetensors")
    with chdir(folder):
        words = ["net.py:make", "pics/a.png", "--weights", "net.safetensors", "--layers", "0", "--formats", "png"]
        assert interp(["activations", *words, "--out", "made"]) == 0
        yield folder


def test_a_run_of_own_code_weights_and_picture_is_made_again(own: Path, ask: Ask) -> None:
    said = ask("made", made=None)
    assert (said.code, said.row) == (0, "made identical –")


@pytest.mark.parametrize("path", ["net.safetensors", "pics/a.png", "net.py"])
def test_one_bit_in_what_a_real_run_read_is_named(own: Path, ask: Ask, path: str) -> None:
    data = (own / path).read_bytes()
    flip(own / path)
    try:
        said = ask("made", made=None)
    finally:
        (own / path).write_bytes(data)
    assert said.code == 1
    assert f"`{path}` has changed: SHA-256 " in said.row


def test_a_device_that_is_not_there_is_told_by_its_message(own: Path, ask: Ask) -> None:
    said = ask("made", "--device", "cuda:77", made=None)
    assert said.code == 2
    assert said.err.startswith("interp: device 'cuda:77' does not exist on this machine: there ")


def test_the_run_of_a_script_is_made_again(tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Path(__file__).parent.parent.parent / "experiments" / "first_layer_kernels.py"
    spec = importlib.util.spec_from_file_location("first_layer_kernels", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "first_layer_kernels", module)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    from interp.cli.options import SaveOptions

    module.main(module.Config(saving=SaveOptions(out=Path("made"), formats=("png",))))
    assert Manifest.read(tmp_path / "made").program.name == "experiments/first_layer_kernels.py"
    said = ask("made", made=None)
    assert (said.code, said.row) == (0, "made identical –")


def test_the_runs_in_these_tests_are_of_a_command(here: Path) -> None:
    assert Manifest.read(here / "made").program == TOUR
