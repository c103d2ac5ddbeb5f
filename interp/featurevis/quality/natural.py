"""Natural images to compare with: photographs whole and in a fixed grid of crops, and the most that they reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from interp import images
from interp.core.model import Model
from interp.errors import InterpError
from interp.featurevis.objective import Objective
from interp.featurevis.quality.numbers import Outcome, ratio
from interp.featurevis.quality.scoring import BATCH, table
from interp.images import Photo

# Side of the crops as a share of the largest that fits, and their number along each side: neighbours overlap by half, then touch.
GRIDS = ((1 / 2, 3), (1 / 4, 4))


@dataclass(frozen=True, eq=False)
class Views:
    """Natural images [0, 1] of one size; their ``names``, and which photograph each comes from.

    The first ``whole`` are the photographs as the model is used to them, the others crops.
    """

    images: Float[np.ndarray, "n h w 3"]
    names: tuple[str, ...]
    photo: Int[np.ndarray, " n"]
    whole: int


@dataclass(frozen=True)
class Natural:
    """``maximum``: the most that a natural image reaches, ``image``: which one.

    ``ratio``: the score over it, None where the maximum is not above 0.
    """

    maximum: float
    image: str
    ratio: float | None


def views(model: Model, photos: Sequence[Photo] | None, size: tuple[int, int]) -> Views:
    """Each photograph whole, then in 3 x 3 crops of half its side and 4 x 4 of a quarter: 26 natural images of ``size`` each.

    Whole: by the model's own preprocessing, where ``size`` is its own; else the largest centred part of that shape.
    Crops have that shape too and lie evenly from border to border; "cat 1/4 @0,3" is in the first row, last column. All are
    resized by Pillow, bilinear with antialiasing. ``photos`` None: the six sample photographs.

    Raises InterpError for no photograph.
    """
    photos = [images.sample(name) for name in images.SAMPLES] if photos is None else list(photos)
    if not photos:
        raise InterpError("no natural image was given to compare with: give photographs, or None for the samples")
    if size == model.preprocess.size:
        three = replace(model.preprocess, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        found = list(images.array(three(photos)))
    else:
        found = [_crop(photo, 1.0, (0.5, 0.5), size) for photo in photos]
    names = [photo.name for photo in photos]
    source = list(range(len(photos)))
    for k, photo in enumerate(photos):
        for share, count in GRIDS:
            for row in range(count):
                for col in range(count):
                    found.append(_crop(photo, share, (row / (count - 1), col / (count - 1)), size))
                    names.append(f"{photo.name} 1/{round(1 / share)} @{row},{col}")
                    source.append(k)
    return Views(np.stack(found), tuple(names), np.array(source), len(photos))


def maxima(model: Model, objectives: Sequence[Objective], natural: Views, batch: int = BATCH) -> list[tuple[Natural | None, str]]:
    """The natural image that each objective likes best, and how much (``ratio`` None yet); one pass for all objectives.

    None with a reason for objectives that compare several images, and where no value is finite.
    """
    alone = [objective for objective in objectives if objective.images == 1]
    values = iter(table(model, alone, natural.images, batch)) if alone else iter(())
    return [best(next(values), natural.names) if o.images == 1 else (None, several(o)) for o in objectives]


def best(values: Float[np.ndarray, " n"], names: Sequence[str]) -> tuple[Natural | None, str]:
    """The largest finite value and its name; None with a reason where there is none."""
    finite = np.isfinite(values)
    if not finite.any():
        return None, "the objective is no finite number for any natural image"
    place = int(np.where(finite, values, -np.inf).argmax())
    return Natural(float(values[place]), names[place], None), ""


def rated(natural: Natural, score: float) -> tuple[Natural, str]:
    """``natural`` with the ratio of ``score`` to its maximum, or why there is none."""
    value, reason = natural_ratio(score, natural.maximum)
    return replace(natural, ratio=value), reason


def natural_ratio(score: float, maximum: float) -> Outcome:
    """score / maximum: above 1, the image is more to the unit's liking than any natural one. None where the maximum is not above 0."""
    return ratio(score, maximum, "the maximum over natural images")


def several(objective: Objective) -> str:
    """Why there is no natural maximum for an objective of several images."""
    return f"the objective compares {objective.images} images, and one natural image alone has no value under it"


def _crop(photo: Photo, share: float, place: tuple[float, float], size: tuple[int, int]) -> Float[np.ndarray, "h w 3"]:
    """A part of the shape of ``size``, ``share`` of the largest such; ``place`` 0 at the upper and left border, 1 at the others."""
    rows, cols = photo.size
    scale = share * min(rows / size[0], cols / size[1])
    high, wide = max(1, min(rows, round(scale * size[0]))), max(1, min(cols, round(scale * size[1])))
    top, left = round(place[0] * (rows - high)), round(place[1] * (cols - wide))
    part = Image.fromarray(np.ascontiguousarray(photo.pixels[top : top + high, left : left + wide]))
    resized = part.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32) / 255
