"""``interp diagnose``: dead, duplicate, noisy and over-sensitive filters of a network."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import tyro

from interp.cli.on_data import Metrics, opened, publish_on
from interp.cli.options import ModelName, ModelOptions, OneModel, SaveOptions, Saving, Words
from interp.cli.words import at_least

if TYPE_CHECKING:
    from interp.core.model import Model
    from interp.images import Photo
    from interp.report.product import Product, Tick


@dataclass(frozen=True)
class Diagnose:
    """Find dead, duplicate, noisy and, with pictures, rare and over-sensitive filters, with the test behind each verdict."""

    model: ModelName = "embedded"
    images: Annotated[str | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of pictures or another data set, as `interp scan` takes it; without it only weights are looked at."""
    layers: Words = ()
    """Layers or globs; every layer with kernels if none are named."""
    batch_size: int = 32
    """Pictures that go through the network at once."""
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)

    def run(self) -> None:
        at_least(1, self.batch_size, "--batch-size")
        data = opened(self.images, None) if self.images is not None else None

        def make(model: Model, pictures: list[Photo], tick: Tick) -> Product:
            from interp.report.diagnose import Asked, diagnose

            return diagnose(model, data, Asked(self.layers, self.loading.seed, self.batch_size), tick)

        publish_on("diagnose", self, data, make, _summary)


def _summary(metrics: Metrics) -> None:
    """How many filters have each verdict."""
    sys.stdout.write("".join(f"{count:6d} {name}\n" for name, count in metrics["flagged"].items()))
