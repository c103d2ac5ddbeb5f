"""Held-out pictures: what is counted, the accuracy that follows from it, and how matrices, curves and mistakes show it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix

from interp.comparisons import classified
from interp.comparisons.classified import Exam
from interp.editing import wilson
from interp.figures import CurvePanel, EmptyPanel, ImagePanel, MatrixPanel, Scale, colors


def exam(step: int, said: np.ndarray, classes: int = 4, sure: float = 0.7, learned: float = 1.0) -> Exam:
    """Where the most probable class is ``said``."""
    probabilities = np.full((len(said), classes), (1 - sure) / (classes - 1))
    probabilities[np.arange(len(said)), said] = sure
    return Exam(step, probabilities, learned)


@pytest.mark.parametrize("seed", range(5))
def test_counts_are_those_of_scikit_learn_and_their_trace_is_the_accuracy(seed: int) -> None:
    labels, said = np.random.default_rng(seed).integers(0, 4, (2, 50))
    found = classified.counts(labels, said, 5)
    assert (found == confusion_matrix(labels, said, labels=range(5))).all()
    assert found.sum() == 50
    share, low, high = classified.right(found)
    assert share == np.trace(found) / found.sum() == pytest.approx(accuracy_score(labels, said))
    assert (low, high) == wilson(int(np.trace(found)), 50)
    assert low < share < high


def test_a_matrix_has_counts_in_its_cells_and_shares_of_the_row_as_colours() -> None:
    found = np.array([[3, 1], [0, 2]])
    panel = classified.confusion(found, ("a", "b"), "").rows[0][0]
    assert isinstance(panel, MatrixPanel)
    assert panel.row_labels == ("a (4)", "b (2)")
    assert panel.texts == (("3", "1"), ("", "2"))
    assert panel.values == pytest.approx(np.array([[75, 25], [0, 100]]))


def test_a_class_without_pictures_has_no_share() -> None:
    panel = classified.confusion(np.array([[0, 0], [1, 1]]), ("a", "b"), "").rows[0][0]
    assert isinstance(panel, MatrixPanel)
    assert np.isnan(panel.values[0]).all()


def test_matrices_over_time_say_how_many_are_right() -> None:
    labels = np.array([0, 1, 2, 3])
    several = [classified.counts(labels, said, 4) for said in (np.zeros(4, int), labels)]
    grid = classified.confusions(several, ("step 0", "step 9"), "abcd", "")
    assert grid.column_headers == ("step 0", "step 9")
    low, high = wilson(1, 4)
    first, last = grid.rows[0]
    assert isinstance(first, MatrixPanel)
    assert isinstance(last, MatrixPanel)
    assert first.label == f"25.0% right\n({low:.1%} to {high:.1%})"
    assert first.scale == last.scale


def test_curves_go_through_every_moment_and_begin_anew_near_the_top() -> None:
    labels = np.arange(40) % 4
    saids = [np.zeros(40, int), np.where(np.arange(40) < 37, labels, 0), labels]
    exams = [exam(step, said, learned=learned) for step, said, learned in zip((0, 5, 7), saids, (0.2, 0.9, 1.0), strict=True)]
    whole, near = classified.progress(exams, labels, "").rows[0]
    assert isinstance(whole, CurvePanel)
    assert isinstance(near, CurvePanel)
    learned, held_out = (values for _, values in whole.series)
    assert learned[[0, 5, 7]] == pytest.approx([20, 90, 100])
    shares = [100 * (said == labels).mean() for said in saids]
    assert held_out[[0, 5, 7]] == pytest.approx(shares)
    assert held_out[1] == pytest.approx(shares[0] + (shares[1] - shares[0]) / 5)
    band = whole.bands[1]
    assert band is not None
    assert (band[0] <= held_out).all()
    assert (band[1] >= held_out).all()
    assert near.x_range == (5, 7)


def test_a_network_that_learns_little_has_one_panel() -> None:
    labels = np.arange(8) % 4
    exams = [exam(step, np.zeros(8, int)) for step in (0, 3)]
    assert len(classified.progress(exams, labels, "").rows[0]) == 1


def test_the_surest_mistakes_come_first_with_what_was_said() -> None:
    labels = np.array([0, 1, 2, 3])
    found = exam(9, np.array([0, 2, 3, 3]), sure=0.5)
    found.probabilities[2] = (0.05, 0.05, 0.05, 0.85)
    pictures = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    first, second = classified.mistakes(pictures, labels, found, "abcd", "").rows[0]
    assert isinstance(first, ImagePanel)
    assert isinstance(second, ImagePanel)
    assert (first.label, first.sublabel) == ("true c", "said d, 85%")
    assert (second.label, second.sublabel) == ("true b", "said c, 50%")
    assert (first.pixels[::8, ::8] == pictures[2]).all(), "each pixel is a square"


def test_no_mistake_is_said() -> None:
    labels = np.array([0, 1])
    grid = classified.mistakes(np.zeros((2, 8, 8, 3), np.uint8), labels, exam(1, labels), "abcd", "")
    assert grid.rows == ((EmptyPanel("none of the 2 held-out pictures is mistaken"),),)


@pytest.mark.parametrize(
    ("count", "most", "wanted"), [(21, 4, [0, 1, 4, 20]), (3, 4, [0, 1, 2]), (2, 5, [0, 1]), (21, 5, [0, 1, 3, 7, 20])]
)
def test_moments_are_close_at_first(count: int, most: int, wanted: list[int]) -> None:
    assert classified.moments(count, most) == wanted


def test_numbers_and_words_say_the_same() -> None:
    labels = np.arange(10) % 4
    found = exam(7, np.where(np.arange(10) < 9, labels, (labels + 1) % 4), learned=0.95)
    low, high = wilson(9, 10)
    numbers = classified.numbers(found, labels)
    assert numbers == {
        "step": 7,
        "accuracy": 0.9,
        "interval_95": [low, high],
        "held_out": 10,
        "mistaken": 1,
        "accuracy_learned_from": 0.95,
    }
    assert classified.told(found, labels) == f"90.0% of 10 held-out pictures are right (95 % interval {low:.1%} to {high:.1%})"


def test_a_cell_can_be_read_off_the_frame_of_its_moment() -> None:
    found = np.array([[[4, 0], [1, 1]], [[2, 2], [0, 2]]])
    drawn = classified.frames(found)
    zoom = (drawn.shape[1] - 1) // 2
    scale = Scale.positive([np.array([100.0])])
    for moment, row, col in np.ndindex(2, 2, 2):
        share = 100 * found[moment, row, col] / found[moment, row].sum()
        wanted = np.round(255 * colors(np.array(share), scale)).tolist()
        assert drawn[moment, row * (zoom + 1) + zoom // 2, col * (zoom + 1) + zoom // 2].tolist() == wanted
