"""From a `Timeline` to a finished run folder: shared by ``interp film``, ``interp evolve`` and the scripts that watch a training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from interp.cli.options import Flag, SaveOptions
from interp.cli.words import at_least

if TYPE_CHECKING:
    import torch

    from interp.films import Timeline
    from interp.report.film import Asked
    from interp.report.film_page import View
    from interp.report.product import Product, Tick
    from interp.runs import InputEntry, ModelEntry


@dataclass(frozen=True)
class Drawing:
    """How a training is drawn."""

    filters: int = 16
    """Filters of a layer in the figures, at most: evenly over it."""
    columns: int = 12
    """Moments in the figures, at most: evenly; the film and the slider have all."""
    deep: Annotated[Literal["pca", "nmf", "norm"], tyro.conf.arg(metavar="{pca,nmf,norm}")] = "pca"
    """How filters of many inputs are drawn: inputs grouped into three colours, or their norm at each place."""
    mp4: Flag = False
    """Also each film as MP4, which needs ffmpeg."""

    def asked(self) -> Asked:
        """Raises InterpError where a number is too small."""
        from interp.films.tiles import Deep
        from interp.report.film import Asked

        return Asked(at_least(1, self.filters, "--filters"), at_least(2, self.columns, "--columns"), Deep(self.deep), self.mp4)


OneDrawing = Annotated[Drawing, tyro.conf.arg(name="")]
"""The same without a prefix: ``drawing: OneDrawing = field(default_factory=Drawing)``."""


@dataclass(frozen=True)
class Taken:
    """What a film is made of, once it has been read."""

    timeline: Timeline
    model: ModelEntry
    inputs: tuple[InputEntry, ...]
    tell: Sequence[str] = ()
    own: Product | None = None
    """What a script shows beside the film, on the same page and before it."""
    views: Sequence[View] = ()
    """And on the slider, below what the film has there."""


def publish_film(
    experiment: str,
    config: object,
    take: Callable[[Tick], Taken],
    *,
    reference: str,
    seed: int,
    device: torch.device,
    asked: Asked,
    saving: SaveOptions,
) -> Path:
    """Take the timeline, make the film and write it as one run, all or nothing, with progress; prints where it is.

    As `interp.cli.publish.publish`, but for work that begins with no model. Raises InterpError before any work where it cannot be
    written.
    """
    from interp.cli.commandline import command_line
    from interp.cli.progress import bars
    from interp.cli.publish import question_of
    from interp.core.machine import machine
    from interp.core.repeatable import Repeatable
    from interp.report.film import film
    from interp.report.film_page import joined, write
    from interp.runs import Place, Run, default_folder
    from interp.runs.origin import neighbours_of, program_of

    folder = saving.out or default_folder(Path("results"), experiment, reference, config, datetime.now())
    with Place(folder, or_next=saving.out is None) as place, Repeatable() as repeatable, bars() as tick:
        repeatable.on(device)
        taken = take(tick)
        run = Run.create(
            place,
            experiment=experiment,
            program=program_of(config),
            config=config,
            seed=seed,
            machine=machine(device),
            model=taken.model,
            inputs=tuple(dict.fromkeys((*taken.inputs, *neighbours_of(config)))),
            command=command_line(config),
            parent=saving.parent,
        )
        with run:
            filmed = film(taken.timeline, asked, tick)
            if taken.own is not None:
                filmed = joined(taken.own, filmed, taken.views)
            run.unrepeatable(repeatable.reasons)
            write(filmed, run, tick, question_of(config), saving.formats, saving.dpi, saving.webp_quality)
    for line in taken.tell:
        sys.stderr.write(f"interp: {line}\n")
    sys.stdout.write(f"{run.folder / 'index.html'}\n")
    return run.folder
