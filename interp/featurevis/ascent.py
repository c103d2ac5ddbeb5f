"""Gradient ascent on images: many units in one batch, each as if it were alone.

The forward ends at the deepest layer needed; parameters are frozen and nothing of it stays in the model.
Adam (Kingma & Ba 2015) treats every number by itself and each image has its own generator, so that a
unit's image depends on the model, the options and the seed, and not on what else was asked for, beyond
the rounding of floating-point sums. (A convolution rounds differently for another batch size, and where a
ReLU or a maximum stands on its kink, such a difference can grow: measured, up to 1e-3 of the range.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp import images
from interp.core.model import Model
from interp.core.rng import generator
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.featurevis.objective import IMAGE, Objective, each
from interp.featurevis.param import FOURIER, ImageParam
from interp.featurevis.regularizers import L1, L2, TotalVariation
from interp.featurevis.transform import STANDARD, Transform
from interp.featurevis.units import objective_of

# Images per forward where the caller leaves it open. CPU: measured, larger ones fall out of the cache.
CPU_BATCH, GPU_BATCH = 8, 64
_BETA1, _BETA2 = 0.9, 0.999
# Adam divides each gradient by its own size. What is below this share of the image's largest is rounding, which
# would be made as large as the rest and differ with the batch: it is divided by this share instead.
_FLOOR, _TINY = 1e-3, 1e-30
# Behind a ReLU near-grey noise often gives nothing, and no gradient to leave it by. Until its unit first fires, an
# image's contrast grows at each of the first steps, a hundredfold in all.
_LOUDER, _LOUDER_STEPS = 100 ** (1 / 16), 16


@dataclass(frozen=True)
class AscentConfig:
    """How an image is optimized.

    ``steps`` of Adam with step width ``rate`` (in the parametrization's own unit); ``size`` (rows, cols) in
    pixels, None for the model's own; the weights of the regularizers `TotalVariation`, `L2` and `L1`, in units
    of the objective; ``batch``: images per forward, None for a size that suits the device.
    """

    steps: int = 128
    size: tuple[int, int] | None = None
    rate: float = 0.05
    param: ImageParam = FOURIER
    transform: Transform = STANDARD
    total_variation: float = 0.0
    l2: float = 0.0
    l1: float = 0.0
    batch: int | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InterpError(f"`steps` is {self.steps}: give at least 1, such as 128")
        if self.size is not None and min(self.size) < 1:
            raise InterpError(f"`size` is {self.size}: give (rows, cols) in pixels, such as (224, 224)")
        if not 0 < self.rate < math.inf:
            raise InterpError(f"`rate` is {self.rate}: give a positive step width, such as 0.05")
        if self.batch is not None and self.batch < 1:
            raise InterpError(f"`batch` is {self.batch}: give at least 1 image per forward, or None")
        for name in ("total_variation", "l2", "l1"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InterpError(f"`{name}` is {getattr(self, name)}: give the weight of a penalty, 0 or more")

    @property
    def regularizer(self) -> Objective | None:
        """The weighted sum of the penalties; None where all weights are 0."""
        weighted = ((self.total_variation, TotalVariation()), (self.l2, L2()), (self.l1, L1()))
        terms = [weight * objective for weight, objective in weighted if weight]
        return sum(terms[1:], start=terms[0]) if terms else None


@dataclass(frozen=True, eq=False)
class Feature:
    """The image found for ``unit`` (the objective's name, where an objective was asked for).

    ``image``: [0, 1] RGB float32. ``scores``: the objective before each step, on the transformed image, without
    the config's regularizers. ``final``: the objective of the finished image, rounded to 8 bits and not
    transformed. ``dead``: score and gradient were exactly zero at every step, so the image is only its random start.
    """

    unit: Unit | str
    image: Float[np.ndarray, "h w 3"]
    scores: Float[np.ndarray, " steps"]
    final: float
    dead: bool

    def __repr__(self) -> str:
        return f"Feature('{self.unit}', score {self.final:.3g}{', silent' if self.dead else ''})"

    def _repr_png_(self) -> bytes:
        from interp.figures import ImagePanel, picture

        note = "never fires" if self.dead else f"{self.final:.3g}"
        return picture(ImagePanel(self.image, label=str(self.unit), sublabel=note))


def visualize(
    model: Model,
    wanted: Sequence[Unit | Objective],
    config: AscentConfig,
    seed: int,
    on_step: Callable[[int, int], None] | None = None,
) -> list[Feature]:
    """An optimized image for each unit or objective, in the order asked.

    A unit without a place is optimized over all places of its channel, with a place at that place (of the map
    an image of ``config.size`` gives). Runs with the same arguments repeat bit for bit on a CPU; the random
    draws of an image depend on ``seed`` and its unit's name alone. ``on_step(done, total)`` is called after
    each step of each batch; the model is as it was before whenever it is called, and after an error.

    Raises InterpError: UnknownName for a layer, channel or place that does not exist, Unsupported for a size
    the model does not take, and where a score stops being a finite number.

    Method: Erhan et al. 2009; parametrization and transforms: Olah, Mordvintsev & Schubert 2017.
    """
    objectives = [objective_of(item) for item in wanted]
    size = model.preprocess.size if config.size is None else config.size
    for objective in objectives:
        objective.validate(model, size)
    batches = _batches(model, objectives, config)
    if size != model.preprocess.size or config.transform.size(size) != size:
        _probe(model, objectives, (size, config.transform.size(size)))
    found: dict[int, Feature] = {}
    for number, batch in enumerate(batches):
        ascent = _Ascent(model, [objectives[i] for i in batch], config, size, seed)
        for step in range(config.steps):
            ascent.step()
            if on_step is not None:
                on_step(number * config.steps + step + 1, len(batches) * config.steps)
        units: list[Unit | str] = [item if isinstance(item, Unit) else str(item) for item in (wanted[i] for i in batch)]
        found.update(zip(batch, ascent.features(units), strict=True))
    return [found[i] for i in range(len(objectives))]


class _Ascent:
    """The images of one batch on their way."""

    def __init__(self, model: Model, objectives: Sequence[Objective], config: AscentConfig, size: tuple[int, int], seed: int) -> None:
        self.model, self.objectives, self.config, self.size = model, objectives, config, size
        self.layers = _layers(objectives)
        self.generators = [generator(seed, "featurevis", str(objective)) for objective in objectives]
        self.tensors = config.param.start(size, self.generators, model.device)
        self.moments = [(torch.zeros_like(t), torch.zeros_like(t)) for t in self.tensors]
        self.scores: list[Tensor] = []
        self.fired = torch.zeros(len(objectives), dtype=torch.bool, device=model.device)

    def step(self) -> None:
        with torch.enable_grad():
            pictures = self.config.param.image(self.tensors, self.size)
            # The chain is cut here, so that the objective's own gradient is known apart from the regularizers'.
            shown = pictures.detach().requires_grad_()
            scores = self.score(shown, self.config.transform(shown, self.generators))
            (gradient,) = torch.autograd.grad(scores.sum(), shown)
            self.fired |= (scores.detach() != 0) | (gradient != 0).flatten(1).any(1)
            if self.config.regularizer is not None:
                (penalty,) = torch.autograd.grad(self.config.regularizer({IMAGE: shown}).sum(), shown)
                gradient = gradient + penalty
            gradients = torch.autograd.grad(pictures, self.tensors, grad_outputs=gradient)
        self.scores.append(scores.detach())
        self.check(scores.detach(), gradient)
        self.climb(gradients)

    def score(self, shown: Float[Tensor, "n 3 h w"], transformed: Float[Tensor, "n 3 rows cols"]) -> Float[Tensor, " n"]:
        """Each image's value under its own objective; the forward ends at the deepest layer needed."""
        activations = {IMAGE: shown}
        if self.layers:
            outputs, _ = self.model.capture(self.layers, transformed, truncate=True)
            activations |= {name: self.model.maps(name, output) for name, output in outputs.items()}
        return each(self.objectives, activations)

    def check(self, scores: Float[Tensor, " n"], gradient: Float[Tensor, "n 3 h w"]) -> None:
        finite = torch.isfinite(scores) & torch.isfinite(gradient).flatten(1).all(1)
        if not finite.all():
            first = int((~finite).nonzero()[0])
            raise Unsupported(
                f"the score of '{self.objectives[first]}' or its gradient is no finite number at step {len(self.scores)} "
                f"(score {float(scores[first])}): the objective is not defined for this image; a lower `rate` may help"
            )

    @torch.no_grad()
    def climb(self, gradients: Sequence[Tensor]) -> None:
        """One step of Adam, upwards. (``torch.optim`` takes seconds to import its compiler at the first step.)"""
        count = len(self.scores)
        for tensor, (first, second), gradient in zip(self.tensors, self.moments, gradients, strict=True):
            first.lerp_(gradient, 1 - _BETA1)
            second.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
            spread = (second / (1 - _BETA2**count)).sqrt_()
            largest = spread.flatten(1).amax(1).view(-1, *[1] * (spread.ndim - 1))
            spread.add_(largest, alpha=_FLOOR).add_(_TINY)
            tensor.addcdiv_(first, spread, value=self.config.rate / (1 - _BETA1**count))
            if count <= _LOUDER_STEPS and not self.fired.all():
                tensor[~self.fired] *= _LOUDER

    @torch.no_grad()
    def features(self, units: Sequence[Unit | str]) -> list[Feature]:
        pictures = images.array(self.config.param.image(self.tensors, self.size))
        rounded = images.uint8(pictures).astype(np.float32) / 255
        clean = torch.from_numpy(rounded).permute(0, 3, 1, 2).contiguous().to(self.tensors[0])
        final = self.score(clean, clean).cpu().tolist()
        scores = torch.stack(self.scores, dim=1).float().cpu().numpy()
        fired = self.fired.tolist()
        return [Feature(units[i], pictures[i], scores[i], final[i], not fired[i] and final[i] == 0) for i in range(len(units))]


def _layers(objectives: Sequence[Objective]) -> list[str]:
    return [name for name in dict.fromkeys(name for o in objectives for name in o.layers) if name != IMAGE]


def _batches(model: Model, objectives: Sequence[Objective], config: AscentConfig) -> list[list[int]]:
    """Indices of objectives that share a forward: those with the same deepest layer, at most a batch at a time."""
    depths = {layer.name: depth for depth, layer in enumerate(model.layers)}
    groups: dict[int, list[int]] = {}
    for i, objective in enumerate(objectives):
        deepest = max((depths[name] for name in _layers([objective])), default=-1)
        groups.setdefault(deepest, []).append(i)
    most = config.batch or (CPU_BATCH if model.device.type == "cpu" else GPU_BATCH)
    return [group[k : k + most] for group in groups.values() for k in range(0, len(group), most)]


def _probe(model: Model, objectives: Sequence[Objective], sizes: Sequence[tuple[int, int]]) -> None:
    """Raise before step one where the model does not take images of these sizes, or an objective's place is not there."""
    layers = _layers(objectives)
    for size in dict.fromkeys(sizes) if layers else ():
        grey = torch.full((1, 3, *size), 0.5, device=model.device)
        with torch.no_grad():
            outputs, _ = model.capture(layers, grey, truncate=True)
        maps = {name: model.maps(name, output) for name, output in outputs.items()}
        for objective in objectives:
            objective({IMAGE: grey, **maps})
