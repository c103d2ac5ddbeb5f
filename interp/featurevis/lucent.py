"""Objectives written for lucent (``lucent.optvis.objectives``), used as ours.

A lucent objective is a function of ``T``, where ``T(name)`` is a layer's output, and returns a loss over
the batch. Nothing of lucent is imported here: whoever has such an objective has lucent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InterpError, UnknownName, Unsupported, nearest
from interp.featurevis.objective import IMAGE, Activations, Objective

_INPUT = "input"


@dataclass(frozen=True)
class Lucent(Objective):
    """Minus a lucent objective's loss, image by image. ``name`` is its description in lucent."""

    loss: Callable[[Callable[[str], Tensor]], Any]
    names: tuple[str, ...]
    name: str

    @property
    def layers(self) -> tuple[str, ...]:
        return self.names

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        count = next(iter(activations.values())).shape[0]
        return torch.stack([self._value(activations, i) for i in range(count)])

    def _value(self, activations: Activations, index: int) -> Float[Tensor, ""]:
        # Lucent writes module paths with underscores for dots.
        given = {name.replace(".", "_"): name for name in self.names}

        def layer(asked: str) -> Tensor:
            name = IMAGE if asked == _INPUT else given.get(asked.replace(".", "_"))
            if name is None or name not in activations:
                hint = nearest(asked, self.names) or "name all of them in `layers`"
                raise UnknownName(
                    f"the lucent objective '{self.name}' reads layer '{asked}', which is not among its `layers` {self.names}: {hint}"
                )
            return activations[name][index : index + 1]

        loss = self.loss(layer)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            raise Unsupported(
                f"the lucent objective '{self.name}' gives no loss for a single image: "
                "objectives that compare the images of a batch cannot be used here"
            )
        return -loss.reshape(())

    def __str__(self) -> str:
        return self.name


def from_lucent(objective: Callable[[Callable[[str], Tensor]], Any], layers: tuple[str, ...]) -> Objective:
    """A lucent objective as an `Objective` to be maximised, with the same gradient ascent.

    ``layers`` are the layers it reads, as interp names them (``layer4.1.conv2``; ``image`` for lucent's ``input``).
    Objectives over a batch (diversity, alignment, channel_interpolate, ``batch=``) raise Unsupported when used.
    """
    if not callable(objective):
        raise InterpError(f"{objective!r} is no lucent objective: give one such as lucent.optvis.objectives.channel('layer4', 37)")
    if isinstance(layers, str) or not layers:
        raise InterpError(f"`layers` is {layers!r}: give a tuple of the layers that the objective reads, such as ('layer4.1.conv2',)")
    name = getattr(objective, "description", "") or getattr(objective, "__name__", "lucent objective")
    return Lucent(objective, tuple(dict.fromkeys(layers)), " ".join(str(name).split()))
