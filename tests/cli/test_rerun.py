"""``interp rerun``: which options change to what, what must be there for it, and the process that makes the new run."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from interp.cli import rerun, run
from interp.cli.commands import Kernels, Report
from interp.cli.compare import Compare
from interp.cli.options import ModelOptions, SaveOptions
from interp.cli.settings import changed, settings
from interp.errors import BadFile, InterpError
from interp.runs import InputEntry, Machine, Manifest, Program, Role, Run
from interp.runs.configfile import read_config
from interp.runs.decode import decode
from interp.runs.plain import config_entry
from interp.runs.program import checkout, script_of, words

MACHINE = Machine("Linux x86_64", "a processor")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_run(folder: str, config: object, program: Program, *inputs: InputEntry) -> Manifest:
    with Run.create(
        Path(folder), experiment=program.name, program=program, config=config, seed=0, machine=MACHINE, inputs=inputs, command=["made"]
    ):
        pass
    return Manifest.read(Path(folder))


REPORT = Program("command", "report")


@dataclass(frozen=True)
class Own:
    """Options of the script that `own` writes."""

    steps: int = 3
    rate: float = 0.5
    name: str = "a"
    target: str | None = None
    images: tuple[str, ...] = ("cat",)
    sizes: tuple[int, ...] = (1, 2)
    saving: SaveOptions = field(default_factory=SaveOptions)


ECHO = "import shutil, sys\nshutil.copy(sys.argv[sys.argv.index('--config') + 1], 'seen.yaml')\nprint(*sys.argv[3:])\nsys.exit(7)\n"


def own(text: str = ECHO, name: str = "own.py") -> Program:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
    return Program("script", name, hashlib.sha256(text.encode()).hexdigest())


def after(config: object, *typed: str, declared: bool = True) -> object:
    """The options with what is typed, by way of their entries."""
    entry = config_entry(config)
    asked = settings(typed, entry, "made")
    return decode(type(config), changed(entry, asked, type(config) if declared else None))


@pytest.mark.parametrize(
    ("typed", "change"),
    [
        (["steps=512"], {"steps": 512}),
        (["seed=1"], {"loading": ModelOptions(seed=1)}),
        (["loading.seed=1", "dpi=200"], {"loading": ModelOptions(seed=1), "saving": SaveOptions(dpi=200)}),
        (["random-weights=true"], {"loading": ModelOptions(random_weights=True)}),
        (["images=[cat, coffee]"], {"images": ("cat", "coffee")}),
        (["images=cat,coffee"], {"images": ("cat", "coffee")}),
        (["images= cat , coffee "], {"images": ("cat", "coffee")}),
        (["images=hubble"], {"images": ("hubble",)}),
        (["layers=layer*.conv1,stem"], {"layers": ("layer*.conv1", "stem")}),
        (["layers=*"], {"layers": ("*",)}),
        (["layers=1,2"], {"layers": ("1", "2")}),
        (["units=fc:3"], {"units": ("fc:3",)}),
        (["images="], {"images": ()}),
        (["images=[]"], {"images": ()}),
        (["target=281"], {"target": "281"}),
        (["target=tiger cat"], {"target": "tiger cat"}),
        (["target=a=b"], {"target": "a=b"}),
        (["target=null"], {"target": None}),
        (["target=None"], {"target": None}),
        (["weights=w/1.pt"], {"loading": ModelOptions(weights=Path("w/1.pt"))}),
        (["formats=svg"], {"saving": SaveOptions(formats=("svg",))}),
        ([], {}),
    ],
)
def test_an_option_is_set_by_its_name_to_what_its_type_says(typed: list[str], change: dict[str, object]) -> None:
    config = Report(images=("rocket",), target="cup")
    assert after(config, *typed) == replace(config, **change)


@pytest.mark.parametrize(
    ("typed", "change"),
    [
        (["steps=512", "rate=1e-3"], {"steps": 512, "rate": 0.001}),
        (["name=12"], {"name": "12"}),
        (["name='12'"], {"name": "12"}),
        (["target=tiger cat"], {"target": "tiger cat"}),
        (["target='281'"], {"target": "281"}),
        (["images=1,b"], {"images": ("1", "b")}),
        (["images=[a, b]"], {"images": ("a", "b")}),
        (["sizes=3,4"], {"sizes": (3, 4)}),
        (["sizes=5"], {"sizes": (5,)}),
        (["sizes="], {"sizes": ()}),
        (["dpi=60", "formats=svg,pdf"], {"saving": SaveOptions(dpi=60, formats=("svg", "pdf"))}),
    ],
)
def test_of_a_script_a_value_is_read_as_the_recorded_one_is(typed: list[str], change: dict[str, object]) -> None:
    assert after(Own(), *typed, declared=False) == replace(Own(), **change)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["stpes=3"], r"^`made` has no option 'stpes': did you mean 'steps'"),
        (["sed=3"], r"^`made` has no option 'sed': did you mean 'seed'"),
        (["saving.dip=3"], r"^`made` has no option 'saving.dip': did you mean 'saving.dpi'"),
        (["out=x"], r"^`made` has no option 'out'"),
        (["steps"], r"^'steps' sets nothing: write --set NAME=VALUE"),
        (["=3"], r"^'=3' sets nothing"),
        (["steps=3", "steps=4"], r"^'steps' is set twice, to '3' and to '4'"),
        (["seed=3", "loading.seed=4"], r"^'loading.seed' is set twice, to '3' and to '4'"),
        (["steps=many"], r"^--set steps=many: `config.steps` is 'many'; it takes a whole number"),
        (["steps=1,2"], r"^--set steps=1,2: `config.steps` is '1,2'; it takes a whole number"),
        (["formats=gif"], r"^--set saving.formats=gif: `config.saving.formats` is 'gif'; it takes a list, each one of 'png', 'pdf'"),
        (["formats=pdf"], r"^--formats is pdf, which a page cannot show"),
        (["layers=[a"], r"^--set layers=\[a is not YAML"),
    ],
)
def test_what_cannot_be_set_is_named(typed: list[str], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        after(Report(), *typed)


def test_a_name_that_two_options_have_must_be_written_whole() -> None:
    entry = {"first": {"class": "A", "seed": 1}, "second": {"class": "B", "seed": 2}}
    with pytest.raises(InterpError, match=r"^'seed' is the name of first.seed and second.seed: write which"):
        settings(["seed=3"], entry, "made")
    assert changed(entry, settings(["second.seed=3"], entry, "made"), None)["second"] == {"class": "B", "seed": 3}
    assert entry["second"] == {"class": "B", "seed": 2}


def test_the_words_that_make_a_run_again(here: Path) -> None:
    config, out = Path("c.yaml"), Path("out")
    assert words(REPORT, config, out) == [sys.executable, "-P", "-m", "interp", "report", "--config", "c.yaml", "--out", "out"]
    script = Program("script", "a/b.py", "0" * 64)
    assert words(script, config, None, Path("x/a/b.py")) == [sys.executable, "x/a/b.py", "--config", "c.yaml"]
    assert script_of(Program("script", "experiments/first_layer_kernels.py", "0" * 64), [here, checkout()]) == (
        checkout() / "experiments" / "first_layer_kernels.py"
    )
    with pytest.raises(BadFile, match=r"^the script `a/b.py` that made the run is not in `.*`: go to the folder it lies below$"):
        script_of(script, [here])


def test_the_new_run_names_the_old_one_and_has_the_changed_options(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["kernels", "--layers", "stem.conv", "--count", "2", "--formats", "svg", "--out", "old"]) == 0
    assert run(["rerun", "old", "--set", "count=3", "--set", "dpi=70", "seed=4", "--out", "new"]) == 0
    assert capfd.readouterr().out == "old/index.html\nnew/index.html\n"
    old, new = Manifest.read(here / "old"), Manifest.read(here / "new")
    assert new.parent == old.identity
    assert old.parent is None
    assert decode(Kernels, new.config) == Kernels(
        layers=("stem.conv",), count=3, loading=ModelOptions(seed=4), saving=SaveOptions(formats=("svg",), dpi=70)
    )
    assert new.command == tuple(shlex.split("interp kernels --layers stem.conv --count 3 --seed 4 --formats svg --dpi 70"))
    assert not set(here.glob("**/*.partial"))


def test_a_script_is_started_with_the_options_and_its_exit_code_is_passed_on(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    old = a_run("old", Own(), own())
    assert run(["rerun", "old", "--set", "steps=5", "--out", "new"]) == 7
    assert capfd.readouterr() == ("--out new\n", "")
    seen = decode(Own, read_config(Path("seen.yaml")).options)
    assert seen == Own(steps=5, saving=SaveOptions(parent=old.identity))
    assert run(["rerun", "old"]) == 7
    assert capfd.readouterr().out == "\n"


def test_a_changed_script_is_not_started_and_a_missing_one_is_told(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    old = a_run("old", Own(), own(name="mine/own.py"))
    other = own(ECHO + "# more", "mine/own.py").sha256
    assert run(["rerun", "old"]) == 2
    assert capfd.readouterr() == (
        "",
        f"interp: the script `mine/own.py` has changed: SHA-256 {other[:12]}..., {old.program.sha256[:12]}... was run; "
        "put it back, or start it yourself with --config\n",
    )
    assert not Path("seen.yaml").exists()
    Path("mine/own.py").unlink()
    assert run(["rerun", "old"]) == 2
    assert "the script `mine/own.py` that made the run is not in " in capfd.readouterr().err


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words of the processes that would be started."""
    seen: list[list[str]] = []

    def noted(command: list[str]) -> int:
        seen.append(list(command))
        return 0

    monkeypatch.setattr(rerun, "_made", noted)
    return seen


def test_a_script_of_interp_may_have_changed_which_is_noted(
    here: Path, capsys: pytest.CaptureFixture[str], started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    own(ECHO, "checkout/experiments/tour.py")
    a_run("old", Own(), Program("script", "experiments/tour.py", "0" * 64))
    monkeypatch.setattr("interp.cli.rerun_code.checkout", lambda: here / "checkout")
    assert run(["rerun", "old"]) == 2  # a folder of the name `experiments` that is no source of interp
    assert "the script `experiments/tour.py` has changed" in capsys.readouterr().err
    Path("checkout/pyproject.toml").touch()
    assert run(["rerun", "old"]) == 0
    assert capsys.readouterr().err == "interp: note: `experiments/tour.py` is not as it was when the run was made\n"
    assert [command[1] for command in started] == [str(here / "checkout/experiments/tour.py")]
    Path("checkout/experiments/manifest.json").touch()
    assert run(["rerun", "old"]) == 2
    assert "lies in the folder of a run (`experiments` has a manifest.json)" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["evil", "evil/deep/er"])
@pytest.mark.parametrize("what", ["script", "code", "linked code", "code by another role", "code that was not recorded", "code typed now"])
def test_code_in_a_run_is_never_started(
    here: Path, capsys: pytest.CaptureFixture[str], started: list[list[str]], folder: str, what: str
) -> None:
    path, typed = f"{folder}/net.py", []
    entry = reading(path, Role.PICTURE if what == "code by another role" else Role.CODE)
    if what == "script":
        a_run("old", Own(), Program("script", path, entry.sha256))
    elif what == "linked code":
        Path("net.py").symlink_to(path)
        a_run("old", Report("net.py:make"), REPORT, InputEntry.of(Path("net.py"), Role.CODE))
    elif what == "code typed now":
        a_run("old", Report(), REPORT)
        typed = ["--set", f"model={path}:make"]
    else:
        a_run("old", Report(f" {path}:make"), REPORT, *([] if "not recorded" in what else [entry]))
    Path("evil/manifest.json").touch()
    assert run(["rerun", "old", *typed]) == 2
    out, err = capsys.readouterr()
    name = "net.py" if what == "linked code" else path
    assert (out, err) == (
        "",
        f"interp: the code `{name}` lies in the folder of a run (`evil` has a manifest.json): nothing in there is run\n",
    )
    Path("evil/manifest.json").unlink()
    assert run(["rerun", "old", *typed]) == (2 if "not recorded" in what else 0)
    assert len(started) == ("not recorded" not in what)


def test_code_that_the_run_did_not_record_is_started_only_where_it_is_typed(
    here: Path, capsys: pytest.CaptureFixture[str], started: list[list[str]]
) -> None:
    reading("lib/other.py")
    a_run("old", Report("lib/other.py:make"), REPORT)
    assert run(["rerun", "old"]) == 2
    assert "`model` names the code `lib/other.py`, which the run did not record: give it with --set model=..." in capsys.readouterr().err
    assert run(["rerun", "old", "--set", "model=lib/other.py:make"]) == 0
    assert len(started) == 1


def test_a_changed_input_is_told_while_one_option_still_names_it(
    here: Path, capsys: pytest.CaptureFixture[str], started: list[list[str]]
) -> None:
    a_run("old", Report("net.py:make", loading=ModelOptions(weights=Path("net.py"))), REPORT, reading("net.py", Role.CODE))
    edited(Path("net.py"))
    assert run(["rerun", "old", "--set", "weights=null"]) == 2
    assert "the code `net.py` of the run has changed" in capsys.readouterr().err
    assert run(["rerun", "old", "--set", "weights=null", "model=embedded"]) == 0
    assert len(started) == 1


@pytest.mark.parametrize("fault", ["no temporary folder", "full disk"])
def test_what_the_disk_refuses_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    a_run("old", Report(), REPORT)
    if fault == "full disk":
        monkeypatch.setattr(rerun, "_made", raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    else:
        monkeypatch.setattr(tempfile, "mkdtemp", raising(FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['x']")))
    assert run(["rerun", "old"]) == 2
    words = "No space left on device" if fault == "full disk" else "No usable temporary directory found in ['x']"
    assert capsys.readouterr() == ("", f"interp: the run cannot be started: {words}\n")


def raising(error: Exception) -> Callable[..., object]:
    def refuse(*_: object, **__: object) -> object:
        raise error

    return refuse


def reading(name: str, role: Role = Role.PICTURE) -> InputEntry:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(name.encode())
    return InputEntry.of(Path(name), role)


def removed(path: Path) -> str:
    path.unlink()
    return "cannot be read: No such file or directory"


def edited(path: Path) -> str:
    path.write_bytes(b"other")
    return f"has changed: SHA-256 {hashlib.sha256(b'other').hexdigest()[:12]}..., "


@pytest.mark.parametrize("spoil", [removed, edited])
@pytest.mark.parametrize(
    ("config", "path", "role", "option", "other"),
    [
        (Report(images=("a/cat.png", "coffee")), "a/cat.png", Role.PICTURE, "images", "images=coffee"),
        (Report(images=("a",)), "a/b/cat.png", Role.PICTURE, "images", "images=coffee"),
        (Report(loading=ModelOptions(weights=Path("w.pt"))), "w.pt", Role.WEIGHTS, "loading.weights", "weights=null"),
        (Report("nets/net.py:make"), "nets/net.py", Role.CODE, "model", "model=embedded"),
    ],
)
def test_an_input_must_be_as_it_was_unless_its_option_is_set(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    started: list[list[str]],
    config: Report,
    path: str,
    role: Role,
    option: str,
    other: str,
    spoil: Callable[[Path], str],
) -> None:
    a_run("old", config, REPORT, reading(path, role), InputEntry.of_bytes("coffee", b"shipped"))
    assert run(["rerun", "old", "--set", "steps=2"]) == 0
    assert len(started) == 1
    problem = spoil(Path(path))
    assert run(["rerun", "old", "--set", "steps=2"]) == 2
    err = capsys.readouterr().err
    assert f"the {role.value} `{path}` of the run {problem}" in err
    assert err.endswith(f"put it back, or give another with --set {option}=...\n")
    assert len(started) == 1
    assert run(["rerun", "old", "--set", other]) == 0
    assert len(started) == 2


def test_an_input_that_no_option_names_must_be_put_back(here: Path, capsys: pytest.CaptureFixture[str], started: list[list[str]]) -> None:
    a_run("old", Compare(), Program("command", "compare"), reading("extra.png", Role.MASK))
    Path("extra.png").unlink()
    assert run(["rerun", "old"]) == 2
    assert capsys.readouterr().err.endswith("`extra.png` of the run cannot be read: No such file or directory; put it back\n")
    assert started == []


def test_a_run_that_cannot_be_made_again_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], started: list[list[str]]) -> None:
    @dataclass(frozen=True)
    class Bare:
        seed: int = 0

    a_run("gone", Report(), Program("command", "reprot"))
    a_run("bare", Bare(), own())
    a_run("old", Report(), REPORT)
    Path("broken").mkdir()
    Path("broken/manifest.json").write_text("{}")
    manifest = json.loads(Path("old/manifest.json").read_text())
    manifest["config"]["steps"] = 5
    Path("edited").mkdir()
    Path("edited/manifest.json").write_text(json.dumps(manifest))
    for typed, message in [
        (["gone"], "made by `interp reprot`, which this interp has not: did you mean 'report'?"),
        (["bare"], "the run has no options of saving"),
        (["nowhere"], "no run 'nowhere' below 'results'"),
        (["broken"], "broken/manifest.json: it is not a manifest of interp"),
        (["edited"], "`config` does not match its digest"),
        (["old", "--out", "gone"], "`gone` already holds a run of `reprot`"),
        (["old", "--set", "stpes=3"], "`report` has no option 'stpes': did you mean 'steps'"),
        (["old", "--set", "layers=[a"], "is not YAML in line 1"),
        ([], "RUN"),
    ]:
        assert run(["rerun", *typed]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n"), err[:8]) == ("", 1, "interp: ")
        assert message in err, err
    assert started == []


SLOW = """
import signal, sys, time
def stop(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGTERM, stop)
try:
    print("started", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.5)  # cleaning up; told twice it would end in a traceback
    print("interp: interrupted", file=sys.stderr)
    sys.exit(130)
"""


@pytest.mark.parametrize("how", ["Ctrl-C", "terminated"])
def test_an_interruption_is_told_once_by_the_process_that_cleans_up(here: Path, how: str) -> None:
    a_run("old", Own(), own(SLOW))
    command = [sys.executable, "-m", "interp", "rerun", "old"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        if how == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
        else:
            os.kill(process.pid, signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interp: interrupted\n")


def test_a_process_that_is_killed_is_told(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    a_run("old", Own(), own("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"))
    before = signal.getsignal(signal.SIGINT)
    assert run(["rerun", "old"]) == 2
    assert "the run was ended by SIGKILL" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before
