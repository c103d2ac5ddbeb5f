"""TensorBoard and Weights & Biases, the real libraries, without a network; and what a writer that fails does to a training: nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from watched import QUICK, net, probes, train

import interp
from interp.errors import Unsupported
from interp.watching import Recording
from interp.watching.looking import Look
from interp.watching.writers.pictures import pictures


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
    found = pictures(Look({"kernels/conv": weights, "gradcam/conv": maps, "statistics/conv/norm": np.ones(3)}))
    assert set(found) == {"kernels/conv", "gradcam/conv"}
    sheet = found["kernels/conv"]
    assert sheet.shape == (50, 50, 3)  # two by two tiles of 24 px, two pixels between them
    seen = {(0, 0): 255, (0, 25): 255, (0, 26): 0, (26, 0): 191, (26, 12): 128, (26, 26): 255}
    assert {place: int(sheet[*place, 0]) for place in seen} == seen
    assert [found["gradcam/conv"][row, col, 0] for row, col in ((0, 0), (0, 20), (20, 0), (20, 20))] == [0, 0, 128, 255]
