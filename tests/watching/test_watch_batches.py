"""Numbers cost little, as several are written together: which wait, for how long, and what of them is there when a process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from watched import QUICK, Clock, net, probes

import interp
from interp.watching import Recorder, Recording
from interp.watching.folder import Folder

HERE = Path(__file__).parent


class Disk:
    """Whose writes take so many seconds each, and are counted."""

    def __init__(self, clock: Clock, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts: list[str] = []
        append = Folder.append

        def slow(folder: Folder, lines: str) -> None:
            clock.now += seconds
            self.texts.append(lines)
            append(folder, lines)

        monkeypatch.setattr(Folder, "append", slow)


def losses(folder: Path) -> list[int]:
    """The steps whose loss can be read."""
    return [line.step for line in Recording.read(folder).lines.numbers]


def begun(folder: Path, clock: Clock, budget: float | None = 0.02) -> Recorder:
    return interp.watch(net(), folder, probes(1), every=10**6, budget=budget, detail=QUICK, clock=clock)


def run(recorder: Recorder, clock: Clock, steps: int, seconds: float) -> None:
    for _ in range(steps):
        clock.now += seconds
        recorder.step(loss=0.5)


def test_the_dearer_the_longer_they_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes of 0.1 ms take a tenth of a budget of 2 % where they are 50 ms apart; where steps are slower, each is written at once."""
    clock = Clock()
    disk = Disk(clock, 1e-4, monkeypatch)
    recorder = begun(tmp_path / "run", clock)
    run(recorder, clock, 10, 0.06)
    assert [text.count("\n") for text in disk.texts] == [1] * 11  # with the line that says that it began
    run(recorder, clock, 200, 0.002)
    counts = [text.count("\n") for text in disk.texts[11:]]
    assert set(counts[1:]) == {25}
    assert all(text.endswith("\n") for text in disk.texts)
    assert losses(tmp_path / "run") == list(range(1, 11 + sum(counts)))
    recorder.close()
    assert losses(tmp_path / "run") == list(range(1, 211))


def test_half_a_second_and_a_thousand_lines_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    disk = Disk(clock, 0.1, monkeypatch)
    recorder = begun(tmp_path / "run", clock)
    run(recorder, clock, 500, 0.01)
    counts = [text.count("\n") for text in disk.texts[2:]]
    assert set(counts) <= {50, 51}
    run(recorder, clock, 5000, 1e-6)
    assert max(text.count("\n") for text in disk.texts) == 1000
    recorder.close()
    assert losses(tmp_path / "run") == list(range(1, 5501))


def test_without_a_budget_nothing_waits(tmp_path: Path) -> None:
    clock = Clock()
    recorder = begun(tmp_path / "run", clock, None)
    run(recorder, clock, 5, 0.0)
    assert losses(tmp_path / "run") == [1, 2, 3, 4, 5]
    recorder.close()


def test_nothing_waits_where_something_else_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, folder = Clock(), tmp_path / "run"
    Disk(clock, 0.1, monkeypatch)
    recorder = interp.watch(net(), folder, probes(1), every=20, budget=0.9, detail=QUICK, clock=clock)
    run(recorder, clock, 1, 1.0)
    run(recorder, clock, 5, 0.01)
    assert losses(folder) == [1]
    recorder.flush()
    assert losses(folder) == [1, 2, 3, 4, 5, 6]
    run(recorder, clock, 2, 0.01)
    recorder.epoch()
    assert losses(folder) == [1, 2, 3, 4, 5, 6, 7, 8, 8]
    run(recorder, clock, 12, 0.01)
    assert Recording.read(folder).steps == (0, 20)
    assert losses(folder)[-1] == 20
    run(recorder, clock, 1, 0.01)
    assert losses(folder)[-1] == 20
    recorder.close(KeyboardInterrupt())
    assert losses(folder)[-1] == 21
    assert Recording.read(folder).ended_by == "KeyboardInterrupt"


def test_a_recorder_that_is_let_go_of_writes_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    Disk(clock, 0.1, monkeypatch)
    recorder = begun(tmp_path / "run", clock)
    run(recorder, clock, 5, 0.01)
    assert losses(tmp_path / "run") == [1]
    del recorder
    assert losses(tmp_path / "run") == [1, 2, 3, 4, 5]
    assert not Recording.read(tmp_path / "run").closed


def test_a_step_takes_little_of_the_time(tmp_path: Path) -> None:
    """Microseconds in a row of steps; the bound is far above them, for machines that others use too."""
    recorder = interp.watch(net(), tmp_path / "run", probes(1), every=10**9, detail=QUICK)
    before = recorder._budget.spent
    for _ in range(2000):
        recorder.step(loss=0.5)
    assert (recorder._budget.spent - before) / 2000 < 1e-3
    recorder.close()


ENDS = """
import os, signal, sys
import interp
from watched import QUICK, Clock, net, probes
clock = Clock()
recorder = interp.watch(net(), sys.argv[1], probes(1), every=20, budget=0.9, detail=QUICK, clock=clock)
for step in range(50):
    if step == 40:
        recorder._outlet._due = 100.0
    clock.now += 1.0
    recorder.step(loss=float(step))
if os.fork() == 0:
    sys.exit()
os.wait()
{end}
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals of POSIX")
@pytest.mark.parametrize(
    ("end", "last", "code"),
    [
        ("raise RuntimeError('in the loop')", 50, 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", 40, -signal.SIGKILL),
    ],
    ids=["exception", "killed"],
)
def test_what_is_there_when_the_process_ends(tmp_path: Path, end: str, last: int, code: int) -> None:
    """At its end, all; where it is killed, all up to the last record. A process that was forked writes nothing a second time."""
    folder = tmp_path / "run"
    made = subprocess.run([sys.executable, "-c", ENDS.format(end=end), str(folder)], capture_output=True, text=True, cwd=HERE)
    assert made.returncode == code, made.stderr
    recording = Recording.read(folder)
    assert recording.steps == (0, 20, 40)
    assert losses(folder) == list(range(1, last + 1))
    assert (recording.closed, recording.ended_by) == (False, None)
    # From the checkpoint of step 40 on it is made again.
    with interp.watch(net(), folder, probes(1), every=20, budget=None, detail=QUICK, resume=True, start=40) as recorder:
        for step in range(40, 60):
            recorder.step(loss=float(step))
    steps, values = Recording.read(folder).curve("loss")
    assert steps.tolist() == list(range(1, 61))
    assert np.array_equal(values, np.arange(60))
    assert Recording.read(folder).steps == (0, 20, 40, 60)
