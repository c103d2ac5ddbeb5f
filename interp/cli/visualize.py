"""``interp visualize``: images that excite units most, as one command with every option of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from interp.cli.keeping import Kept, keeping
from interp.cli.objectives import OBJECTIVES, Asking, Words, objectives
from interp.cli.options import Flag, ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.presets import PRESETS
from interp.cli.publish import publish
from interp.cli.recipe import PARAMS, PRECISIONS, TRANSFORMS, ascent
from interp.cli.words import Asked, asked, at_least, check_layers, check_units, choice
from interp.core.unit import UnitPattern
from interp.errors import InterpError, Unsupported

if TYPE_CHECKING:
    from interp.core.model import Model
    from interp.featurevis import AscentConfig
    from interp.images import Photo
    from interp.report.features import FeatureOptions, Made
    from interp.report.product import Product, Tick

ENGINES, CHECKS, FILMS = ("interp", "lucent"), ("cheap", "all", "none"), ("webp", "mp4")
_FACES = 4


def _one_of(names: Sequence[str]) -> str:
    return "{" + ",".join(names) + "}"


def _described() -> str:
    return "What images are optimized for. " + "; ".join(f"{name}: {entry.help}" for name, entry in OBJECTIVES.items()) + "."


Penalty = Annotated[str, tyro.conf.arg(metavar="WEIGHT")]


@dataclass(frozen=True)
class Visualize:
    """Optimize images that excite units most (activation maximization).

    The first word is the model, unless it has the form of units (layer:3, layer:0-15, layer:*, layer:top8): then it is the
    embedded one. Weights, rates and blurs are one number, or FROM:TO over the steps.
    """

    words: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[MODEL] UNIT ...", name="units")] = ()
    """The model; then units such as 'stage3.block1:0-5', 'layer4:7@3,3', 'features.*:top8', classes for logits, layers for dreams."""
    model: Annotated[str | None, tyro.conf.arg(metavar="MODEL")] = None
    """The model, where it is not the first word: embedded, resnet50, timm/NAME, or path/to/net.py:factory."""
    objective: Annotated[str, tyro.conf.arg(metavar=_one_of(tuple(OBJECTIVES)), help=_described())] = "channel"
    negative: Flag = False
    """Optimize for what lowers the objective most; behind a ReLU, which stops at zero, take the layer before it."""
    photo: Annotated[str | None, tyro.conf.arg(metavar="IMAGE")] = None
    """The photograph that an objective is about."""
    token: Annotated[int | None, tyro.conf.arg(metavar="INDEX")] = None
    """Which token, class token and registers counted first; for the objectives token and head."""
    images: Annotated[tuple[str, ...], tyro.conf.arg(metavar="IMAGE ...")] = ()
    """Photographs by which topN ranks, against which images are measured, and whose magnitudes MACO takes; six samples if not given."""
    preset: Annotated[str, tyro.conf.arg(metavar=_one_of(tuple(PRESETS)))] = "interp"
    """A whole recipe; options typed beside it go before it."""
    param: Annotated[str | None, tyro.conf.arg(metavar=_one_of(PARAMS))] = None
    """What is optimized; fourier if not given."""
    start: Annotated[str | None, tyro.conf.arg(metavar="IMAGE", name="from")] = None
    """A photograph to start from, instead of noise."""
    transforms: Annotated[str | None, tyro.conf.arg(metavar=_one_of(TRANSFORMS))] = None
    """How the image is moved at random before each step; lucid if not given."""
    views: int | None = None
    """How many transformed views of each image are averaged at each step."""
    size: Annotated[str | None, tyro.conf.arg(metavar="N|ROWSxCOLS")] = None
    """Size of the images in pixels; chosen for the model if not given (for lucent, not below the model's own)."""
    steps: int | None = None
    """Steps of gradient ascent."""
    rate: Annotated[str | None, tyro.conf.arg(metavar="RATE")] = None
    """Step width; one number falls to nothing by a cosine."""
    optimizer: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """adam, or any of torch.optim that needs gradients only, such as NAdam."""
    total_variation: Penalty = "0"
    """Weight of the mean difference of neighbouring pixels, in units of the objective, as all weights."""
    l1: Penalty = "0"
    """Weight of the mean distance from grey."""
    l2: Penalty = "0"
    """Weight of the mean square distance from grey."""
    l_infinity: Penalty = "0"
    """Weight of nearly the largest distance from grey."""
    blur: Penalty = "0"
    """Weight of the detail that a blur takes away."""
    opacity: Penalty = "0"
    """Weight of the mean opacity, for --param alpha."""
    smoothing: Annotated[str | None, tyro.conf.arg(metavar="PIXELS")] = None
    """Standard deviation of a blur of the gradient."""
    seeds: int = 1
    """So many images of each unit, from as many seeds."""
    diversity: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """N images of each unit that are made to differ."""
    apart: float = 10.0
    """How much they are made to differ, in units of what photographs give the unit."""
    engine: Annotated[str, tyro.conf.arg(metavar=_one_of(ENGINES))] = "interp"
    """Whose gradient ascent; lucent is the baseline."""
    precision: Annotated[str, tyro.conf.arg(metavar=_one_of(PRECISIONS))] = "auto"
    """What the network computes in."""
    batch: int | None = None
    """Images per forward; as suits the device if not given."""
    film: Annotated[str | None, tyro.conf.arg(metavar=_one_of(FILMS))] = None
    """Also a film of how the images come about."""
    quality: Annotated[str, tyro.conf.arg(metavar=_one_of(CHECKS))] = "cheap"
    """Which checks are made of each image; all optimizes anew from other seeds and for random weights."""
    judge: Annotated[str | None, tyro.conf.arg(metavar="MODEL")] = None
    """A held-out model with classes of the same names, which is asked what it makes of the images of classes."""
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)

    def run(self) -> None:
        found = self.checked()
        natural, photo, start, read = self.photographs()
        # All that can be told without the model is told before it loads.
        config, options = ascent(self, natural if self.images else None, start), self.options()
        shown: list[Made] = []
        judges: list[Model] = []
        out = self.saving.out
        parent = out.parent if out is not None else Path("results") / "visualize"

        def load() -> Model:
            model = self.loading.load(found.model)
            judges.extend(
                [] if self.judge is None else [ModelOptions(device=self.loading.device, memory=self.loading.memory).load(self.judge)]
            )
            return model

        def make(model: Model, _: list[Photo], tick: Tick) -> Product:
            asking = Asking(model, found.targets, (0, 0), natural, photo, self.token)
            return self.product(model, asking, config, options, kept, tick, shown, next(iter(judges), None))

        with keeping(parent, self) as kept:
            publish(
                "visualize",
                self,
                load,
                make,
                reference=found.model,
                seed=self.loading.seed,
                saving=self.saving,
                pictures=[*(read if self.uses_images(found) else []), *(p for p in (photo, start) if p is not None)],
                inputs=(file for judge in judges for file in judge.spec.files),
                before=lambda: _tell(shown),
            )

    def checked(self) -> Asked:
        """The model and what to look at in it; raises InterpError for what is mistyped."""
        name = choice("--objective", self.objective, OBJECTIVES)
        entry = OBJECTIVES[name]
        example = {Words.LAYERS: f"stage3.block1 --objective {name}", Words.CLASSES: f"espresso --objective {name}"}
        found = asked(self.words, self.model, example.get(entry.takes, "stage3.block1:0-5"))
        if entry.takes is Words.UNITS:
            check_units(found, self.words)
        elif entry.takes is Words.LAYERS:
            check_layers(found, name)
        if entry.photo and self.photo is None:
            raise InterpError(f"--objective {name} is about a photograph: name one with --photo, such as --photo cat")
        if self.photo is not None and not entry.photo:
            about = ", ".join(other for other, e in OBJECTIVES.items() if e.photo)
            raise InterpError(
                f"--objective {name} is about no photograph: leave --photo out, or choose one of {about}; --from starts from one"
            )
        if self.token is not None and name not in ("token", "head"):
            raise InterpError(f"--objective {name} looks at no token: leave --token out, or choose token or head")
        if self.token is not None:
            at_least(0, self.token, "--token")
        if not 0 <= self.apart < float("inf"):
            raise InterpError(f"--apart {self.apart} is no weight: give 0 or more, such as 10")
        if self.diversity is not None:
            at_least(2, self.diversity, "--diversity")
        return found

    def uses_images(self, found: Asked) -> bool:
        """Whether the natural images have a part in what is found."""
        strongest = any(UnitPattern.parse(t).top is not None for t in found.targets if UnitPattern.looks_like(t))
        faces = self.diversity is not None or choice("--objective", self.objective, OBJECTIVES) == "diversity"
        return bool(self.images) or strongest or faces or choice("--quality", self.quality, CHECKS) != "none"

    def photographs(self) -> tuple[list[Photo], Photo | None, Photo | None, list[Photo]]:
        """The natural images, the one that the objective is about, the one to start from; and the natural ones as read, with doubles."""
        from interp.images import SAMPLES, load

        one = [
            None if name is None else _single(load([name], self.loading.bands), option)
            for name, option in ((self.photo, "--photo"), (self.start, "--from"))
        ]
        read = load(self.images, self.loading.bands) if self.images else load(SAMPLES)
        return _unique(read), one[0], one[1], read

    def options(self) -> FeatureOptions:
        """What is made beside the images."""
        from interp.featurevis.quality import ALL, Checks
        from interp.report.features import FeatureOptions, FilmKind, Program

        quality, engine = choice("--quality", self.quality, CHECKS), choice("--engine", self.engine, ENGINES)
        if self.judge is not None and quality == "none":
            raise InterpError("--judge is a check of images: leave out --quality none, or --judge")
        if quality == "all" and engine == "lucent":
            raise Unsupported("--quality all optimizes anew by interp's own engine: choose --quality cheap with --engine lucent")
        if self.film is not None and engine == "lucent":
            raise Unsupported("--engine lucent keeps no moments of a run: leave --film out")
        checks = {"cheap": Checks(), "all": Checks(ALL), "none": None}[quality]
        film = None if self.film is None else FilmKind(choice("--film", self.film, FILMS))
        return FeatureOptions(at_least(1, self.seeds, "--seeds"), Program(engine), checks, film)

    def product(
        self,
        model: Model,
        asking: Asking,
        config: AscentConfig,
        options: FeatureOptions,
        kept: Kept,
        tick: Tick,
        shown: list[Made],
        judge: Model | None = None,
    ) -> Product:
        """What is written; ``shown`` receives the images, for the table on the terminal."""
        from interp.featurevis import objective_of
        from interp.report.features import Program, made, product, suitable_size

        if options.program is Program.LUCENT:
            config = replace(config, size=self.lucents_size(model, config.size))
        elif config.size is None:
            config = replace(config, size=suitable_size(model))
        asking = replace(asking, size=config.size or model.preprocess.size)
        name = choice("--objective", self.objective, OBJECTIVES)
        faces = self.diversity or (_FACES if name == "diversity" else None)
        wanted = objectives(name, asking, negative=self.negative, faces=faces, apart=self.apart)
        kept.planned = options.seeds * sum(objective_of(item).images for item in wanted)
        shown += made(model, wanted, config, self.loading.seed, tick, options, asking.images, kept.store, judge)
        return product(model, shown, config, options)

    def lucents_size(self, model: Model, size: tuple[int, int] | None) -> tuple[int, int]:
        """A size at which lucent shows the network the image itself: smaller ones it enlarges, and its score is not that of the image."""
        own = max(model.preprocess.size)
        if size is not None and min(size) >= own:
            return size
        if self.size is None:
            return (own, own)
        raise InterpError(
            f"--size {self.size} is too small for --engine lucent, which enlarges images to the size of '{model.spec.reference}': "
            f"give at least {own}, or leave --size out"
        )


def _tell(shown: Sequence[Made]) -> None:
    from interp.cli.table import feature_table

    feature_table(shown)


def _single(photos: Sequence[Photo], option: str) -> Photo:
    if len(photos) != 1:
        raise InterpError(f"{option} names {len(photos)} photographs: give one picture file")
    return photos[0]


def _unique(photos: Sequence[Photo]) -> list[Photo]:
    """Each picture once, under a name of its own."""
    from interp.report.compose import unique

    return unique(list({photo.sha256: photo for photo in photos}.values()))
