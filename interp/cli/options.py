"""Options that several commands share, as frozen dataclasses: what is typed is what the manifest records."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from interp.errors import InterpError

if TYPE_CHECKING:
    from interp.core.model import Model
    from interp.core.unit import Unit
    from interp.images import Photo

ModelName = Annotated[
    str,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="MODEL", help="embedded, resnet50, resnet50@IMAGENET1K_V2, timm/NAME, or path/to/net.py:factory"),
]
Images = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="IMAGE", help="picture files, folders, or samples: cat, coffee, rocket, astronaut, motorcycle, hubble"),
]
Flag = tyro.conf.FlagCreatePairsOff[bool]
Words = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")]

DEFAULT_IMAGES = ("cat", "coffee", "rocket")


@dataclass(frozen=True)
class ModelOptions:
    """Which weights, on which device."""

    weights: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Weights file: .safetensors, or .pt/.pth read without unpickling code."""
    random_weights: Flag = False
    """Untrained weights, drawn from the seed."""
    seed: int = 0
    """Every random draw derives from it."""
    device: str = "cpu"
    """cpu, cuda, cuda:N, mps or auto."""

    def load(self, reference: str) -> Model:
        """The model; raises InterpError where it cannot be had."""
        from interp import zoo
        from interp.zoo.device import device

        _refuse_picture(reference)
        device(self.device)
        return zoo.load(reference, weights=self.weights, random_weights=self.random_weights, seed=self.seed, device=self.device)


@dataclass(frozen=True)
class SaveOptions:
    """Where the run is written, and how its figures are."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = field(default=None, metadata={"manifest": False})
    """Folder of the run; must not exist yet. Default: results/<command>/<date>-<model>-<hash>."""
    formats: Annotated[tuple[Literal["png", "pdf", "svg", "webp"], ...], tyro.conf.arg(metavar="{png,pdf,svg,webp} ...")] = ("png", "pdf")
    """Files of each figure; the page shows webp, else png, else svg, so one of these must be there."""
    dpi: int = 120
    """Pixels per inch of png and webp."""
    webp_quality: int | None = None
    """Of webp, 1 to 100: it may lose detail where that makes a smaller file; it loses nothing if not given."""
    parent: Annotated[str | None, tyro.conf.Suppress] = field(default=None, metadata={"manifest": False})

    def __post_init__(self) -> None:
        """Raises InterpError where no page can be made of such files."""
        from interp.report.formats import check

        check(self.formats, self.dpi, self.webp_quality)


OneModel = Annotated[ModelOptions, tyro.conf.arg(name="")]
"""The options of one model, without a prefix: ``loading: OneModel = field(default_factory=ModelOptions)``."""
Saving = Annotated[SaveOptions, tyro.conf.arg(name="")]
"""The options of saving, without a prefix: ``saving: Saving = field(default_factory=SaveOptions)``."""


def _refuse_picture(reference: str) -> None:
    """Raises InterpError where the first word, which is the model, names a photograph."""
    from interp.images import SAMPLES, SUFFIXES

    if reference in SAMPLES or Path(reference).suffix.lower() in SUFFIXES or Path(reference).is_dir():
        raise InterpError(
            f"'{reference}' stands in the place of the model, but is a photograph or folder: write the model first, 'embedded {reference}'"
        )


def photos(references: tuple[str, ...]) -> list[Photo]:
    """The photographs, each name once; the samples where none are named."""
    from interp.images import load
    from interp.report.compose import unique

    return unique(load(references or DEFAULT_IMAGES))


def layers_of(model: Model, patterns: tuple[str, ...]) -> list[str]:
    """Layers named, or about six over the depth; each with maps."""
    from interp.core.depth import spread

    found = model.select(patterns) if patterns else spread(model)
    for layer in found:
        _ = layer.map_shape
    return [layer.name for layer in found]


def target_of(model: Model, target: str | None) -> Unit | None:
    """The unit of a class given by name or number, or any unit."""
    return None if target is None else model.class_unit(target)
