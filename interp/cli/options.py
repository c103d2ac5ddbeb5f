"""Options that several commands share, as frozen dataclasses: what is typed is what the manifest records."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from interp.errors import InterpError

if TYPE_CHECKING:
    from interp.core.model import Model
    from interp.core.unit import Unit
    from interp.images import Photo
    from interp.zoo.inputs import Inputs

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
    memory: Annotated[str | None, tyro.conf.arg(metavar="SIZE")] = None
    """What the images of a batch may take, such as 500MB or 4GB; fewer go through the network at once. No limit if not given."""
    weights_key: Annotated[str | None, tyro.conf.arg(metavar="KEY")] = None
    """Which weights of the file, where it holds several, such as state_dict_ema or model_ema."""
    input_size: Annotated[tuple[int, ...] | None, tyro.conf.arg(metavar="ROWS COLS")] = None
    """Size of the network's input in pixels, one number for a square; its makers' if not given."""
    resize: Annotated[int | None, tyro.conf.arg(metavar="PIXELS")] = None
    """What the shorter side of a picture is resized to before the crop; as far as covers the crop if only --input-size is given."""
    mean: Annotated[tuple[float, ...], tyro.conf.arg(metavar="MEAN ...")] = ()
    """Mean of each channel in [0, 1], as the network was trained with. As many as channels: 1 is grey, 3 RGB, others bands."""
    std: Annotated[tuple[float, ...], tyro.conf.arg(metavar="STD ...")] = ()
    """Standard deviation of each channel."""
    normalize_from: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Mean and standard deviation of the pictures in here, in place of --mean and --std."""
    bands: Annotated[tuple[int, ...], tyro.conf.arg(metavar="BAND ...")] = ()
    """Of pictures with bands (.npy, .npz, .tif), those shown as red, green and blue, or one in grey, counted from 1; else the first."""
    output: Annotated[str | None, tyro.conf.arg(metavar="KEY")] = None
    """Which of several outputs holds the class scores, such as out, logits or 0; class maps are averaged over all places."""

    def __post_init__(self) -> None:
        """Raises InterpError where the memory or the input size is no size."""
        if self.input_size is not None and len(self.input_size) not in (1, 2):
            given = " ".join(map(str, self.input_size))
            raise InterpError(f"--input-size {given}: give rows and cols, or one number for a square")
        if self.memory is not None:
            from interp.core.memory import size_of

            size_of(self.memory)

    def inputs(self) -> Inputs:
        """What pictures become before the network sees them, as far as it was asked for."""
        from interp.zoo.inputs import Inputs

        size = None if self.input_size is None else (self.input_size[0], self.input_size[-1])
        return Inputs(size, self.resize, self.mean, self.std, self.normalize_from)

    def load(self, reference: str, target: str | None = None) -> Model:
        """The model, with the ``target`` behind it where that is a function in a file; raises InterpError where it cannot be had."""
        from interp import zoo
        from interp.core.memory import size_of
        from interp.zoo.device import device

        _refuse_picture(reference)
        device(self.device)
        found = zoo.load(
            reference,
            weights=self.weights,
            random_weights=self.random_weights,
            seed=self.seed,
            device=self.device,
            output=self.output,
            target=target if target is not None and is_function(target) else None,
            weights_key=self.weights_key,
            inputs=self.inputs(),
        )
        return found if self.memory is None else replace(found, memory=size_of(self.memory))


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
    from interp.bands import ARRAYS
    from interp.images import SAMPLES, SUFFIXES

    if reference in SAMPLES or Path(reference).suffix.lower() in (*SUFFIXES, *ARRAYS) or Path(reference).is_dir():
        raise InterpError(
            f"'{reference}' stands in the place of the model, but is a photograph or folder: write the model first, 'embedded {reference}'"
        )


def photos(references: tuple[str, ...], bands: tuple[int, ...] = ()) -> list[Photo]:
    """The photographs, each name once; the samples where none are named. ``bands`` are those of pictures with bands that are shown."""
    from interp.images import load
    from interp.report.compose import unique

    return unique(load(references or DEFAULT_IMAGES, bands))


def layers_of(model: Model, patterns: tuple[str, ...]) -> list[str]:
    """Layers named, or about six over the depth; each with maps."""
    from interp.core.depth import spread

    found = model.select(patterns) if patterns else spread(model)
    for layer in found:
        _ = layer.map_shape
    return [layer.name for layer in found]


def is_function(target: str) -> bool:
    """Whether a target has the form of a function in a file, ``path/to/file.py:function``."""
    return re.fullmatch(r".+\.py(:.*)?", target.strip(), re.DOTALL) is not None


def target_of(model: Model, target: str | None) -> Unit | None:
    """The unit of a class given by name or number, any unit, or that of the function that the model was loaded with."""
    if target is None or not is_function(target):
        return None if target is None else model.class_unit(target)
    from interp.core.heads import reading_of
    from interp.core.unit import Unit

    reading = reading_of(model.module)
    assert reading is not None
    return Unit(reading.target, 0)
