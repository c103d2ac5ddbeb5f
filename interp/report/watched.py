"""A training followed from its first step to its last: recorded by `interp.watch`, and tested on held-out pictures at every record."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from jaxtyping import Float, UInt8

from interp.comparisons import fields
from interp.comparisons.classified import Exam
from interp.core.depth import evenly
from interp.core.model import Model
from interp.errors import UnknownName, nearest
from interp.images import Photo
from interp.synthetic.digits import Pictures
from interp.watching import Detail, watch

ASKED = 32
"""Held-out pictures by which receptive fields are measured."""
_AT_ONCE = 250
_SHOWN = 10  # pictures whose feature maps are shown: one of each class


@dataclass(frozen=True)
class Looked:
    """What is recorded every ``every`` steps: the weights of ``kernels``, images of ``units`` (in ``ascent`` steps each), the answers of
    ``layers``, whose receptive fields are measured too. ``tested``: of the pictures that are learned from, so many are tested on as well,
    evenly over them. ``seed``: of what the recorder draws."""

    every: int
    kernels: tuple[str, ...]
    units: tuple[str, ...]
    layers: tuple[str, ...]
    channels: int = 9
    ascent: int = 16
    tested: int = 500
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Task:
    """Pictures that are learned from and such that are held out, uint8, and the names of their classes."""

    training: Pictures
    held_out: Pictures
    classes: tuple[str, ...]

    @property
    def probes(self) -> list[Photo]:
        """A held-out picture of each class, of `_SHOWN` evenly over them where there are more; named by their classes."""
        labels = self.held_out.labels
        present = torch.unique(labels).tolist()
        first = {label: int(torch.nonzero(labels == label)[0, 0]) for label in evenly(present, _SHOWN)}
        return [
            Photo(self.classes[label], np.ascontiguousarray(shown(self.held_out.images[place, None].numpy())[0]), "")
            for label, place in first.items()
        ]


def probe_of(task: Task, name: str | None = None) -> int:
    """Which of the task's pictures is of the class ``name``, or has the most contrast where none is named.

    Raises UnknownName where there is none.
    """
    names = [photo.name for photo in task.probes]
    if name is None:
        return int(np.argmax([photo.pixels.std() for photo in task.probes]))
    if name not in names:
        raise UnknownName(f"no picture of '{name}' is followed: {nearest(name, names) or 'there are ' + ', '.join(names)}")
    return names.index(name)


def shown(images: UInt8[np.ndarray, "n c rows cols"]) -> UInt8[np.ndarray, "n rows cols 3"]:
    """For display: grey ones in all three colours. Nothing is copied."""
    colours = np.broadcast_to(images, (len(images), 3, *images.shape[2:]))
    result: np.ndarray = np.moveaxis(colours, 1, 3)
    return result


@dataclass(eq=False)
class Watch:
    """Stands beside the training of ``model``, in ``with``: call `step` after each step. Writes into the new ``folder``.

    The training is unchanged, as `interp.watch` says; records are made whatever they cost, so that the same are made each time.
    """

    model: Model
    task: Task
    folder: Path
    looked: Looked
    exams: list[Exam] = field(default_factory=list)
    fields: dict[str, list[fields.Field]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Looks for the first time. Raises what `interp.watch` does."""
        asked = self.looked
        detail = Detail(asked.channels, side=32, steps=asked.ascent, seed=asked.seed)
        self._recorder = watch(
            self.model,
            self.folder,
            self.task.probes,
            every=asked.every,
            units=asked.units,
            kernels=asked.kernels,
            activations=asked.layers,
            budget=None,
            detail=detail,
        )
        self._look()

    def step(self, loss: float) -> None:
        """A step of the training is over."""
        self._recorder.step(loss=loss)
        if self._recorder.last_step % self.looked.every == 0:
            self._look()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The training is over, or ended with an error, which the recording then says."""
        try:
            if error is None and self.exams[-1].step != self._recorder.last_step:
                self._look()
        finally:
            self._recorder.close(error)

    def _look(self) -> None:
        held_out, training = self.task.held_out, self.task.training
        own = training[torch.tensor(evenly(range(len(training)), self.looked.tested))]
        learned = float((self._probabilities(own).argmax(1) == own.labels.numpy()).mean())
        exam = Exam(self._recorder.last_step, self._probabilities(held_out), learned)
        self.exams.append(exam)
        self._recorder.note(held_out_accuracy=float((exam.said == held_out.labels.numpy()).mean()))
        some = held_out[torch.tensor(evenly(range(len(held_out)), ASKED))]
        for layer in self.looked.layers:
            self.fields.setdefault(layer, []).append(fields.field(self.model, some.floats, layer))

    @torch.no_grad()
    def _probabilities(self, pictures: Pictures) -> Float[np.ndarray, "n classes"]:
        scores = [self.model(part)[:, : len(self.task.classes)].double().softmax(1) for part in pictures.floats.split(_AT_ONCE)]
        found: np.ndarray = torch.cat(scores).cpu().numpy()
        return found
