"""Metrics of every contender's maps: per image, undefined where undefined; what does not fit is told or left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from interp.attribution import RandomMap, Saliency
from interp.comparisons.contenders import Contender
from interp.comparisons.scored import Judge, Scored, fitting, score
from interp.comparisons.summarized import table
from interp.core.method import Heatmap
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.metrics.complexity import Sparseness
from interp.metrics.deletion import Deletion
from interp.metrics.evidence import Better, Evidence
from interp.metrics.grid_pointing import GridPointingGame
from interp.metrics.localization import RelevanceMass

UNITS = [Unit("fc", k) for k in range(3)]
FIRST, SECOND = Contender(Saliency()), Contender(RandomMap())


@dataclass(frozen=True)
class Told:
    """Raises, or the mean of each map."""

    name: ClassVar[str] = "told"
    title: ClassVar[str] = "Told"
    better: ClassVar[Better] = Better.HIGHER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "a test"

    refuses: str = ""

    def __call__(self, evidence: Evidence) -> np.ndarray:
        if self.refuses == evidence.method.name:
            raise Unsupported(f"no number for {self.refuses}")
        return np.array([float(h.values.mean()) for h in evidence.heatmaps])


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def maps(level: float) -> list[Heatmap]:
    """Of the levels 1, 2 and 3 times ``level``, the last not finite."""
    found = [Heatmap(np.full((2, 2), level * k, dtype=np.float32), unit, "m") for k, unit in enumerate(UNITS, 1)]
    found[2].values[0, 0] = np.nan
    return found


def scored(model, images, judges, masks=None, steps=None) -> Scored:
    step = (lambda *_: None) if steps is None else (lambda *one: steps.append(one))
    return score(model, images, UNITS, {FIRST: maps(1), SECOND: maps(-2)}, judges, masks, step)


def test_values_are_per_image_and_nan_stays_nan(trap_model, images):
    judge, steps = Judge(Told()), []
    found = scored(trap_model, images, [judge], steps=steps)
    assert list(found.values[judge]) == [FIRST, SECOND]
    np.testing.assert_array_equal(found.values[judge][FIRST], [1, 2, np.nan])
    np.testing.assert_array_equal(found.values[judge][SECOND], [-2, -4, np.nan])
    assert found.left_out == ()
    assert steps == [("metrics", 0, 2), ("metrics", 1, 2), ("metrics", 2, 2)]


def test_a_metric_is_given_maps_units_masks_and_the_method(trap_model, images):
    heatmaps = Saliency()(trap_model, images, UNITS)
    masks = np.zeros((3, 12, 12), dtype=bool)
    masks[:, :6] = True
    judges = [Judge(RelevanceMass()), Judge(Deletion(n_steps=4))]
    found = score(trap_model, images, UNITS, {FIRST: heatmaps}, judges, masks, lambda *_: None)
    inside = [h.values[:6].clip(0).sum() / h.values.clip(0).sum() for h in heatmaps]
    np.testing.assert_allclose(found.values[judges[0]][FIRST], inside, rtol=1e-5)
    evidence = Evidence(trap_model, images, tuple(UNITS), tuple(heatmaps), Saliency())
    np.testing.assert_allclose(found.values[judges[1]][FIRST], Deletion(n_steps=4)(evidence), rtol=1e-6)


MASKS = r"the metric 'relevance-mass' needs to know where the objects are: give --masks DIR or --boxes FILE"
SEVERAL = r"the metric 'grid-pointing' needs at least 4 images, not 3: give more"


@pytest.mark.parametrize(("metric", "message"), [(RelevanceMass(), MASKS), (GridPointingGame(), SEVERAL)])
def test_what_does_not_fit_is_refused_where_named_and_left_out_where_not(trap_model, images, metric, message):
    with pytest.raises(InterpError, match=message):
        fitting([Judge(Sparseness()), Judge(metric, named=True)], 3, masks=False)
    with pytest.raises(InterpError, match=message):
        scored(trap_model, images, [Judge(metric, named=True)])
    judge, usual = Judge(metric), Judge(Sparseness())
    fitting([judge], 3, masks=False)
    found = scored(trap_model, images, [judge, usual])
    assert list(found.values) == [usual]
    assert found.left_out == ((judge, message),)


def test_enough_images_and_masks_fit():
    fitting([Judge(RelevanceMass(), named=True), Judge(GridPointingGame(), named=True)], 4, masks=True)


@pytest.mark.parametrize("refused", ["saliency", "random"])
def test_a_metric_that_one_contender_has_no_number_for_is_left_out_for_all(trap_model, images, refused):
    judge, usual, steps = Judge(Told(refused)), Judge(Told()), []
    found = scored(trap_model, images, [judge, usual], steps=steps)
    assert list(found.values) == [usual]
    assert found.left_out == ((judge, f"no number for {refused}"),)
    assert steps[-1] == ("metrics", 4, 4)
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)
    with pytest.raises(Unsupported, match=rf"no number for {refused}"):
        scored(trap_model, images, [Judge(Told(refused), named=True)])


def test_a_table_counts_what_is_defined_and_ranks_beside_the_control(trap_model, images):
    found = table(scored(trap_model, images, [Judge(Told())]), [SECOND, FIRST], ["a", "b", "c"], seed=0)
    assert [(e.method, e.control) for e in found.entries] == [("Saliency", False), ("Random", True)]
    np.testing.assert_array_equal(found.values[:, 0], [[1, 2, np.nan], [-2, -4, np.nan]])
    cells = [row[0] for row in found.summaries]
    assert [(cell.mean, cell.low, cell.high, cell.n, cell.rank) for cell in cells] == [(1.5, 1, 2, 2, 1), (-3, -4, -2, 2, 2)]


def test_a_table_without_a_metric_is_refused(trap_model, images):
    with pytest.raises(InterpError, match=r"a metric table needs at least one method and one metric"):
        table(scored(trap_model, images, [Judge(RelevanceMass())]), [FIRST], ["a", "b", "c"], seed=0)
