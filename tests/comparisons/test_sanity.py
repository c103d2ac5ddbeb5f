"""Maps as the weights turn random: stage by stage, likeness to the trained maps, and a network that is as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interp.attribution import GradCAM, InputMagnitude, InputXGradient
from interp.comparisons.attributed import attribute
from interp.comparisons.contenders import Contender
from interp.comparisons.sanity import Sanity, randomized
from interp.comparisons.subjects import Subject
from interp.core.unit import Unit
from interp.figures import CurvePanel, ImagePanel, MapPanel
from interp.metrics.agreement import Similarity, spearman
from interp.metrics.cascade import Order
from interp.report.sanity import product

UNITS = [Unit("fc", k) for k in range(3)]
MEASURES = (Similarity.SPEARMAN, Similarity.SSIM)
GRADIENT, CONTROL = Contender(InputXGradient()), Contender(InputMagnitude())
LOW, HIGH = (Contender(GradCAM(layer), layer) for layer in ("conv1", "conv2"))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def maps(trap_model, images):
    return attribute(trap_model, images, UNITS, [GRADIENT, LOW, HIGH, CONTROL], lambda *_: None).maps


def run(model, images, maps, order: Order = Order.TOP_DOWN, steps: int = 3) -> Sanity:
    return randomized(model, images, UNITS, maps, order, MEASURES, steps, 0, lambda *_: None)


def test_stages_go_from_the_classes_or_from_the_picture(trap_model, images, maps):
    down, up = (run(trap_model, images, maps, order, 4) for order in (Order.TOP_DOWN, Order.BOTTOM_UP))
    assert down.names == ("trained", "fc", "conv2", "bn", "conv1")
    assert up.names == ("trained", "conv1", "bn", "conv2", "fc")
    assert run(trap_model, images, maps).stages == (("fc", "conv2"), ("bn",), ("conv1",))


def test_likeness_is_between_the_trained_map_and_that_of_the_stage(trap_model, images, maps):
    found = run(trap_model, images, maps)
    assert set(found.maps) == set(maps)
    for contender, stages in found.maps.items():
        assert [len(stage) for stage in stages] == [3, 3, 3]
        rows = found.alike[Similarity.SPEARMAN][contender]
        by_hand = [[spearman(a.values, b.values) for a, b in zip(maps[contender], stage, strict=True)] for stage in stages]
        np.testing.assert_array_equal(rows, by_hand)
    assert (np.round(found.alike[Similarity.SPEARMAN][CONTROL], 12) == 1).all(), "|input| knows nothing of the weights"
    assert np.nanmin(found.alike[Similarity.SPEARMAN][GRADIENT]) < 0.9


def test_images_are_asked_about_a_batch_at_a_time(trap_model, images, maps):
    sizes = []

    class Counting(InputXGradient):
        def __call__(self, model, images, units):
            sizes.append(len(images))
            return super().__call__(model, images, units)

    one = Contender(Counting())
    args = (trap_model, images, UNITS, {one: maps[GRADIENT]}, Order.TOP_DOWN, MEASURES, 2, 0, lambda *_: None)
    parts, whole = randomized(*args, batch_size=2), randomized(*args)
    assert sizes == [2, 1, 2, 1, 3, 3]
    for measure in MEASURES:
        np.testing.assert_allclose(parts.alike[measure][one], whole.alike[measure][one], rtol=1e-4)


def test_the_model_is_left_as_it_was(trap_model, images, maps):
    before = {name: value.clone() for name, value in trap_model.module.state_dict().items()}
    run(trap_model, images, maps)
    assert all(torch.equal(value, before[name]) for name, value in trap_model.module.state_dict().items())
    again = InputXGradient()(trap_model, images, UNITS)
    assert all(np.array_equal(a.values, b.values) for a, b in zip(again, maps[GRADIENT], strict=True))


def test_lines_start_at_one_and_every_contender_has_its_own(trap_model, images, maps):
    found = run(trap_model, images, maps)
    lines = found.lines(Similarity.SPEARMAN)
    assert list(lines) == ["Input x gradient", "Grad-CAM at conv1", "Grad-CAM at conv2", "|Input|"]
    rows = found.alike[Similarity.SPEARMAN][GRADIENT]
    line = lines["Input x gradient"]
    np.testing.assert_allclose(line.mean, [1, *rows.mean(axis=1)])
    assert line.low[0] == line.high[0] == 1
    assert (line.low <= line.mean).all()
    assert (line.mean <= line.high).all()


def test_a_constant_map_leaves_a_gap(trap_model, images, maps):
    found = run(trap_model, images, {LOW: maps[LOW]})
    rows = found.alike[Similarity.SPEARMAN][LOW].copy()
    rows[1] = np.nan
    line = Sanity(found.order, found.stages, found.maps, {Similarity.SPEARMAN: {LOW: rows}}).lines(Similarity.SPEARMAN)["Grad-CAM"]
    assert np.isnan(line.mean).tolist() == [False, False, True, False]


def test_the_product_has_curves_maps_and_numbers(trap_model, images, maps):
    found = run(trap_model, images, maps)
    view = np.zeros((12, 12, 3), dtype=np.float32)
    people = [Subject(name, view, unit, "ant", unit, "ant", 0.5) for name, unit in zip("abc", UNITS, strict=True)]
    made = product(trap_model, people, maps, [found], 0, "The question.")
    curves, stages = made.figures
    assert curves.stem == "randomization-top-down"
    panels = [panel for row in curves.grid.rows for panel in row if isinstance(panel, CurvePanel)]
    assert [panel.ticks for panel in panels] == [("trained", "conv2", "bn", "conv1")] * 2
    assert all(panel.controls == (False, False, False, True) for panel in panels)
    assert stages.stem == "stages-top-down-a"
    assert stages.grid.row_headers == ("trained", "conv2", "conv1"), "the first stage and the last"
    assert stages.grid.column_headers == ("a", "Input x gradient", "Grad-CAM at conv1", "Grad-CAM at conv2"), "no controls"
    assert isinstance(stages.grid.rows[0][0], ImagePanel)
    assert all(isinstance(panel, MapPanel) for row in stages.grid.rows for panel in row[1:])
    assert np.array_equal(made.arrays["alike/top-down/spearman/input-x-gradient"], found.alike[Similarity.SPEARMAN][GRADIENT])
    assert np.array_equal(made.arrays["maps/trained/b/gradcam@conv2"], maps[HIGH][1].values)
    numbers = made.metrics["top-down"]
    assert numbers["stages"] == [["fc", "conv2"], ["bn"], ["conv1"]]
    np.testing.assert_allclose(numbers["spearman"]["input-magnitude"], [1, 1, 1])
