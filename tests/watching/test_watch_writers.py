"""TensorBoard and Weights & Biases, the real libraries, without a network; and what a writer that fails does to a training: nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from watched import QUICK, Clock, net, probes, train

import interp
from interp.errors import Unsupported
from interp.figures.palette import colors
from interp.figures.scale import Kind, Scale
from interp.watching import Recording
from interp.watching.looking import Look
from interp.watching.writers.pictures import Pictures


def recorded(folder: Path, *writers: object) -> Recording:
    network = net()
    with interp.watch(network, folder, probes(), every=2, units=["conv1:0"], budget=None, detail=QUICK, writers=writers) as recorder:
        train(network, 4, lambda _step, loss: recorder.step(loss=loss))
    return Recording.read(folder)


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recording = recorded(tmp_path / "run", "tensorboard")
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    found.Reload()
    losses = found.Scalars("training/loss")
    assert [event.step for event in losses] == [1, 2, 3, 4]
    assert np.allclose([event.value for event in losses], recording.curve("loss")[1])
    norms = found.Scalars("interp/statistics/conv1/norm")
    assert [event.step for event in norms] == [0, 2, 4]
    assert np.allclose([event.value for event in norms], recording.statistic("conv1", "norm")[1])
    assert {"interp/kernels/conv1", "interp/gradcam/conv2", "interp/units"} <= set(found.Tags()["images"])
    assert [event.step for event in found.Images("interp/units")] == [0, 2, 4]


def test_weights_and_biases_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="needs wandb")
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    recorded(tmp_path / "run", "wandb")
    assert wandb.run is None
    (run,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert len(list((run / "files" / "media" / "images" / "interp" / "kernels").glob("*.png"))) == 3
    own = wandb.init(mode="offline", dir=str(tmp_path), settings=wandb.Settings(silent=True))
    recording = recorded(tmp_path / "second", "wandb")
    assert wandb.run is own  # the user's, and not ended
    summary = dict(own.summary)
    own.finish()
    assert summary["interp/step"] == 4
    assert summary["training/loss"] == pytest.approx(recording.curve("loss")[1][-1])
    for name, value in recording.records[-1].summary["conv1"].items():
        assert summary[f"interp/statistics/conv1/{name}"] == pytest.approx(value)


class Told:
    """Remembers what it is told, and fails at a step."""

    def __init__(self, fails_at: int = 1_000_000) -> None:
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.fails_at, self.closed = fails_at, False

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        if step == self.fails_at:
            raise ConnectionError("nobody\nthere")
        self.losses.append(values["loss"])
        torch.rand(3)
        np.random.rand()  # noqa: NPY002

    def record(self, step: int, look: Look) -> None:
        self.steps.append(step)

    def close(self) -> None:
        self.closed = True


def test_a_writer_of_ones_own(tmp_path: Path) -> None:
    told = Told()
    recording = recorded(tmp_path / "run", told)
    assert told.steps == [0, 2, 4]
    assert told.losses == recording.curve("loss")[1].tolist() == train(net(), 4, lambda _step, _loss: None)
    assert told.closed


def test_a_writer_that_fails_is_let_go(tmp_path: Path) -> None:
    failing, other = Told(fails_at=3), Told()
    with pytest.warns(UserWarning, match="Told takes no more of the recording .*: ConnectionError: nobody there"):
        recording = recorded(tmp_path / "run", failing, other)
    assert failing.steps == [0, 2]
    assert other.steps == [0, 2, 4]
    assert recording.steps == (0, 2, 4)
    assert len(recording.curve("loss")[0]) == 4


def test_a_disk_that_refuses_ends_the_recording_and_not_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from interp.watching import folder

    network = net()
    recorder = interp.watch(network, tmp_path / "run", probes(), every=2, budget=None, detail=QUICK)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "save_arrays", full)
    with pytest.warns(UserWarning, match="the recording in .* ends here: No space left on device; the training goes on"):
        train(network, 5, lambda _step, loss: recorder.step(loss=loss))
    recorder.close()
    assert Recording.read(tmp_path / "run").steps == (0,)
    assert sorted(path.name for path in (tmp_path / "run" / "records").iterdir()) == ["000000.json", "000000.safetensors"]


@pytest.mark.parametrize(("name", "package"), [("tensorboard", "tensorboard"), ("wandb", "wandb")])
def test_a_package_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> None:
    for module in [
        one for one in sys.modules if one.startswith(("interp.watching.writers.t", "interp.watching.writers.w", "torch.utils.tens"))
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Unsupported, match=f"the writer '{name}' needs the package '{package}', which is not installed .*: install it"):
        interp.watch(net(), tmp_path / "run", probes(), writers=[name])
    assert not (tmp_path / "run").exists()


def test_pictures_of_a_record() -> None:
    weights = np.zeros((3, 1, 2, 2), np.float32)
    weights[0], weights[1], weights[2, 0, 0, 0] = 2.0, -2.0, 1.0
    maps = np.array([[[-1.0, 0.0], [1.0, 2.0]]], np.float32)
    made = Pictures()
    found = made.of(Look({"kernels/conv": weights, "gradcam/conv": maps, "statistics/conv/norm": np.ones(3)}))
    assert set(found) == {"kernels/conv", "gradcam/conv"}
    sheet = found["kernels/conv"]
    assert sheet.shape == (50, 50, 3)  # two by two tiles of 24 px, two pixels between them
    seen = {(0, 0): 255, (0, 25): 255, (0, 26): 0, (26, 0): 191, (26, 12): 128, (26, 26): 255}
    assert {place: int(sheet[*place, 0]) for place in seen} == seen
    colours = _corners(found["gradcam/conv"])
    assert (colours == _palette([-1, 0, 1, 2], 2)).all()
    assert colours[0, 2] > colours[0, 0]  # blue below zero, orange above
    assert colours[3, 0] > colours[3, 2]
    # A smaller record is drawn on the same scale, a larger one on its own; what is not finite has no say in it, and is marked.
    assert (_corners(made.of(Look({"gradcam/conv": maps / 4}))["gradcam/conv"]) == _palette([-0.25, 0, 0.25, 0.5], 2)).all()
    assert (_corners(made.of(Look({"gradcam/conv": maps * 4}))["gradcam/conv"]) == _palette([-4, 0, 4, 8], 8)).all()
    maps[0, 0, 0] = np.nan
    assert (_corners(made.of(Look({"gradcam/conv": maps}))["gradcam/conv"]) == _palette([np.nan, 0, 1, 2], 8)).all()
    assert int(made.of(Look({"kernels/conv": weights / 2}))["kernels/conv"][0, 0, 0]) == 191


def _corners(sheet: np.ndarray) -> np.ndarray:
    return np.stack([sheet[row, col] for row, col in ((0, 0), (0, 20), (20, 0), (20, 20))])


def _palette(values: list[float], reach: float) -> np.ndarray:
    return np.round(255 * colors(np.array(values, np.float32), Scale(-reach, reach, Kind.DIVERGING))).astype(np.uint8)


class Dear(Told):
    """Takes a second of the training's time for each number."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.told = clock, []

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self.clock.now += 1.0
        self.told.append((step, *values))


def test_a_writer_that_is_dear_is_told_of_fewer_steps(tmp_path: Path) -> None:
    clock = Clock()
    dear = Dear(clock)
    recorder = interp.watch(net(), tmp_path / "run", probes(), every=10**6, budget=0.4, detail=QUICK, writers=[dear], clock=clock)
    for step in range(1, 1001):
        clock.now += 1.0
        recorder.step(loss=1.0)
        if step == 500:
            recorder.note(accuracy=0.5)
            recorder.epoch(loss=2.0)
    recorder.close()
    recording = Recording.read(tmp_path / "run")
    assert len(recording.curve("loss")[0]) == 1001
    assert {(500, "accuracy"), (500, "loss")} <= set(dear.told)
    steps = [step for step, name in dear.told if name == "loss"]
    # A tenth of all the time, which is 1000 and what the writer takes: so 111, and the few that are told in any case.
    assert 105 <= len(dear.told) <= 116
    assert max(np.diff([0, *steps, 1000])) <= 4 * 9
    assert steps == sorted(steps)
