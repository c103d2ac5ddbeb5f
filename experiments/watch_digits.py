"""What happens inside a convolutional network while it learns to read handwritten digits?

The same filters, held-out digits and units are followed from random weights to the last step: kernels, feature maps, receptive fields,
images optimized for units, and what is taken for what. The digits come with scikit-learn (8 x 8 px), or are MNIST or Fashion-MNIST
where torchvision keeps them: nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from interp.cli import experiment
from interp.cli.filming import Drawing, OneDrawing
from interp.cli.lesson import Lesson, publish_lesson
from interp.cli.options import SaveOptions, Saving
from interp.report.product import Tick
from interp.report.watched import Looked, Task, Watch, probe_of
from interp.synthetic.digit_training import DigitOptions, train, untrained
from interp.synthetic.digits import Digits, Kind, of_folder, small

LAYERS = ("unit1.relu", "unit2.relu", "unit3.relu", "unit4.relu")


@dataclass(frozen=True)
class Config:
    """Which digits are learned, how long, and what of the network is looked at ``every`` so many steps."""

    data: Path | None = None
    """torchvision's root, with MNIST/raw or FashionMNIST/raw in it; scikit-learn's digits if not given."""
    kind: Annotated[Kind, tyro.conf.EnumChoicesFromValues] = Kind.AUTO
    training_images: int = 4000
    held_out_images: int = 1000
    """Of the folder's pictures; of scikit-learn's, a share is held out instead."""
    held_out_share: float = 0.25
    training: Annotated[DigitOptions, tyro.conf.arg(name="")] = field(default_factory=DigitOptions)
    every: int = 20
    units: tuple[str, ...] = ("unit1.relu:0-3", "unit2.relu:0-3", "unit4.relu:0-3", "fc:0-9")
    kernels: tuple[str, ...] = ("unit1.conv", "unit2.conv")
    digit: str = "3"
    """The class whose picture is followed through activations and Grad-CAM."""
    recording: Path | None = None
    """Where the recording is left, for `interp live` and `interp film`; nowhere if not given."""
    drawing: OneDrawing = field(default_factory=Drawing)
    saving: Saving = field(default_factory=SaveOptions)

    def digits(self) -> Digits:
        """Raises InterpError where they are not there."""
        if self.data is None:
            return small(self.held_out_share, self.training.seed)
        return of_folder(self.data, self.kind, self.training_images, self.held_out_images, self.training.seed)


def main(config: Config) -> None:
    digits = config.digits()
    model, task = untrained(digits, config.training), Task(digits.training, digits.held_out, digits.classes)

    def learn(watched: Watch, tick: Tick) -> None:
        train(model, digits.training, config.training, lambda now: (watched.step(now.loss), tick("training", now.done, now.steps)))

    looked = Looked(config.every, config.kernels, config.units, LAYERS, seed=config.training.seed)
    lead = f"{' '.join(str(__doc__).split(chr(10) * 2, 1)[1].split())}\n\n{digits.name}: {digits.split}."
    title, probe = f"A network learns {digits.name}", probe_of(task, config.digit)
    lesson = Lesson(task, model, learn, looked, title, lead, probe, digits.inputs)
    seed = config.training.seed
    publish_lesson("watch_digits", config, lesson, recording=config.recording, seed=seed, drawing=config.drawing, saving=config.saving)


if __name__ == "__main__":
    experiment(Config, main)
