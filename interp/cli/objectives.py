"""Objectives by name: from words of the command line to what images are optimized for, once the model is there."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from interp.core.unit import Unit, UnitPattern, is_glob
from interp.errors import InterpError, Unsupported

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from interp.core.model import Layer, Model
    from interp.featurevis import Objective
    from interp.images import Photo


class Words(Enum):
    """What the words after the model name."""

    UNITS = "units"
    CLASSES = "classes"
    LAYERS = "layers"


@dataclass(frozen=True, eq=False)
class Asking:
    """What objectives are made from: the ``targets`` named, natural ``images``, a ``photo`` for those that are about one."""

    model: Model
    targets: tuple[str, ...]
    size: tuple[int, int]
    images: Sequence[Photo]
    photo: Photo | None = None
    token: int | None = None

    def units(self) -> list[Unit]:
        """The units that the targets name; the strongest by the mean on the images."""
        from interp.report.features import strengths

        left_out([layer.name for layer in self.model.unmapped(self.targets)], "have no maps")
        return self.model.units(self.targets, strengths(self.model, self.images))

    def layers(self) -> list[str]:
        """The layers that the targets name, those without maps left out of globs."""
        found: dict[str, None] = {}
        for target in self.targets:
            layers: list[Layer] = self.model.select(target)
            mapped = [layer for layer in layers if layer.layout is not None] if is_glob(target) else layers
            left_out([layer.name for layer in layers if layer not in mapped], "have no maps")
            for layer in mapped or layers[:1]:
                _ = layer.map_shape
                found[layer.name] = None
        return list(found)

    def photograph(self) -> Float[Tensor, "1 c h w"]:
        """The photograph as an image of the size that will be optimized."""
        assert self.photo is not None
        preprocess = replace(self.model.preprocess, size=self.size, resize=min(self.size))
        return preprocess(self.photo).to(self.model.device)


@dataclass(frozen=True)
class Named:
    """An objective's name: what it ``takes``, whether it is about a photograph (``photo``), how it is ``made``, and its help."""

    takes: Words
    made: Callable[[Asking], Sequence[Unit | Objective]]
    photo: bool = False
    help: str = ""


def objectives(
    name: str, asking: Asking, *, negative: bool = False, faces: int | None = None, apart: float = 10.0
) -> list[Unit | Objective]:
    """What images are optimized for; ``negative``: what lowers it most; ``faces``: so many images of each that differ from each other."""
    found = list(OBJECTIVES[name].made(asking))
    if not found:
        raise InterpError(
            f"{' '.join(asking.targets)} names nothing in '{asking.model.spec.reference}' that --objective {name} can be about"
        )
    if faces is not None:
        return _diverse(asking, found, faces, apart, negative)
    if negative:
        from interp.featurevis import objective_of

        return [-objective_of(item) for item in found]
    return found


def left_out(names: Sequence[str], why: str) -> None:
    """Say on stderr which of the layers that a glob covers are left out."""
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        sys.stderr.write(f"interp: left out, as they {why}: {', '.join(names[:3])}{more}\n")


def _neurons(asking: Asking) -> list[Objective]:
    from interp.featurevis.units import Neuron

    return [Neuron(unit) for unit in asking.units()]


def _classes(asking: Asking) -> list[Unit]:
    found: dict[Unit, None] = {}
    for target in asking.targets:
        named = UnitPattern.looks_like(target)
        found.update(dict.fromkeys(replace(asking, targets=(target,)).units() if named else [asking.model.class_unit(target)]))
    return list(found)


def _logits(asking: Asking) -> list[Objective]:
    from interp.featurevis.units import Logit

    return [Logit(unit) for unit in _classes(asking)]


def _probabilities(asking: Asking) -> list[Objective]:
    from interp.featurevis.units import Probability

    return [Probability(unit) for unit in _classes(asking)]


def _tokens(asking: Asking) -> list[Objective]:
    from interp.featurevis.units import Token

    return [Token(unit, asking.token or 0) for unit in asking.units()]


def _heads(asking: Asking) -> list[Objective]:
    from interp.featurevis.attention_heads import head

    found: dict[tuple[str, int], Objective] = {}
    for target in asking.targets:
        pattern = UnitPattern.parse(target)
        if pattern.top is not None or pattern.at is not None:
            raise InterpError(f"'{target}' names no heads: write 'layer:0', 'layer:0-3' or 'layer:*', the number being that of the head")
        silent = []
        for layer in asking.model.select(pattern.layer):
            try:
                count = head(asking.model, layer.name, 0).heads
            except Unsupported:
                if not pattern.glob:
                    raise
                silent.append(layer.name)
                continue
            for number in pattern.channels_of(count):
                found[layer.name, number] = head(asking.model, layer.name, number, token=asking.token)
        left_out(silent, "have no heads that can be read")
    return list(found.values())


def _lucent(asking: Asking) -> list[Objective]:
    from interp.featurevis.lucent import from_string

    return [from_string(target, asking.model) for target in asking.targets]


def _dreams(asking: Asking) -> list[Objective]:
    from interp.featurevis.targets import DeepDream

    return [DeepDream(layer) for layer in asking.layers()]


def _directions(asking: Asking) -> list[Objective]:
    from interp.featurevis.targets import activation_grid

    return [cell for layer in asking.layers() for cell in activation_grid(asking.model, layer, asking.photograph(), rows=1)[:1]]


def _about(kind: str) -> Callable[[Asking], list[Objective]]:
    """One of the makers of `featurevis.targets`, at each layer by itself."""

    def made(asking: Asking) -> list[Objective]:
        from interp.featurevis import targets

        make = getattr(targets, kind)
        assert asking.photo is not None
        return [make(asking.model, layer, asking.photograph(), name=asking.photo.name) for layer in asking.layers()]

    return made


def _diverse(asking: Asking, found: Sequence[Unit | Objective], faces: int, apart: float, negative: bool) -> list[Unit | Objective]:
    """Each with a penalty for images that are alike (`_compared`): ``apart`` times what photographs give the unit.

    ``negative``: minus each, with the same penalty.
    """
    from interp.featurevis import objective_of
    from interp.featurevis.joint import Diversity
    from interp.featurevis.quality import maxima, views

    alone = [objective_of(item) for item in found]
    layers = [_compared(asking.model, objective) for objective in alone]
    # A penalty is in the objective's own unit, which differs from unit to unit: photographs give its size.
    natural = maxima(asking.model, alone, views(asking.model, list(asking.images), asking.size))
    sizes = [abs(best.maximum) if best is not None and best.maximum else 1.0 for best, _ in natural]
    # Minus the objective, not minus the sum: that would reward images that are alike.
    signed = [-objective if negative else objective for objective in alone]
    return [o + apart * size * Diversity(layer, faces) for o, size, layer in zip(signed, sizes, layers, strict=True)]


def _compared(model: Model, objective: Objective) -> str:
    """The layer at which images of ``objective`` are compared: its own, or the last one before it that has more than one place.

    Diversity is that of textures, which a single place (the scores of classes) does not have.
    """
    own, names = objective.layers[0], [layer.name for layer in model.layers]
    if own not in names:
        raise Unsupported(
            f"--diversity compares maps of a layer, and '{objective}' reads none: use it with channel, neuron, logit or deepdream"
        )
    for layer in reversed(model.layers[: names.index(own) + 1]):
        if layer.layout is not None and math.prod(layer.map_shape[1:]) > 1:
            return layer.name
    raise Unsupported(f"--diversity compares maps of more than one place, and '{own}' has none, nor any layer before it: leave it out")


_ABOUT = "about --photo"
OBJECTIVES: Mapping[str, Named] = {
    "channel": Named(Words.UNITS, Asking.units, help="the mean of a channel; one neuron where the unit has a place"),
    "neuron": Named(Words.UNITS, _neurons, help="one place of a channel, the centre where none is named"),
    "logit": Named(Words.CLASSES, _logits, help="the score of a class, by unit, number or name"),
    "probability": Named(Words.CLASSES, _probabilities, help="the logarithm of a class's probability"),
    "token": Named(Words.UNITS, _tokens, help="a channel of one token (--token), the class token if none is named"),
    "head": Named(Words.UNITS, _heads, help="an attention head, LAYER:HEAD"),
    "diversity": Named(Words.UNITS, Asking.units, help="several faces of each channel (--diversity, 4 if not given)"),
    "lucent": Named(Words.UNITS, _lucent, help="lucent's strings, such as layer4_1_conv2:97 or labels:281"),
    "deepdream": Named(Words.LAYERS, _dreams, help="the mean square of a layer"),
    "direction": Named(Words.LAYERS, _directions, photo=True, help=f"the mean activation of a layer, {_ABOUT}"),
    "inversion": Named(Words.LAYERS, _about("inversion"), photo=True, help=f"what a layer keeps of it, {_ABOUT}"),
    "caricature": Named(Words.LAYERS, _about("caricature"), photo=True, help=f"what a layer sees in it, exaggerated, {_ABOUT}"),
    "style": Named(Words.LAYERS, _about("style"), photo=True, help=f"its texture to a layer, {_ABOUT}"),
}
