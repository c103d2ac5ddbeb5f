"""The embedded network as it begins, and what it can be taught in a run: windows of photographs that are here, or the user's pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import torch

from interp.comparisons.learning import windows
from interp.core.depth import evenly
from interp.core.model import Model, ModelSpec
from interp.core.rng import generator
from interp.core.trace import model as trace
from interp.decoding import SUFFIXES
from interp.errors import InterpError
from interp.images import Photo, Preprocess
from interp.report.watched import Task
from interp.runs import InputEntry
from interp.runs.inputs import in_folder
from interp.synthetic.digits import Pictures
from interp.synthetic.network import digest
from interp.zoo.dataset import Labelled, read
from interp.zoo.embedded_net import EmbeddedNet
from interp.zoo.training import MEAN, STD, Schedule, Trainer


def untrained(task: Task, side: int, seed: int) -> Model:
    """The architecture of the embedded network for the classes of ``task``, with random weights, for pictures of ``side`` px."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = EmbeddedNet(len(task.classes)).eval()
    return trace(net, ModelSpec("embedded", "random", digest(net), task.classes), Preprocess((side, side), side, MEAN, STD))


def trainer(model: Model, task: Task, schedule: Schedule, seed: int) -> Trainer:
    """The training of the embedded network, ready to begin. Raises InterpError where there is no whole batch, or no step."""
    count = len(task.training)
    if not 2 <= schedule.batch <= count:
        raise InterpError(f"--batch is {schedule.batch}: there are {count} pictures to learn from, give 2 to {count}")
    found = Trainer(model.module, task.training.images, task.training.labels, schedule, seed, model.device)
    if found.steps < 1:
        raise InterpError(f"--epochs {schedule.epochs:g} of {count} pictures in batches of {schedule.batch} is not one step: give more")
    return found


def of_photographs(photos: Sequence[Photo], training: int, held_out: int, side: int, seed: int) -> Task:
    """From which of ``photos`` was a window of ``side`` px cut? Windows of the right quarter of each are held out.

    Raises InterpError where there are fewer windows than photographs, or fewer than two of these.
    """
    if len(photos) < 2:
        raise InterpError(f"{len(photos)} photograph is one class: give two or more, so that there is something to tell apart")
    parts = []
    for count, kept in ((training, False), (held_out, True)):
        images, labels = windows(photos, count, side, generator(seed, "windows", "held out" if kept else "training"), held_out=kept)
        parts.append(Pictures((255 * images).round().to(torch.uint8), labels))
    return Task(parts[0], parts[1], tuple(photo.name for photo in photos))


def of_sources(data: Sequence[Path], validation: Sequence[Path], side: int, most: int) -> tuple[Task, tuple[InputEntry, ...]]:
    """Pictures of class folders or Parquet files (see `interp.zoo.dataset.read`), and the files that were read.

    At most ``most`` pictures of ``validation`` are held out, evenly over them by their classes.

    Raises BadFile where a source holds none; InterpError where ``validation`` is missing, or is of other classes.
    """
    if not validation:
        raise InterpError("--data names pictures to learn from: name others to be tested on with --validation")
    training, held_out = read(data, side), read(validation, side)
    extra = [name for name in _named(held_out) if name not in _named(training)]
    if extra or len(held_out.classes) > len(training.classes):
        told = f"'{extra[0]}'" if extra else f"{len(held_out.classes)} classes"
        have = f"--validation has {told}, and --data {len(training.classes)}"
        raise InterpError(f"{have}: give pictures of the same classes")
    names = tuple(name or str(place) for place, name in enumerate(training.classes))
    if any(one and one != other for one, other in zip(held_out.classes, training.classes, strict=False)):
        raise InterpError("--validation has its classes in another order than --data: give one folder for each class in both")
    order = held_out.labels.argsort(stable=True)[torch.tensor(evenly(range(len(held_out)), most))]
    task = Task(Pictures(training.images, training.labels), Pictures(held_out.images, held_out.labels)[order], names)
    return task, tuple(entry for source in (*data, *validation) for entry in _files(source))


def _named(pictures: Labelled) -> list[str]:
    return [name for name in pictures.classes if name]


def _files(source: Path) -> Iterator[InputEntry]:
    if not source.is_dir():
        yield InputEntry.of(source)
        return
    for file in sorted(file for file in source.rglob("*") if file.suffix.lower() in SUFFIXES):
        yield replace(InputEntry.of(file), path=in_folder(source, PurePath(file.relative_to(source))))
