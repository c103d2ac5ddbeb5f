"""Pairs of networks that learn the same pictures, once with marks that go with the class and once with marks that tell nothing.

Each is watched while it learns: `interp.watch` records Grad-CAM of the same held-out pictures from the first step to the last.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from interp.comparisons.spurious import Arm, Course, Pair, refuse_few
from interp.comparisons.spurious_views import LAYER, Detail, Pictures, random_views, seen
from interp.core.model import Model
from interp.core.repeatable import on_threads
from interp.errors import InterpError
from interp.images import Preprocess
from interp.report.product import Tick
from interp.synthetic import EASY, Lesson, Progress, Shape, ShapeOptions, Split, TrainingOptions, draw
from interp.synthetic.cue import Cue, Mark, Marked, marked, marks_for, places_for, tied, untied
from interp.synthetic.network import model_of, untrained
from interp.synthetic.training import fit
from interp.watching import Detail as Recorded
from interp.watching import Recording, watch

RECORDED = Recorded(tested=0)
"""What a record holds besides: no filter is held against noise, which is not asked here."""
SHOWN = 24
"""Training pictures that are kept to be shown."""
CLASSES = (Shape.DISC, Shape.TRIANGLE, Shape.STAR, Shape.CROSS)


@dataclass(frozen=True)
class Plan:
    """Of how many ``pairs`` what is learned and looked at.

    ``share`` of the cue network's training pictures have the mark of their class. The two networks of a pair start from the same
    weights and see the same ``images`` in the same order, ``epochs`` times, squares of ``side`` px; a record is made every so many
    steps. ``held_out`` other pictures are classified, of the first ``probes`` maps are made.
    """

    pairs: int = 5
    share: float | int = 0.95
    images: int = 2400
    epochs: int = 5
    side: int = 40
    every: int = 25
    held_out: int = 240
    probes: int = 24
    mark: Mark = field(default_factory=Mark)
    detail: Detail = field(default_factory=Detail)
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises InterpError where a number is out of range or numbers do not fit each other."""
        refuse_few(self.pairs)
        if not 0 < self.share <= 1:
            raise InterpError(f"`share` is {self.share}: give which share of the marks goes with the class, above 0 and at most 1")
        if not len(CLASSES) <= self.probes <= self.held_out:
            raise InterpError(f"`probes` is {self.probes}: give {len(CLASSES)} to {self.held_out}, the number of held-out pictures")
        if self.detail.examples > self.held_out:
            raise InterpError(f"`examples` is {self.detail.examples}: there are {self.held_out} pictures, give 1 to {self.held_out}")
        steps = self.training(self.seed).steps
        if self.every < 1 or steps % self.every:
            near = min((k for k in range(1, steps + 1) if steps % k == 0), key=lambda k: abs(k - self.every))
            raise InterpError(f"`every` is {self.every} and a training has {steps} steps: give a number that divides them, such as {near}")

    @property
    def shapes(self) -> ShapeOptions:
        """No distractors: besides the object only the mark can tell the class."""
        return ShapeOptions(CLASSES, (self.side, self.side), n_distractors=0, difficulty=EASY)

    def training(self, seed: int) -> TrainingOptions:
        return TrainingOptions(self.shapes, n_images=self.images, n_plain=0, n_epochs=self.epochs, seed=seed)


@dataclass(frozen=True, eq=False)
class Found:
    """All ``pairs`` with their views; of the first the ``models``, and what was ``taught`` to each."""

    plan: Plan
    pairs: tuple[Pair, ...]
    models: dict[Arm, Model]
    taught: dict[Arm, Marked]


def learned(plan: Plan, tick: Tick) -> Found:
    """Draw, teach and look at all pairs, on one thread, so that it comes out the same whatever the machine's number of cores."""
    pairs, models, taught = [], {}, {}
    with on_threads(1):
        for seed in range(plan.seed, plan.seed + plan.pairs):
            lessons = training_pictures(plan, seed)
            pair, nets = _pair(plan, seed, lessons, tick)
            pairs.append(pair)
            if len(pairs) == 1:
                models, taught = nets, {arm: lesson.first(min(SHOWN, len(lesson))) for arm, lesson in lessons.items()}
    return Found(plan, tuple(pairs), models, taught)


def training_pictures(plan: Plan, seed: int) -> dict[Arm, Marked]:
    """The same pictures for both networks that learn: in the one version marks go with the class, in the other they tell nothing."""
    pictures = draw(plan.shapes, range(plan.images), seed)
    places = places_for(pictures, plan.mark, seed, Split.TRAINING)
    marks = {
        Arm.CUE: tied(pictures.labels, len(CLASSES), plan.share, seed),
        Arm.CONTROL: untied(pictures.labels, len(CLASSES), seed),
    }
    return {arm: marked(pictures, one, places) for arm, one in marks.items()}


def held_out_pictures(plan: Plan, seed: int) -> Pictures:
    """Pictures that neither network learned from, in all versions."""
    drawn = draw(plan.shapes, range(plan.held_out), seed, Split.HELD_OUT)
    places = places_for(drawn, plan.mark, seed, Split.HELD_OUT)
    versions = {cue: marked(drawn, marks_for(cue, drawn.labels, len(CLASSES), seed), places) for cue in Cue}
    return Pictures(versions, marked(drawn, untied(drawn.labels, len(CLASSES), seed), places), plan.probes)


def _pair(plan: Plan, seed: int, lessons: Mapping[Arm, Marked], tick: Tick) -> tuple[Pair, dict[Arm, Model]]:
    pictures = held_out_pictures(plan, seed)
    models, courses = {}, {}
    steps = plan.training(seed).steps
    for place, (arm, lesson) in enumerate(lessons.items()):
        step_done = partial(_told, tick, (2 * (seed - plan.seed) + place) * steps, 2 * plan.pairs * steps)
        models[arm], courses[arm] = followed(plan, seed, lesson, pictures, step_done)
    models[Arm.UNTRAINED] = model_of(untrained(plan.shapes, seed), plan.shapes)
    views = {arm: seen(model, pictures, plan.detail, seed) for arm, model in models.items()}
    views[Arm.RANDOM] = random_views(models[Arm.CUE], views[Arm.CUE], seed)
    return Pair(seed, views, courses), models


def _told(tick: Tick, before: int, total: int, done: int) -> None:
    tick("training and looking", before + done, total)


def followed(plan: Plan, seed: int, lesson: Marked, pictures: Pictures, step_done: Callable[[int], None]) -> tuple[Model, Course]:
    """The network that ``lesson`` makes, and Grad-CAM of the probes with agreeing marks on the way, of the class said at the moment."""
    options = plan.training(seed)
    net = untrained(plan.shapes, seed)
    images = torch.from_numpy(lesson.images).permute(0, 3, 1, 2).contiguous()
    with tempfile.TemporaryDirectory(prefix="interp-") as temporary:
        folder = Path(temporary) / "watched"
        recorder = watch(
            net,
            folder,
            pictures.probed(Cue.AGREEING).tensor,
            every=plan.every,
            kernels=[],
            activations=[],
            gradcam=[LAYER],
            budget=None,
            preprocess=Preprocess(plan.shapes.size, plan.side, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
            classes=plan.shapes.names,
            detail=RECORDED,
        )

        def on_step(progress: Progress) -> None:
            recorder.step()
            step_done(progress.done)

        with recorder:
            model = fit(net, options, on_step, Lesson(images, torch.from_numpy(lesson.labels)))
        recording = Recording.read(folder)
        maps = np.stack([np.stack([one.values for one in record.gradcam(LAYER)]) for record in recording.records])
    return model, Course(recording.steps, maps)
