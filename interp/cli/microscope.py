"""``interp microscope``: every unit of a network as a page of a static site."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from interp.cli.keeping import GOES_ON, Interrupted
from interp.cli.on_data import tell_skipped
from interp.cli.options import Flag, ModelName, ModelOptions, OneModel, Words
from interp.cli.words import at_least, size_of
from interp.errors import InterpError

if TYPE_CHECKING:
    from interp.core.model import Model
    from interp.microscope import Built, Estimate, Options, Recipe
    from interp.parallel import Runner

# Networks of larger input are shown images of this size, where they take them.
_SIDE = 128


@dataclass(frozen=True)
class SiteOptions:
    """Where the site is written, and who does the work: nothing of it changes the result."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="SITE")] = field(default=None, metadata={"manifest": False})
    """Folder of the site; one of the same network is brought up to date. Default: results/microscope/<model>."""
    runner: Annotated[Literal["here", "ray"], tyro.conf.arg(metavar="{here,ray}")] = field(default="here", metadata={"manifest": False})
    """Whether the work is done on this machine, or on a Ray cluster."""
    address: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = field(default=None, metadata={"manifest": False})
    """Of the Ray cluster; the one that this machine is part of if not given."""
    workers: int | None = field(default=None, metadata={"manifest": False})
    """How many units are worked on at once: processes of this machine (1: in this one; default: as many as cores), or tasks on Ray."""


Saving = Annotated[SiteOptions, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class Microscope:
    """Build a site with a page for every unit: its optimized images, the pictures that excite it, weights, statistics, neighbours.

    Stopped at any point, the same command goes on from what is finished; with other options it makes only what is not there.
    """

    model: ModelName = "embedded"
    images: Annotated[str | None, tyro.conf.arg(metavar="DATA")] = None
    """Pictures: a folder (folders inside are labels), .tar or a folder of them (WebDataset), a Hugging Face data set on disk, .parquet or a
    folder of them, .npz, or torchvision:NAME:FOLDER; the sample photographs and parts of them if not given."""
    labels: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Classes of the pictures: a CSV file of names and labels; the folders they lie in if not given."""
    layers: Words = ()
    """Layers or globs; every convolution and the layer of the classes if none are named."""
    units: int | None = None
    """Of each layer only the first so many channels; all if not given."""
    steps: int = 256
    """Steps of gradient ascent per optimized image; 0 for none."""
    size: Annotated[str | None, tyro.conf.arg(metavar="N|ROWSxCOLS")] = None
    """Size of optimized images in pixels; the network's own, up to 128, if not given."""
    neuron: Flag = False
    """Also an image for the channel's place in the centre."""
    negative: Flag = False
    """Also an image for what lowers the channel most."""
    faces: int = 0
    """Also so many images of each channel that are made to differ."""
    top: int = 9
    """Pictures that excite a unit most."""
    bottom: int = 3
    """Pictures that excite it least."""
    links: int = 8
    """Neighbours and connections of each kind that are listed."""
    weights_by: Annotated[Literal["pca", "nmf"], tyro.conf.arg(metavar="{pca,nmf}")] = "pca"
    """How the inputs of a deep layer are grouped into the three colours in which its weights are drawn."""
    precision: Annotated[Literal["auto", "float32", "bfloat16", "float16"], tyro.conf.arg(metavar="NAME")] = "auto"
    """What the network computes in while images are optimized: auto, float32, bfloat16 or float16."""
    chunk: int = 16
    """Units whose images go through the network together: what a stop can cost at most."""
    compare: Annotated[tuple[Path, Path] | None, tyro.conf.arg(metavar="SITE_A SITE_B")] = None
    """Build no microscope, but lay two that are finished side by side, unit by unit; of the other options it takes --out alone."""
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SiteOptions)

    def run(self) -> None:
        if self.compare is not None:
            self._compare(*self.compare)
            return
        at_least(0, self.steps, "--steps")
        at_least(1, self.chunk, "--chunk")
        if self.units is not None:
            at_least(1, self.units, "--units")
        if self.faces == 1 or self.faces < 0:
            raise InterpError(f"--faces {self.faces} is too small: give 2 or more images that are made to differ, or 0 for none")
        if self.saving.address is not None and self.saving.runner != "ray":
            raise InterpError("--address is that of a Ray cluster: add --runner ray")
        size = None if self.size is None else size_of(self.size)
        with _runner(self.saving, self.loading.device) as runner:
            try:
                _tell(self._build(runner, size))
            except KeyboardInterrupt:
                raise Interrupted(f"finished work is kept, {GOES_ON}") from None

    def _build(self, runner: Runner, size: tuple[int, int] | None) -> Built:
        import torch

        from interp.cli.commandline import command_line
        from interp.cli.progress import bars
        from interp.cli.publish import tell
        from interp.microscope import About, Building, Data, build, expected, layers_of
        from interp.runs.origin import program_of
        from interp.site.microscope.address import folder_of

        data = Data("" if self.images is None else self.images, self.labels)
        found = data.open()
        model = self.loading.load(self.model)
        about = About(program_of(self), self, tuple(command_line(self)), self.loading.seed)
        options = self._options(size or _suitable(model), torch.get_num_threads())
        site = self.saving.out or Path("results") / "microscope" / folder_of(Path(model.spec.reference).name)
        building = Building(model, self._recipe(model), data, site, layers_of(model, self.layers), options, about, self.loading.bands)
        sys.stderr.write(f"interp: {said(expected(building, len(found), runner.workers), runner.workers)}\n")
        with bars() as tick:
            built = build(building, runner, tick, found)
        tell(model)
        return built

    def _options(self, size: tuple[int, int], threads: int) -> Options:
        from interp.featurevis import Precision
        from interp.kernels.factors import Factoring
        from interp.microscope import Options

        return Options(
            steps=self.steps,
            size=size,
            precision=Precision(self.precision),
            neuron=self.neuron,
            negative=self.negative,
            faces=self.faces,
            top=at_least(1, self.top, "--top"),
            bottom=at_least(0, self.bottom, "--bottom"),
            links=at_least(0, self.links, "--links"),
            factoring=Factoring(self.weights_by),
            chunk=self.chunk,
            units=self.units,
            scan_threads=threads,
            seed=self.loading.seed,
        )

    def _recipe(self, model: Model) -> Recipe:
        from interp.microscope import Recipe

        loading = self.loading
        # On a cluster each task has a GPU of its own, whatever its number.
        device = "cuda" if self.saving.runner == "ray" and model.device.type == "cuda" else str(model.device)
        return Recipe(
            self.model,
            loading.weights,
            loading.random_weights,
            loading.seed,
            device,
            loading.output,
            loading.weights_key,
            loading.inputs(),
            model.memory,
            model.spec.sha256,
        )

    def _compare(self, first: Path, second: Path) -> None:
        from interp.site.microscope import comparison_of, write_comparison

        other = next(_given(self), "")
        if other:
            raise InterpError(f"--compare lays two finished microscopes side by side, {other} is of building one: leave one out")
        out = self.saving.out
        if out is None:
            raise InterpError("--compare needs a folder for its pages: name one with --out")
        write_comparison(out, comparison_of(first, second), first, second)
        sys.stdout.write(f"{out / 'index.html'}\n")


def _given(command: Microscope) -> Iterator[str]:
    """The names of options that were given and are of no use to a comparison; one that has the value it has anyway counts as not given."""
    usual = Microscope()
    if command.model != usual.model:
        yield f"the model '{command.model}'"
    ours = (("compare", "model", "loading", "saving"), command, usual)
    for passed_over, given, default in (ours, ((), command.loading, usual.loading), (("out",), command.saving, usual.saving)):
        for one in fields(default):
            if one.name not in passed_over and getattr(given, one.name) != getattr(default, one.name):
                yield f"--{one.name.replace('_', '-')}"


def said(estimate: Estimate, workers: int) -> str:
    """The estimate in one line."""
    from interp.runs.words import time_taken

    left = f", of which {estimate.finished} are finished" if estimate.finished else ""
    made = f", {estimate.images} optimized images{left}" if estimate.images else ""
    on = "1 worker" if workers == 1 else f"{workers} workers"
    return (
        f"{estimate.units} units in {estimate.layers} layer{'s' * (estimate.layers != 1)}, {estimate.pictures} pictures{made}: "
        f"about {time_taken(estimate.seconds)} on {on}, and {_megabytes(estimate.size)} on disk"
    )


def _tell(built: Built) -> None:
    tell_skipped(built.skipped)
    sys.stderr.write(f"interp: {built.units} units, {built.pictures} pictures, {built.files} files, {_megabytes(built.size)}\n")
    sys.stdout.write(f"{built.site / 'index.html'}\n")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"


@contextmanager
def _runner(saving: SiteOptions, device: str) -> Iterator[Runner]:
    """Where the work is done; raises InterpError at once where that is not there."""
    from interp import parallel

    if saving.workers is not None:
        at_least(1, saving.workers, "--workers")
    gpu = device.startswith("cuda")
    if saving.runner == "ray":
        made: Runner = parallel.Ray(saving.address, saving.workers, gpus=1.0 if gpu else 0.0)
    else:
        import torch

        # An accelerator is kept busy by one process.
        count = saving.workers or (1 if device != "cpu" else torch.get_num_threads())
        made = parallel.Here() if count == 1 else parallel.Processes(count)
    with made:
        yield made


def _suitable(model: Model) -> tuple[int, int]:
    """The network's own size, or that of a report where it is larger than needed."""
    from interp.report.features import suitable_size

    own = model.preprocess.size
    return own if max(own) <= _SIDE else suitable_size(model) or own
