"""``interp edit``: chosen units ablated, scaled or replaced, and what that changes."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from interp.cli.on_data import Metrics, opened, publish_on
from interp.cli.options import Images, ModelName, ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.options import photos as photographs
from interp.cli.words import at_least
from interp.errors import InterpError

if TYPE_CHECKING:
    from interp.core.model import Model
    from interp.editing import Wanted
    from interp.images import Photo
    from interp.report.product import Product, Tick


@dataclass(frozen=True)
class Edit:
    """Ablate, scale or replace units, and see what changes: top classes, Grad-CAM and, on labelled pictures, accuracy beside chance."""

    model: ModelName = "embedded"
    photos: Images = ()
    """Photographs that are shown before and after; a few of --images if none are named."""
    ablate: Annotated[tuple[str, ...], tyro.conf.arg(metavar="UNIT ...")] = ()
    """Units to silence: layer:3, layer:0-7, or layer:top4, the strongest on the photographs."""
    ablate_to: Literal["zero", "mean"] = "zero"
    """What an ablated unit gives: 0, or its mean over --images, or the photographs where there are none."""
    scale: Annotated[tuple[str, ...], tyro.conf.arg(metavar="UNIT=FACTOR ...")] = ()
    """Units whose output is multiplied: layer:7=0.5."""
    replace: Annotated[tuple[str, ...], tyro.conf.arg(metavar="UNIT=UNIT|new ...")] = ()
    """Units that get the weights of another of their layer, layer:3=layer:5, or freshly drawn ones, layer:3=new."""
    images: Annotated[str | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder with a folder of pictures for each class, or another data set as `interp scan` takes it: accuracy before and after."""
    labels: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """CSV of name,label, in place of the labels that the data set has."""
    layer: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Layer of Grad-CAM; the deepest with places if not given."""
    controls: int = 20
    """How often as many units of the same layers are drawn at random and edited alike, to compare with; 0 for none."""
    batch_size: int = 32
    """Pictures that go through the network at once."""
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)

    def __post_init__(self) -> None:
        """Photographs that are written behind the last edit, as `--ablate layer:3 photo.jpg`, are photographs all the same."""
        for name in ("ablate", "scale", "replace"):
            words: tuple[str, ...] = getattr(self, name)
            pictures = tuple(word for word in words if ":" not in word and _is_picture(word))
            if pictures:
                object.__setattr__(self, name, tuple(word for word in words if word not in pictures))
                object.__setattr__(self, "photos", (*self.photos, *pictures))

    def run(self) -> None:
        wanted = self.wanted()
        at_least(1, self.batch_size, "--batch-size")
        at_least(0, self.controls, "--controls")
        if self.labels is not None and self.images is None:
            raise InterpError(f"--labels {self.labels} names the classes of pictures: give these with --images DIR")
        if not self.photos and self.images is None:
            raise InterpError("no pictures are named: write photographs behind the model, such as 'cat coffee', or --images DIR")
        pictures = photographs(self.photos, self.loading.bands) if self.photos else []
        data = opened(self.images, self.labels) if self.images is not None else None

        def make(model: Model, shown: list[Photo], tick: Tick) -> Product:
            from interp.report.edit import Asked, edit

            asked = Asked(wanted, self.ablate_to == "mean", self.layer, self.controls, self.loading.seed, self.batch_size)
            return edit(model, shown, data, asked, tick)

        publish_on("edit", self, data, make, _summary, self.labels, pictures)

    def wanted(self) -> tuple[Wanted, ...]:
        """The edits as they are typed; raises InterpError where there are none, or one has another form."""
        from interp.editing import Kind, Wanted

        if self.ablate_to == "mean" and not self.ablate:
            raise InterpError("--ablate-to mean says to what units are ablated: name them with --ablate")
        typed = ((Kind.ABLATE, self.ablate), (Kind.SCALE, self.scale), (Kind.REPLACE, self.replace))
        found = tuple(Wanted.parse(text, kind) for kind, texts in typed for text in texts)
        if not found:
            raise InterpError("no edit is named: give --ablate layer:3, --scale layer:3=0.5 or --replace layer:3=layer:5")
        return found


def _is_picture(word: str) -> bool:
    """Whether a word has the form of a photograph: a sample, a file's name, or a file or folder that is there."""
    from interp.bands import ARRAYS
    from interp.images import SAMPLES, SUFFIXES

    return word in SAMPLES or Path(word).suffix.lower() in (*SUFFIXES, *ARRAYS) or Path(word).exists()


def _summary(metrics: Metrics) -> None:
    """The top class of each photograph before and after, and the accuracy."""
    for name, one in metrics["photographs"].items():
        before, after = one["before"], one["after"]
        sys.stdout.write(f"{name}: {before['class']} {before['value']:.3g} -> {after['class']} {after['value']:.3g}\n")
    data = metrics.get("data")
    if data is not None and data["classes"]:
        sys.stdout.write(f"accuracy on {data['pictures']} pictures: {data['before'][0]:.1%} -> {data['after'][0]:.1%}\n")
