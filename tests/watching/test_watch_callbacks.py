"""Lightning's Trainer and Hugging Face's, the real ones, on tiny networks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from watched import CLASSES, QUICK, SIZE, hooks, net, probes

from interp.errors import Unsupported
from interp.watching import Recording

GIVEN: dict[str, Any] = {"every": 2, "budget": None, "detail": QUICK, "units": ["conv1:1"]}


class Pictures(Dataset[Any]):
    """Eight random pictures and their classes."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = torch.Generator().manual_seed(index)
        return torch.rand(3, SIZE, SIZE, generator=rng), torch.tensor(index % CLASSES)


# The first two are said on machines with more cores, or with an accelerator.
@pytest.mark.filterwarnings(r"ignore:The 'train_dataloader' does not have many workers:UserWarning")
@pytest.mark.filterwarnings(r"ignore:The 'val_dataloader' does not have many workers:UserWarning")
@pytest.mark.filterwarnings(r"ignore:You defined a `validation_step` but have no `val_dataloader`")
@pytest.mark.filterwarnings(r"ignore:GPU available but not used:UserWarning")
@pytest.mark.filterwarnings(r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning")
class TestLightning:
    def trained(self, folder: Path, callback: Any, fails_at: int = -1, *, validates: bool = False, **options: Any) -> Any:
        pl = pytest.importorskip("lightning.pytorch", reason="needs lightning")

        class Module(pl.LightningModule):  # type: ignore[misc,name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.net = net()
                self.losses: list[float] = []

            def forward(self, x: Tensor) -> Tensor:
                scores: Tensor = self.net(x)
                return scores

            def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
                if self.trainer.global_step == fails_at:
                    raise RuntimeError("in the loop")
                loss = F.cross_entropy(self(batch[0]), batch[1])
                self.log("loss", loss)
                self.log("mean", loss, on_step=False, on_epoch=True)
                self.losses.append(float(loss.detach()))
                return loss

            def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
                self.log("accuracy", self.trainer.global_step / 100)

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return torch.optim.SGD(self.parameters(), 0.1)

        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002 - from which the network draws
        module = Module()
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = pl.Trainer(
            max_epochs=3,
            accelerator="cpu",
            default_root_dir=folder,
            callbacks=[] if callback is None else [callback],
            **{"log_every_n_steps": 1, **quiet, **options},
        )
        trainer.fit(module, DataLoader(Pictures(), batch_size=2, shuffle=True), DataLoader(Pictures(), batch_size=4) if validates else None)
        return module

    def test_a_training_is_recorded_and_unchanged(self, tmp_path: Path) -> None:
        pytest.importorskip("lightning.pytorch", reason="needs lightning")
        from interp.watching import LightningWatch

        callback = LightningWatch(tmp_path / "run", probes(), network=lambda module: module.net, **GIVEN)
        watched = self.trained(tmp_path, callback)
        plain = self.trained(tmp_path, None)
        assert watched.losses == plain.losses
        recording = Recording.read(tmp_path / "run")
        assert recording.steps == (0, 2, 4, 6, 8, 10, 12)
        assert recording.complete
        assert hooks(watched) == 0
        steps, losses = recording.curve("loss")
        assert sorted(set(steps.tolist())) == list(range(1, 13))
        assert pytest.approx(watched.losses[-1]) == losses[-1]
        assert [line.epoch for line in recording.lines.numbers if line.epoch is not None] == [1, 2, 3]

    def test_the_whole_module_and_accumulated_gradients(self, tmp_path: Path) -> None:
        pytest.importorskip("lightning.pytorch", reason="needs lightning")
        from interp.watching import LightningWatch

        options = {**GIVEN, "units": ["net.conv1:1"]}
        self.trained(tmp_path, LightningWatch(tmp_path / "run", probes(), **options), accumulate_grad_batches=2)
        recording = Recording.read(tmp_path / "run")
        assert recording.steps == (0, 2, 4, 6)
        assert recording.header.plan.kernels == ("net.conv1",)

    def test_what_was_logged_once_is_told_once(self, tmp_path: Path) -> None:
        """Of four steps in an epoch, validated after three: at no other step there is an accuracy, though Lightning keeps it."""
        pytest.importorskip("lightning.pytorch", reason="needs lightning")
        from interp.watching import LightningWatch

        callback = LightningWatch(tmp_path / "run", probes(), network=lambda module: module.net, **GIVEN)
        watched = self.trained(tmp_path, callback, validates=True, log_every_n_steps=2, val_check_interval=3)
        recording = Recording.read(tmp_path / "run")
        steps, values = recording.curve("accuracy")
        assert steps.tolist() == [3, 7, 11]
        assert np.allclose(values, [0.03, 0.07, 0.11])
        steps, losses = recording.curve("loss")
        assert steps.tolist() == [2, 4, 6, 8, 10, 12]
        assert np.allclose(losses, watched.losses[1::2])
        steps, means = recording.curve("mean")
        assert steps.tolist() == [4, 8, 12]
        assert np.allclose(means, np.reshape(watched.losses, (3, 4)).mean(1))

    def test_an_exception(self, tmp_path: Path) -> None:
        pytest.importorskip("lightning.pytorch", reason="needs lightning")
        from interp.watching import LightningWatch

        with pytest.raises(RuntimeError, match="in the loop"):
            self.trained(tmp_path, LightningWatch(tmp_path / "run", probes(), network=lambda module: module.net, **GIVEN), fails_at=5)
        recording = Recording.read(tmp_path / "run")
        assert recording.steps == (0, 2, 4)
        assert recording.lines.events[-1].said["error"] == "RuntimeError"


class TestHuggingFace:
    def trained(self, folder: Path, callback: Any, **options: Any) -> tuple[Any, list[float]]:
        transformers = pytest.importorskip("transformers", reason="needs transformers")
        pytest.importorskip("accelerate", reason="needs accelerate")
        torch.manual_seed(0)
        config = transformers.ResNetConfig(
            num_channels=3, embedding_size=4, hidden_sizes=[4, 6], depths=[1, 1], layer_type="basic", num_labels=CLASSES
        )
        network = transformers.ResNetForImageClassification(config)
        arguments = transformers.TrainingArguments(
            output_dir=str(folder / "out"),
            per_device_train_batch_size=2,
            logging_steps=1,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
            **{"num_train_epochs": 2, **options},
        )
        data = [{"pixel_values": image, "labels": label} for image, label in (Pictures()[k] for k in range(8))]
        trainer = transformers.Trainer(network, arguments, train_dataset=data, callbacks=[] if callback is None else [callback])
        trainer.train()
        return network, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    def test_a_training_is_recorded_and_unchanged(self, tmp_path: Path) -> None:
        pytest.importorskip("transformers", reason="needs transformers")
        pytest.importorskip("accelerate", reason="needs accelerate")
        from interp.watching import TrainerWatch

        given = {**GIVEN, "units": ["resnet.embedder.embedder.convolution:1"]}
        watched, losses = self.trained(tmp_path, TrainerWatch(tmp_path / "run", torch.nn.functional.interpolate(probes(), 32), **given))
        plain, expected = self.trained(tmp_path, None)
        assert losses == expected
        assert len(losses) == 8
        assert all(torch.equal(one, other) for one, other in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True))
        assert hooks(watched) == 0
        recording = Recording.read(tmp_path / "run")
        assert recording.steps == (0, 2, 4, 6, 8)
        assert recording.curve("loss")[0].tolist() == list(range(1, 9))
        assert recording.curve("loss")[1].tolist() == losses
        assert recording.complete
        assert [line.epoch for line in recording.lines.numbers if line.epoch is not None] == [1, 2]
        assert recording.records[-1].scores.shape == (2, CLASSES)

    @pytest.mark.parametrize(("steps", "epochs"), [(3, []), (5, [1]), (8, [1, 2])])
    def test_an_epoch_counts_when_it_is_over(self, tmp_path: Path, steps: int, epochs: list[int]) -> None:
        """Of four steps in an epoch."""
        pytest.importorskip("transformers", reason="needs transformers")
        pytest.importorskip("accelerate", reason="needs accelerate")
        from interp.watching import TrainerWatch

        given = {**GIVEN, "units": [], "every": 100, "epochs": 1}
        self.trained(tmp_path, TrainerWatch(tmp_path / "run", torch.nn.functional.interpolate(probes(), 32), **given), max_steps=steps)
        recording = Recording.read(tmp_path / "run")
        assert [line.epoch for line in recording.lines.numbers if line.epoch is not None] == epochs
        assert recording.steps == tuple(sorted({0, *(4 * epoch for epoch in epochs), steps}))


@pytest.mark.parametrize(("name", "package"), [("LightningWatch", "lightning"), ("TrainerWatch", "transformers")])
def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> None:
    import interp.watching

    for module in [one for one in sys.modules if one.startswith((f"{package}.", "interp.watching.lightning", "interp.watching.trainer"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Unsupported, match=f"`{name}` needs the package '{package}', which is not installed .*: install it"):
        getattr(interp.watching, name)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = interp.watching.Nothing  # type: ignore[attr-defined]
