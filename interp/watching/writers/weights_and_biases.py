"""A recording for Weights & Biases: into the run that the user has begun, or an offline one in ``wandb/`` of the folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import wandb

from interp.watching.looking import Look
from interp.watching.writers.pictures import Pictures, numbers

# Its own count of steps: that of a run belongs to the user, and never goes back.
_STEP = "interp/step"


class WeightsAndBiases:
    """Numbers of the user under ``training/``, all of interp's under ``interp/``, each over the step ``interp/step``.

    Nothing is sent: a run of its own is offline, and one that the user began goes where the user said.
    """

    def __init__(self, folder: Path) -> None:
        self._pictures = Pictures()
        self._own = wandb.run is None
        self._run = wandb.run or wandb.init(mode="offline", dir=str(folder), project="interp", settings=wandb.Settings(silent=True))
        self._run.define_metric(_STEP, hidden=True)
        for group in ("training/*", "interp/*"):
            self._run.define_metric(group, step_metric=_STEP)

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        if values:
            self._run.log({_STEP: step} | {f"training/{name}": value for name, value in values.items()})

    def record(self, step: int, look: Look) -> None:
        shown = {f"interp/{name}": wandb.Image(picture) for name, picture in self._pictures.of(look).items()}
        self._run.log({_STEP: step} | {f"interp/{name}": value for name, value in numbers(look).items()} | shown)

    def close(self) -> None:
        if self._own:
            self._run.finish()
