"""A training with somebody beside it: unchanged, tested at every record, closed whatever happens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from interp.cli.filming import Drawing
from interp.cli.lesson import Lesson, publish_lesson
from interp.cli.options import SaveOptions
from interp.errors import BadFile
from interp.report.watched import Looked, Task, Watch, shown
from interp.synthetic.digit_training import DigitOptions, train, untrained
from interp.synthetic.digits import Digits, small
from interp.watching import Recording

OPTIONS = DigitOptions(steps=5, batch=16, widths=(4, 4, 4, 4))
LOOKED = Looked(2, ("unit1.conv",), (), ("unit1.relu",), tested=20)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return small(0.02)


def task(digits: Digits) -> Task:
    return Task(digits.training, digits.held_out, digits.classes)


def test_the_training_is_the_same_with_somebody_beside_it(digits: Digits, tmp_path: Path) -> None:
    alone, beside = untrained(digits, OPTIONS), untrained(digits, OPTIONS)
    losses: list[list[float]] = [[], []]
    train(alone, digits.training, OPTIONS, lambda now: losses[0].append(now.loss))
    with Watch(beside, task(digits), tmp_path / "watched", LOOKED) as watched:

        def on_step(now: object) -> None:
            losses[1].append(now.loss)  # type: ignore[attr-defined]
            watched.step(losses[1][-1])

        train(beside, digits.training, OPTIONS, on_step)
    assert losses[0] == losses[1]
    states = (model.module.state_dict() for model in (alone, beside))
    assert all(torch.equal(one, two) for one, two in zip(*(state.values() for state in states), strict=True))


def test_it_is_tested_at_every_record_and_at_the_end(digits: Digits, tmp_path: Path) -> None:
    model = untrained(digits, OPTIONS)
    with Watch(model, task(digits), tmp_path / "watched", LOOKED) as watched:
        train(model, digits.training, OPTIONS, lambda now: watched.step(now.loss))
    assert [exam.step for exam in watched.exams] == [0, 2, 4, 5]
    read = Recording.read(tmp_path / "watched")
    assert read.steps == (0, 2, 4, 5)
    steps, values = read.curve("held_out_accuracy")
    labels = digits.held_out.labels.numpy()
    assert steps.tolist() == [0, 2, 4, 5]
    assert values == pytest.approx([(exam.said == labels).mean() for exam in watched.exams])
    scores = model(digits.held_out.floats)
    assert watched.exams[-1].probabilities == pytest.approx(scores.double().softmax(1).numpy(), abs=1e-6)
    assert len(watched.fields["unit1.relu"]) == 4


def test_an_error_ends_the_recording_and_leaves_no_run(digits: Digits, tmp_path: Path) -> None:
    def learn(watched: Watch, tick: object) -> None:
        watched.step(1.0)
        raise FloatingPointError("the loss is NaN")

    lesson = Lesson(task(digits), untrained(digits, OPTIONS), learn, LOOKED, "title", "lead")
    saving = SaveOptions(out=tmp_path / "run")
    with pytest.raises(FloatingPointError):
        publish_lesson("x", OPTIONS, lesson, recording=tmp_path / "kept", seed=0, drawing=Drawing(), saving=saving)
    assert not (tmp_path / "run").exists()
    read = Recording.read(tmp_path / "kept")
    assert not read.complete
    assert read.lines.events[-1].said["error"] == "FloatingPointError"
    with pytest.raises(BadFile, match=r"already holds a recording of 1 records"):
        publish_lesson("x", OPTIONS, lesson, recording=tmp_path / "kept", seed=0, drawing=Drawing(), saving=saving)


def test_probes_are_the_first_held_out_picture_of_each_class(digits: Digits) -> None:
    labels = digits.held_out.labels.numpy()
    for photo in task(digits).probes:
        place = int(np.flatnonzero(labels == int(photo.name))[0])
        assert (photo.pixels[..., 2] == digits.held_out.images[place, 0].numpy()).all()


def test_grey_is_shown_in_all_colours_and_colours_as_they_are() -> None:
    grey, colours = (np.random.default_rng(0).integers(0, 256, (2, count, 4, 5)).astype(np.uint8) for count in (1, 3))
    assert (shown(grey) == grey[:, 0, :, :, None]).all()
    assert (shown(colours) == np.moveaxis(colours, 1, 3)).all()
