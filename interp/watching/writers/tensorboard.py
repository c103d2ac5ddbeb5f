"""A recording for TensorBoard, in ``tensorboard/`` of its folder: curves of the numbers, kernels and units as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from interp.watching.looking import Look
from interp.watching.writers.pictures import Pictures, numbers


class TensorBoard:
    """Numbers of the user under ``training/``, all of interp's under ``interp/``."""

    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._pictures = Pictures()

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"training/{name}", value, step)

    def record(self, step: int, look: Look) -> None:
        for name, value in numbers(look).items():
            self._writer.add_scalar(f"interp/{name}", value, step)
        for name, picture in self._pictures.of(look).items():
            self._writer.add_image(f"interp/{name}", picture, step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
