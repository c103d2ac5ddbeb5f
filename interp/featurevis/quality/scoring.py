"""What objectives say of images as they are: no transforms, no regularizers of the run, float32, no gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp import images as domains
from interp.core.memory import by_parts, fitting, halving
from interp.core.model import Model
from interp.errors import InterpError, Unsupported
from interp.featurevis.config import Precision
from interp.featurevis.engine import Engine
from interp.featurevis.objective import Objective, each, layer_of
from interp.featurevis.seeing import image_activations, read

# Images per forward. More fall out of a CPU's cache, fewer leave it idle.
BATCH = 16

Images = Float[np.ndarray, "n h w 3"]


def rounded(images: Images) -> Images:
    """[0, 1] images as 8 bits hold them, in [0, 1] float32 again."""
    result: np.ndarray = domains.uint8(images).astype(np.float32) / 255
    return result


def score_of(model: Model, objective: Objective, images: Images, batch: int = BATCH) -> Float[np.ndarray, " n"]:
    """The value of each [0, 1] image (n, rows, cols, 3) under ``objective``, in its own unit, float32.

    The images are taken as they are (see `rounded`), and as opaque. An objective that looks at several images together
    gets them in succession, ``objective.images`` at a time.

    Raises UnknownName or Unsupported where the model lacks what the objective needs, InterpError for a number of images
    that is no multiple of ``objective.images``, Unsupported where a value is no finite number.
    """
    if len(images) == 0 or len(images) % objective.images:
        raise InterpError(f"'{objective}' looks at {objective.images} images together, and {len(images)} were given: give a multiple")
    objective.validate(model, (images.shape[1], images.shape[2]))
    values = own_scores(model, [objective] * (len(images) // objective.images), images, batch)
    if not np.isfinite(values).all():
        raise Unsupported(f"the value of '{objective}' is no finite number for image {int(np.flatnonzero(~np.isfinite(values))[0])}")
    return values


def own_scores(model: Model, objectives: Sequence[Objective], images: Images, batch: int = BATCH) -> Float[np.ndarray, " n"]:
    """Each image's value under its own objective: each objective has as many images as it asks for, in succession. May hold NaN."""
    if not len(images):
        return np.zeros(0, np.float32)
    return halving(_at_once(model, _keys(objectives), images, batch), lambda count: _own_scores(model, objectives, images, count))


def _own_scores(model: Model, objectives: Sequence[Objective], images: Images, batch: int) -> Float[np.ndarray, " n"]:
    scores = np.zeros(len(images), np.float32)
    for chosen in _batches(model, objectives, batch):
        members = [objectives[k] for k, _ in chosen]
        places = np.concatenate([np.arange(start, start + objectives[k].images) for k, start in chosen])
        with torch.no_grad():
            seen = activations(model, _keys(members), images[places])
            scores[places] = each(members, seen, members[0].images).float().cpu().numpy()
    return scores


def table(model: Model, objectives: Sequence[Objective], images: Images, batch: int = BATCH) -> Float[np.ndarray, "objectives n"]:
    """The value of every image under every objective: one forward per batch for all of them together. May hold NaN.

    Raises Unsupported for an objective that looks at several images together.
    """
    for objective in objectives:
        if objective.images != 1:
            raise Unsupported(f"'{objective}' compares {objective.images} images: one image alone has no value under it")
    keys = _keys(objectives)

    @torch.no_grad()
    def columns(start: int, stop: int) -> np.ndarray:
        values: np.ndarray = _all(objectives, activations(model, keys, images[start:stop])).float().cpu().numpy()
        return values

    return np.concatenate(by_parts(model, len(images), columns, _cost(keys, images), batch), axis=1)


def _at_once(model: Model, keys: Sequence[str], images: Images, most: int) -> int:
    return fitting(model, _cost(keys, images), most, lambda: activations(model, keys, images[:1]))


def _cost(keys: Sequence[str], images: Images) -> tuple[object, ...]:
    return "objectives", tuple(keys), images.shape[1:]


def _keys(objectives: Sequence[Objective]) -> list[str]:
    return list(dict.fromkeys(key for objective in objectives for key in objective.layers))


def _all(objectives: Sequence[Objective], seen: dict[str, Tensor]) -> Float[Tensor, "objectives n"]:
    rows: dict[int, Tensor] = {}
    by_layer: dict[str, dict[int, int]] = {}
    for k, objective in enumerate(objectives):
        unit = objective.mean_of
        if unit is None:
            rows[k] = objective(seen)
        else:
            by_layer.setdefault(unit.layer, {})[k] = unit.channel
    for layer, channels in by_layer.items():
        means = seen[layer].flatten(2).mean(2)[:, list(channels.values())]
        rows.update(zip(channels, means.T, strict=True))
    return torch.stack([rows[k] for k in sorted(rows)])


def activations(model: Model, keys: Sequence[str], images: Images) -> dict[str, Tensor]:
    """What objectives read under ``keys``, in float32, from one forward that ends at the deepest layer among them; on the model's device.

    Images are not checked: random ones of a given spectrum may leave [0, 1].
    """
    tensors = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)).to(model.device)
    # A caller's autocast would round the scores.
    with torch.autocast(tensors.device.type, enabled=False), torch.no_grad():
        seen = image_activations(tensors) | read(Engine(model, Precision.FLOAT32), keys, tensors)
    return {key: value.float() for key, value in seen.items()}


def depth(model: Model, objective: Objective) -> int:
    """The place of its deepest layer among the model's, in firing order; -1 where it looks at the image alone."""
    places = {layer.name: place for place, layer in enumerate(model.layers)}
    return max((places[name] for key in objective.layers if (name := layer_of(key)) is not None), default=-1)


def _batches(model: Model, objectives: Sequence[Objective], batch: int) -> Iterator[list[tuple[int, int]]]:
    """(objective, its first image) in batches of one depth and one number of images; an objective's images stay together."""
    depths: dict[Objective, int] = {}
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    start = 0
    for k, objective in enumerate(objectives):
        if objective not in depths:
            depths[objective] = depth(model, objective)
        groups.setdefault((depths[objective], objective.images), []).append((k, start))
        start += objective.images
    for (_, together), members in groups.items():
        count = max(1, batch // together)
        yield from (members[place : place + count] for place in range(0, len(members), count))
