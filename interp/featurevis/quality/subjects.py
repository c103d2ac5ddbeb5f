"""``Subjects``: the images to be measured, each with the objective it was optimized for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis.batching import group_of
from interp.featurevis.config import AscentConfig
from interp.featurevis.feature import Feature
from interp.featurevis.objective import Objective
from interp.featurevis.quality.scoring import Images, own_scores, rounded
from interp.featurevis.units import objective_of


@dataclass(frozen=True, eq=False)
class Subjects:
    """Images of one size as 8 bits hold them, in [0, 1].

    ``wanted``: what was asked for; ``objectives``: one entry per image, or per group of images in succession that it looks at.
    """

    model: Model
    features: tuple[Feature, ...]
    wanted: tuple[Objective, ...]
    objectives: tuple[Objective, ...]
    images: Images

    @classmethod
    def of(
        cls, model: Model, features: Sequence[Feature], objectives: Sequence[Unit | Objective], config: AscentConfig | None = None
    ) -> Subjects:
        """Raises InterpError where objectives and the config's regularizers give another number of images, or these differ in size."""
        wanted = tuple(objective_of(item) for item in objectives)
        times = [1 if config is None else group_of(objective, config) // objective.images for objective in wanted]
        every = tuple(objective for objective, count in zip(wanted, times, strict=True) for _ in range(count))
        count = sum(objective.images for objective in every)
        if count != len(features):
            raise InterpError(
                f"{len(features)} features were given with objectives of {count} images in all: give the objectives they were found for"
            )
        sizes = sorted({feature.image.shape[:2] for feature in features})
        if len(sizes) > 1:
            listed = " and ".join(map(str, sizes))
            raise InterpError(f"features of {listed} px (rows, cols) cannot be measured together: give those of one size at a time")
        for objective in wanted:
            objective.validate(model, sizes[0])
        return cls(model, tuple(features), wanted, every, rounded(np.stack([feature.image for feature in features])))

    @property
    def owners(self) -> list[Objective]:
        """The objective of each image."""
        return [objective for objective in self.objectives for _ in range(objective.images)]

    @property
    def size(self) -> tuple[int, int]:
        """(rows, cols)."""
        return (self.images.shape[1], self.images.shape[2])

    def scores(self, batch: int) -> list[float]:
        """The objective of each image as it is."""
        return [float(v) for v in own_scores(self.model, self.objectives, self.images, batch)]

    def variants(self, changed: Sequence[Images], batch: int) -> list[list[float]]:
        """Scores of versions of every image, [image][version]; ``changed`` holds the versions of each, equally many.

        Of images that are scored together, the first versions are scored together, then the second, and so on.
        """
        count = len(changed[0])
        order = [(place, version) for span in self._spans() for version in range(count) for place in span]
        stacked = np.stack([changed[place][version] for place, version in order])
        repeated = [objective for objective in self.objectives for _ in range(count)]
        found: list[list[float]] = [[0.0] * count for _ in changed]
        for (place, version), score in zip(order, own_scores(self.model, repeated, stacked, batch), strict=True):
            found[place][version] = float(score)
        return found

    def _spans(self) -> list[range]:
        """The images of each objective."""
        ends = np.cumsum([objective.images for objective in self.objectives]).tolist()
        return [range(end - objective.images, end) for end, objective in zip(ends, self.objectives, strict=True)]
