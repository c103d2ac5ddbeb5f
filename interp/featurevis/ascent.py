"""Gradient ascent on images: many units in one batch, each as if it were alone.

The forward ends at the deepest layer needed; parameters are frozen and nothing of it stays in the model.
The optimizer treats every number by itself and each image has its own generator, so that a unit's image
depends on the model, the options and the seed, and not on what else was asked for, beyond the rounding of
floating-point sums. (A convolution rounds differently for another batch size, and where a ReLU or a maximum
stands on its kink, such a difference can grow: measured, up to 1e-3 of the range in float32.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp import images
from interp.core.model import Model
from interp.core.rng import generator
from interp.core.unit import Unit
from interp.errors import Unsupported
from interp.featurevis.batching import keys_of, layers_of
from interp.featurevis.config import AscentConfig, Precision
from interp.featurevis.engine import TOLERANCE, Engine
from interp.featurevis.escape import STEPS as ESCAPE_STEPS
from interp.featurevis.escape import escaping
from interp.featurevis.feature import Feature
from interp.featurevis.objective import Objective, each
from interp.featurevis.schedule import ends, value
from interp.featurevis.seeing import image_activations, laid, read
from interp.featurevis.smoothing import smooth

# Where no ReLU module can be opened, a silent image's contrast grows at each of the first steps, a hundredfold in all.
_LOUDER = 100 ** (1 / ESCAPE_STEPS)
# Of the last third of the steps, how many moments are tried for the best image.
_TRIED = 4
# From this quantile of the gradients' sums on, a pixel is opaque.
_OPAQUE = 0.8
# How often an accelerator is asked whether all is well: each question waits for it.
_PATIENCE = 16
Size = tuple[int, int]


class Ascent:
    """The images of one batch on their way: ``group`` images in succession for each objective."""

    def __init__(
        self, made: Engine, model: Model, objectives: Sequence[Objective], group: int, config: AscentConfig, size: Size, seed: int
    ) -> None:
        self.made, self.model, self.objectives, self.group = made, model, objectives, group
        self.config, self.size = config, size
        self.keys = keys_of(objectives, config)
        self.names = [name if k == 0 else f"{name}#{k + 1}" for name in map(str, objectives) for k in range(group)]
        self.generators = [generator(seed, "featurevis", name) for name in self.names]
        self.tensors = config.param.start(size, self.generators, model.device, group)
        self.begun = [t.detach().clone() for t in self.tensors]
        self.move = config.optimizer.begin(self.tensors)
        self.scores: list[Tensor] = []
        self.sound: list[Tensor] = []
        self.fired = torch.zeros(len(self.names), dtype=torch.bool, device=model.device)
        self.last = torch.full((len(self.names),), config.steps, dtype=torch.long)
        self.ended: list[Tensor] | None = None
        self.best: tuple[Tensor, list[Tensor]] | None = None
        self.earned: Tensor | None = None
        self.frames: list[np.ndarray] = []
        self.moments = moments(config.films, config.steps)
        self.tries = _tries(config)

    @property
    def step_count(self) -> int:
        return len(self.scores)

    @property
    def done(self) -> bool:
        return self.step_count >= self.config.steps or bool((self.last < self.config.steps).all())

    def step(self) -> None:
        """One step of all images; raises Unsupported where a score is no finite number."""
        count = self.step_count
        if count in self.moments:
            self.frames.append(images.uint8(images.array(self.picture(self.tensors)[0])))
        progress = count / max(1, self.config.steps - 1)
        with torch.enable_grad():
            pictures = self.config.param.image(self.tensors, self.size)
            # The chain is cut here, so that the objective's own gradient is known apart from the regularizers'.
            shown = pictures.detach().requires_grad_()
            scores, gradient, stuck = self.gradient(shown, progress)
            if self.config.param.earns_opacity:
                strength = gradient.detach().abs().mean(1)
                self.earned = strength if self.earned is None else self.earned + strength
            penalty = self.penalty(shown, progress)
            if penalty is not None and penalty.requires_grad:
                gradient = gradient + torch.autograd.grad(penalty.sum(), shown)[0]
            gradient = smooth(gradient, value(self.config.smoothing, progress)) if max(ends(self.config.smoothing)) > 0 else gradient
            gradients = torch.autograd.grad(pictures, self.tensors, grad_outputs=gradient)
        self.scores.append(scores.float())
        self.sound.append(torch.isfinite(scores) & torch.isfinite(gradient).flatten(1).all(1))
        if self.model.device.type == "cpu" or self.step_count % _PATIENCE == 0 or self.step_count == self.config.steps:
            self.check()
        self.move(gradients, value(self.config.rate, progress))
        if count < ESCAPE_STEPS:
            self.raise_contrast(stuck)
        if self.config.converged is not None:
            self.settle()
        if self.step_count in self.tries:
            self.keep_best()

    def gradient(self, shown: Float[Tensor, "n c h w"], progress: float) -> tuple[Tensor, Float[Tensor, "n c h w"], Bool[Tensor, " n"]]:
        """The scores, their gradient at the images, and which images have none.

        In the first steps, an image without gradient is tried again with its ReLUs open; the others are not touched by that.
        """
        early = self.step_count < ESCAPE_STEPS
        states = [g.get_state() for g in self.generators] if early else []
        scores, whole = self.seen(shown, progress)
        found = self.backward(whole, shown)
        self.fired |= (found != 0).flatten(1).any(1)
        # One that fired before may rest for a step; only what never did is helped.
        stuck = ~self.fired
        if early and bool(stuck.any()):
            for g, state in zip(self.generators, states, strict=True):
                g.set_state(state)
            with escaping(self.made.model.module):
                opened = self.backward(self.seen(shown, progress)[1], shown)
            found = torch.where(stuck[:, None, None, None], opened, found)
        return scores.detach(), found, stuck & ~(found != 0).flatten(1).any(1)

    def backward(self, whole: Float[Tensor, " n"], shown: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        if not whole.requires_grad:
            raise Unsupported(
                f"'{self.names[0]}' does not depend on the image: there is nothing to climb, or something on the way to it cuts the "
                "gradient, such as torch.no_grad, .detach() or numpy"
            )
        (found,) = torch.autograd.grad(whole.sum() * self.made.loss_scale, shown)
        return found / self.made.loss_scale

    def seen(self, shown: Float[Tensor, "n c h w"], progress: float) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Each image's value under its objective on transformed views, and that with the regularizers that read layers."""
        rgb, views = laid(shown, self.generators), self.config.views
        repeated = rgb.repeat(views, 1, 1, 1) if views > 1 else rgb
        moved = self.config.transform(repeated, [*self.generators] * views)
        activations = self.activations(self.made, moved, shown.repeat(views, 1, 1, 1) if views > 1 else shown)
        scores = each([*self.objectives] * views, activations, self.group)
        whole = scores
        for term in self.config.regularizers:
            if layers_of(term.objective.layers):
                together = [term.objective] * len(self.objectives) * views
                whole = whole + value(term.weight, progress) * each(together, activations, self.group)
        return scores.view(views, -1).mean(0), whole.view(views, -1).mean(0)

    def penalty(self, shown: Float[Tensor, "n c h w"], progress: float) -> Float[Tensor, " n"] | None:
        """The weighted regularizers that look at the image alone."""
        total: Tensor | None = None
        for term in self.config.regularizers:
            if not layers_of(term.objective.layers):
                together = [term.objective] * len(self.objectives)
                part = value(term.weight, progress) * each(together, image_activations(shown), self.group)
                total = part if total is None else total + part
        return total

    def activations(self, made: Engine, moved: Float[Tensor, "n 3 rows cols"], shown: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """All that the objectives read: maps of ``moved``, and the images ``shown`` themselves."""
        return image_activations(shown) | read(made, self.keys, moved)

    def check(self) -> None:
        sound = torch.stack(self.sound)
        self.sound.clear()
        if sound.all():
            return
        step, place = (int(k) for k in (~sound).nonzero()[0])
        step += self.step_count - len(sound)
        # A rate has no say before the first step.
        remedy = "; a lower `rate` may help" if step else ", the one it begins with"
        raise Unsupported(
            f"the score of '{self.names[place]}' or its gradient is no finite number at step {step + 1} "
            f"(score {float(self.scores[step][place])}): the objective is not defined for this image{remedy}"
        )

    @torch.no_grad()
    def raise_contrast(self, stuck: Tensor) -> None:
        if bool(stuck.any()):
            for tensor in self.tensors:
                tensor[stuck.view(len(tensor), -1).all(1)] *= _LOUDER

    @torch.no_grad()
    def settle(self) -> None:
        """Images whose score no longer grows are left as they are from now on."""
        assert self.config.converged is not None
        window, count = self.config.converged.window, self.step_count
        if self.ended is not None:
            for tensor, kept in zip(self.tensors, self.ended, strict=True):
                over = (self.last.view(len(tensor), -1) < self.config.steps).all(1)
                tensor[over] = kept[over]
        if count % window or count < 2 * window or count == self.config.steps:
            return
        recent = torch.stack(self.scores[-2 * window :]).view(2, window, -1).mean(1).cpu()
        still = recent[1] - recent[0] < self.config.converged.gain * recent[0].abs()
        together = still.view(-1, self.group).all(1).repeat_interleave(self.group)
        self.last[together & (self.last == self.config.steps)] = count
        self.ended = [t.detach().clone() for t in self.tensors]

    @torch.no_grad()
    def keep_best(self) -> None:
        """Remember the tensors of the images that score better than before, without transforms."""
        scores = self.clean(self.made, self.tensors)
        if self.best is None:
            self.best = (scores, [t.detach().clone() for t in self.tensors])
            return
        better = scores > self.best[0]
        for kept, tensor in zip(self.best[1], self.tensors, strict=True):
            place = better.view(len(kept), -1).all(1)
            kept[place] = tensor.detach()[place]
        self.best[0][better] = scores[better]

    def clean(self, made: Engine, tensors: Sequence[Tensor]) -> Float[Tensor, " n"]:
        """Scores of the 8-bit images without transforms, summed over those that are optimized together."""
        return _summed(self.value(made, self.picture(tensors)[0]), self.group)

    @torch.no_grad()
    def value(self, made: Engine, pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
        """Scores of the images as 8 bits hold them, without transforms."""
        rounded = (pictures * 255).round() / 255
        return each(self.objectives, self.activations(made, rounded, rounded), self.group).float()

    @torch.no_grad()
    def picture(self, tensors: Sequence[Tensor]) -> tuple[Float[Tensor, "n 3 h w"], Float[Tensor, "n 1 h w"]]:
        """The images, see-through parts laid on grey; and their opacity, 1 where they have none."""
        whole = self.config.param.image(tensors, self.size).float()
        if whole.shape[1] == 3:
            return whole, torch.ones_like(whole[:, :1])
        return whole[:, :3] * whole[:, 3:] + 0.5 * (1 - whole[:, 3:]), whole[:, 3:]

    def features(self, units: Sequence[Unit | str]) -> tuple[list[Feature], list[bool]]:
        """The finished images, and of each whether its score holds in float32."""
        tensors = self.best[1] if self.best is not None and self.config.best else self.tensors
        for tensor, begun in zip(tensors, self.begun, strict=True):
            # What never fired was only made louder: its start is shown.
            silent = ~self.fired.view(len(tensor), -1).any(1)
            tensor.detach()[silent] = begun[silent]
        pictures, opacity = self.picture(tensors)
        exact = self.value(Engine(self.model, Precision.FLOAT32), pictures)
        rough = exact if self.made.precision is Precision.FLOAT32 else self.value(self.made, pictures)
        held = ((rough - exact).abs() <= TOLERANCE * exact.abs().clamp_min(1e-6)) | torch.isnan(exact)
        shown, scores = images.array(pictures), torch.stack(self.scores, dim=1).cpu().numpy()
        film = np.stack([*self.frames, images.uint8(shown)], axis=1) if self.config.films else None
        if self.earned is not None:
            opacity = _opacity(self.earned)[:, None]
        alphas = images.array(opacity)[..., 0] if self.config.param.alpha or self.earned is not None else None
        fired, final = self.fired.tolist(), exact.cpu().tolist()
        found = []
        for i in range(len(self.names)):
            if not math.isfinite(final[i]):
                raise Unsupported(
                    f"the score of the finished image of '{self.names[i]}' is {final[i]}: the objective is not defined for it"
                )
            dead = not fired[i]
            alpha = None if alphas is None else alphas[i]
            mine = scores[i, : int(self.last[i])]
            found.append(
                Feature(units[i], shown[i], mine, final[i], dead, alpha, str(self.made.precision), None if film is None else film[i])
            )
        return found, held.tolist()


def _summed(scores: Float[Tensor, " n"], group: int) -> Float[Tensor, " n"]:
    return scores if group == 1 else scores.view(-1, group).sum(1).repeat_interleave(group)


def _opacity(earned: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Sums of gradients as opacity: from 0 to 1 at each image's 80th percentile (Fel et al. 2023)."""
    most = torch.quantile(earned.flatten(1).float(), _OPAQUE, dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    return (earned / most[:, None, None]).clamp(0, 1)


def moments(films: int, steps: int) -> set[int]:
    """The steps before which a picture is kept: denser at the beginning, where more happens."""
    return {round(steps * (k / (films - 1)) ** 2) for k in range(films - 1)} if films > 1 else set()


def _tries(config: AscentConfig) -> set[int]:
    """The steps after which the best image so far is looked for; none where there are too few to choose from."""
    if not config.best or config.steps < 3 * _TRIED:
        return set()
    return {config.steps - round(k * config.steps / 3 / _TRIED) for k in range(_TRIED)}
