"""Options from files, and options as command lines: each is read back as what it was written from."""

from __future__ import annotations

import contextlib
import io
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import drawn_options
import pytest
import tyro
from drawn_options import NAMES, Drawn, drawn, options_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import interp.cli
from interp.cli import experiment, run
from interp.cli.commandline import command_line, options
from interp.cli.commands import Kernels, Report
from interp.cli.compare import Attribute, Compare
from interp.cli.configured import Given, parse, split
from interp.cli.options import Flag, ModelOptions, SaveOptions, Saving
from interp.cli.scan import Scan
from interp.cli.visualize import Visualize
from interp.errors import InterpError
from interp.runs.configfile import from_yaml, to_yaml
from interp.runs.decode import decode
from interp.runs.plain import config_entry

QUICK = settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", NAMES)
def test_every_programs_options_are_read_back_from_their_entry_and_their_file(name: str) -> None:
    kind = options_of(name)

    @QUICK
    @given(drawn(kind))
    def check(values: Drawn) -> None:
        config = values.made()
        entry = config_entry(config)
        assert decode(kind, entry) == config
        assert decode(kind, from_yaml(to_yaml(name, entry).decode("ascii"), "the file")) == config

    check()


@pytest.mark.parametrize("name", NAMES)
def test_every_programs_command_line_makes_its_options(name: str) -> None:
    kind = options_of(name)

    @QUICK
    @given(drawn(kind))
    def check(values: Drawn) -> None:
        config = typeable(values.made())
        program, *words = command_line(config)
        place, *rest = words
        assert (program, place) == (("interp", name) if name in interp_commands() else ("python", f"experiments/{name}.py"))
        with contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                assert tyro.cli(kind, args=rest) == config
            except SystemExit:
                raise AssertionError(f"{rest} is refused: {said.getvalue()}") from None

    check()


def interp_commands() -> set[str]:
    return set(NAMES) - {path.stem for path in drawn_options.SCRIPTS}


def typeable(config: Any) -> Any:
    """``config`` without the two things that tyro has no words for: the text None where None may stand, dashes later in a list."""
    for option in options(config):
        value = option.value
        if isinstance(value, tuple):
            value = (*value[:1], *(item.lstrip("-") if isinstance(item, str) else item for item in value[1:]))
            value = (*value[:1], *(Path(str(item).lstrip("-")) if isinstance(item, Path) else item for item in value[1:]))
        if value == "None" and option.default is None:
            value = "none"
        if value != option.value:
            outer, _, last = option.path.rpartition(".")
            change = {last: value}
            config = replace(config, **({outer: replace(getattr(config, outer), **change)} if outer else change))
    return config


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (Report(), "interp report"),
        (
            Report("resnet50", ("cat",), layers=("layer1", "layer2"), steps=64),
            "interp report resnet50 cat --layers layer1 layer2 --steps 64",
        ),
        (Report(images=("cat", "my dog.png")), "interp report embedded cat 'my dog.png'"),
        (Report(images=("-cat.png",), layers=("stem",)), "interp report --layers stem -- embedded -cat.png"),
        (Report(target="-1", layers=("-x",)), "interp report --layers=-x --target=-1"),
        (Kernels(loading=ModelOptions(random_weights=True, seed=3)), "interp kernels --random-weights --seed 3"),
        (Kernels(saving=SaveOptions(Path("out"), ("svg",), 90, None, "a" * 64)), "interp kernels --formats svg --dpi 90"),
        (Attribute(files=("npy", "png"), batch_size=4), "interp attribute --batch-size 4 --files npy png"),
        (Compare(masks=Path("a/masks")), "interp compare --masks a/masks"),
        (
            Visualize(("resnet18", "layer4:3"), start="cat", negative=True, apart=1e-7),
            "interp visualize resnet18 layer4:3 --negative --from cat --apart 1e-07",
        ),
    ],
)
def test_a_command_line_says_what_differs_from_the_defaults(config: object, line: str) -> None:
    assert shlex.join(command_line(config)) == line


@dataclass(frozen=True)
class Nested:
    rate: float = 0.5
    fast: Flag = True


@dataclass(frozen=True)
class Own:
    """Options of a script of one's own."""

    data: Path
    on: bool = True
    pair: tuple[str, str] = ("a", "b")
    nested: Nested = field(default_factory=lambda: Nested(rate=0.25))
    saving: Saving = field(default_factory=SaveOptions)


def test_nested_options_and_flags_of_a_script_are_written_as_tyro_reads_them() -> None:
    config = Own(Path("d"), False, ("-1", "c"), Nested(0.5, False))
    words = command_line(config)
    assert words[2:] == ["--data", "d", "--no-on", "--pair=-1", "c", "--nested.rate", "0.5", "--nested.no-fast"]
    assert tyro.cli(Own, args=words[2:]) == config
    assert command_line(Own(Path("d")))[2:] == ["--data", "d"]
    assert command_line(OfItsOwn())[2:] == []
    assert command_line(OfItsOwn(words=()))[2:] == ["--words"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parsed(kind: type[Any], name: str, *words: str) -> Any:
    return parse(kind, words, Given(f"interp {name}", "command", name), "What it does.", "see the help")


def kept(folder: Path, config: object, name: str = "options.yaml") -> str:
    (folder / name).write_bytes(to_yaml("made", config_entry(config)))
    return name


def test_what_is_typed_goes_before_the_file(here: Path) -> None:
    config = Report("resnet18", ("cat", "hubble"), ("stem",), target="cup", loading=ModelOptions(seed=4), saving=SaveOptions(dpi=99))
    file = kept(here, config)
    assert parsed(Report, "report", "--config", file) == config
    assert parsed(Report, "report", f"--config={file}") == config
    assert parsed(Report, "report", "embedded", "--config", file) == replace(config, model="embedded")
    assert parsed(Report, "report", "embedded", "rocket", f"--config={file}") == replace(config, model="embedded", images=("rocket",))
    assert parsed(Report, "report", "--layers", "--config", file) == replace(config, layers=())
    assert parsed(Report, "report", "--config", file, "--target", "None", "--steps", "3") == replace(config, target=None, steps=3)
    assert parsed(Report, "report", "--seed", "5", "--config", file, "--out", "x") == replace(
        config, loading=ModelOptions(seed=5), saving=SaveOptions(Path("x"), dpi=99)
    )


def test_a_file_may_say_where_a_run_is_written_and_what_it_came_from(here: Path) -> None:
    (here / "f.yaml").write_text(f"saving: {{out: there, parent: {'a' * 64}}}")
    assert parsed(Report, "report", "--config", "f.yaml").saving == SaveOptions(Path("there"), parent="a" * 64)
    assert parsed(Report, "report", "--config", "f.yaml", "--out", "here").saving == SaveOptions(Path("here"), parent="a" * 64)


def test_words_without_a_name_may_stand_behind_options() -> None:
    straight = parsed(Visualize, "visualize", "embedded", "stem.conv:1", "stem.conv:2", "--steps", "3", "--negative")
    assert parsed(Visualize, "visualize", "embedded", "--steps", "3", "stem.conv:1", "stem.conv:2", "--negative") == straight
    assert parsed(Visualize, "visualize", "embedded", "stem.conv:1", "--steps", "3", "stem.conv:2", "--negative") == straight
    with pytest.raises(InterpError, match=r"^Unrecognized options: stem\.conv:2, --steep.*; see the help$"):
        parsed(Visualize, "visualize", "embedded", "--steps", "3", "stem.conv:2", "--steep")
    with pytest.raises(InterpError, match=r"Unrecognized options: b; see the help; words without a name stand before the options$"):
        parsed(Scan, "scan", "embedded", "--top", "3", "b")


def test_the_words_of_visualize_come_from_the_file_or_are_typed(here: Path) -> None:
    file = kept(here, Visualize(("stem:0", "stem:1"), start="cat"))
    assert parsed(Visualize, "visualize", "--config", file).words == ("stem:0", "stem:1")
    assert parsed(Visualize, "visualize", "fc:3", "--config", file) == Visualize(("fc:3",), start="cat")


@pytest.mark.parametrize(("words", "weights"), [((), True), (("--random-weights",), True), (("--no-random-weights",), False)])
def test_a_flag_of_the_file_may_be_typed_again_or_taken_back(here: Path, words: tuple[str, ...], weights: bool) -> None:
    file = kept(here, Kernels(loading=ModelOptions(random_weights=True)))
    assert parsed(Kernels, "kernels", "--config", file, *words).loading.random_weights is weights


@given(st.lists(st.sampled_from(["a", "--b", "--config=f", "--", "--configs", "-c"]), max_size=5))
@settings(deadline=None)
def test_only_the_option_and_its_file_are_taken_out(words: list[str]) -> None:
    before = words[: words.index("--")] if "--" in words else words
    if before.count("--config=f") > 1:
        with pytest.raises(InterpError, match=r"^--config is given twice, f and f"):
            split(words)
        return
    rest, file = split(words)
    assert (file == Path("f")) == ("--config=f" in before)
    assert rest == [word for index, word in enumerate(words) if word != "--config=f" or index >= len(before)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "--config"], "--config names no file: write --config FILE"),
        (["report", "--config", "--steps", "3"], "--config names no file"),
        (["report", "--config="], "--config names no file"),
        (["report", "--config", "a", "--config=b"], "--config is given twice, a and b"),
        (["report", "--config", "none.yaml"], "cannot read the options in `none.yaml`: No such file or directory"),
        (["report", "--config", "."], "`.` is a folder, where a file of options is wanted: give `config.yaml`"),
        (["report", "--config", "wrong.yaml"], "`wrong.yaml`: `config.stpes` is no option of Report: did you mean 'steps'"),
        (
            ["kernels", "--config", "of.yaml"],
            "of.yaml`, whose first line says that it is of `report`, cannot be given to `interp kernels`: `config.steps` is no option of",
        ),
        (["report", "--config", "type.yaml"], "`type.yaml`: `config.loading.seed` is 'x'; it takes a whole number"),
        (["report", "--config", "of.yaml", "--stps", "3"], "--stps"),
        (
            ["layers", "--config", "of.yaml"],
            "`interp layers` takes no --config: it is for commands that make a run, such as `interp report",
        ),
        (["verify", "--config=of.yaml"], "`interp verify` takes no --config"),
        (["--config", "of.yaml", "report"], "--config comes behind a command"),
        (["repot", "--config", "of.yaml"], "repot"),
    ],
)
def test_a_file_that_cannot_be_taken_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    (here / "wrong.yaml").write_text("stpes: 3")
    (here / "type.yaml").write_text("loading: {seed: x}")
    (here / "of.yaml").write_bytes(to_yaml("report", {"steps": 3}))
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("interp: ")
    assert err.count("\n") == 1
    assert message in err
    assert {path.name for path in here.iterdir()} == {"wrong.yaml", "type.yaml", "of.yaml"}


@pytest.mark.parametrize("name", sorted(interp_commands()))
def test_the_help_of_every_command_that_makes_a_run_says_it(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run([name, "--help"]) == 0
    assert "--config FILE takes the options from a file" in " ".join(capsys.readouterr().out.split())


def test_a_run_is_made_again_from_its_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["kernels", "--layers", "stem.conv", "--count", "3"]
    assert run([*words, "--out", "first"]) == 0
    for name in ("config.yaml", "manifest.json"):
        assert run(["kernels", "--config", f"first/{name}", "--out", f"by-{name}"]) == 0
        assert (here / f"by-{name}" / "arrays.safetensors").read_bytes() == (here / "first" / "arrays.safetensors").read_bytes()
        assert (here / f"by-{name}" / "config.yaml").read_bytes() == (here / "first" / "config.yaml").read_bytes()
        assert from_yaml((here / f"by-{name}" / "manifest.json").read_text(), "it")["command"] == ["interp", *words]
    capsys.readouterr()
    assert run(["report", "--config", "first/manifest.json"]) == 2
    assert capsys.readouterr().err == ("interp: `first/manifest.json` is of a run of `kernels`, and cannot be given to `interp report`\n")


def test_a_script_takes_a_file_and_tells_what_is_wrong_in_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found: list[Own] = []

    def started(*words: str) -> int:
        with pytest.raises(SystemExit) as leaving:
            experiment(Own, found.append, words)
        assert isinstance(leaving.value.code, int)
        return leaving.value.code

    (here / "own.yaml").write_text("data: d\nnested: {fast: false}")
    assert started("--config", "own.yaml", "--pair", "x", "y", "--out", "o") == 0
    assert found == [Own(Path("d"), True, ("x", "y"), Nested(0.25, False), SaveOptions(Path("o")))]
    (here / "none.yaml").write_text("on: false")
    assert started("--config", "none.yaml") == 2
    assert "`none.yaml`: `config.data` is missing, and has no default: it takes a path" in capsys.readouterr().err
    assert started("--pare", "x", "y") == 2
    err = capsys.readouterr().err
    assert err.startswith("interp: ")
    assert err.endswith("`python test_config.py --help` lists the options\n")
    assert err.count("\n") == 1
    assert started("--help") == 0
    assert "--config FILE takes the options from a file" in capsys.readouterr().out
    assert len(found) == 1


@dataclass(frozen=True)
class OfItsOwn:
    """A script whose option is called config already."""

    config: str = "none"
    words: tuple[str, ...] = ("a",)


def test_an_option_of_the_same_name_stays_the_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    found: list[OfItsOwn] = []
    with pytest.raises(SystemExit):
        experiment(OfItsOwn, found.append, ["--config", "mine"])
    assert found == [OfItsOwn("mine")]


def test_help_with_a_file_loads_no_torch(here: Path) -> None:
    file = kept(here, Report(steps=77))
    code = f"import sys, interp.cli\ninterp.cli.run(['report', '--config', '{file}', '--help'])\nprint(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "(default: 77)" in " ".join(out.split())
    assert "interp.runs.decode" in out
    assert not {"torch", "matplotlib", "captum"} & set(out.split())


def test_makes_run_tells_commands_that_write_from_those_that_list() -> None:
    assert interp_commands() == {"report", "kernels", "activations", "visualize", "gradcam", "attribute", "compare"} | {
        "scan",
        "diagnose",
        "microscope",
        "edit",
        "film",
        "evolve",
    }
    assert not interp.cli.makes_run(None)
