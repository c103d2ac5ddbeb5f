"""Figures as data: equal by value, read-only, and refused with the remedy when they make no sense."""

import numpy as np
import pytest

from interp.errors import InterpError
from interp.figures import CurvePanel, EmptyPanel, Grid, ImagePanel, Kind, MapPanel, Scale, TilePanel

SIGNED = Scale(-1.0, 1.0, Kind.DIVERGING)
POSITIVE = Scale(0.0, 1.0, Kind.POSITIVE)
PHOTO = np.random.default_rng(0).random((4, 6, 3))


def panels():
    return (
        ImagePanel(PHOTO, "photo"),
        MapPanel(np.array([[0.0, np.nan]]), SIGNED, PHOTO),
        TilePanel(np.ones((3, 2, 2)), POSITIVE),
        CurvePanel((("a", np.array([1.0, np.nan])),)),
        EmptyPanel("none"),
    )


def test_equal_by_value():
    assert panels() == panels()
    assert Grid(rows=(panels(),)) == Grid(rows=(panels(),))


@pytest.mark.parametrize(
    "other",
    [
        MapPanel(np.zeros((2, 3)), SIGNED),
        MapPanel(np.ones((3, 2)), SIGNED),
        MapPanel(np.ones((2, 3)), POSITIVE),
        MapPanel(np.ones((2, 3)), SIGNED, PHOTO),
        MapPanel(np.ones((2, 3)), SIGNED, label="b"),
        EmptyPanel(),
    ],
)
def test_different_in_any_field(other):
    assert MapPanel(np.ones((2, 3)), SIGNED) != other


def test_a_panel_keeps_what_it_was_given():
    values = np.zeros((2, 2))
    panel = MapPanel(values, SIGNED)
    values[:] = 7
    assert not panel.values.any()
    with pytest.raises(ValueError, match="read-only"):
        panel.values[0, 0] = 1


@pytest.mark.parametrize(
    ("values", "note"),
    [([[0.0, 0.0]], "zero map"), ([[0.0, 1.0]], ""), ([[0.0, np.nan]], "1 of 2 NaN"), ([[np.nan]], "all NaN")],
)
def test_a_map_says_what_colours_cannot(values, note):
    assert MapPanel(np.array(values), SIGNED).note == note


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: ImagePanel(PHOTO.transpose(2, 0, 1)), r"shape \(3, 4, 6\), but images are \(h, w, 3\); move the channels last"),
        (lambda: ImagePanel(PHOTO * 2 - 1), r"outside|but float images are in \[0, 1\]; undo the normalisation"),
        (lambda: ImagePanel(PHOTO * np.nan), r"runs from nan to nan"),
        (lambda: ImagePanel((PHOTO * 255).astype(np.int64)), "type int64, but images are uint8 or float"),
        (lambda: MapPanel(PHOTO, SIGNED), r"`values` has shape \(4, 6, 3\), but must be \(h, w\)"),
        (lambda: MapPanel(np.array([[np.inf]]), SIGNED), "infinite values.*mark them as NaN"),
        (lambda: MapPanel(np.array([[-0.5]]), POSITIVE), r"down to -0\.5, but its scale is positive; take the positive part"),
        (lambda: MapPanel(np.ones((2, 2)), SIGNED, np.ones((2, 2))), r"`underlay` has shape \(2, 2\)"),
        (lambda: TilePanel(np.ones((3, 2, 2))), r"values \(n, h, w\) need a `scale`"),
        (lambda: TilePanel(np.ones((3, 2, 2, 3)), SIGNED), "take no `scale`"),
        (lambda: TilePanel(np.ones((3, 2, 2)), SIGNED, columns=0), "`columns` is 0, but a sheet has at least 1"),
        (lambda: CurvePanel(()), "has 0 lines, but a panel tells 1 to 14 apart"),
        (lambda: CurvePanel((("a", np.ones(1)),)), "series 'a' must be at least two"),
        (lambda: CurvePanel((("a", np.ones(2)), ("b", np.ones(3)))), "different lengths; give `x_range`"),
        (lambda: Grid(rows=()), "at least one panel"),
        (lambda: Grid(rows=((EmptyPanel(),), (EmptyPanel(),) * 2)), r"row 1 has 2 panels and row 0 has 1; fill the gaps with EmptyPanel"),
        (lambda: Grid(rows=((EmptyPanel(),),), row_headers=("a", "b")), "`row_headers` has 2 names for 1"),
        (lambda: Grid(rows=((EmptyPanel(),),), column_headers=("a", "b")), "`column_headers` has 2 names for 1"),
        (lambda: Grid(rows=((EmptyPanel(),),), panel_size=0.1), "0.1 inches, but runs from 0.4 to 20"),
        (lambda: Grid(rows=((CurvePanel((("a", np.ones(2)),)),),), panel_size=0.5), "curves need room"),
    ],
)
def test_bad_input_is_refused_with_the_remedy(build, match):
    with pytest.raises(InterpError, match=match):
        build()
