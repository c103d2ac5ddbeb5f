"""``interp scan``: one pass of a data set through a network, as tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from interp.cli.keeping import GOES_ON, place_of, telling
from interp.cli.on_data import opened, publish_on, tell_skipped
from interp.cli.options import Flag, ModelName, ModelOptions, OneModel, SaveOptions, Saving, Words
from interp.cli.words import at_least

if TYPE_CHECKING:
    from interp.activations.stream import Step
    from interp.core.model import Model
    from interp.images import Photo
    from interp.report.product import Product, Tick


@dataclass(frozen=True)
class Scan:
    """Pass a data set through a network once: for every channel its strongest pictures, statistics, neighbours, as Parquet tables."""

    model: ModelName = "embedded"
    images: Annotated[str | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of pictures (folders inside are labels), .tar or a folder of them (WebDataset), a Hugging Face data set on disk, .parquet or a
    folder of them, .npz, or torchvision:MNIST:FOLDER."""
    layers: Words = ()
    """Layers or globs; every convolution and the classes if none are named."""
    top: int = 9
    """How many of the strongest and of the weakest pictures of each channel."""
    labels: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """CSV of name,label, in place of the labels that the data set has."""
    batch_size: int = 32
    """Pictures that go through the network at once."""
    no_correlations: Flag = False
    """Leave out correlations between channels of a layer, which take memory in layers of thousands."""
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)

    def run(self) -> None:
        from interp.activations.stream import ScanConfig

        at_least(1, self.batch_size, "--batch-size")
        at_least(1, self.top, "--top")
        data = opened(self.images, self.labels)
        config = ScanConfig(top=self.top, batch=self.batch_size, correlations=not self.no_correlations)
        parent = self.saving.out.parent if self.saving.out is not None else Path("results") / "scan"

        def make(model: Model, pictures: list[Photo], tick: Tick) -> Product:
            from interp.report.scan import Asked, scanned

            with kept(parent, self) as (checkpoint, step):
                return scanned(model, data, Asked(self.layers, config, checkpoint), lambda s: step(s, tick))

        publish_on("scan", self, data, make, lambda metrics: tell_skipped([(name, why) for name, why in metrics["skipped"]]), self.labels)


@contextmanager
def kept(parent: Path, command: object) -> Iterator[tuple[Path, Callable[[Step, Tick], None]]]:
    """A checkpoint in a hidden file of ``parent``, found again by the same ``command``; removed once the pass is complete.

    Where the pass is interrupted or fails it stays, and the message says so. Gives the file, and what shows a step.
    """
    checkpoint = place_of(parent, command, "scan")

    def step(at: Step, tick: Tick) -> None:
        if at.note:
            sys.stderr.write(f"interp: {at.note}\n")
        tick("pictures", at.done, at.total)

    with telling(lambda: f"the pass is kept up to its last checkpoint, {GOES_ON}" if checkpoint.exists() else ""):
        yield checkpoint, step
    checkpoint.unlink(missing_ok=True)
