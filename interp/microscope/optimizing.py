"""The stage of optimized images: those of a few units of one layer, made in one forward, and what they are worth."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.featurevis import AscentConfig, Channel, Diversity, Feature, Neuron, Objective, visualize
from interp.featurevis.quality import Check, Checks, measure, own_scores, rounded
from interp.images import uint8
from interp.microscope.store import Arrays, text_array
from interp.microscope.work import Stage

# How much faces are made to differ, in units of what photographs give the channel: that of `interp visualize --diversity`.
APART = 10.0
# The two cheap checks that need no natural images; these are asked for once, for all channels (`natural`).
CHECKS = Checks(frozenset({Check.CONTROL, Check.ROBUSTNESS}))


class Kind(Enum):
    """What an image is optimized for: the mean of the channel, its place in the centre, minus the mean, or several that differ."""

    CHANNEL = "channel"
    NEURON = "neuron"
    NEGATIVE = "negative"
    DIVERSE = "diverse"


@dataclass(frozen=True)
class Optimize(Stage):
    """Images of the channels ``first`` to ``last`` - 1 of ``layer``; ``faces`` of each (1 but for `Kind.DIVERSE`).

    ``sizes``: what photographs give each channel, by which faces are held apart; () elsewhere. ``measured``: whether the images are.

    Arrays: ``images`` (channels, faces, rows, cols, 3) 8 bits, ``scores`` (channels, faces) of the channel's own objective,
    ``course`` (channels, faces, steps), ``dead``, and ``told``: JSON, for each channel a list of {notes, numbers} by face.
    """

    layer: str
    first: int
    last: int
    kind: Kind
    faces: int
    config: AscentConfig
    seed: int
    measured: bool
    sizes: tuple[float, ...] = ()
    images_per_forward: int | None = field(default=None)

    @property
    def channels(self) -> range:
        return range(self.first, self.last)

    def arrays(self, model: Model) -> Arrays:
        config = replace(self.config, batch=self.images_per_forward) if self.images_per_forward else self.config
        objectives = [self.objective(model, channel) for channel in self.channels]
        try:
            found: list[Feature | str] = list(visualize(model, objectives, config, self.seed))
        except Unsupported:
            # One whose score is no number is not to take the others with it.
            found = [feature for objective in objectives for feature in _alone(model, objective, config, self.seed, self.faces)]
        return self._told(model, objectives, found)

    def objective(self, model: Model, channel: int) -> Objective:
        """What the images of a channel are optimized for."""
        alone = self.own(channel)
        if self.kind is Kind.NEGATIVE:
            return -alone
        if self.kind is Kind.DIVERSE:
            return alone + APART * self.sizes[channel - self.first] * Diversity(compared(model, self.layer), self.faces)
        return alone

    def own(self, channel: int) -> Objective:
        """The objective by which an image is scored: without the penalty for being alike, and without the sign."""
        unit = Unit(self.layer, channel)
        return Neuron(unit) if self.kind is Kind.NEURON else Channel(unit)

    def _told(self, model: Model, objectives: Sequence[Objective], found: Sequence[Feature | str]) -> Arrays:
        size = self.config.size or model.preprocess.size
        grey = np.full((*size, 3), 128, np.uint8)
        good = [k for k, feature in enumerate(found) if isinstance(feature, Feature)]
        features = [feature for feature in found if isinstance(feature, Feature)]
        images = np.stack([uint8(one.image) if isinstance(one, Feature) else grey for one in found])
        owners = [self.own(channel) for channel in self.channels for _ in range(self.faces)]
        scores = np.full(len(found), np.nan, np.float32)
        if features:
            shown = rounded(np.stack([feature.image for feature in features]))
            scores[good] = own_scores(model, [owners[k] for k in good], shown)
        told: list[dict[str, object]] = [{"notes": [] if isinstance(one, Feature) else [one], "numbers": {}} for one in found]
        if self.measured and self.kind is not Kind.DIVERSE and features:
            for k, (notes, numbers) in zip(good, self._measured(model, [objectives[k] for k in good], features), strict=True):
                told[k] = {"notes": notes, "numbers": numbers}
        shape = (len(self.channels), self.faces)
        course = np.full((len(found), self.config.steps), np.nan, np.float32)
        for k, feature in zip(good, features, strict=True):
            course[k, : len(feature.scores)] = feature.scores
        return {
            "images": images.reshape(*shape, *images.shape[1:]),
            "scores": scores.reshape(shape),
            "course": course.reshape(*shape, -1),
            "dead": np.array([isinstance(one, Feature) and one.dead for one in found]).reshape(shape),
            "told": text_array(json.dumps(told, sort_keys=True)),
        }

    def _measured(
        self, model: Model, objectives: Sequence[Objective], features: Sequence[Feature]
    ) -> list[tuple[list[str], dict[str, float]]]:
        found = []
        for quality in measure(model, features, objectives, checks=CHECKS, config=self.config, seed=self.seed):
            numbers: dict[str, float | None] = {
                "contrast": quality.contrast,
                "saturation": quality.saturation,
                "checkerboard": quality.checkerboard,
                "above_noise": None if quality.control is None else quality.control.z,
                "kept_shifted": None if quality.robustness is None else quality.robustness.shifts,
                "kept_jpeg": None if quality.robustness is None else quality.robustness.jpeg,
            }
            kept = {name: float(value) for name, value in numbers.items() if value is not None and math.isfinite(value)}
            found.append((list(quality.flags), kept))
        return found


def _alone(model: Model, objective: Objective, config: AscentConfig, seed: int, faces: int) -> list[Feature | str]:
    """The images of one objective, or the reason why there are none for each of them."""
    try:
        return list(visualize(model, [objective], config, seed))
    except InterpError as error:
        return [str(error)] * faces


def compared(model: Model, layer: str) -> str:
    """The layer at which faces are compared: ``layer``, or the last before it with more than one place. Unsupported if there is none."""
    names = [one.name for one in model.layers]
    for one in reversed(model.layers[: names.index(layer) + 1]):
        if one.layout is not None and math.prod(one.map_shape[1:]) > 1:
            return one.name
    raise Unsupported(f"faces are compared by maps of more than one place, and '{layer}' has none, nor any layer before it")
