"""A planted cue: how often it goes with the class, where it lies, and that nothing else of a picture changes."""

import numpy as np
import pytest

from interp.errors import InterpError
from interp.synthetic import EASY, Shape, ShapeOptions, ShapeSet, Split, draw
from interp.synthetic.cue import NO_MARK, Cue, Mark, colour, marked, marks_for, places_for, tied, untied

SHAPES = ShapeOptions((Shape.DISC, Shape.TRIANGLE, Shape.STAR, Shape.CROSS), (40, 40), n_distractors=0, difficulty=EASY)
LABELS = np.tile(np.arange(4), 60)


@pytest.fixture(scope="module")
def pictures():
    return draw(SHAPES, range(60), seed=3)


@pytest.mark.parametrize(("share", "own"), [(0.0, 0), (0.25, 60), (0.95, 228), (0.999, 240), (1.0, 240), (1, 240)])
def test_exactly_the_stated_share_of_marks_goes_with_the_class(share, own):
    for seed in range(3):
        marks = tied(LABELS, 4, share, seed)
        assert (marks == LABELS).sum() == own
        assert set(marks.tolist()) <= {0, 1, 2, 3}


def test_marks_that_are_not_their_own_class_are_any_other():
    marks = tied(LABELS, 4, 0.0, 0)
    shifts = np.bincount((marks - LABELS) % 4, minlength=4)
    assert shifts[0] == 0
    assert shifts[1:].sum() == 240
    assert shifts[1:].min() > 50


def test_marks_of_the_control_are_independent_of_the_class_to_the_picture():
    table = np.array([np.bincount(untied(LABELS, 4, 5)[label == LABELS], minlength=4) for label in range(4)])
    assert (table == 15).all()  # so the mutual information is exactly 0


def test_where_marks_cannot_be_equally_frequent_they_differ_by_one():
    labels = np.repeat(np.arange(3), 10)
    marks = untied(labels, 3, 1)
    for label in range(3):
        assert sorted(np.bincount(marks[labels == label], minlength=3).tolist()) == [3, 3, 4]


def test_versions_agree_contradict_and_are_absent():
    assert np.array_equal(marks_for(Cue.AGREEING, LABELS, 4, 0), LABELS)
    assert (marks_for(Cue.ABSENT, LABELS, 4, 0) == NO_MARK).all()
    other = marks_for(Cue.CONTRADICTING, LABELS, 4, 0)
    assert not (other == LABELS).any()
    assert set(other.tolist()) == {0, 1, 2, 3}


def test_marks_lie_in_a_corner_and_hide_nothing_of_the_object(pictures):
    mark = Mark(side=5, inset=1)
    places = places_for(pictures, mark, 3, Split.TRAINING)
    assert not (places & pictures.masks).any()
    starts = set()
    for place in places:
        rows, cols = np.nonzero(place)
        assert len(rows) == 25
        assert (np.ptp(rows), np.ptp(cols)) == (4, 4)
        starts.add((int(rows.min()), int(cols.min())))
    assert starts == {(1, 1), (1, 34), (34, 1), (34, 34)}


def test_a_picture_changes_at_its_mark_alone(pictures):
    places = places_for(pictures, Mark(), 3, Split.TRAINING)
    marks = tied(pictures.labels, 4, 0.9, 3)
    found = marked(pictures, marks, places)
    assert np.array_equal(found.images[~places], pictures.images[~places])
    for image, mark, place in zip(found.images, marks, places, strict=True):
        assert (image[place] == colour(int(mark), 4)).all()
    absent = marked(pictures, np.full(60, NO_MARK), places)
    assert np.array_equal(absent.images, pictures.images)
    assert absent.tensor.shape == (60, 3, 40, 40)
    assert float(absent.tensor[7, 2, 5, 9]) == pytest.approx(pictures.images[7, 5, 9, 2] / 255)


def test_places_depend_on_seed_and_number_alone(pictures):
    few = draw(SHAPES, range(10), seed=3)
    places = places_for(pictures, Mark(), 3, Split.TRAINING)
    assert np.array_equal(places_for(few, Mark(), 3, Split.TRAINING), places[:10])
    assert not np.array_equal(places_for(pictures, Mark(), 4, Split.TRAINING), places)
    assert not np.array_equal(places_for(pictures, Mark(), 3, Split.HELD_OUT), places)


def test_the_same_seed_draws_the_same_marks_and_another_does_not():
    for drawn in (lambda seed: tied(LABELS, 4, 0.5, seed), lambda seed: untied(LABELS, 4, seed)):
        assert np.array_equal(drawn(1), drawn(1))
        assert not np.array_equal(drawn(1), drawn(2))


def test_colours_of_marks_are_saturated_and_apart():
    for classes in (2, 4, 8):
        found = np.array([colour(mark, classes) for mark in range(classes)]).astype(int)
        assert (found.min(1) == 0).all()
        assert (found.max(1) == 230).all()  # of 255, a value of 0.9
        distances = np.abs(found[:, None] - found[None]).sum(2)
        assert distances[~np.eye(classes, dtype=bool)].min() > 100


def test_the_first_few_are_the_same_pictures(pictures):
    whole = marked(pictures, pictures.labels, places_for(pictures, Mark(), 3, Split.TRAINING))
    few = whole.first(7)
    assert len(few) == 7
    assert all(np.array_equal(getattr(few, name), getattr(whole, name)[:7]) for name in ("images", "labels", "marks", "masks", "places"))
    with pytest.raises(InterpError, match=r"61 of 60 pictures with marks: give 1 to 60"):
        whole.first(61)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: tied(LABELS, 4, 1.5, 0), r"`share` is 1\.5: give which share"),
        (lambda: colour(4, 4), r"no mark of class 4: there are 4 classes"),
        (lambda: Mark(side=0), r"a mark of `side` 0 and `inset` 1 px: give at least 1 and 0"),
        (lambda: Mark(inset=-1), r"`inset` -1 px"),
        (
            lambda: places_for(draw(SHAPES, range(1)), Mark(side=20), 0, Split.TRAINING),
            r"20 px does not fit into the corners of 40 x 40 px",
        ),
    ],
)
def test_bad_input_is_told_in_one_line(ask, message):
    with pytest.raises(InterpError, match=message):
        ask()


def test_an_object_in_all_corners_leaves_no_place(pictures):
    full = ShapeSet(
        pictures.images, pictures.labels, np.ones_like(pictures.masks), pictures.distracting, pictures.backgrounds, SHAPES.names
    )
    with pytest.raises(InterpError, match=r"picture 0 has no corner for a mark of 5 px that its object leaves free"):
        places_for(full, Mark(), 0, Split.TRAINING)


def test_without_an_inset_marks_touch_the_border():
    places = places_for(draw(SHAPES, range(12)), Mark(side=3, inset=0), 0, Split.TRAINING)
    corners = places[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners.sum(1) == 1).all()
    assert (places.sum((1, 2)) == 9).all()
