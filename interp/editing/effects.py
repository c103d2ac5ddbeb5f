"""What edits do to a network's answers over a data set: its top classes with each of several lists of edits, in one pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.memory import by_parts
from interp.core.model import Model
from interp.datasets import DataSet
from interp.editing.editing import edited
from interp.editing.edits import Edit
from interp.errors import BadFile, InterpError, UnknownName, Unsupported, nearest

# The normal distribution's quantile of a two-sided interval of 95 %.
_Z95 = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Swept:
    """``top[v, k]``: the class of largest score with the edits number v, for the picture ``read[k]`` of the data; ``skipped``: why not."""

    read: tuple[int, ...]
    skipped: tuple[tuple[str, str], ...]
    top: Int[np.ndarray, "variants n"]


def batches(
    model: Model, data: DataSet, size: int, skipped: list[tuple[str, str]] | None = None
) -> Iterator[tuple[list[int], Float[Tensor, "n c h w"]]]:
    """(numbers of pictures, images in [0, 1] on the CPU), at most ``size`` at once; pictures that cannot be read are ``skipped``."""
    indices: list[int] = []
    images: list[Tensor] = []
    for index in range(len(data)):
        try:
            images.append(model.preprocess([data.photo(index)])[0])
            indices.append(index)
        except BadFile as error:
            if skipped is not None:
                skipped.append((data.name(index), str(error)))
        if images and (len(images) == size or index == len(data) - 1):
            yield indices, torch.stack(images)
            indices, images = [], []
    if images:
        yield indices, torch.stack(images)


@torch.no_grad()
def swept(
    model: Model,
    data: DataSet,
    variants: Sequence[Sequence[Edit]],
    batch: int = 32,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Swept:
    """The top class of every picture with each of ``variants``; an empty one is the network as it is. Pictures are read once.

    Raises InterpError where no picture can be read, or a score is not finite.
    """
    read: list[int] = []
    skipped: list[tuple[str, str]] = []
    found: list[np.ndarray] = []
    on_step(0, len(data))
    for indices, images in batches(model, data, batch, skipped):
        tops = []

        def top(start: int, stop: int, images: Tensor = images) -> Int[np.ndarray, " n"]:
            return _top(model, images[start:stop])

        for edits in variants:
            with edited(model, edits) if edits else nullcontext():
                tops.append(np.concatenate(by_parts(model, len(images), top, ("top class", tuple(images.shape[1:])))))
        found.append(np.stack(tops))
        read += indices
        on_step(len(read) + len(skipped), len(data))
    if not read:
        raise InterpError(f"none of the {len(data)} pictures of '{data.title}' can be read, '{skipped[0][0]}' first: {skipped[0][1]}")
    on_step(len(data), len(data))
    return Swept(tuple(read), tuple(skipped), np.concatenate(found, axis=1))


def _top(model: Model, images: Float[Tensor, "n c h w"]) -> Int[np.ndarray, " n"]:
    scores = model(images.to(model.device)).float()
    if not bool(torch.isfinite(scores).all()):
        raise InterpError(f"'{model.spec.reference}' gives scores that are not finite: choose a smaller factor, or check its weights")
    return scores.flatten(1).argmax(1).cpu().numpy()


def classes_of(model: Model, data: DataSet) -> Int[np.ndarray, " n"] | None:
    """The class of each picture by its label; None where pictures have no labels.

    A label is a class's name, in any case, with ``_`` or ``-`` for a space, or its number. Raises InterpError where only some pictures
    have a label, Unsupported where the network has no classes, UnknownName for the first label that is none of them.
    """
    labels = [data.label(index) for index in range(len(data))]
    missing = labels.count(None)
    if missing == len(labels):
        return None
    if missing:
        raise InterpError(f"{missing} of {len(labels)} pictures of '{data.title}' have no label: label each, or none")
    if not model.has_probabilities:
        raise Unsupported(f"'{model.spec.reference}' returns no scores of classes, so there is no accuracy: leave the labels out")
    known = {label: _class(model, label, data.title) for label in dict.fromkeys(labels) if label is not None}
    return np.array([known[label] for label in labels if label is not None], dtype=np.int64)


def _class(model: Model, label: str, title: str) -> int:
    same = [index for index, name in enumerate(model.spec.classes) if _bare(name) == _bare(label)]
    if len(same) > 1:
        raise InterpError(
            f"the label '{label}' of '{title}' names {len(same)} classes: name it by its number, {' or '.join(map(str, same))}"
        )
    if same:
        return same[0]
    if label.isascii() and label.isdigit() and len(label) < 10 and int(label) < model.classes:
        return int(label)
    hint = nearest(label, model.spec.classes) or f"name folders by classes, or by their numbers, 0 to {model.classes - 1}"
    raise UnknownName(f"the label '{label}' of '{title}' is no class of '{model.spec.reference}': {hint}")


def _bare(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").split()).casefold()


def accuracy(correct: Bool[np.ndarray, " n"]) -> float:
    """The share that is right; NaN of nothing."""
    return float(correct.mean()) if len(correct) else math.nan


def wilson(correct: int, total: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927): good for few pictures, and for shares of 0 and 1. NaN of nothing."""
    if not total:
        return math.nan, math.nan
    share, z2 = correct / total, _Z95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def chance(change: float, controls: Float[np.ndarray, " draws"]) -> float:
    """How often random units change as much: (1 + number of |control| >= |change|) / (1 + draws), so never 0 (Phipson & Smyth 2010).

    NaN without controls.
    """
    if not len(controls):
        return math.nan
    return (1 + int((np.abs(controls) >= abs(change) - 1e-12).sum())) / (1 + len(controls))
