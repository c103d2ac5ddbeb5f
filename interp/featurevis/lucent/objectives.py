"""Objectives written for lucent (``lucent.optvis.objectives``), as strings or functions, used as ours.

A lucent objective is a function of ``T``, where ``T(name)`` is a layer's output, and returns a loss over
the batch. Nothing of lucent is imported here: whoever has such an objective has lucent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported, nearest
from interp.featurevis.objective import IMAGE, Activations, Objective
from interp.featurevis.units import Channel, Logit

_INPUT, _LABELS = "input", "labels"
_NUMBER = re.compile(r"\s*[+-]?\d{1,9}\s*")


@dataclass(frozen=True)
class Lucent(Objective):
    """Minus a lucent objective's loss: image by image, or each of ``together`` images' equal share of their common loss.

    ``loss`` is the function of ``T``; ``names`` are the layers it reads, ``output`` the one that it calls ``labels``;
    ``name`` is its description.
    """

    loss: Callable[[Callable[[str], Tensor]], Any]
    names: tuple[str, ...]
    name: str
    together: int = 1
    output: str | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        return self.names

    @property
    def images(self) -> int:
        return self.together

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        count = next(iter(activations.values())).shape[0]
        if self.together == 1:
            return torch.stack([self._value(activations, slice(i, i + 1)) for i in range(count)])
        # The shares add up to the loss, so that the gradient of their sum is lucent's.
        return (self._value(activations, slice(None)) / count).expand(count)

    def _value(self, activations: Activations, images: slice) -> Float[Tensor, ""]:
        # Lucent writes module paths with underscores for dots.
        given = {_written(name): name for name in self.names} | {_INPUT: IMAGE}
        if self.output is not None:
            given[_LABELS] = self.output

        def layer(asked: str) -> Tensor:
            name = given.get(_written(asked))
            if name is None or name not in activations:
                raise UnknownName(self._not_given(asked))
            return activations[name][images]

        try:
            with np.errstate(divide="raise", invalid="raise"):
                loss = self.loss(layer)
        except FloatingPointError:
            # Images weighted by their place among others: a single one has none.
            loss = None
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            number = "a single image" if self.together == 1 else f"{self.together} images"
            raise Unsupported(
                f"the lucent objective '{self.name}' gives no loss for {number}: "
                "where it compares the images of a batch, give their number, 2 or more, as `images`"
            )
        return -loss.reshape(())

    def _not_given(self, asked: str) -> str:
        if asked == _LABELS and self.output is None:
            return f"the lucent objective '{self.name}' reads '{_LABELS}': name the model's output layer as `labels`"
        hint = nearest(asked, self.names) or "name all of them in `layers`"
        return f"the lucent objective '{self.name}' reads layer '{asked}', which is not among its `layers` {self.names}: {hint}"

    def __str__(self) -> str:
        return self.name if self.together == 1 else f"{self.name} of {self.together}"


def from_lucent(
    objective: Callable[[Callable[[str], Tensor]], Any],
    layers: tuple[str, ...],
    images: int = 1,
    labels: str | None = None,
    name: str | None = None,
) -> Objective:
    """A lucent objective as an `Objective` to be maximised, with the same gradient ascent.

    ``layers`` are the layers it reads, as interp names them (``layer4.1.conv2``; ``image`` for lucent's ``input``);
    ``labels`` is the model's output layer, for objectives that read lucent's ``labels``. Objectives over a batch
    (diversity, alignment, channel_interpolate, anything with ``batch=``) need the number of ``images`` in it, 2 or
    more; their loss is shared evenly among these. ``name`` seeds the random start: give one where two objectives have
    the same description in lucent, which leaves out directions and other long arguments.

    Raises InterpError for what is no function, for no layers, and for ``images`` below 1.
    """
    if not callable(objective):
        raise InterpError(f"{objective!r} is no lucent objective: give one such as lucent.optvis.objectives.channel('layer4', 37)")
    if isinstance(layers, str) or not (layers or labels):
        raise InterpError(f"`layers` is {layers!r}: give a tuple of the layers that the objective reads, such as ('layer4.1.conv2',)")
    if images < 1:
        raise InterpError(f"`images` is {images}: give how many images the objective is about, 1 or more")
    found = name or getattr(objective, "description", "") or getattr(objective, "__name__", "lucent objective")
    read = tuple(dict.fromkeys([*layers, *([labels] if labels else [])]))
    return Lucent(objective, read, " ".join(str(found).split()), images, labels)


def from_string(text: str, model: Model) -> Channel | Logit:
    """A lucent objective string, ``layer:channel``, for ``model``: ``mixed4a:97``, ``layer4_1_conv2:97``, ``labels:281``.

    Underscores stand for the dots of layer names, as in lucent; interp's own names are taken too. ``labels`` is the
    layer of the classes. As in lucent there is no form for a single neuron.

    Raises InterpError for another form, UnknownName for a layer or channel that ``model`` lacks.
    """
    parts = text.split(":")
    if len(parts) != 2 or not parts[0].strip() or not _NUMBER.fullmatch(parts[1]):
        raise InterpError(f"'{text}' is no objective of lucent: write 'layer:channel', such as 'layer4_1_conv2:97' or 'labels:281'")
    layer, channel = parts[0].strip(), int(parts[1])
    if layer == _LABELS:
        return Logit(model.unit(Unit(model.output, channel)))
    if layer == _INPUT:
        raise Unsupported(f"'{text}' is a colour of the image, no unit: give a layer of '{model.spec.reference}'")
    return Channel(model.unit(Unit(_resolved(layer, model), channel)))


def _resolved(asked: str, model: Model) -> str:
    """interp's name for a layer that lucent writes with underscores."""
    names = [layer.name for layer in model.layers]
    if asked in names:
        return asked
    same = [name for name in names if _written(name) == asked]
    if len(same) > 1:
        raise UnknownName(f"'{asked}' names {len(same)} layers of '{model.spec.reference}': give one of {', '.join(same)} by its own name")
    if not same:
        hint = nearest(_written(asked), map(_written, [*names, _LABELS])) or f"`interp layers {model.spec.reference}` lists them"
        raise UnknownName(f"no layer '{asked}' in '{model.spec.reference}': {hint}")
    return same[0]


def _written(name: str) -> str:
    return name.replace(".", "_")
