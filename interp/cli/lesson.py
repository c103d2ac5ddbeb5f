"""From a training that is watched to a finished run: shared by the scripts that show a network while it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from interp.cli.filming import Drawing, Taken, publish_film

if TYPE_CHECKING:
    from interp.cli.options import SaveOptions
    from interp.core.model import Model
    from interp.report.product import Figure, Tick
    from interp.report.watched import Looked, Task, Watch
    from interp.runs import InputEntry


@dataclass(frozen=True, eq=False)
class Beside:
    """What a script shows beside what all trainings do."""

    figures: Sequence[Figure] = ()
    metrics: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is learned by which network, and what of it is recorded.

    ``learn`` trains ``model`` and calls `Watch.step` after each step; ``probe``: which of the task's pictures the film follows;
    ``beside``: what is the script's own, made when the model has learned.
    """

    task: Task
    model: Model
    learn: Callable[[Watch, Tick], None]
    looked: Looked
    title: str
    lead: str
    probe: int = 0
    inputs: tuple[InputEntry, ...] = ()
    beside: Callable[[Watch], Beside] = lambda watched: Beside()


def publish_lesson(
    experiment: str, config: object, lesson: Lesson, *, recording: Path | None, seed: int, drawing: Drawing, saving: SaveOptions
) -> Path:
    """Train, record, and write all that is seen as one run, as `publish_film` does; one thread does the sums, so that they repeat.

    The recording is left in the new folder ``recording``, which `interp live` may follow meanwhile, where one is named.
    """
    from interp.core.repeatable import on_threads

    def take(tick: Tick) -> Taken:
        with TemporaryDirectory() if recording is None else nullcontext(str(recording)) as folder, on_threads(1):
            return _taken(lesson, Path(folder) / "watched" if recording is None else Path(folder), tick)

    asked, model = drawing.asked(), lesson.model
    return publish_film(
        experiment, config, take, reference=model.spec.reference, seed=seed, device=model.device, asked=asked, saving=saving
    )


def _taken(lesson: Lesson, folder: Path, tick: Tick) -> Taken:
    from dataclasses import replace

    from interp.report.product import model_entry
    from interp.report.watched import Watch
    from interp.report.watched_product import filmed
    from interp.synthetic.network import digest

    with Watch(lesson.model, lesson.task, folder, lesson.looked) as watched:
        lesson.learn(watched, tick)
    timeline, own, views = filmed(watched, lesson.probe, lesson.title, lesson.lead)
    beside = lesson.beside(watched)
    own = replace(own, figures=[*own.figures, *beside.figures], metrics={**own.metrics, **beside.metrics})
    said = f"trained in this run, {watched.exams[-1].step} steps"
    entry = replace(model_entry(lesson.model), weights=said, weights_sha256=digest(lesson.model.module))
    return Taken(timeline, entry, lesson.inputs, own=own, views=views)
