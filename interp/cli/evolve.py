"""``interp evolve``: weights files of one network, in order, as films, small multiples, curves, and a page with a slider."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from interp.cli.filming import Drawing, OneDrawing, Taken, publish_film
from interp.cli.options import Flag, ModelOptions, OneModel, SaveOptions, Saving, Words
from interp.errors import BadFile, InterpError

if TYPE_CHECKING:
    from interp.core.model import Model
    from interp.films.row import Row
    from interp.images import Photo
    from interp.report.product import Tick
    from interp.runs import InputEntry

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


@dataclass(frozen=True)
class Evolve:
    """Show a training by the weights files that it left behind, as `interp film` shows a recorded one."""

    checkpoints: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CHECKPOINT", help="two or more weights files, or a folder of them")
    ]
    model: Annotated[str, tyro.conf.arg(metavar="MODEL")]
    """The network that the files are of: embedded, resnet18, timm/NAME, or path/to/net.py:factory."""
    layers: Words = ()
    """Layers or globs whose filters are shown; the first convolution if none are named."""
    images: Annotated[str | None, tyro.conf.arg(metavar="IMAGE")] = None
    """A picture file, or a sample such as cat, that activations and Grad-CAM are shown of; filters alone if not given."""
    order: Annotated[Literal["auto", "given", "number"], tyro.conf.arg(metavar="{auto,given,number}")] = "auto"
    """By the number in their names, as given, or by the number where that is all that tells the names apart."""
    match: Flag = False
    """Match units to those of the checkpoint before, as for checkpoints of different trainings."""
    drawing: OneDrawing = field(default_factory=Drawing)
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)

    def run(self) -> None:
        from interp.films.row import Order, row
        from interp.zoo.device import device

        if self.loading.weights is not None or self.loading.random_weights:
            raise InterpError("--weights and --random-weights are of one network: name the checkpoints one after another")
        asked = self.drawing.asked()
        these = row(files(self.checkpoints), Order(self.order))
        if not these.numbered and self._folder is not None and Order(self.order) is Order.AUTO:
            raise InterpError(
                f"the names of the checkpoints in `{self._folder}`, such as `{these.paths[0].name}`, do not tell their order by a number: "
                "name the files one after another, or take them alphabetically with --order given"
            )
        publish_film(
            "evolve",
            self,
            lambda tick: self._take(these, tick),
            reference=self.model,
            seed=self.loading.seed,
            device=device(self.loading.device),
            asked=asked,
            saving=self.saving,
        )

    def _take(self, these: Row, tick: Tick) -> Taken:
        from interp.films import checkpoints
        from interp.films.checkpoints import Wanted
        from interp.report.product import input_entries, model_entry

        read: list[Model] = []

        def load(path: Path) -> Model:
            read.append(replace(self.loading, weights=path).load(self.model))
            return read[-1]

        photo = self._photo()
        wanted = Wanted(self.layers, self.match, self.loading.seed)
        timeline, last = checkpoints.of(these, load, photo, wanted, tick)
        entries = [entry for model in read for entry in model.spec.files]
        inputs = (*self._of_folder(entries), *(input_entries([photo]) if photo is not None else ()))
        entry = replace(model_entry(last), weights=f"{len(these.paths)} checkpoints, {these.paths[0].name} to {these.paths[-1].name}")
        return Taken(timeline, entry, inputs, self._told(these))

    def _photo(self) -> Photo | None:
        from interp.images import load

        if self.images is None:
            return None
        found = load((self.images,), self.loading.bands)
        if len(found) != 1:
            raise InterpError(f"--images {self.images} holds {len(found)} pictures: one is followed through the training, so name one")
        return found[0]

    def _of_folder(self, entries: list[InputEntry]) -> Iterator[InputEntry]:
        """Files of a folder that was given go by its name, wherever it lay."""
        from interp.runs.inputs import in_folder

        folder, names = self._folder, {path.name for path in files(self.checkpoints)}
        for entry in entries:
            inside = folder is not None and entry.name in names
            yield replace(entry, path=in_folder(folder, PurePath(entry.name))) if inside and folder is not None else entry

    @property
    def _folder(self) -> Path | None:
        """The folder that was given in place of files."""
        return self.checkpoints[0] if len(self.checkpoints) == 1 and self.checkpoints[0].is_dir() else None

    def _told(self, these: Row) -> tuple[str, ...]:
        how = "by the number in their names" if these.numbered else "as given" if self._folder is None else "alphabetically"
        return (f"{len(these.paths)} checkpoints, {how}: {these.paths[0].name} to {these.paths[-1].name}",)


def files(given: tuple[Path, ...]) -> list[Path]:
    """The checkpoints: those named, or all weights files of the one folder that is.

    Raises InterpError where that holds none, BadFile where it is not there.
    """
    if len(given) == 1 and not given[0].exists():
        raise BadFile(f"there is no file or folder `{given[0]}`: give two or more weights files, or a folder of them")
    if len(given) != 1 or not given[0].is_dir():
        return list(given)
    found = sorted(path for path in given[0].iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    if not found:
        raise InterpError(f"the folder `{given[0]}` holds no weights file: {', '.join(SUFFIXES)} are looked for")
    return found
