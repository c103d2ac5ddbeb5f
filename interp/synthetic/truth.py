"""Held-out pictures with their relevant pixels, in the form in which maps are asked for and scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.synthetic.options import ShapeOptions
from interp.synthetic.shapes import ShapeSet, Split, draw


@dataclass(frozen=True, eq=False)
class Truth:
    """Pictures that the network never saw, those that it classifies correctly first, each part in the order drawn.

    ``images`` are [0, 1] on the model's device; ``units`` the unit of each picture's true class; ``masks`` True on the object,
    ``distracting`` on visible distractors; ``labels`` and ``predicted`` are class indices; ``n_correct`` counts the first part.
    """

    images: Float[Tensor, "n 3 rows cols"]
    units: tuple[Unit, ...]
    masks: Bool[np.ndarray, "n rows cols"]
    distracting: Bool[np.ndarray, "n rows cols"]
    labels: Int[np.ndarray, " n"]
    predicted: Int[np.ndarray, " n"]
    indices: tuple[int, ...]
    n_correct: int

    def __len__(self) -> int:
        return len(self.images)

    @property
    def accuracy(self) -> float:
        """Share of all drawn pictures that are classified correctly; after `first` of those kept."""
        return self.n_correct / len(self)

    @property
    def correct(self) -> Truth:
        """Only pictures that are classified correctly. Raises InterpError where there is none."""
        if self.n_correct == 0:
            raise InterpError(f"none of the {len(self)} pictures is classified correctly: train the network for longer")
        return self.first(self.n_correct)

    def first(self, n_images: int) -> Truth:
        """The first ``n_images``. Raises InterpError where there are fewer, or none is asked for."""
        if not 1 <= n_images <= len(self):
            raise InterpError(f"`n_images` is {n_images}: there are {len(self)} pictures, give 1 to {len(self)}")
        kept = slice(n_images)
        return Truth(
            self.images[kept].clone(),
            self.units[kept],
            self.masks[kept].copy(),
            self.distracting[kept].copy(),
            self.labels[kept].copy(),
            self.predicted[kept].copy(),
            self.indices[kept],
            min(self.n_correct, n_images),
        )


def truth(model: Model, options: ShapeOptions, n_images: int = 500, seed: int = 0, batch_size: int = 100) -> Truth:
    """``n_images`` held-out pictures, their class units and masks.

    ``options`` may differ from those of the training in all but the classes: with ``options.independent`` or ``options.swapped``
    a network that learned correlated backgrounds is put to the test. Raises Unsupported where the classes are not the model's.
    """
    if model.spec.classes != options.names:
        theirs = ", ".join(model.spec.classes) or "unnamed classes"
        raise Unsupported(f"'{model.spec.reference}' tells {theirs} apart, but the pictures show {', '.join(options.names)}")
    drawn = draw(options, range(n_images), seed, Split.HELD_OUT)
    images = drawn.tensor.to(model.device)
    predicted = _predicted(model, images, batch_size)
    right = predicted == drawn.labels
    order = np.argsort(~right, kind="stable")
    return Truth(
        images[torch.from_numpy(order).to(images.device)],
        tuple(model.class_unit(int(drawn.labels[i])) for i in order),
        drawn.masks[order],
        drawn.distracting[order],
        drawn.labels[order],
        predicted[order],
        tuple(int(i) for i in order),
        int(right.sum()),
    )


def accuracy(model: Model, pictures: ShapeSet, batch_size: int = 100) -> float:
    """Share of ``pictures`` that ``model`` classifies correctly, [0, 1]."""
    return float((_predicted(model, pictures.tensor.to(model.device), batch_size) == pictures.labels).mean())


@torch.no_grad()
def _predicted(model: Model, images: Float[Tensor, "n 3 rows cols"], batch_size: int) -> Int[np.ndarray, " n"]:
    if batch_size < 1:
        raise InterpError(f"`batch_size` is {batch_size}: give at least 1")
    found: np.ndarray = torch.cat([model(batch).argmax(1).cpu() for batch in images.split(batch_size)]).numpy()
    return found
