"""What does each layer see in a photograph, what does it still know of it, and what would it add?

DeepDream starts from the photograph and gives a layer more of whatever it answers to (Mordvintsev et al. 2015).
Inversion starts from noise and looks for an image that the layer cannot tell from the photograph (Mahendran & Vedaldi
2015): what is lost there is lost to all later layers. A caricature answers in the photograph's direction, only stronger
(Olah 2018). Below each number stands the same of random images.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from interp import featurevis
from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.canvas import canvas
from interp.comparisons.dreams import CAPTION, CARICATURE, DREAM, INVERSION, Answer, Way, answer, figure
from interp.comparisons.subjects import subjects
from interp.core.depth import spread
from interp.core.model import Model
from interp.featurevis import NONE, AscentConfig, Cosine, DeepDream, Jitter, TotalVariation, Weighted, caricature, inversion
from interp.featurevis.param import FOURIER
from interp.featurevis.quality import rounded
from interp.images import Photo, array, load, uint8
from interp.report import tolerances
from interp.report.features import FLOAT32, suitable_size
from interp.report.product import Figure, Product, Tick

GENTLE = Cosine(0.04)  # a step width at which the photograph can still be seen behind the dream


@dataclass(frozen=True)
class Config:
    """Which network, photographs and how many layers; ``steps`` of inversions and caricatures, ``dream_steps`` of DeepDream."""

    model: str = "embedded"
    images: tuple[str, ...] = ("cat", "coffee")
    depth: int = 4
    steps: int = 128
    dream_steps: int = 32
    size: int | None = None
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        drawn, arrays, metrics = [], {}, {}
        for subject, photo in zip(subjects(model, photos)[1], photos, strict=True):
            image, found = looked(model, photo, config, tick)
            title = f"'{photo.name}' across {config.model}"
            grid = figure(image, found, title, f"predicted {subject.label}")
            drawn.append(Figure(f"dreams-{photo.name}", grid, f"DeepDream, inversion and caricature of {title}", CAPTION, photo.name))
            each = {f"{photo.name}/{way.name}/{layer}": one for way, row in found.items() for layer, one in row.items()}
            arrays |= {f"{photo.name}/photograph": uint8(image)} | {key: uint8(one.image) for key, one in each.items()}
            metrics |= {key: {"value": one.value, "random": one.control} for key, one in each.items()}
        lead = str(__doc__).split("\n\n", 1)[1]
        return Product("Dreams and inversions", lead, drawn, arrays, {"dreams": metrics}, tolerances=tolerances.DREAMS)

    publish(
        "dreams_and_inversions",
        config,
        lambda: config.loading.load(config.model),
        make,
        reference=config.model,
        seed=config.loading.seed,
        saving=config.saving,
        pictures=load(config.images),
    )


def looked(model: Model, photo: Photo, config: Config, tick: Tick) -> tuple[np.ndarray, dict[Way, dict[str, Answer]]]:
    """The photograph at the size that is optimized, and what each layer makes of it."""
    size, seed = (config.size, config.size) if config.size else suitable_size(model) or model.preprocess.size, config.loading.seed
    layers = [layer.name for layer in spread(model, config.depth)]
    start, given = canvas(model, photo, FOURIER, size)
    (pixels,) = array(given)
    plain = AscentConfig(config.steps, size, transform=NONE, regularizers=(Weighted(TotalVariation(), 0.1),), precision=FLOAT32)
    ways = {
        DREAM: ([DeepDream(name) for name in layers], AscentConfig(config.dream_steps, size, rate=GENTLE, param=start, precision=FLOAT32)),
        INVERSION: ([inversion(model, name, given, photo.name) for name in layers], plain),
        CARICATURE: (
            [caricature(model, name, given, name=photo.name) for name in layers],
            replace(plain, rate=Cosine(0.1), transform=Jitter(2)),
        ),
    }
    found: dict[Way, dict[str, Answer]] = {}
    for way, (objectives, ascent) in ways.items():
        stage = f"{photo.name}: {way.name}"
        features = featurevis.visualize(model, objectives, ascent, seed, lambda done, total, stage=stage: tick(stage, done, total))
        images = rounded(np.stack([feature.image for feature in features]))
        found[way] = {n: answer(model, way, o, pixels, i, seed) for n, o, i in zip(layers, objectives, images, strict=True)}
    return pixels, found


if __name__ == "__main__":
    experiment(Config, main)
