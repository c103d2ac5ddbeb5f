"""The commands, each a frozen dataclass whose fields are its options and its manifest entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from interp.cli.catalogue import Methods, Metrics
from interp.cli.compare import Attribute, Compare
from interp.cli.diagnose import Diagnose
from interp.cli.doctor import Doctor
from interp.cli.edit import Edit
from interp.cli.evolve import Evolve
from interp.cli.film import Film
from interp.cli.gallery import Gallery
from interp.cli.live import Live
from interp.cli.microscope import Microscope
from interp.cli.options import Images, ModelName, ModelOptions, OneModel, SaveOptions, Saving, Words, layers_of, photos, target_of
from interp.cli.publish import Make, publish, tell
from interp.cli.rerun import Rerun
from interp.cli.runs import Runs
from interp.cli.scan import Scan
from interp.cli.verify import Verify
from interp.cli.visualize import Visualize
from interp.cli.whence import Whence
from interp.cli.words import at_least
from interp.errors import InterpError

if TYPE_CHECKING:
    from interp.core.model import Model
    from interp.featurevis import AscentConfig
    from interp.images import Photo
    from interp.report.product import Product, Tick

Share = Literal["channel", "layer", "shared"]


@dataclass(frozen=True)
class Report:
    """Look inside a network across its layers: kernels, activations, optimized images and Grad-CAM, with a page."""

    model: ModelName = "embedded"
    images: Images = ()
    layers: Words = ()
    """Layers or globs such as 'layer[1-4].*.conv2'; about six over the depth if none are named."""
    units: Words = ()
    """Units to optimize images for, such as 'layer4:0-3'; the strongest on the photographs if none are named."""
    target: str | None = None
    """Class (name or number), unit, or function of the output (file.py:function) that is explained; the top prediction if not given."""
    steps: int = 128
    """Steps of gradient ascent per optimized image."""
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)

    def run(self) -> None:
        def make(model: Model, pictures: list[Photo], tick: Tick) -> Product:
            from interp.report.whole import Settings, report

            units = tuple(model.units(self.units)) if self.units else ()
            settings = Settings(self.layers, units, target_of(model, self.target), ascent(model, self.steps), self.loading.seed)
            return report(model, pictures, settings, tick)

        at_least(1, self.steps, "--steps")
        _publish("report", self, make, photos(self.images, self.loading.bands))


@dataclass(frozen=True)
class Layers:
    """List the layers of a network: kind, output shape, parameters, receptive field, stride, layout, calls."""

    model: ModelName = "embedded"
    pattern: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="GLOB")] = "*"
    """Only layers whose names match."""
    loading: OneModel = field(default_factory=ModelOptions)

    def run(self) -> None:
        from interp.cli.table import layer_table

        # The layers are the same whatever the weights, so none are fetched.
        model = replace(self.loading, random_weights=self.loading.weights is None).load(self.model)
        layer_table(model, self.pattern)
        tell(model)


@dataclass(frozen=True)
class Kernels:
    """Draw the kernels of layers: first layers as colour pictures, deeper ones as output x input grids."""

    model: ModelName = "embedded"
    layers: Words = ()
    """Layers or globs; the first six with kernels if none are named."""
    order: Literal["index", "norm"] = "index"
    """Order of the filters."""
    scale: Literal["shared", "filter"] = "shared"
    """One scale for all filters of a layer, or each its own."""
    count: int = 64
    """At most so many filters per layer."""
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)

    def run(self) -> None:
        def make(model: Model, pictures: list[Photo], tick: Tick) -> Product:
            from interp.kernels import Order, Scale
            from interp.report.compose import KernelOptions, kernel_layers, of_kernels

            names = [layer.name for layer in model.select(self.layers)] if self.layers else kernel_layers(model)[:6]
            return of_kernels(model, names, KernelOptions(Order(self.order), Scale(self.scale), self.count))

        at_least(1, self.count, "--count")
        if self.loading.memory is not None:
            raise InterpError(f"--memory {self.loading.memory}: no image goes through the network for its kernels: leave it out")
        _publish("kernels", self, make, [])


@dataclass(frozen=True)
class Activations:
    """Draw what layers answer to photographs: the mean map and the strongest channels of each."""

    model: ModelName = "embedded"
    images: Images = ()
    layers: Words = ()
    """Layers or globs; about six over the depth if none are named."""
    units: Words = ()
    """Channels to show, such as 'layer1:0-7'; the strongest of each photograph if none are named."""
    count: int = 4
    """How many of the strongest channels."""
    rank: Literal["max", "mean"] = "max"
    """What makes a channel strong."""
    scale: Share = "channel"
    """What shares a colour scale."""
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)

    def run(self) -> None:
        def make(model: Model, pictures: list[Photo], tick: Tick) -> Product:
            from interp.activations import Rank
            from interp.comparisons.scaling import ScaleBy
            from interp.report.compose import ActivationOptions, of_activations

            units = model.units(self.units) if self.units else []
            named = {unit.layer for unit in units}
            placed = next((unit for unit in units if unit.at is not None), None)
            if placed is not None:
                raise InterpError(f"'{placed}' names one place, but whole maps are drawn: write '{placed.layer}:{placed.channel}'")
            names = layers_of(model, self.layers) if self.layers or not units else []
            names = [layer.name for layer in model.layers if layer.name in {*names, *named}]
            return of_activations(model, pictures, names, ActivationOptions(self.count, Rank(self.rank), ScaleBy(self.scale)), units)

        at_least(1, self.count, "--count")
        _publish("activations", self, make, photos(self.images, self.loading.bands))


@dataclass(frozen=True)
class Gradcam:
    """Lay Grad-CAM of a class, or of any unit, over photographs, at several layers by one backward pass."""

    model: ModelName = "embedded"
    images: Images = ()
    layers: Words = ()
    """Layers or globs; about six over the depth if none are named."""
    target: str | None = None
    """Class (name or number), unit, or function of the network's output (file.py:function); the top prediction if not given."""
    scale: Share = "channel"
    """channel: each map divided by its own largest magnitude; layer, shared: raw units."""
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)

    def run(self) -> None:
        def make(model: Model, pictures: list[Photo], tick: Tick) -> Product:
            from interp.comparisons.scaling import ScaleBy
            from interp.core.unit import Unit
            from interp.report.compose import explainable, of_gradcam

            target = target_of(model, self.target)
            names = layers_of(model, self.layers)
            if not self.layers:
                unit = target or Unit(model.output, 0)
                names = explainable(model, names, unit)
                if not names:
                    raise InterpError(
                        f"Grad-CAM of '{unit}' needs a layer with places that fires before '{unit.layer}': name one with --layers"
                    )
            return of_gradcam(model, pictures, names, target, ScaleBy(self.scale))

        _publish("gradcam", self, make, photos(self.images, self.loading.bands))


COMMANDS: dict[str, Callable[..., Any]] = {
    "report": Report,
    "layers": Layers,
    "kernels": Kernels,
    "activations": Activations,
    "visualize": Visualize,
    "gradcam": Gradcam,
    "attribute": Attribute,
    "compare": Compare,
    "scan": Scan,
    "diagnose": Diagnose,
    "edit": Edit,
    "microscope": Microscope,
    "film": Film,
    "evolve": Evolve,
    "live": Live,
    "methods": Methods,
    "metrics": Metrics,
    "rerun": Rerun,
    "runs": Runs,
    "gallery": Gallery,
    "verify": Verify,
    "whence": Whence,
    "doctor": Doctor,
}


def ascent(model: Model, steps: int) -> AscentConfig:
    """Gradient ascent at a size that suits the model."""
    from interp.featurevis import AscentConfig
    from interp.report.features import FLOAT32, suitable_size

    return AscentConfig(steps=steps, size=suitable_size(model), precision=FLOAT32)


Command = Report | Kernels | Activations | Gradcam


def _publish(name: str, command: Command, make: Make, pictures: list[Photo]) -> None:
    loading = command.loading
    publish(
        name,
        command,
        lambda: loading.load(command.model, getattr(command, "target", None)),
        make,
        reference=command.model,
        seed=loading.seed,
        saving=command.saving,
        pictures=pictures,
    )
