"""``LightningWatch``: `interp.watch` as a callback of Lightning's Trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from interp.watching.probes import Given
from interp.watching.recorder import Recorder
from interp.watching.starting import watch


class LightningWatch(Callback):
    """Records the training of ``network(module)``, by default the whole LightningModule, which then needs a ``forward``.

    ``images`` and ``options`` are those of `interp.watch`; a step is one of ``trainer.global_step``. Numbers are those that the module
    logs, every ``trainer.log_every_n_steps`` steps and at the end of each epoch. In several processes the first one records.
    """

    def __init__(
        self, folder: str | Path, images: Given = None, *, network: Callable[[LightningModule], nn.Module] | None = None, **options: Any
    ) -> None:
        self._folder, self._images, self._network, self._options = folder, images, network, options
        self.recorder: Recorder | None = None
        """What records, from the start of a training; None before."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            network = pl_module if self._network is None else self._network(pl_module)
            options = {"start": trainer.global_step, **self._options}
            self.recorder = watch(network, self._folder, self._images, **options)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        # With gradients accumulated, a batch is not always a step.
        if self.recorder is not None and trainer.global_step > self.recorder.last_step:
            told = trainer.global_step % max(1, trainer.log_every_n_steps) == 0  # type: ignore[attr-defined]
            self.recorder.step(at=trainer.global_step, **(_numbers(trainer.callback_metrics) if told else {}))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.recorder is not None:
            self.recorder.epoch(**_numbers(trainer.callback_metrics))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.recorder is not None:
            self.recorder.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self.recorder is not None:
            self.recorder.close(exception)


def _numbers(metrics: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if value.numel() == 1}
