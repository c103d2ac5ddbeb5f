"""``interp film``: a training that `interp.watch` recorded, as films, small multiples, curves, and a page with a slider."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import tyro

from interp.cli.filming import Drawing, OneDrawing, Taken, publish_film
from interp.cli.options import SaveOptions, Saving, Words
from interp.cli.words import at_least

if TYPE_CHECKING:
    from interp.report.product import Tick
    from interp.runs import InputEntry, ModelEntry
    from interp.watching import Recording


@dataclass(frozen=True)
class Film:
    """Show a recorded training: filters, curves, what moved, one photograph, the first sign of structure, and a page with a slider.

    The recording may still be written.
    """

    recording: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RECORDING", help="the folder that interp.watch writes into")]
    layers: Words = ()
    """Layers or globs among those whose weights were kept; all of them if none are named."""
    probe: int = 0
    """Which of the probe images is shown, counted from 0."""
    drawing: OneDrawing = field(default_factory=Drawing)
    saving: Saving = field(default_factory=SaveOptions)

    def run(self) -> None:
        import torch

        asked = self.drawing.asked()
        at_least(0, self.probe, "--probe")
        publish_film(
            "film",
            self,
            self._take,
            reference=self.recording.name,
            seed=0,
            device=torch.device("cpu"),
            asked=asked,
            saving=self.saving,
        )

    def _take(self, tick: Tick) -> Taken:
        from interp.films import recorded
        from interp.watching import Recording

        recording = Recording.read(self.recording)
        timeline = recorded.of(recording, self.layers, self.probe)
        told = () if recording.complete else ("the recording is not closed: made again later, the film may be of more steps",)
        return Taken(timeline, _model(recording), tuple(_inputs(recording)), told)


def _model(recording: Recording) -> ModelEntry:
    """The network of the recording; in the place of a weights file's hash stands one of all recorded arrays."""
    from interp.runs import ModelEntry

    network = recording.header.network
    digest = hashlib.sha256()
    for record in recording.records:
        for name, entry in sorted(record.entry.arrays.items()):
            digest.update(f"{record.step} {name} {entry.sha256}\n".encode())
    said = f"as recorded, steps {recording.steps[0]} to {recording.steps[-1]}"
    return ModelEntry(network.reference, said, digest.hexdigest(), network.parameters)


def _inputs(recording: Recording) -> Iterator[InputEntry]:
    """The files that were read, by their names below the recording."""
    from interp.runs import InputEntry
    from interp.runs.entries import Role
    from interp.runs.inputs import in_folder

    files = ["watch.json", "probes.safetensors", "scalars.jsonl"]
    files += [f"records/{record.entry.stem}.{kind}" for record in recording.records for kind in ("json", "safetensors")]
    for file in files:
        path = recording.folder / file
        if path.exists():
            yield replace(InputEntry.of(path, Role.WEIGHTS), path=in_folder(recording.folder, PurePath(file)))
