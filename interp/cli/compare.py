"""``interp compare`` and ``interp attribute``: which method to believe, at which layer; and single maps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from interp.cli.options import Images, ModelName, ModelOptions, OneModel, SaveOptions, Saving, Words, photos, target_of
from interp.cli.publish import publish
from interp.cli.words import at_least
from interp.errors import InterpError

if TYPE_CHECKING:
    import numpy as np

    from interp.core.model import Model
    from interp.images import Photo
    from interp.report.product import Product, Tick
    from interp.runs import InputEntry

Share = Literal["channel", "layer", "shared"]


@dataclass(frozen=True)
class Attribute:
    """Attribute a class, or any unit, to the places of photographs, by any method: `interp methods` lists them."""

    model: ModelName = "embedded"
    images: Images = ()
    methods: Words = ()
    """Methods, as 'gradcam' or 'occlusion:window=16'; Grad-CAM and integrated gradients if none are named."""
    layers: Words = ()
    """Layers or globs, for methods that work at a layer; the deepest that fits if none are named."""
    target: str | None = None
    """Class (name or number), unit, or function of the network's output (file.py:function); the top prediction if not given."""
    scale: Share = "channel"
    """What shares a colour scale: channel: nothing; layer: the maps of a row; shared: all."""
    batch_size: int = 32
    """Images that go through the network at once; bounds the memory."""
    files: Annotated[tuple[Literal["npy", "png"], ...], tyro.conf.arg(metavar="{npy,png} ...")] = ()
    """Write each map as a file of its own too: raw values (npy), or over its photograph (png)."""
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)

    def run(self) -> None:
        from interp.attribution.registry import method

        at_least(1, self.batch_size, "--batch-size")
        chosen = [method(text) for text in self.methods]
        pictures = photos(self.images, self.loading.bands)

        def make(model: Model, pictures: list[Photo], tick: Tick) -> Product:
            from interp.comparisons.contenders import Limits
            from interp.comparisons.scaling import ScaleBy
            from interp.report.attribute import Asked, attribute

            asked = Asked(tuple(chosen), self.layers, target_of(model, self.target), ScaleBy(self.scale), self.files)
            return attribute(model, pictures, asked, Limits(self.loading.seed, self.batch_size), tick)

        publish(
            "attribute",
            self,
            lambda: self.loading.load(self.model, self.target),
            make,
            reference=self.model,
            seed=self.loading.seed,
            saving=self.saving,
            pictures=pictures,
        )


@dataclass(frozen=True)
class Compare:
    """Compare attribution methods: maps across methods and layers, metrics beside controls, ranks, agreement."""

    model: ModelName = "embedded"
    images: Images = ()
    methods: Words = ()
    """Methods (`interp methods` lists them), as 'gradcam' or 'occlusion:window=16'; about ten that suit the network if none are named."""
    layers: Words = ()
    """Layers or globs, for methods that work at a layer; about five over the depth if none are named."""
    metrics: Words = ()
    """Metrics (`interp metrics` lists them), as 'deletion' or 'deletion:baseline=blur'; the cheap ones if none are named."""
    masks: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder with a mask for each picture, of the same name: where the object is; adds the metrics of localization."""
    boxes: Annotated[Path | None, tyro.conf.arg(metavar="FILE|DIR")] = None
    """The same from a COCO annotation file (.json), or Pascal VOC annotations (.xml, or a folder of them)."""
    category: str | None = None
    """Only objects of this category of the annotations."""
    target: str | None = None
    """Class (name or number), unit, or function of the network's output (file.py:function); the top prediction if not given."""
    scale: Share = "channel"
    """What shares a colour scale: channel: nothing; layer: the maps of a row; shared: all."""
    batch_size: int = 32
    """Images that go through the network at once; bounds the memory."""
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)

    def run(self) -> None:
        from interp.attribution.registry import method
        from interp.metrics.registry import metric

        at_least(1, self.batch_size, "--batch-size")
        if self.masks is not None and self.boxes is not None:
            raise InterpError("--masks and --boxes both say where the objects are: give one of them")
        if self.category is not None and self.boxes is None:
            raise InterpError(f"--category {self.category} chooses among annotations: give them with --boxes")
        chosen, judges = [method(text) for text in self.methods], [metric(text) for text in self.metrics]
        pictures = photos(self.images, self.loading.bands) if self.images else _samples()
        masks = _masks(self, pictures)

        def make(model: Model, pictures: list[Photo], tick: Tick) -> Product:
            from interp.comparisons.contenders import Limits
            from interp.comparisons.scaling import ScaleBy
            from interp.report.compare import compare
            from interp.report.comparison import Asked

            asked = Asked(tuple(chosen), self.layers, tuple(judges), target_of(model, self.target), ScaleBy(self.scale), masks)
            return compare(model, pictures, asked, Limits(self.loading.seed, self.batch_size), tick)

        publish(
            "compare",
            self,
            lambda: self.loading.load(self.model, self.target),
            make,
            reference=self.model,
            seed=self.loading.seed,
            saving=self.saving,
            pictures=pictures,
            inputs=mask_entries(self, pictures),
        )


def _samples() -> list[Photo]:
    """All of them: an interval over images needs more than three."""
    from interp.images import SAMPLES

    return photos(SAMPLES)


def _masks(asked: Compare, pictures: list[Photo]) -> tuple[np.ndarray, ...] | None:
    """Where the objects are, as the user says; raises BadFile where that cannot be read or does not match the pictures."""
    from interp import masks

    if asked.masks is not None:
        return tuple(masks.from_folder(pictures, asked.masks))
    if asked.boxes is None:
        return None
    read = masks.from_coco if _is_coco(asked.boxes) else masks.from_voc
    return tuple(read(pictures, asked.boxes, asked.category))


def mask_entries(asked: Compare, pictures: list[Photo]) -> tuple[InputEntry, ...]:
    """What the manifest says of the files that the masks of ``pictures`` are read from."""
    from interp import masks
    from interp.runs import InputEntry, Role
    from interp.runs.inputs import in_folder

    given = asked.masks or asked.boxes
    if given is None:
        return ()
    if not given.is_dir():
        return (InputEntry.of(given, Role.MASK),)
    files = masks.mask_files(pictures, given) if given == asked.masks else masks.voc_files(pictures, given)
    return tuple(replace(InputEntry.of(file, Role.MASK), path=in_folder(given, PurePath(file.name))) for file in files)


def _is_coco(annotation: Path) -> bool:
    return annotation.suffix.lower() == ".json"
