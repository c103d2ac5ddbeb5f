"""RISE (Petsiuk et al. 2018): the score under random masks, averaged at each place over the masks that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.degeneration import of_values
from interp.attribution.variants import blend, refuse_below
from interp.core.baseline import Baseline, baseline
from interp.core.method import Family, Heatmap, Place, frozen
from interp.core.model import Model
from interp.core.rng import content, generator
from interp.core.score import checked_units, evaluate
from interp.core.unit import Unit
from interp.errors import InterpError


@dataclass(frozen=True)
class RISE:
    """E[f(masked x) m] / E[m] - E[f(masked x)] at each place, over ``n_samples`` masks m with values in [0, 1].

    The first term is the paper's equation 6, with the mean of the masks drawn in place of their expectation ``keep``, so that
    it is the mean score over the masks that show the place. From it the mean over all masks is taken away, which
    changes no order and makes the map signed: above zero where showing the place raises the score. That mean is kept as
    the measure "mean score": adding it gives the paper's map. A place that no mask shows has the value zero.

    A mask is a grid of ``cells`` x ``cells`` places, each shown with probability ``keep``, upsampled bilinearly and cut out
    at a random shift within one cell (section 3.2). What is hidden fades to ``baseline``: by default the mean colour, as in
    the authors' code, which multiplies the normalized image. The map is at the image's resolution, in the unit of the score.
    """

    name: ClassVar[str] = "rise"
    title: ClassVar[str] = "RISE"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.PERTURBATION
    source: ClassVar[str] = "Petsiuk et al. 2018"

    n_samples: int = 500
    cells: int = 7
    keep: float = 0.5
    baseline: Baseline = Baseline.MEAN
    seed: int = 0
    batch_size: int = 16

    def __post_init__(self) -> None:
        refuse_below(1, n_samples=self.n_samples, cells=self.cells, batch_size=self.batch_size)
        if not 0 < self.keep < 1:
            raise InterpError(f"`keep` is {self.keep}: give the probability with which a cell is shown, between 0 and 1")

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap (h, w) per image, with the measure "mean score"."""
        images = model.checked(images)
        return [self._one(model, image, unit) for image, unit in zip(images, checked_units(model, units, len(images)), strict=True)]

    def _one(self, model: Model, image: Float[Tensor, "c h w"], unit: Unit) -> Heatmap:
        filler = baseline(model, image[None], self.baseline)[0]
        grids, shifts = self._draw(image)
        weighted = torch.zeros(image.shape[1:], dtype=torch.float64)
        shown, scores, first = torch.zeros_like(weighted), np.empty(0), 0.0
        for start in range(0, self.n_samples, self.batch_size):
            part = slice(start, start + self.batch_size)
            masks = upsampled(grids[part], shifts[part], (int(image.shape[1]), int(image.shape[2])))
            variants = blend(image, filler, masks[:, None].to(image))
            found = evaluate(model, variants, [unit] * len(masks), self.batch_size).double()
            # Sums are of differences to the first score: scores that are all alike give exactly zero.
            first = float(found[0]) if start == 0 else first
            weighted += torch.einsum("n,nhw->hw", found - first, masks.double())
            shown += masks.sum(0, dtype=torch.float64)
            scores = np.append(scores, found.numpy())
        mean = (scores - first).mean()
        seen = shown.numpy()
        values = frozen((np.where(seen > 0, weighted.numpy() / np.where(seen > 0, seen, 1) - mean, 0)).astype(np.float32))
        return Heatmap(values, unit, self.title, measures=(("mean score", float(first + mean)),), degenerations=of_values(values))

    def _draw(self, image: Float[Tensor, "c h w"]) -> tuple[Float[Tensor, "n 1 s s"], Int[Tensor, "n 2"]]:
        """Which cells are shown, and the shifts (rows, cols) in pixels, for all masks of one image."""
        draws = generator(self.seed, self.name, content(image))
        grids = torch.rand(self.n_samples, 1, self.cells, self.cells, generator=draws) < self.keep
        rows, cols = (torch.randint(_cell(side, self.cells), (self.n_samples,), generator=draws) for side in image.shape[1:])
        return grids.float(), torch.stack([rows, cols], dim=1)


def upsampled(grids: Float[Tensor, "n 1 s s"], shifts: Int[Tensor, "n 2"], size: tuple[int, int]) -> Float[Tensor, "n h w"]:
    """Masks (rows, cols) of ``size``: each grid bilinearly at one cell more than the size, cut out at its shift."""
    rows, cols = size
    cells = grids.shape[-1]
    large = F.interpolate(grids, size=[(cells + 1) * _cell(side, cells) for side in size], mode="bilinear", align_corners=False)[:, 0]
    return torch.stack([mask[row : row + rows, col : col + cols] for mask, (row, col) in zip(large, shifts.tolist(), strict=True)])


def _cell(side: int, cells: int) -> int:
    return -(-side // cells)
