"""Lucent's engine as a baseline: its own loop, with what it leaves behind in the model and the process put back.

What is lucent's: the loop (``lucent.optvis.render.render_vis``), the parametrizations, the transforms, the hooks on
every module, the full forward, weight gradients, one unit at a time. What is ours: the objectives, the model's own
normalization, the seeds, and the score of the finished image. Where an in-place ReLU follows a layer, lucent
optimizes what is behind it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interp import images
from interp.core.capture import describe, module_of, tensor_of
from interp.core.model import Model
from interp.core.rng import generator
from interp.core.unit import Unit
from interp.errors import Unsupported
from interp.featurevis.config import AscentConfig, Precision
from interp.featurevis.engine import Engine
from interp.featurevis.feature import Feature
from interp.featurevis.lucent.restore import draws_kept, left_as_it_was, on_device, seed_globally
from interp.featurevis.objective import IMAGE, Objective, layer_of
from interp.featurevis.optimizer import Adam
from interp.featurevis.param import FOURIER, Fourier, Pixels
from interp.featurevis.schedule import Cosine, Linear
from interp.featurevis.seeing import image_activations, read
from interp.featurevis.transform import NONE, STANDARD
from interp.featurevis.units import objective_of

# Lucent's step width (render_vis).
_RATE = 0.05
_OWN = ("steps", "size", "param", "transform")
# What else may be written down, as it changes nothing: lucent does just this.
_ALIKE: Mapping[str, Sequence[object]] = {
    "rate": (_RATE, Linear(_RATE, _RATE), Cosine(_RATE, _RATE)),
    "optimizer": (Adam(),),
    "batch": (1,),
    "best": (False,),
    "precision": (Precision.FLOAT32,),
}
Step = Callable[[int, int], None]


def render(model: Model, wanted: Sequence[Unit | Objective], config: AscentConfig, seed: int, on_step: Step | None = None) -> list[Feature]:
    """An image for each unit or objective, found by lucent's engine; called like, and giving the same as, `visualize`.

    Lucent has ``steps``, a square ``size``, Fourier or pixel ``param`` and its standard or no ``transform``; options
    that are left at their defaults are lucent's own (Adam, 0.05 throughout; both may also be said), others raise
    Unsupported. As lucent does with images below 224 px, images below the model's own size are enlarged to it,
    bilinearly, behind the transforms; other sizes stay. ``scores`` are on the transformed image; ``final`` is that
    of the finished ``image``, which is rounded to 8 bits, at the size the network was given, in float32
    (`clean_scores`). The model, its gradients and every global random state are as before afterwards; while
    ``on_step(done, total)`` is called (steps of single images) the model has lucent's hooks.

    Raises InterpError: as `visualize`, and Unsupported for what lucent cannot do.

    Source: lucent 0.1.8 (torch-lucent), a port of lucid.
    """
    size = model.preprocess.size if config.size is None else config.size
    _check(config, size)
    if len(model.preprocess.mean) != 3:
        raise Unsupported(f"lucent's engine has colour images only, and '{model.spec.reference}' takes grey ones")
    # The same square for every step: lucent's padding would otherwise change what the network sees.
    shown = (max(size[0], model.preprocess.size[0]), max(size[0], model.preprocess.size[1]))
    objectives = [objective_of(item) for item in wanted]
    for objective in objectives:
        objective.validate(model, shown)
        _check_readable(objective)
        _values(model, objective, torch.full((objective.images, 3, *shown), 0.5, device=model.device))
    done, total = 0, config.steps * sum(objective.images for objective in objectives)
    found: list[Feature] = []
    for item, objective in zip(wanted, objectives, strict=True):
        before = done

        def stepped(step: int, before: int = before, count: int = objective.images) -> None:
            if on_step is not None:
                on_step(before + step * count, total)

        found += _one(model, item, objective, config, (size, shown), seed, stepped)
        done += config.steps * objective.images
    return found


def clean_scores(
    model: Model, wanted: Sequence[Unit | Objective], pictures: Sequence[Float[np.ndarray, "h w 3"]], size: tuple[int, int] | None = None
) -> list[float]:
    """The value of each finished picture ([0, 1] RGB) under its unit or objective, without transforms, in float32.

    Pictures are rounded to 8 bits and, where ``size`` (rows, cols) is given and not theirs, resized to it bilinearly
    with their corners kept, as lucent does. An objective of several images takes as many pictures in succession.
    """
    scores: list[float] = []
    for objective in map(objective_of, wanted):
        taken = np.stack(pictures[len(scores) : len(scores) + objective.images])
        rounded = torch.from_numpy(images.uint8(taken).astype(np.float32) / 255).permute(0, 3, 1, 2).contiguous()
        scores += _values(model, objective, _resized(rounded, size).to(model.device)).tolist()
    return scores


@dataclass
class _Run:
    """What is kept of one unit's run: the scores before each step, and whether anything was ever not zero."""

    scores: list[Tensor] = field(default_factory=list)
    fired: bool = False


def _one(
    model: Model,
    item: Unit | Objective,
    objective: Objective,
    config: AscentConfig,
    sizes: tuple[tuple[int, int], tuple[int, int]],
    seed: int,
    stepped: Callable[[int], None],
) -> list[Feature]:
    run, name = _Run(), str(objective)
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(draws_kept())
        lucent: Any = import_module("lucent.optvis.render")
        moves = [] if config.transform == NONE else import_module("lucent.optvis.transform").standard_transforms
        stack.enter_context(left_as_it_was(model.module, lucent.ModuleHook))
        stack.enter_context(on_device(model.device))
        seed_globally(generator(seed, "lucent", name).initial_seed())
        with torch.enable_grad(), _let_through():
            pictures = lucent.render_vis(
                _Network(model.module),
                _loss(model, objective, run),
                _param(config, sizes[0][0], objective.images, model.device),
                optimizer=lambda tensors: _Climb(tensors, run, stepped),
                transforms=[*moves, model.normalized],
                thresholds=(config.steps,),
                preprocess=False,
                progress=False,
                show_image=False,
                fixed_image_size=sizes[1],
            )[-1]
        if len(run.scores) < config.steps:
            raise KeyboardInterrupt
    scores = torch.stack(run.scores, dim=1).float().cpu().numpy()
    _check_finite(name, scores)
    final = clean_scores(model, [objective], list(pictures), sizes[1])
    shown = images.uint8(pictures).astype(np.float32) / 255
    units: list[Unit | str] = [f"{name}#{i + 1}" for i in range(objective.images)]
    if objective.images == 1:
        units = [item if isinstance(item, Unit) else name]
    dead = not run.fired and not any(final)
    return [Feature(units[i], shown[i], scores[i], final[i], dead) for i in range(objective.images)]


class _Passing(Exception):
    """Carries an error past lucent's own handlers, which would swallow it."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class _Network:
    """What lucent asks of a network: to be called, and its modules. Lucent takes a RuntimeError for a small image and goes on."""

    def __init__(self, module: nn.Module) -> None:
        self._module, self._modules = module, module._modules

    def __call__(self, inputs: Tensor) -> Any:
        try:
            return self._module(inputs)
        except RuntimeError as error:
            raise _Passing(error) from error


class _Climb:
    """Lucent's Adam, which says when a step was made. Lucent takes a KeyboardInterrupt for the end of the run."""

    def __init__(self, tensors: list[Tensor], run: _Run, stepped: Callable[[int], None]) -> None:
        self.tensors, self.run, self.stepped, self.adam = tensors, run, stepped, torch.optim.Adam(tensors, lr=_RATE)

    def zero_grad(self) -> None:
        self.adam.zero_grad()

    def step(self, closure: Callable[[], Tensor]) -> None:
        try:
            self.adam.step(closure)
            if not self.run.fired:
                moved = any(t.grad is not None and bool(t.grad.any()) for t in self.tensors)
                self.run.fired = moved or bool(self.run.scores[-1].any())
            with draws_kept():
                self.stepped(len(self.run.scores))
        except (KeyboardInterrupt, RuntimeError) as error:
            raise _Passing(error) from error


@contextmanager
def _let_through() -> Iterator[None]:
    try:
        yield
    except _Passing as passing:
        raise passing.error from None


def _loss(model: Model, objective: Objective, run: _Run) -> Callable[[Callable[[str], Any]], Tensor]:
    """Minus our objective, as a function of lucent's ``T``."""

    def loss(read: Callable[[str], Any]) -> Tensor:
        seen: dict[str, Tensor] = {}
        for key in objective.layers:
            layer = layer_of(key)
            if layer is None:
                image = read("input")
                seen[key] = image if key == IMAGE else torch.ones_like(image[:, :1])
            else:
                output = read(layer.replace(".", "_"))
                tensor = tensor_of(output)
                if tensor is None:
                    raise Unsupported(f"layer '{layer}' returns {describe(output)}, not one tensor: choose a layer inside or behind it")
                seen[key] = model.maps(layer, tensor) if key == layer else tensor
        values = objective(seen)
        run.scores.append(values.detach())
        return -values.sum()

    return loss


def _param(config: AscentConfig, side: int, count: int, device: torch.device) -> Callable[[], tuple[list[Tensor], Callable[[], Tensor]]]:
    """Lucent's ``param.image``, on the model's device: its own colours are always computed on the first GPU, where there is one."""

    def made() -> tuple[list[Tensor], Callable[[], Tensor]]:
        spatial: Any = import_module("lucent.optvis.param.spatial")
        color: Any = import_module("lucent.optvis.param.color")
        param, shape = _param_of(config), (count, 3, side, side)
        if isinstance(param, Fourier):
            tensors, raw = spatial.fft_image(shape, sd=param.sd, decay_power=param.decay)
        else:
            tensors, raw = spatial.pixel_image(shape, sd=param.sd)
        matrix = torch.tensor(color.color_correlation_normalized.T, device=device)

        def image() -> Tensor:
            values: Tensor = raw()
            if param.decorrelated:
                values = torch.matmul(values.permute(0, 2, 3, 1), matrix).permute(0, 3, 1, 2)
            return torch.sigmoid(values)

        return tensors, image

    return made


def _values(model: Model, objective: Objective, pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
    with torch.no_grad():
        return objective(image_activations(pictures) | read(Engine(model, Precision.FLOAT32), objective.layers, pictures))


def _resized(pictures: Float[Tensor, "n 3 h w"], size: tuple[int, int] | None) -> Float[Tensor, "n 3 rows cols"]:
    if size is None or pictures.shape[2:] == torch.Size(size):
        return pictures
    return F.interpolate(pictures, size=size, mode="bilinear", align_corners=True)


def _param_of(config: AscentConfig) -> Fourier | Pixels:
    param = FOURIER if config.param == AscentConfig().param else config.param
    # Their subclasses have other equations.
    if isinstance(param, Fourier | Pixels) and type(param) in (Fourier, Pixels):
        return param
    raise Unsupported(f"lucent's engine has no `param` {param}: give Fourier() or Pixels()")


def _check(config: AscentConfig, size: tuple[int, int]) -> None:
    plain = AscentConfig()
    for option in fields(config):
        name, value = option.name, getattr(config, option.name)
        if name in _OWN or value == getattr(plain, name) or value in _ALIKE.get(name, ()):
            continue
        raise Unsupported(
            f"lucent's engine has no `{name}` = {value}: leave it at its default; it takes {', '.join(f'`{n}`' for n in _OWN)}"
        )
    if size[0] != size[1]:
        raise Unsupported(f"lucent's engine has square images only, not {size[0]} x {size[1]} px (rows x cols): it pads rows as columns")
    _param_of(config)
    if config.transform not in (STANDARD, NONE, plain.transform):
        raise Unsupported(f"lucent's engine has no `transform` {config.transform}: it takes STANDARD, which is its own, or NONE")


def _check_readable(objective: Objective) -> None:
    for key in objective.layers:
        if module_of(key) != key:
            raise Unsupported(f"lucent's engine cannot show '{objective}': it sees what comes out of '{module_of(key)}', not what goes in")


def _check_finite(name: str, scores: Float[np.ndarray, "n steps"]) -> None:
    if not np.isfinite(scores).all():
        step = int(np.argmax(~np.isfinite(scores).all(0)))
        raise Unsupported(f"the score of '{name}' is no finite number at step {step + 1}: the objective is not defined for this image")
