"""The recorder keeps to its share of the time, on a clock that is moved by hand; what is cheap is always written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from watched import QUICK, Clock, net, probes

import interp
from interp.errors import InterpError
from interp.watching import Recorder, Recording
from interp.watching.budget import Budget
from interp.watching.interval import Interval
from interp.watching.looking import Look, Looker


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock on which each record, an empty one, takes two seconds, and nothing else takes any."""
    found = Clock()

    def slow(_self: Looker, _step: int, **_options: Any) -> Look:
        found.now += 2.0
        return Look()

    monkeypatch.setattr(Looker, "look", slow)
    return found


def run(recorder: Recorder, clock: Clock, steps: int, seconds: float = 0.5) -> list[float]:
    """Steps of so many seconds; the recorder's share after each."""
    shares = []
    for step in range(steps):
        clock.now += seconds
        recorder.step(loss=1 / (step + 1))
        shares.append(recorder.share)
    return shares


def test_records_are_left_out_where_they_do_not_fit(tmp_path: Path, clock: Clock) -> None:
    recorder = interp.watch(net(), tmp_path / "run", probes(), every=10, budget=0.1, detail=QUICK, clock=clock)
    shares = run(recorder, clock, 400)
    recorder.close()
    recording = Recording.read(tmp_path / "run")
    # At step n behind k records 2 k + n / 2 seconds have passed, of which 2 k were spent: one more fits, and the last after it, where
    # 2 k + 4 <= (2 k + n / 2) / 10. So for k = 1, 2, 3 ... at the next multiple of ten from 116, 152, 188 ... on.
    assert recording.steps == (0, 120, 160, 190, 230, 260, 300, 340, 370, 400)
    assert [record.entry.passed_over for record in recording.records] == [0, 11, 3, 2, 3, 2, 3, 3, 2, 3]
    assert max(shares[119:]) <= 0.1
    assert recorder.share <= 0.1
    assert len(recording.curve("loss")[0]) == 400
    said = [event for event in recording.lines.events if event.kind == "passed over"]
    assert [event.step for event in said] == [10, *(step + 10 for step in recording.steps[1:-1])]
    assert said[0].said == {"cost": 2.0, "share": pytest.approx(2 / 7)}


@pytest.mark.parametrize(("budget", "every", "seconds"), [(0.02, 1, 0.01), (0.05, 7, 1.0), (0.3, 3, 0.2), (1, 2, 0.1)])
def test_the_share_is_kept_to_the_end(tmp_path: Path, clock: Clock, budget: float, every: int, seconds: float) -> None:
    steps = round(500 / seconds / budget / 10)
    recorder = interp.watch(net(), tmp_path / "run", probes(1), every=every, budget=budget, detail=QUICK, clock=clock)
    for _ in range(steps // 50):
        clock.now += 49 * seconds
        recorder.step(at=recorder.last_step + 49)
        clock.now += seconds
        recorder.step()
    recorder.close()
    recording = Recording.read(tmp_path / "run")
    assert len(recording.records) > 3
    assert recording.lines.events[-1].said["share"] == recorder.share
    assert 0 < recorder.share <= budget
    for one in recording.records[1:]:
        assert one.entry.spent <= budget * one.entry.seconds + 1e-9


def test_without_a_budget_nothing_is_left_out(tmp_path: Path, clock: Clock) -> None:
    recorder = interp.watch(net(), tmp_path / "run", probes(), every=2, budget=None, detail=QUICK, clock=clock)
    run(recorder, clock, 5, seconds=0.001)
    recorder.close()
    recording = Recording.read(tmp_path / "run")
    assert recording.steps == (0, 2, 4, 5)
    assert [record.entry.cost for record in recording.records] == [2.0] * 4
    assert recording.records[-1].entry.spent == 8.0


def test_the_first_and_the_last_are_always_made(tmp_path: Path, clock: Clock) -> None:
    recorder = interp.watch(net(), tmp_path / "run", probes(), every=1, budget=0.02, detail=QUICK, clock=clock)
    run(recorder, clock, 3)
    recorder.close()
    recording = Recording.read(tmp_path / "run")
    assert recording.steps == (0, 3)
    assert recording.lines.events[-1].said["share"] == pytest.approx(4 / 5.5)
    assert (recording.share, recording.spent, recording.passed_over) == (pytest.approx(4 / 5.5), 4.0, 3)


def test_what_a_film_tells_of_a_recording(tmp_path: Path, clock: Clock) -> None:
    recorder = interp.watch(net(), tmp_path / "run", probes(), every=1, budget=0.02, detail=QUICK, clock=clock)
    run(recorder, clock, 3)
    going = Recording.read(tmp_path / "run")
    assert (going.closed, going.ended_by, going.passed_over, going.spent) == (False, None, 0, 2.0)
    assert going.share is None  # the only record was made before any time had passed
    recorder.close(RuntimeError("in the loop"))
    recording = Recording.read(tmp_path / "run")
    assert (recording.closed, recording.complete, recording.ended_by, recording.last_step) == (True, False, "RuntimeError", 3)
    assert (recording.passed_over, recording.spent, recording.share) == (3, 2.0, pytest.approx(2 / 3.5))


def test_epochs(tmp_path: Path, clock: Clock) -> None:
    recorder = interp.watch(net(), tmp_path / "run", probes(), epochs=2, budget=None, detail=QUICK, clock=clock)
    for _ in range(5):
        run(recorder, clock, 3)
        recorder.epoch(accuracy=0.5)
    recorder.close()
    recording = Recording.read(tmp_path / "run")
    assert recording.steps == (0, 6, 12, 15)
    assert [record.entry.epoch for record in recording.records] == [None, 2, 4, 5]
    assert [line.epoch for line in recording.lines.numbers if line.epoch is not None] == [1, 2, 3, 4, 5]


def test_an_epoch_and_a_step_at_once_make_one_record(tmp_path: Path, clock: Clock) -> None:
    recorder = interp.watch(net(), tmp_path / "run", probes(), every=3, epochs=1, budget=None, detail=QUICK, clock=clock)
    run(recorder, clock, 3)
    recorder.epoch()
    recorder.close()
    assert Recording.read(tmp_path / "run").steps == (0, 3)
    assert clock.now == 2 * 2.0 + 3 * 0.5


def test_time_inside_time_counts_once() -> None:
    clock = Clock()
    budget = Budget(0.5, clock)
    clock.now = 10.0
    with budget:
        clock.now += 1
        with budget:
            clock.now += 2
            assert budget.entered == 10.0
    assert (budget.spent, budget.elapsed) == (3.0, 13.0)
    budget.typical = 1.75
    assert budget.affords  # 3 + 3.5 of 13
    budget.typical = 1.76
    assert not budget.affords


def test_half_of_the_budget_is_for_records() -> None:
    clock = Clock()
    budget = Budget(0.1, clock)
    with budget:
        clock.now += 1
        budget.recorded(1.0)
    clock.now = 29.0
    assert not budget.affords  # with the next and the last 3 of 2.9
    clock.now = 31.0
    assert budget.affords
    with budget:
        clock.now += 4.0  # which is not a record's
    assert not budget.affords  # of 3.5 none are left, and of the half that is for records 1.75
    with budget:
        clock.now = 61.0
    assert budget.affords  # 3 of 3.05, though all is spent
    budget.recorded(1.5)
    assert not budget.affords
    assert budget.for_writers == pytest.approx(0.1 * 61 / 4)
    assert Budget(None, clock).for_writers == float("inf")


def test_larger_strides_miss_no_multiple() -> None:
    interval = Interval.of(10, None)
    assert [interval.at_step(before, before + 7) for before in range(0, 35, 7)] == [False, True, True, False, True]
    assert Interval.of(None, None) == Interval(100, None)
    assert not Interval.of(None, 2).at_step(0, 1000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "`budget` is 0: give a share of the training's time, such as 0.02"),
        ({"budget": 2.0}, "`budget` is 2.0"),
        ({"every": 0}, "`every` is 0: give how many there are from one record to the next"),
        ({"epochs": -1}, "`epochs` is -1"),
        ({"every": 1.5}, r"`every` is 1\.5: give how many there are from one record to the next, 1 or more"),
        ({"every": "10"}, "`every` is '10': give how many"),
        ({"every": True}, "`every` is True: give how many"),
        ({"every": torch.tensor([1, 2])}, r"`every` is tensor\(\[1, 2\]\): give how many"),
        ({"epochs": 2.0}, r"`epochs` is 2\.0: give how many"),
        ({"budget": "2%"}, "`budget` is '2%': give a share of the training's time, such as 0.02"),
        ({"budget": True}, "`budget` is True: give a share"),
        ({"budget": float("nan")}, "`budget` is nan: give a share"),
        ({"start": 2.5}, r"`start` is 2\.5: give the step of your checkpoint, 0 or more"),
        ({"start": -1}, "`start` is -1: give the step of your checkpoint, 0 or more"),
        ({"resume": True, "start": -1}, "`start` is -1"),
    ],
)
def test_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    unchecked = getattr(interp.watch, "__wrapped__", interp.watch)  # annotations are not checked in a user's process
    with pytest.raises(InterpError, match=message) as caught:
        unchecked(net(), tmp_path / "run", probes(), **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_whole_numbers_of_any_library(tmp_path: Path, clock: Clock) -> None:
    given = {"every": np.int64(2), "epochs": np.int64(1), "start": np.int32(3), "budget": np.float32(1)}
    unchecked = getattr(interp.watch, "__wrapped__", interp.watch)  # of a budget in NumPy's float32 the checker knows nothing
    with unchecked(net(), tmp_path / "run", probes(), detail=QUICK, clock=clock, **given) as recorder:
        for at in (np.int64(5), torch.tensor(7), np.int32(9)):
            clock.now += 10
            recorder.step(at=at, loss=np.float32(0.5))
    recording = Recording.read(tmp_path / "run")
    assert recording.steps == (3, 5, 7, 9)
    assert (recording.header.every, recording.header.epochs, recording.header.budget) == (2, 1, 1.0)
    assert recording.curve("loss")[0].tolist() == [5, 7, 9]


@pytest.mark.parametrize("at", [10.5, "11", True, torch.tensor(11.0), np.array([11, 12])])
def test_steps_that_are_no_whole_numbers(tmp_path: Path, at: Any) -> None:
    with interp.watch(net(), tmp_path / "run", probes(), budget=None, detail=QUICK) as recorder:
        unchecked = getattr(Recorder.step, "__wrapped__", Recorder.step)
        with pytest.raises(InterpError, match=r"`at` is .*: give the number of the step just done, such as `at=100`") as caught:
            unchecked(recorder, at=at)
        assert "\n" not in str(caught.value)
        assert recorder.last_step == 0


def test_steps_and_numbers_that_are_none(tmp_path: Path) -> None:
    with interp.watch(net(), tmp_path / "run", probes(), budget=None, detail=QUICK) as recorder:
        recorder.step(at=5)
        with pytest.raises(InterpError, match=r"the step `at=5` does not come after the last one, 5"):
            recorder.step(at=5)
        with pytest.raises(InterpError, match=r"`loss` is a Tensor: give a number for each step, such as `loss=0.5`"):
            recorder.step(loss=probes())
    assert Recording.read(tmp_path / "run").steps == (0, 5)
