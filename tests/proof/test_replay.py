"""The process that makes a run again: what it is given, what it tells where it fails, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from proving import MACHINE, lay_files, make

from interp.proof import replay as replaying
from interp.proof.inputs import Staged, Unrepeatable
from interp.proof.replay import AS_RECORDED, THREADS, Settings, environment, replay, run_child, with_device, with_parent
from interp.runs import Manifest
from interp.runs.configfile import read_config
from interp.runs.program import checkout

TELLS = """
import json, os, sys
from pathlib import Path
options, out = Path(sys.argv[1]), Path(sys.argv[2])
out.mkdir()
names = {names!r}
told = {{"folder": os.getcwd(), "options": options.read_text(), "path": sys.path, **{{name: os.environ.get(name) for name in names}}}}
(out / "told.json").write_text(json.dumps(told))
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    lay_files(tmp_path)
    return Manifest.read(make(tmp_path / "made", tmp_path, machine=replace(MACHINE, threads=3)))


@pytest.fixture
def staged(tmp_path: Path) -> Staged:
    (tmp_path / "work").mkdir()
    return Staged(tmp_path / "work")


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let another program run in the place of the one that made the run."""

    def set_to(source: str) -> None:
        monkeypatch.setattr(replaying, "words", lambda _, options, out, script: [sys.executable, "-c", source, str(options), str(out)])

    return set_to


def test_the_process_is_given_the_recorded_options_and_threads(
    tmp_path: Path, manifest: Manifest, staged: Staged, program: Callable[[str], None]
) -> None:
    program(TELLS.format(names=THREADS))
    out = tmp_path / "again"
    replay(manifest, staged, out, AS_RECORDED)
    told = json.loads((out / "told.json").read_text())
    assert Path(told["folder"]).samefile(staged.folder)
    assert [told[name] for name in THREADS] == ["3", "3", "3"]
    assert read_config(tmp_path / "options.yaml").options == manifest.config
    assert told["path"][0] == str(checkout())
    assert str(staged.folder) not in told["path"]
    assert "" not in told["path"]


def test_other_threads_and_another_device_are_passed_on(
    tmp_path: Path, manifest: Manifest, staged: Staged, program: Callable[[str], None]
) -> None:
    program(TELLS.format(names=THREADS))
    replay(manifest, staged, tmp_path / "again", Settings(threads=2, device="cuda:1"))
    told = json.loads((tmp_path / "again" / "told.json").read_text())
    assert [told[name] for name in THREADS] == ["2", "2", "2"]
    (tmp_path / "options.yaml").write_text(told["options"])
    recorded = manifest.config["loading"]
    assert isinstance(recorded, dict)
    assert read_config(tmp_path / "options.yaml").options == manifest.config | {"loading": recorded | {"device": "cuda:1"}}


def test_another_device_goes_where_the_options_have_one() -> None:
    config: dict[str, object] = {"steps": 1, "loading": {"class": "ModelOptions", "device": "cpu"}}
    assert with_device(config, "mps") == {"steps": 1, "loading": {"class": "ModelOptions", "device": "mps"}}
    assert with_device({"device": "cpu"}, "mps") == {"device": "mps"}
    assert with_device({"steps": 1}, "mps") == {"steps": 1}
    assert config["loading"] == {"class": "ModelOptions", "device": "cpu"}


def test_the_parent_is_passed_on_since_the_page_names_it() -> None:
    # By its class: a script may call it as it likes, and call something else `saving`.
    config: dict[str, object] = {"saving": {"class": "Money", "euro": 3}, "files": {"class": "SaveOptions", "dpi": 120}}
    derived = with_parent(config, "a" * 64)
    assert derived == {"saving": {"class": "Money", "euro": 3}, "files": {"class": "SaveOptions", "dpi": 120, "parent": "a" * 64}}
    assert with_parent(config, None) is config
    assert with_parent({"steps": 1}, "a" * 64) == {"steps": 1}
    assert "parent" not in str(config)


def test_a_script_finds_its_neighbours(tmp_path: Path, manifest: Manifest) -> None:
    found = environment(manifest, Staged(tmp_path, tmp_path / "mine.py", tmp_path / "lib"), AS_RECORDED)["PYTHONPATH"]
    assert found == f"{checkout()}{os.pathsep}{tmp_path / 'lib'}"


def test_nothing_in_the_folder_it_starts_in_is_imported(tmp_path: Path, manifest: Manifest, staged: Staged) -> None:
    (staged.folder / "interp").mkdir()
    for name in ("interp/__init__.py", "json.py", "yaml.py"):
        (staged.folder / name).write_text("raise SystemExit(9)")
    command = [sys.executable, "-c", "import json, yaml, interp.errors"]
    assert run_child(command, staged.folder, environment(manifest, staged, AS_RECORDED), tmp_path / "said") == 0


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "import sys; sys.exit('interp: device cuda does not exist on this machine: there is only cpu')",
            r"device cuda does not exist .* cpu",
        ),
        ("import sys; sys.stderr.write('interp: first\\nmore\\ninterp: second\\n\\n'); sys.exit(2)", r"second"),
        ("{}['key']", r"it failed: KeyError: 'key'"),
        ("import sys; sys.exit(3)", r"it failed without a word, with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", r"it was ended by SIGKILL before it was done"),
        ("import sys; sys.exit(f'interp: no file {sys.argv[2]}')", r"no file again"),
        ("", r"`tour` ended well, but left no run"),
    ],
)
def test_a_process_that_fails_is_told_in_its_one_line(
    tmp_path: Path, manifest: Manifest, staged: Staged, program: Callable[[str], None], source: str, reason: str
) -> None:
    program(source)
    with pytest.raises(Unrepeatable, match=f"^{reason}$"):
        replay(manifest, staged, tmp_path / "again", AS_RECORDED)


def test_a_program_that_does_not_exist_is_told(tmp_path: Path, staged: Staged) -> None:
    with pytest.raises(Unrepeatable, match=r"^no process can be started: No such file or directory$"):
        run_child([str(tmp_path / "none")], staged.folder, {}, tmp_path / "said")


# Starts a process that starts another, and waits for both as a verification does.
WAITS = """
import sys
from pathlib import Path
from interp.cli import _guarded, _stop_when_terminated
from interp.proof import proof, replay
from interp.proof.inputs import Search

grandchild = "import os, time; open({0!r}, 'w').write(str(os.getpid())); time.sleep(600)"
child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {{grandchild!r}}])"
replay.words = lambda *_: [sys.executable, "-c", child]
_stop_when_terminated()
sys.exit(_guarded(lambda: proof.prove(Path({1!r}), Search(Path({2!r})))))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_process_and_no_folder(tmp_path: Path, manifest: Manifest, number: signal.Signals) -> None:
    pid, temporary = tmp_path / "pid", tmp_path / "temporary"
    temporary.mkdir()
    source = WAITS.format(str(pid), str(tmp_path / "made"), str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", source], env=os.environ | {"TMPDIR": str(temporary)}, stderr=subprocess.PIPE, text=True
    )
    waited(lambda: pid.exists() and pid.read_text() != "" and any(temporary.iterdir()))
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "interp: interrupted; nothing was left half-written\n")
    assert list(temporary.iterdir()) == []
    waited(lambda: gone(int(pid.read_text())))


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody waited for may still be listed."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def waited(until: Callable[[], bool]) -> None:
    for _ in range(1200):
        if until():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that in a minute")
