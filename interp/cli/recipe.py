"""From the options of ``interp visualize`` to how images are optimized. Every text is parsed here, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from interp.cli.presets import BY_PARAM, PRESETS
from interp.cli.words import at_least, choice, schedule_of, size_of
from interp.errors import InterpError

if TYPE_CHECKING:
    from interp.cli.visualize import Visualize
    from interp.featurevis import AscentConfig, ImageParam, Objective
    from interp.featurevis.config import Weighted
    from interp.featurevis.optimizer import Optimizer
    from interp.featurevis.schedule import Schedule
    from interp.images import Photo

PARAMS = ("fourier", "pixels", "maco", "pyramid", "cppn", "shared", "alpha")
TRANSFORMS = ("none", "lucid", "maco", "strong")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
# Moments of an image that a film shows.
FRAMES = 24


def said(command: Visualize, name: str) -> str | None:
    """What was typed for an option; else what the preset says; else what the parametrization is used with; None: the engine decides."""
    typed = getattr(command, name)
    if typed is not None:
        return str(typed)
    preset = PRESETS[choice("--preset", command.preset, PRESETS)]
    if name in preset or name == "param":
        return preset.get(name)
    return BY_PARAM.get((said(command, "param") or "").lower(), {}).get(name)


def ascent(command: Visualize, images: Sequence[Photo] | None, start: Photo | None) -> AscentConfig:
    """How images are optimized; ``size`` None where nothing names one. ``images`` give MACO its magnitudes, ``start`` is begun with."""
    from interp.featurevis import AscentConfig
    from interp.featurevis.config import Precision
    from interp.featurevis.regularizers import Opacity
    from interp.featurevis.transform import preset

    # What is not named stays as the engine has it.
    config = AscentConfig(
        regularizers=_penalties(command),
        precision=Precision(choice("--precision", command.precision, PRECISIONS)),
        films=FRAMES if command.film is not None else 0,
        batch=None if command.batch is None else at_least(1, command.batch, "--batch"),
    )
    parsed: Mapping[str, Callable[[str], object]] = {
        "steps": lambda text: at_least(1, int(text), "--steps"),
        "views": lambda text: at_least(1, int(text), "--views"),
        "size": size_of,
        "smoothing": lambda text: schedule_of(text, "--smoothing", "standard deviation of a blur in pixels"),
        "rate": _rate,
        "optimizer": _optimizer,
    }
    changes = {name: parse(text) for name, parse in parsed.items() if (text := said(command, name)) is not None}
    if (transforms := said(command, "transforms")) is not None:
        changes["transform"] = preset(choice("--transforms", transforms, TRANSFORMS))
    if (param := said(command, "param")) is not None:
        changes["param"] = _param(choice("--param", param, PARAMS), images)
    config = replace(config, **changes)  # type: ignore[arg-type]
    if not config.param.alpha and any(isinstance(term.objective, Opacity) for term in config.regularizers):
        raise InterpError("--opacity is for images that can be see-through: give --param alpha with it")
    return config if start is None else replace(config, param=_started(config.param, start))


def _rate(text: str) -> Schedule:
    """A number that falls to nothing by a cosine, as the engine's own does; FROM:TO evenly."""
    from interp.featurevis.schedule import Cosine, ends

    found = schedule_of(text, "--rate", "step width")
    if not ends(found)[0] > 0:
        raise InterpError(f"--rate {text} is no step width: give a positive one such as 0.05, or FROM:TO such as 0.1:0.01")
    return Cosine(found) if isinstance(found, float) else found


def _optimizer(text: str) -> Optimizer:
    import torch

    from interp.featurevis.optimizer import Adam, Torch

    known = [name for name in dir(torch.optim) if name[0].isupper() and name != "Optimizer"]
    name = choice("--optimizer", text, known)
    return Adam() if name == "Adam" else Torch(name)


def _param(name: str, images: Sequence[Photo] | None) -> ImageParam:
    from interp.featurevis.alpha import Alpha
    from interp.featurevis.cppn import Cppn
    from interp.featurevis.maco import Maco
    from interp.featurevis.magnitude import magnitude_of
    from interp.featurevis.param import Fourier, Pixels
    from interp.featurevis.pyramid import Pyramid
    from interp.featurevis.shared import Shared

    if name == "maco":
        return Maco() if images is None else Maco(magnitude_of(images))
    made: Mapping[str, type[ImageParam]] = {
        "fourier": Fourier,
        "pixels": Pixels,
        "pyramid": Pyramid,
        "cppn": Cppn,
        "shared": Shared,
        "alpha": Alpha,
    }
    return made[name]()


def _started(base: ImageParam, photo: Photo) -> ImageParam:
    from PIL import Image

    from interp import images
    from interp.featurevis.fixed import Fixed
    from interp.featurevis.photograph import Started

    return Started(base, Fixed.of(images.tensor(Image.fromarray(photo.pixels)), photo.name))


def _penalties(command: Visualize) -> tuple[Weighted, ...]:
    from interp.featurevis import regularizers
    from interp.featurevis.config import Weighted
    from interp.featurevis.schedule import ends

    made: Mapping[str, Objective] = {
        "total_variation": regularizers.TotalVariation(),
        "l1": regularizers.L1(),
        "l2": regularizers.L2(),
        "l_infinity": regularizers.LInfinity(),
        "blur": regularizers.Blur(),
        "opacity": regularizers.Opacity(),
    }
    found = []
    for name, objective in made.items():
        weight = schedule_of(getattr(command, name), f"--{name.replace('_', '-')}", "weight of a penalty")
        if max(ends(weight)) > 0:
            found.append(Weighted(objective, weight))
    return tuple(found)
