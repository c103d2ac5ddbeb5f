"""What would have to be in a photograph for the network to see more of a class in it?

Feature accentuation (Hamblin et al. 2024) starts from the photograph and climbs a class's logit, while the distance
at a hidden layer holds the image near what it was there. Without that the network's dream covers the photograph; with
too much of it nothing happens. The image moves by 1 / f ** 1.5 of its frequencies at each step, so that what is added
can be seen. Random changes with the same spectrum are the control.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.accentuation import CAPTION, Accented, accented, figure
from interp.comparisons.canvas import canvas
from interp.core.depth import spread
from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import AscentConfig, Cosine, Fourier, Jitter, Logit, Weighted, inversion, visualize
from interp.images import Photo, array, load, uint8
from interp.report import tolerances
from interp.report.features import FLOAT32, suitable_size
from interp.report.product import Figure, Product, Tick


@dataclass(frozen=True)
class Config:
    """One photograph, and ``target``: the class beside its top prediction, the runner-up if none.

    ``layer``: where the distance is taken, in the middle of the depth if none; ``distances``: weights of its square, in logits.
    """

    model: str = "embedded"
    image: str = "cat"
    target: str | None = None
    layer: str | None = None
    distances: tuple[float, ...] = (0.0, 10.0, 40.0, 80.0)
    steps: int = 96
    size: int | None = None
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        size = (config.size, config.size) if config.size else suitable_size(model) or model.preprocess.size
        start, given = canvas(model, photos[0], Fourier(decay=1.5), size)
        (photo,) = array(given)
        first, second = (Unit(model.output, int(k)) for k in model(given.to(model.device))[0].topk(2).indices)
        units = list(dict.fromkeys((first, second if config.target is None else model.class_unit(config.target))))
        names = {unit: f"{model.class_name(unit.channel)} ({unit.channel})" for unit in units}
        depths = spread(model, 5)
        layer = config.layer or depths[len(depths) // 2].name
        hidden = inversion(model, layer, given, photos[0].name)
        plain = AscentConfig(config.steps, size, rate=Cosine(0.02), param=start, transform=Jitter(2), best=False, precision=FLOAT32)
        found: dict[str, list[Accented]] = {names[unit]: [] for unit in units}
        for weight in config.distances:
            ascent = replace(plain, regularizers=(Weighted(hidden, weight),))
            stage = f"distance x {weight:g}"
            features = visualize(model, [Logit(u) for u in units], ascent, config.loading.seed, lambda k, n, stage=stage: tick(stage, k, n))
            for unit, feature in zip(units, features, strict=True):
                found[names[unit]].append(accented(model, unit, hidden, photo, feature, config.loading.seed))
        before = {name: accented(model, unit, hidden, photo, None, config.loading.seed) for unit, name in names.items()}
        title = f"'{photos[0].name}' accentuated, {config.model}, distance at {layer}"
        grid = figure(photo, before, found, config.distances, title)
        drawn = Figure("accentuated", grid, f"More of {' and '.join(found)} in a photograph", CAPTION.format(layer=layer), "Accentuated")
        every = {f"{name}/{w:g}": one for name, row in found.items() for w, one in zip(config.distances, row, strict=True)}
        arrays = {"photograph": uint8(photo)}
        for key, one in every.items():
            arrays |= {f"{key}/image": uint8(one.image), f"{key}/logits": one.scores}
        numbers = {key: one.numbers for key, one in ({f"{name}/photograph": one for name, one in before.items()} | every).items()}
        lead = str(__doc__).split("\n\n", 1)[1]
        metrics = {"layer": layer, "accentuated": numbers}
        return Product("Feature accentuation", lead, [drawn], arrays, metrics, tolerances=tolerances.ACCENTUATED)

    publish(
        "accentuate",
        config,
        lambda: config.loading.load(config.model),
        make,
        reference=config.model,
        seed=config.loading.seed,
        saving=config.saving,
        pictures=load([config.image])[:1],
    )


if __name__ == "__main__":
    experiment(Config, main)
