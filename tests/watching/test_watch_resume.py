"""A recording goes on where it ended, or at the step of a checkpoint; in the folder of another network it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn
from watched import QUICK, Clock, net, probes

import interp
from interp.errors import BadFile
from interp.watching import Detail, Recorder, Recording

GIVEN: dict[str, Any] = {"every": 2, "units": ["conv1:1"], "budget": None, "detail": QUICK}


def begin(folder: Path, steps: int = 5, **options: Any) -> None:
    """A training that was killed: nobody closed its recorder."""
    recorder = watch(folder, **options)
    run(recorder, steps)
    recorder._outlet._folder.close()


def watch(folder: Path, network: nn.Module | None = None, **options: Any) -> Recorder:
    return interp.watch(network or net(), folder, **{"images": probes(), **GIVEN, **options})


def run(recorder: Recorder, steps: int, loss: float = 1.0) -> None:
    for _ in range(steps):
        recorder.step(loss=loss)


def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    folder, clock = tmp_path / "run", Clock(tick=0.001)
    begin(folder, clock=clock)
    recorder = watch(folder, resume=True, clock=clock)
    assert recorder.last_step == 5
    run(recorder, 4, loss=2.0)
    recorder.close()
    recording = Recording.read(folder)
    assert recording.steps == (0, 2, 4, 6, 8, 9)
    assert [record.entry.session for record in recording.records] == [1, 1, 1, 2, 2, 2]
    assert recording.curve("loss")[0].tolist() == list(range(1, 10))
    assert recording.curve("loss")[1].tolist() == [1.0] * 5 + [2.0] * 4
    seconds = [line.seconds for line in recording.lines.numbers]
    assert seconds == sorted(seconds)
    assert recording.complete


def test_at_an_earlier_step_what_came_after_it_counts_no_more(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    begin(folder, 9)
    recorder = watch(folder, resume=True, start=4)
    run(recorder, 3, loss=2.0)
    recording = Recording.read(folder)
    assert recording.steps == (0, 2, 4, 6)
    assert [record.entry.session for record in recording.records] == [1, 1, 1, 2]
    assert recording.curve("loss")[0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert recording.curve("loss")[1].tolist() == [1.0] * 4 + [2.0] * 3
    recorder.close()
    watch(folder, resume=True, start=6).close()
    assert Recording.read(folder).steps == (0, 2, 4, 6)
    assert len(list((folder / "records").glob("*.json"))) == 7  # nothing is taken away


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    begin(folder)
    (folder / "records" / "000006.safetensors").write_bytes(b"half")
    with (folder / "scalars.jsonl").open("a") as file:
        file.write('{"step":6,"sec')
    recorder = watch(folder, resume=True)
    run(recorder, 3)
    recorder.close()
    assert Recording.read(folder).steps == (0, 2, 4, 6, 8)
    assert Recording.read(folder).curve("loss")[0].tolist() == list(range(1, 9))


def test_a_training_without_numbers_goes_on_at_its_last_record(tmp_path: Path) -> None:
    recorder = watch(tmp_path / "run")
    for _ in range(5):
        recorder.step()
    recorder._outlet._folder.close()
    recorder = watch(tmp_path / "run", resume=True)
    assert recorder.last_step == 4
    for _ in range(3):
        recorder.step()
    recorder.close()
    assert Recording.read(tmp_path / "run").steps == (0, 2, 4, 6, 7)


def test_before_the_first_record_there_is_a_new_one(tmp_path: Path) -> None:
    recorder = watch(tmp_path / "run", start=10)
    run(recorder, 2)
    recorder.close()
    watch(tmp_path / "run", resume=True, start=3).close()
    recording = Recording.read(tmp_path / "run")
    assert recording.steps == (3,)
    assert recording.lines.numbers == ()


def test_epochs_are_counted_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    recorder = watch(folder)
    for _ in range(3):
        run(recorder, 1)
        recorder.epoch()
    recorder.close()
    with watch(folder, resume=True) as recorder:
        run(recorder, 1)
        recorder.epoch()
    assert [line.epoch for line in Recording.read(folder).lines.numbers if line.epoch is not None] == [1, 2, 3, 4]


def test_units_go_on_from_their_last_image(tmp_path: Path) -> None:
    """After forty records of one step each, one more step moves an image a little; one step from noise makes another image."""
    given = {"every": 1, "detail": Detail(channels=2, side=8, steps=1, tested=0), "activations": [], "gradcam": []}
    begin(tmp_path / "one", 40, **given)
    with watch(tmp_path / "one", resume=True, **given) as recorder:
        recorder.step()
    watch(tmp_path / "other", **given).close()
    before, after = (record.images.astype(float) for record in Recording.read(tmp_path / "one").records[-2:])
    fresh = Recording.read(tmp_path / "other").records[0].images.astype(float)
    assert np.abs(after - before).mean() < np.abs(after - fresh).mean() / 3


def test_a_start_beyond_the_end_is_refused(tmp_path: Path) -> None:
    """Of a recording that was closed, the last step is known; of one that was killed it may not have been written."""
    folder = tmp_path / "run"
    with watch(folder) as recorder:
        run(recorder, 5)
    before = (folder / "scalars.jsonl").read_bytes()
    with pytest.raises(BadFile, match=r"`start=6` is beyond the last step of the recording `.*run`, 5: give that step or an earlier one"):
        watch(folder, resume=True, start=6)
    assert (folder / "scalars.jsonl").read_bytes() == before
    watch(folder, resume=True, start=np.int64(5)).close()
    begin(tmp_path / "killed", 5)
    watch(tmp_path / "killed", resume=True, start=6).close()
    assert Recording.read(tmp_path / "killed").steps == (0, 2, 4, 6)


def test_without_a_recording_it_begins(tmp_path: Path) -> None:
    watch(tmp_path / "run", resume=True).close()
    assert Recording.read(tmp_path / "run").steps == (0,)


def test_a_folder_that_is_taken(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    with pytest.raises(BadFile, match=r"already holds a recording of 3 records: go on in it with `resume=True`, or choose another folder"):
        watch(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(BadFile, match=r"already holds 1 entry \(`notes\.txt`\); nothing is overwritten: choose another folder$"):
            watch(tmp_path / "other", resume=resume)
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["notes.txt"]


def test_two_recorders_at_once(tmp_path: Path) -> None:
    recorder = watch(tmp_path / "run")
    with pytest.raises(BadFile, match="is being written by another recorder"):
        watch(tmp_path / "run", resume=True)
    recorder.close()
    watch(tmp_path / "run", resume=True).close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": net(width=5)}, r"of another network: layer 'conv1' is Conv2d 4x12x12 in it and Conv2d 5x12x12 here; choose another"),
        (
            {"images": probes(size=14)},
            r"the probe images of .* are 3 x 12 x 12 \(channels x rows x cols\), and those given are 3 x 14 x 14",
        ),
        ({"images": probes() * 0.5}, "was recorded with other `images`: give the same, or choose another folder"),
        ({"units": ["conv1:2"]}, "was recorded with other `units`"),
        ({"kernels": ["conv2"]}, "was recorded with other `kernels`"),
        ({"detail": Detail()}, "was recorded with other `detail`"),
    ],
)
def test_what_is_not_the_same_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    begin(tmp_path / "run", 1)
    before = (tmp_path / "run" / "scalars.jsonl").read_bytes()
    with pytest.raises(BadFile, match=message) as caught:
        watch(tmp_path / "run", resume=True, **options)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "run" / "scalars.jsonl").read_bytes() == before
    watch(tmp_path / "run", resume=True).close()
