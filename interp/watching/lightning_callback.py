"""``LightningWatch``: `interp.watch` as a callback of Lightning's Trainer."""

from __future__ import annotations

from collections.abc import Callable
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
    logged since they were last asked for: every ``trainer.log_every_n_steps`` steps, and at the end of each validation and epoch. In
    several processes the first one records.
    """

    def __init__(
        self, folder: str | Path, images: Given = None, *, network: Callable[[LightningModule], nn.Module] | None = None, **options: Any
    ) -> None:
        self._folder, self._images, self._network, self._options = folder, images, network, options
        self.recorder: Recorder | None = None
        """What records, from the start of a training; None before."""
        self._told: dict[str, Tensor] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            network = pl_module if self._network is None else self._network(pl_module)
            options = {"start": trainer.global_step, **self._options}
            self.recorder = watch(network, self._folder, self._images, **options)
            self._told = dict(trainer.callback_metrics)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        # With gradients accumulated, a batch is not always a step.
        if self.recorder is not None and trainer.global_step > self.recorder.last_step:
            told = trainer.global_step % max(1, trainer.log_every_n_steps) == 0  # type: ignore[attr-defined]
            self.recorder.step(at=trainer.global_step, **(self._new(trainer) if told else {}))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.recorder is not None:
            self._new(trainer)  # what a training step logged is no number of the validation

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.recorder is not None and not trainer.sanity_checking:
            self.recorder.note(**self._new(trainer))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.recorder is not None:
            self.recorder.epoch(**self._new(trainer))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self.recorder is not None:
            self.recorder.flush()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.recorder is not None:
            self.recorder.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self.recorder is not None:
            self.recorder.close(exception)

    def _new(self, trainer: Trainer) -> dict[str, float]:
        """What was logged since the last time: Lightning keeps every metric until it is logged again, in memory of its own each time."""
        metrics = dict(trainer.callback_metrics)
        known = {name: value.data_ptr() for name, value in self._told.items()}
        self._told = metrics
        return {name: float(value) for name, value in metrics.items() if value.numel() == 1 and value.data_ptr() != known.get(name)}
