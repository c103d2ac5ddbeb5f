"""Two processes at one place, the remains of dead ones, disks and folders that refuse."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interp.errors import BadFile
from interp.runs import Place, Run, lock, place, verify
from interp.runs.verify import find

pytest.importorskip("fcntl")
CHILD = Path(__file__).with_name("faults_child.py")
Start = Callable[[Path], Run]


class Writer:
    """A process that writes a run, and waits in the middle of it until it is told to go on."""

    def __init__(self, folder: Path, out: Path, **more: object) -> None:
        self.taken, self.go = folder / f"taken-{time.monotonic_ns()}", folder / f"go-{time.monotonic_ns()}"
        self.order = {"out": str(out), "taken": str(self.taken), "go": str(self.go), **more}
        self.process = subprocess.Popen([sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([self.order]) + "\n")
        self.process.stdin.flush()

    def begun(self) -> Writer:
        while not self.taken.exists():
            assert self.process.poll() is None
            time.sleep(0.01)
        return self

    def said(self) -> str:
        """Let it go on; what became of it."""
        self.go.touch()
        assert self.process.stdout is not None
        said: str = json.loads(self.process.stdout.readline())[0]["said"]
        return said

    def end(self) -> None:
        self.go.touch()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Callable[..., Writer]]:
    writers: list[Writer] = []

    def begin(out: Path, **more: object) -> Writer:
        writers.append(Writer(tmp_path, out, **more))
        return writers[-1]

    yield begin
    for one in writers:
        one.end()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_second_at_one_place_is_told_before_it_works(tmp_path: Path, writer: Callable[..., Writer], start: Start) -> None:
    out = tmp_path / "results" / "one"
    first = writer(out).begun()
    with pytest.raises(BadFile, match=r"^`.*results/one` is being made by another process; wait for it, or choose another folder"):
        start(out).__enter__()
    assert writer(out).said().startswith(f"refused: `{out}` is being made by another process")
    with start(tmp_path / "results" / "two"):  # its sweeping leaves the living one alone
        pass
    assert names(tmp_path / "results") == {".one.partial", "two"}
    assert first.said() == "written"
    assert verify(out).ok
    assert names(tmp_path / "results") == {"one", "two"}


def test_without_a_name_both_finish_under_names_of_their_own(tmp_path: Path, writer: Callable[..., Writer]) -> None:
    out = tmp_path / "results" / "one"
    both = [writer(out, or_next=True).begun(), writer(out, or_next=True).begun()]
    third = writer(out, or_next=True).begun()
    assert [one.said() for one in (both[1], both[0], third)] == ["written"] * 3
    assert names(tmp_path / "results") == {"one", "one-2", "one-3"}
    assert all(verify(run).ok for run in find(tmp_path / "results"))


def test_the_place_is_free_again_when_its_process_dies(tmp_path: Path, writer: Callable[..., Writer], start: Start) -> None:
    out = tmp_path / "results" / "one"
    # Its parent, which would be told of the death, lives on.
    killed = writer(out, moments="lines", at=10**9).begun()
    child = subprocess.run(["pgrep", "-P", str(killed.process.pid)], check=True, capture_output=True, text=True).stdout
    os.kill(int(child), 9)
    while Path(f"/proc/{int(child)}").exists():
        time.sleep(0.01)
    assert names(tmp_path / "results") == {".one.partial"}
    assert find(tmp_path / "results") == ()
    with start(tmp_path / "results" / "other"):
        assert names(tmp_path / "results") == {".other.partial"}
    with start(out):
        pass
    assert names(tmp_path / "results") == {"one", "other"}


def test_only_what_is_certainly_dead_and_ours_is_swept(tmp_path: Path) -> None:
    ours = tmp_path / ".dead.partial"
    (ours / "interp-run" / "figures").mkdir(parents=True)
    (ours / "lock").touch()
    (tmp_path / ".empty.partial").mkdir()
    kept = [".unlocked.partial/interp-run/x", ".other.partial/lock", ".other.partial/notes", ".program.partial/x", ".file.partial"]
    for name in kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "lock").touch()
    (tmp_path / ".link.partial").symlink_to(tmp_path / "elsewhere")
    place.sweep(tmp_path)
    assert not ours.exists()
    assert not (tmp_path / ".empty.partial").exists()
    assert all((tmp_path / name).exists() for name in kept)
    assert (tmp_path / ".link.partial" / "lock").exists()


def test_where_nobody_can_be_told_dead_nothing_is_removed(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows and some network drives: the rename alone decides, and the hidden folders have names of their own."""
    monkeypatch.setattr(lock, "fcntl", None)
    (tmp_path / ".dead.partial" / "interp-run").mkdir(parents=True)
    (tmp_path / ".dead.partial" / "lock").touch()

    def work() -> None:
        with start(tmp_path / "one"), start(tmp_path / "one") as second:
            second.write("a", b"second")
            assert len(list(tmp_path.glob(".one.*.partial"))) == 2

    with pytest.raises(BadFile, match=r"`.*one` already holds a run of `tour`"):
        work()
    assert names(tmp_path) == {".dead.partial", "one"}
    assert (tmp_path / "one" / "a").read_bytes() == b"second"


def test_a_name_that_is_taken_without_a_lock_is_passed_over_at_the_end(tmp_path: Path) -> None:
    with Place(tmp_path / "one", or_next=True) as taken:
        (taken.inside / "a").write_text("mine")
        for name in ("one", "one-2"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "a").write_text("another's")
        taken.publish()
    assert taken.folder == tmp_path / "one-3"
    assert (tmp_path / "one-3" / "a").read_text() == "mine"
    assert names(tmp_path) == {"one", "one-2", "one-3"}


def test_a_hidden_folder_that_is_a_link_is_not_followed(tmp_path: Path, start: Start) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".one.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadFile, match=r"`.*one` cannot be made: Too many levels of symbolic links"):
        start(tmp_path / "one").__enter__()
    assert names(tmp_path / "elsewhere") == set()


def test_a_place_and_its_run_are_one(tmp_path: Path, start: Start) -> None:
    def fail() -> None:
        with Place(tmp_path / "results" / "one") as taken:
            assert taken.is_open
            start(taken)  # type: ignore[arg-type]
            raise ValueError("the model cannot be loaded")

    with pytest.raises(ValueError, match="cannot be loaded"):
        fail()
    assert names(tmp_path) == set()
    with Place(tmp_path / "results" / "one", or_next=True) as taken, start(taken) as run:  # type: ignore[arg-type]
        run.write("a", b"1")
    assert run.folder == tmp_path / "results" / "one"
    assert verify(run.folder).ok


def sayings(orders: list[dict[str, object]], limit: int | None = None) -> list[str]:
    """What became of orders, one after the other, in a process whose files may have `limit` bytes at most."""

    def before() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    text = "".join(json.dumps([order]) + "\n" for order in orders)
    done = subprocess.run([sys.executable, str(CHILD)], input=text, capture_output=True, text=True, preexec_fn=before, check=True)
    assert done.stderr == ""
    return [json.loads(line)[0]["said"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("limit", [0, 500])
def test_files_that_may_not_grow(tmp_path: Path, limit: int) -> None:
    out = tmp_path / "results" / "one"
    (said,) = sayings([{"out": str(out)}], limit)
    assert said == f"refused: `figures/f0.png` cannot be written into the run `{out}`: File too large"
    assert names(tmp_path) == set()


def test_arrays_that_may_not_grow(tmp_path: Path) -> None:
    """Here it is safetensors that is refused, in words of its own."""
    (said,) = sayings([{"out": str(tmp_path / "results" / "one")}], 10_000)
    assert said == f"refused: `{tmp_path}/results/one` was not written: File too large; nothing was left behind"
    assert names(tmp_path) == set()


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A disk of 256 KB in a mount namespace of its own, which ends with the process."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs to be root, to mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=256k none {disk}"
    if subprocess.run(["unshare", "--mount", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("this container may not mount a disk")
    script = f"{mount} && cd {disk} && {sys.executable} {CHILD} && {sys.executable} -c \"import os; print(sorted(os.listdir('results')))\""
    orders = [{"out": "results/a"}, {"out": "results/b", "blocks": 900}, {"out": "results/c", "files": 200}, {"out": "results/d"}]
    text = "".join(json.dumps([order]) + "\n" for order in orders)
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], input=text, capture_output=True, text=True, check=True)
    *lines, left = done.stdout.splitlines()
    said = [json.loads(line)[0]["said"] for line in lines]
    assert said[0] == said[3] == "written"
    assert said[1].startswith("refused: `figures/f0.png` cannot be written into the run")
    for refused in said[1:3]:
        assert refused.startswith("refused: `")
        assert refused.count("No space left on device") == 1
    assert left == "['a', 'd']"


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that every user of the machine reaches."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_folder_that_may_only_be_read(readable: Path) -> None:
    """Real permissions: as somebody who is not root, where root runs the tests."""
    results = readable / "results"
    (results / "earlier").mkdir(parents=True)
    (readable / "warm").mkdir()
    results.chmod(0o555)
    other = {"user": 65534} if os.geteuid() == 0 else {}
    outs = [results / "one", results / "deep" / "one"]
    try:
        warm, *said = sayings([{"out": str(readable / "warm" / "one")}, *({"out": str(out), **other} for out in outs)])
    finally:
        results.chmod(0o755)
    assert warm == "written"
    assert said == [
        f"refused: `{out}` cannot be made: no permission to write in `{results}`; choose another folder (`--out`)" for out in outs
    ]
    assert names(results) == {"earlier"}
