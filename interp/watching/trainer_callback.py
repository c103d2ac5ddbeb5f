"""``TrainerWatch``: `interp.watch` as a callback of Hugging Face's Trainer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from interp.watching.probes import Given
from interp.watching.recorder import Recorder
from interp.watching.starting import watch


class TrainerWatch(TrainerCallback):
    """Records the training of the Trainer's model, of whose output ``logits`` is read.

    ``images`` and ``options`` are those of `interp.watch`. Numbers are those that the Trainer logs. In several processes the first
    one records. Of an error in the training no callback is told: call ``recorder.close()`` where one is to be survived.
    """

    def __init__(self, folder: str | Path, images: Given = None, **options: Any) -> None:
        self._folder, self._images, self._options = folder, images, {"output": "logits", **options}
        self.recorder: Recorder | None = None
        """What records, from the start of a training; None before."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module | None = None, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero and model is not None:
            self.recorder = watch(model, self._folder, self._images, **{"start": state.global_step, **self._options})

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.recorder is not None and state.global_step > self.recorder.last_step:
            self.recorder.step(at=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        numbers = {name: value for name, value in (logs or {}).items() if isinstance(value, (int, float))}
        if self.recorder is not None and numbers:
            self.recorder.note(**numbers)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # Also told where a training stops within an epoch.
        within = (control.should_training_stop or control.should_epoch_stop) and not float(state.epoch or 0).is_integer()
        if self.recorder is not None and not within:
            self.recorder.epoch()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.recorder is not None:
            self.recorder.flush()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.recorder is not None:
            self.recorder.close()
