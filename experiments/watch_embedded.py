"""What happens inside the embedded network while it learns, and how far is a minute from the hours behind its weights?

The network starts from random weights, with the training by which the committed ones were made, but shorter and on less: from which
photograph was a small window cut? Windows of the right quarter of each photograph are never learned from. The filters of the committed
weights stand beside those of the last step as the end point: 25 epochs of 100,000 photographs of 200 classes. With --data and
--validation it learns your class folders or Parquet files instead, as `python -m interp.cli.train_embedded` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from interp import kernels
from interp.cli import experiment
from interp.cli.filming import Drawing, OneDrawing
from interp.cli.lesson import Beside, Lesson, publish_lesson
from interp.cli.options import SaveOptions, Saving
from interp.comparisons.endpoint import figure, numbers
from interp.images import SAMPLES, load
from interp.report.product import Figure, Tick, input_entries
from interp.report.tasks import of_photographs, of_sources, trainer, untrained
from interp.report.watched import Looked, Watch, probe_of
from interp.watching import Recording
from interp.zoo import load as network
from interp.zoo.training import Schedule

CAPTION = "All filters of the first layer, grey for zero, each panel on its own scale. Moran's I: how alike neighbouring weights are."
LAYERS = ("stem.relu", "stage1.block2.relu", "stage2.block2.relu", "stage4.block2.relu")


def short() -> Schedule:
    return Schedule(epochs=5.0, batch=64, average=0.9, sizes=((0.8, 32), (0.2, 48)))


@dataclass(frozen=True)
class Config:
    """What is learned, by which schedule, and what of the network is looked at ``every`` so many steps."""

    images: tuple[str, ...] = SAMPLES
    data: tuple[Path, ...] = ()
    validation: tuple[Path, ...] = ()
    windows: int = 1280
    held_out: int = 192
    """Windows, or pictures of --validation at most, that are tested on at every look."""
    side: int = 48
    schedule: Annotated[Schedule, tyro.conf.arg(name="")] = field(default_factory=short)
    seed: int = 0
    every: int = 10
    units: tuple[str, ...] = ("stem.relu:0-2", "stage2.block2.relu:0-2", "fc:0-1")
    shown: str | None = None
    """The class whose picture is followed through activations and Grad-CAM; that of the picture with the most contrast if not given."""
    recording: Path | None = None
    """Where the recording is left, for `interp live` and `interp film`; nowhere if not given."""
    drawing: OneDrawing = field(default_factory=Drawing)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    photos = [] if config.data else load(config.images)
    if config.data:
        task, inputs = of_sources(config.data, config.validation, config.side, config.held_out)
    else:
        task, inputs = of_photographs(photos, config.windows, config.held_out, config.side, config.seed), input_entries(photos)
    model = untrained(task, config.side, config.seed)
    training = trainer(model, task, config.schedule, config.seed)

    def learn(watched: Watch, tick: Tick) -> None:
        while training.step < training.steps:
            watched.step(training.train_step())
            tick("training", training.step, training.steps)

    def beside(watched: Watch) -> Beside:
        first, last = (Recording.read(watched.folder).records[place].kernels("stem.conv") for place in (0, -1))
        ready, names = kernels.of(network("embedded"), "stem.conv"), ("before", f"after {training.steps} steps", "committed weights")
        grid = figure(first, last, ready, names, "First-layer filters and the end point")
        alone = Figure("endpoint", grid, "First-layer filters beside the committed ones", CAPTION, "The end point")
        return Beside([alone], numbers(first, last, ready))

    lead, title = " ".join(str(__doc__).split("\n\n", 1)[1].split()), f"The embedded network learns {len(task.classes)} classes"
    looked = Looked(config.every, ("stem.conv",), config.units, LAYERS, ascent=8, tested=config.held_out, seed=config.seed)
    lesson = Lesson(task, model, learn, looked, title, lead, probe_of(task, config.shown), tuple(inputs), beside)
    publish_lesson(
        "watch_embedded", config, lesson, recording=config.recording, seed=config.seed, drawing=config.drawing, saving=config.saving
    )


if __name__ == "__main__":
    experiment(Config, main)
