"""What films draw: the pixels at a known weight, one scale for all moments, panels in their places."""

from __future__ import annotations

import numpy as np
import pytest
from courses import timeline

from interp.errors import Unsupported
from interp.figures import CurvePanel, EmptyPanel, KeyPanel, MatrixPanel, Scale, TilePanel, colors
from interp.films import Curve, Probe, Timeline, curves, frames, multiples, onsets, probing
from interp.films.matching import identity
from interp.films.moved import moved
from interp.films.onset import LEAST_P, onset
from interp.films.tiles import Deep, tiles


def weights(inputs: int = 1, moments: int = 3, out: int = 5, side: int = 3) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((moments, out, inputs, side, side)).astype(np.float32)


def at(tile: int, row: int, col: int, count: int, side: int) -> tuple[int, int]:
    """The first pixel of a weight in a sheet of so many tiles."""
    zoom, wide = frames.zoom_of(count, side), frames.sheet_columns(count)
    pitch = side * zoom + frames.GAP
    return tile // wide * pitch + row * zoom, tile % wide * pitch + col * zoom


def test_a_weight_can_be_read_off_the_frame_of_its_moment() -> None:
    values = weights()
    found = tiles(timeline(values), "conv1")
    drawn = frames.of_filters(found)
    scale = Scale.symmetric([values], label="weight")
    assert found.scale == scale
    zoom = frames.zoom_of(5, 3)
    for moment, channel, row, col in np.ndindex(3, 5, 3, 3):
        top, left = at(channel, row, col, 5, 3)
        wanted = np.round(255 * colors(np.array(values[moment, channel, 0, row, col]), scale)).astype(np.uint8)
        assert (drawn[moment, top : top + zoom, left : left + zoom] == wanted).all()


def test_colours_of_a_first_layer_have_one_scale_for_all_moments() -> None:
    values = weights(inputs=3)
    values[0] *= 0.1
    found = tiles(timeline(values, coloured=True), "conv1")
    limit = np.abs(values).max()
    assert found.limit == limit
    assert found.values == pytest.approx(np.moveaxis(0.5 + values / (2 * limit), 2, 4), abs=1e-6)
    top, left = at(4, 2, 1, 5, 3)
    assert frames.of_filters(found)[1, top, left].tolist() == np.round(255 * (0.5 + values[1, 4, :, 2, 1] / (2 * limit))).tolist()


def test_the_difference_is_on_the_scale_of_the_filters() -> None:
    values = weights()
    found = tiles(timeline(values), "conv1")
    assert found.difference(3) == TilePanel(values[-1, [3], 0].astype(np.float64) - values[0, [3], 0], found.scale)
    coloured = tiles(timeline(0.4 * weights(inputs=3), coloured=True), "conv1")
    change = 0.4 * (weights(inputs=3)[-1, 3] - weights(inputs=3)[0, 3])
    wanted = np.clip(0.5 + np.moveaxis(change, 0, 2) / (2 * coloured.limit), 0, 1)
    assert np.asarray(coloured.difference(3).tiles)[0] == pytest.approx(wanted, abs=1e-6)


def test_deep_filters_have_the_same_three_groups_at_all_moments() -> None:
    values = weights(inputs=8)
    values[2] = values[1]
    found = tiles(timeline(values), "conv1")
    assert (found.values[2] == found.values[1]).all()
    assert found.scale is None
    # Three directions hold all of what has only three: then colours keep lengths and angles.
    mixing = np.random.default_rng(1).standard_normal((8, 3))
    narrow = np.einsum("ik,tokrc->toirc", mixing, weights(inputs=3)).astype(np.float32)
    parts = (2 * tiles(timeline(narrow), "conv1").values - 1) * tiles(timeline(narrow), "conv1").limit
    assert np.square(parts).sum() == pytest.approx(np.square(narrow).sum(), rel=1e-4)


def test_norms_of_deep_filters_are_those_over_the_inputs() -> None:
    values = weights(inputs=8)
    found = tiles(timeline(values), "conv1", Deep.NORM)
    assert found.values == pytest.approx(np.linalg.norm(values, axis=2), rel=1e-6)
    assert found.scale == Scale.positive([np.sqrt(np.square(values, dtype=np.float64).sum(axis=2))], label="norm over the inputs")
    assert np.asarray(found.difference(0).tiles)[0] == pytest.approx(found.values[-1, 0] - found.values[0, 0])


def test_filters_of_one_place_are_squares_of_their_inputs() -> None:
    values = weights(inputs=7, side=1)
    found = tiles(timeline(values), "conv1")
    assert found.values.shape == (3, 5, 3, 3)
    assert found.values.reshape(3, 5, 9)[..., :7] == pytest.approx(values[..., 0, 0])
    assert np.isnan(found.values.reshape(3, 5, 9)[..., 7:]).all()


def test_weights_that_are_not_finite_are_refused_with_their_moment() -> None:
    values = weights()
    values[1, 0, 0, 0, 0] = np.nan
    with pytest.raises(Unsupported, match=r"'conv1' hold NaN or infinite values at step 10"):
        tiles(timeline(values), "conv1")


def test_small_multiples_have_a_row_for_each_filter_and_a_column_for_each_moment() -> None:
    values = weights()
    values[2] = values[1]
    values[2, [1, 4]] = values[1, [4, 1]]
    line, found = timeline(values), tiles(timeline(values), "conv1")
    told = identity(values)
    grid = multiples.over_time(found, line.names, told.jumped, [0, 1, 4], [1, 2], "title")
    assert grid.row_headers == ("conv1:0", "conv1:1", "conv1:4")
    assert grid.column_headers == ("step 10", "step 20")
    for k, channel in enumerate([0, 1, 4]):
        for j, moment in enumerate([1, 2]):
            label = "jump" if channel in (1, 4) and moment == 2 else ""
            assert grid.rows[k][j] == TilePanel(values[moment, [channel], 0].astype(np.float64), found.scale, label=label)


def test_a_jump_between_two_columns_is_marked_in_the_later_one() -> None:
    values = np.repeat(weights(moments=1, out=4), 5, axis=0)
    values[2:, [0, 1]] = values[2:, [1, 0]]
    jumped = identity(values).jumped
    grid = multiples.over_time(tiles(timeline(values), "conv1"), list("abcde"), jumped, [0, 3], [0, 4], "")
    assert [panel.label for row in grid.rows for panel in row if isinstance(panel, TilePanel)] == ["", "jump", "", ""]


def test_the_farthest_come_first_and_all_zero_has_no_figure() -> None:
    values = weights(moments=2)
    values[1] = values[0] * np.array([1.1, 5, 2, 3, 1])[:, None, None, None]
    line = timeline(values)
    grid = multiples.farthest(tiles(line, "conv1"), moved("conv1", values), "first", "last", "")
    assert grid.column_headers == ("conv1:1", "conv1:3", "conv1:2", "conv1:0", "conv1:4")
    assert grid.rows[2][0].label == "moved 4\ncosine 1"  # type: ignore[union-attr]
    none = np.stack([np.zeros_like(values[0]), values[0]])
    empty = multiples.farthest(tiles(timeline(none), "conv1"), moved("conv1", none), "first", "last", "")
    assert empty.rows == ((EmptyPanel("all filters were zero at first"),),)


def test_all_curves_run_from_the_first_step_to_the_last() -> None:
    line = timeline(weights(moments=4))
    loss = Curve("loss", np.arange(1, 41), np.linspace(2, 0, 40))
    grid = curves.figure(Timeline(**{**vars(line), "numbers": (loss,)}), "")
    first, key = grid.rows[0][:2]
    assert isinstance(first, CurvePanel)
    assert first.x_range == (0, 40)
    assert first.series[0][1][1:] == pytest.approx(loss.values)
    assert key == KeyPanel(("conv1",))
    assert curves.figure(line, "").rows[0][1] == key
    norm = grid.rows[1][0]
    assert isinstance(norm, CurvePanel)
    assert norm.x_range == (0, 40)
    assert norm.series[0][1][:4] == pytest.approx(line.summaries["conv1"]["norm"].values)


def test_steps_by_filter_say_from_when_on_there_is_structure() -> None:
    p = np.array([[0.6, 0.9, LEAST_P], [LEAST_P, 0.9, LEAST_P]])
    found = onset(p)
    grid = onsets.figure("conv1", found, ("step 0", "step 10"), [0, 1, 2], [0, 1], "")
    panel = grid.rows[0][0]
    assert isinstance(panel, MatrixPanel)
    assert panel.row_labels == ("conv1:0, from step 10", "conv1:1, never", "conv1:2, from step 0")
    assert panel.values == pytest.approx(-np.log10(p.T))
    assert panel.texts == (("", "\u25cf"), ("", ""), ("\u25cf", "\u25cf"))


def probe() -> Probe:
    rng = np.random.default_rng(0)
    maps, cam = rng.random((3, 4, 4)).astype(np.float32), rng.standard_normal((3, 2, 2)).astype(np.float32)
    return Probe("cat", rng.random((8, 8, 3)).astype(np.float32), {"relu": maps}, {"relu": "relu:2"}, {"relu": cam}, ("a", "a", "b"))


def test_each_row_of_the_photograph_has_one_scale() -> None:
    one = probe()
    grid = probing.figure(one, ("x", "y", "z"), [0, 2], "")
    assert grid.row_headers == ("cat", "relu:2", "Grad-CAM at relu")
    assert [panel.label for panel in grid.rows[0]] == ["a", "b"]  # type: ignore[union-attr]
    assert {panel.scale for panel in grid.rows[1]} == {Scale.positive([one.activations["relu"]], label="activation")}  # type: ignore[union-attr]
    assert {panel.scale.high for panel in grid.rows[2]} == {np.abs(one.gradcam["relu"]).max()}  # type: ignore[union-attr]


def test_frames_of_the_photograph_hold_its_activations() -> None:
    one = probe()
    drawn = frames.of_probe(one)
    side = drawn.shape[1]
    assert drawn.shape == (3, side, 3 * side + 8, 3)
    scale = probing.activation_scale(one.activations["relu"])
    wanted = np.round(255 * colors(np.array(one.activations["relu"][2, 3, 0], np.float64), scale))
    assert drawn[2, -1, side + 4].tolist() == wanted.tolist()
    assert (drawn[0, :, :side] == drawn[2, :, :side]).all()


def test_the_clock_shows_how_far_the_training_is_and_leaves_the_frames() -> None:
    plain = frames.of_filters(tiles(timeline(weights()), "conv1"))
    timed = frames.with_clock(plain, ("step 0", "step 10", "step 40"), (0, 10, 40))
    high, wide = plain.shape[1:3]
    strip = timed.shape[1] - high - (timed.shape[1] - high) % 2
    assert (timed[:, strip : strip + high, :wide] == plain).all()
    bar = timed[:, strip - 3]
    done = (bar == bar[2, 0]).all(axis=2).mean(axis=1)
    assert done == pytest.approx([0, 0.25, 1], abs=0.01)
    assert timed.shape[1] % 2 == timed.shape[2] % 2 == 0
