"""What is measured of a network that learned a cue, against closed forms; intervals against scipy."""

import numpy as np
import pytest
from scipy import stats

from interp import activations
from interp.activations import Rank
from interp.attribution.controls import RandomMap
from interp.comparisons.spurious import Arm, Course, Measure, Pair, by_pair, margins, numbers, refuse_few, separated, t_interval
from interp.comparisons.spurious_figures import margins_figure, over_time
from interp.comparisons.spurious_views import (
    GRADCAM,
    INTEGRATED,
    LAYER,
    Detail,
    Examples,
    Pictures,
    Views,
    attribution_outside,
    attribution_within,
    leading_units,
    likeness,
    random_views,
    resized,
    seen,
)
from interp.core.method import Heatmap
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.metrics.statistics import Interval
from interp.report.spurious_training import Plan, held_out_pictures
from interp.synthetic.cue import Cue, Mark, colour
from interp.synthetic.network import model_of, untrained

PLAN = Plan(pairs=2, images=32, epochs=1, side=24, every=1, held_out=16, probes=4, mark=Mark(4))


@pytest.fixture(scope="module")
def pictures():
    return held_out_pictures(PLAN, 0)


@pytest.fixture(scope="module")
def model():
    return model_of(untrained(PLAN.shapes, 0), PLAN.shapes)


@pytest.fixture(scope="module")
def views(model, pictures):
    return seen(model, pictures, Detail(steps=2, examples=5, points=4), 0)


def test_attribution_inside_outside_and_across_a_mask():
    masks = np.zeros((5, 4, 4), bool)
    masks[:, :2] = True
    maps = np.zeros((5, 4, 4), np.float32)
    maps[0, 0, 1] = 2.0  # wholly inside
    maps[1, 3, 3] = 0.1  # wholly outside
    maps[2, 0, 0], maps[2, 3, 0] = 3.0, 1.0
    maps[3, 0, 0], maps[3, 3, 0] = -9.0, 1.0  # what speaks against the class does not count
    maps[4] = -1.0  # nothing speaks for it
    assert attribution_outside(maps, masks).tolist() == pytest.approx([0.0, 1.0, 0.25, 1.0, float("nan")], nan_ok=True)
    assert attribution_within(maps, masks).tolist() == pytest.approx([1.0, 0.0, 0.75, 0.0, float("nan")], nan_ok=True)


def test_a_map_that_says_nothing_lies_outside_as_much_as_there_is_outside():
    masks = np.zeros((1, 20, 20), bool)
    masks[0, 3:8, 2:12] = True
    for size in (1, 5, 20):
        assert attribution_outside(np.ones((1, size, size), np.float32), masks).item() == pytest.approx(1 - 50 / 400, abs=1e-6)


def test_maps_are_resized_as_heatmaps_are():
    maps = np.random.default_rng(0).standard_normal((3, 5, 5)).astype(np.float32)
    each = [Heatmap(one, Unit("fc", 0), "any").resized((40, 40)).values for one in maps]
    assert np.array_equal(resized(maps, (40, 40)), np.stack(each))


def test_a_course_is_the_mean_over_its_pictures_at_each_step():
    masks = np.zeros((2, 2, 2), bool)
    masks[:, 0, 0] = True
    maps = np.zeros((3, 2, 2, 2), np.float32)
    maps[0] = 1  # three quarters outside
    maps[1, 0, 0, 0], maps[1, 1, 1, 1] = 1, 1  # one inside, one outside
    maps[2, 0, 1, 1] = 1  # the other is not defined
    course = Course((0, 5, 10), maps)
    assert course.outside(masks).tolist() == pytest.approx([0.75, 0.5, 1.0])
    assert course.within(masks).tolist() == pytest.approx([0.25, 0.5, 0.0])


@pytest.mark.parametrize("count", [2, 5, 30])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_is_students(count, level):
    values = np.random.default_rng(count).normal(0.3, 0.2, count)
    found = t_interval(values, level)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert found.mean == pytest.approx(values.mean())
    assert (found.defined, found.total) == (count, count)


def test_an_interval_leaves_out_what_is_not_defined():
    values = np.array([0.1, np.nan, 0.4, 0.2])
    found, without = t_interval(values), t_interval(values[[0, 2, 3]])
    assert (found.mean, found.low, found.high) == (without.mean, without.low, without.high)
    assert (found.defined, found.total) == (3, 4)
    single = t_interval(np.array([0.5, np.nan]))
    assert single.mean == 0.5
    assert not single.known
    assert np.isnan([single.low, single.high]).all()
    assert np.isnan(t_interval(np.array([np.nan, np.nan])).mean)


def test_separated_means_that_the_interval_excludes_zero():
    assert separated(Interval(0.2, 0.1, 0.3, 5, 5))
    assert separated(Interval(-0.2, -0.3, -0.1, 5, 5))
    assert not separated(Interval(0.2, -0.1, 0.5, 5, 5))
    assert not separated(Interval(0.2, 0.0, 0.4, 5, 5))
    assert not separated(Interval(0.2, float("nan"), float("nan"), 1, 1))


def test_likeness_is_the_cosine_of_hues():
    for label in range(4):
        image = np.broadcast_to((colour(label, 4) / 255).astype(np.float32), (6, 6, 3))
        assert likeness(image, label, 4) == pytest.approx(1)
        assert likeness(image, (label + 2) % 4, 4) == pytest.approx(-1)  # the complement
        assert likeness(0.5 + 0.1 * image, label, 4) == pytest.approx(1, abs=1e-5)  # however pale
    assert likeness(np.full((6, 6, 3), 0.3, np.float32), 0, 4) == 0


def test_over_the_classes_the_likeness_of_one_image_is_zero():
    image = np.random.default_rng(1).random((8, 8, 3)).astype(np.float32) * np.array([1, 0.4, 0.2], np.float32)
    assert sum(likeness(image, label, 4) for label in range(4)) == pytest.approx(0, abs=1e-6)


def test_units_add_up_to_the_logits(model, pictures):
    """That a channel's part of a logit is exact is what `leading_units` rests on."""
    images = pictures.versions[Cue.AGREEING].tensor
    means = activations.of(model, images, [LAYER])[LAYER].strength(Rank.MEAN)
    fc = model.module.get_submodule("fc")
    logits = means @ fc.weight.detach().numpy().T + fc.bias.detach().numpy()
    assert np.allclose(logits, model(images).detach().numpy(), atol=1e-5)


def test_the_leading_unit_is_the_one_whose_loss_costs_a_class_most(model, pictures):
    agreeing = pictures.versions[Cue.AGREEING]
    means = activations.of(model, agreeing.tensor, [LAYER])[LAYER].strength(Rank.MEAN)
    fc = model.module.get_submodule("fc")
    weight, bias = fc.weight.detach().numpy(), fc.bias.detach().numpy()
    for label, leading in enumerate(leading_units(model, agreeing)):
        own = means[agreeing.labels == label]

        def above(values, label=label):
            logits = values @ weight.T + bias
            return float((logits[:, label] - logits.mean(1)).mean())

        without = [own * (np.arange(own.shape[1]) != channel) for channel in range(own.shape[1])]
        assert leading == int(np.argmin([above(values) for values in without]))


def test_examples_are_the_pictures_with_the_largest_maxima(model, pictures, views):
    untied = pictures.untied
    maxima = activations.of(model, untied.tensor, [LAYER])[LAYER].maps.max((2, 3))
    assert [one.label for one in views.examples] == [0, 1, 2, 3]
    for one in views.examples:
        values = maxima[:, one.unit.channel]
        assert len(one.images) == len(set(one.images.tolist())) == 5
        assert values[one.images].min() >= np.delete(values, one.images).max()
        assert (np.diff(values[one.images]) <= 0).all()
        assert one.with_mark == pytest.approx(np.mean(untied.marks[one.images] == one.label))
        assert one.with_shape == pytest.approx(np.mean(untied.labels[one.images] == one.label))


def test_views_explain_what_the_network_says(model, pictures, views):
    for cue, version in pictures.versions.items():
        said = model(version.tensor).argmax(1).numpy()
        assert views.accuracy[cue] == pytest.approx(np.mean(said == version.labels))
        assert np.array_equal(views.said[cue], said[:4])
        assert views.maps[GRADCAM][cue].shape == (4, 24, 24)
    assert set(views.maps[INTEGRATED]) == {Cue.AGREEING}
    assert len(views.images) == len(views.hues) == 4


def test_random_maps_are_those_of_the_control(model, pictures, views):
    found = random_views(model, views, 7)
    units = [model.class_unit(int(label)) for label in views.said[Cue.ABSENT]]
    theirs = RandomMap(7)(model, pictures.probed(Cue.ABSENT).tensor, units)
    for method in (GRADCAM, INTEGRATED):
        assert np.allclose(found.maps[method][Cue.ABSENT], np.stack([one.values for one in theirs]))
    assert np.isnan([numbers(found)[m] for m in (Measure.HUE, Measure.LOST_ABSENT, Measure.EXAMPLES_MARK)]).all()


def fabricated(pictures: Pictures, outside: bool, lost: float) -> Views:
    """Maps wholly outside the object, on the mark, or wholly on the object."""
    chosen = pictures.places if outside else pictures.masks
    maps = dict.fromkeys(Cue, chosen.astype(np.float32))
    units = [Examples(0, Unit(LAYER, 0), np.arange(2), 1.0, 0.25), Examples(1, Unit(LAYER, 1), np.arange(2), 0.5, 0.75)]
    accuracy = {Cue.AGREEING: 0.9, Cue.ABSENT: 0.9 - lost / 2, Cue.CONTRADICTING: 0.9 - lost}
    said = dict.fromkeys(Cue, np.zeros(4, int))
    return Views(pictures, accuracy, said, {GRADCAM: maps, INTEGRATED: maps}, (), np.array([1.0, 0.5]), units)


def test_measures_are_what_their_names_say(pictures):
    found = numbers(fabricated(pictures, outside=True, lost=0.6))
    assert found == pytest.approx(
        {
            Measure.GRADCAM_OUTSIDE: 1,
            Measure.INTEGRATED_OUTSIDE: 1,
            Measure.GRADCAM_MARK: 1,
            Measure.INTEGRATED_MARK: 1,
            Measure.GRADCAM_NO_MARK: 1,
            Measure.LOST_CONTRADICTING: 0.6,
            Measure.LOST_ABSENT: 0.3,
            Measure.HUE: 0.75,
            Measure.EXAMPLES_MARK: 0.75,
            Measure.EXAMPLES_SHAPE: 0.5,
        }
    )
    assert numbers(fabricated(pictures, outside=False, lost=0.0))[Measure.GRADCAM_OUTSIDE] == pytest.approx(0)


def test_margins_are_differences_within_pairs(pictures):
    pairs = []
    for seed, lost in enumerate((0.5, 0.7, 0.2)):
        cue, control = fabricated(pictures, True, lost), fabricated(pictures, False, 0.1)
        pairs.append(Pair(seed, {Arm.CUE: cue, Arm.CONTROL: control, Arm.UNTRAINED: control, Arm.RANDOM: control}, {}))
    values = by_pair(pairs)
    assert values[Arm.CUE][Measure.LOST_CONTRADICTING].tolist() == pytest.approx([0.5, 0.7, 0.2])
    found = margins(values)
    theirs = stats.ttest_rel([0.5, 0.7, 0.2], [0.1, 0.1, 0.1]).confidence_interval(0.95)
    one = found[Measure.LOST_CONTRADICTING]
    assert (one.low, one.high) == pytest.approx((theirs.low, theirs.high))
    assert found[Measure.GRADCAM_OUTSIDE].mean == pytest.approx(1)
    (panel,) = margins_figure(pairs).panels()
    assert panel.names[0] == "Grad-CAM outside the object"
    assert panel.values.tolist() == pytest.approx([interval.mean for interval in found.values()])
    with pytest.raises(InterpError, match=r"`pairs` is 1: give at least 2 pairs of networks, as a single one gives no interval"):
        by_pair(pairs[:1])


def test_curves_are_means_over_pairs_with_students_bands(pictures):
    rng = np.random.default_rng(4)
    pairs = []
    for seed in range(3):
        views = fabricated(pictures, True, 0.0)
        courses = {arm: Course((0, 2, 4), rng.random((3, 4, 24, 24)).astype(np.float32)) for arm in (Arm.CUE, Arm.CONTROL)}
        pairs.append(Pair(seed, dict.fromkeys(Arm, views), courses))
    outside, _, difference = over_time(pairs).panels()
    each = {arm: np.stack([pair.courses[arm].outside(pictures.masks) for pair in pairs]) for arm in (Arm.CUE, Arm.CONTROL)}
    margin = each[Arm.CUE] - each[Arm.CONTROL]
    assert outside.x_range == (0, 4)
    assert [name for name, _ in outside.series] == ["cue network", "control network", "untrained network", "random map"]
    assert outside.controls == (False, False, True, True)
    assert outside.series[0][1] == pytest.approx(each[Arm.CUE].mean(0))
    assert outside.series[2][1] == pytest.approx(np.full(3, each[Arm.CUE][:, 0].mean()))
    assert outside.series[3][1] == pytest.approx(np.ones(3))  # all of the fabricated random maps is outside
    assert difference.series[0][1] == pytest.approx(margin.mean(0))
    theirs = stats.ttest_1samp(margin, 0).confidence_interval(0.95)
    assert difference.bands[0][0] == pytest.approx(theirs.low)
    assert difference.bands[0][1] == pytest.approx(theirs.high)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: t_interval(np.zeros(3), 1.0), r"`level` is 1\.0: give a level between 0 and 1"),
        (lambda: refuse_few(0), r"`pairs` is 0: give at least 2"),
        (lambda: Detail(examples=0), r"`examples` is 0: give at least 1"),
        (lambda: Detail(steps=0), r"`steps` is 0: give at least 1"),
    ],
)
def test_bad_input_is_told_in_one_line(ask, message):
    with pytest.raises(InterpError, match=message):
        ask()
