"""Charts as data: refused where they make no sense; drawn where, and in the colours, that their numbers say."""

import io

import numpy as np
import pytest
from PIL import Image

from interp.errors import InterpError
from interp.figures import (
    CurvePanel,
    Grid,
    IntervalPanel,
    KeyPanel,
    Kind,
    MapPanel,
    MatrixPanel,
    Scale,
    colors,
    draw,
    intervals,
    matrices,
    png,
    ticknames,
)
from interp.figures.boxes import INK, WARNING
from interp.figures.layout import arrange
from interp.figures.palette import LINES
from interp.figures.styles import QUIET, strokes

LONG = "features.denseblock4.denselayer16.conv2"
SIGNED, POSITIVE = Scale(-1.0, 1.0, Kind.DIVERGING, "agreement"), Scale(0.0, 1.0, Kind.POSITIVE, "share")
NAN = float("nan")


def interval(names=("a", "b"), values=(1.0, 2.0), low=(0.5, 1.5), high=(1.5, 2.5), **more):
    return IntervalPanel(tuple(names), np.array(values), np.array(low), np.array(high), **more)


def matrix(values=((1.0, -0.5), (NAN, 0.0)), scale=SIGNED, **more):
    return MatrixPanel(np.array(values), scale, ("a", "b"), ("c", "d"), **more)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (interval(), interval(values=(1.0, 2.1))),
        (interval(), interval(controls=(True, False))),
        (matrix(), matrix(digits=3)),
        (CurvePanel((("", np.ones(2)),), bands=(None,)), CurvePanel((("", np.ones(2)),), bands=((np.zeros(2), np.ones(2)),))),
        (KeyPanel(("a",)), KeyPanel(("b",))),
        (MapPanel(np.ones((2, 2)), SIGNED), MapPanel(np.ones((2, 2)), SIGNED, warning="! zero map")),
    ],
)
def test_equal_by_value_and_different_in_any_field(one, other):
    assert one == one
    assert one != other


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: interval(values=(1.0,)), "`values` has 1 numbers for 2 names"),
        (lambda: interval(low=(2.0, 3.0)), "low 2 is above high 1.5; are they exchanged"),
        (lambda: interval(controls=(True,)), "`controls` has 1 marks for 2; give one each, or none"),
        (lambda: interval(values=(np.inf, 1.0)), "not infinite"),
        (lambda: interval((), (), (), ()), "`names` is empty"),
        (lambda: interval(reference=NAN), "a line needs a finite place"),
        (lambda: matrix(((1.0, 2.0),)), r"shape \(1, 2\), but there are 2 row and 2 column labels"),
        (lambda: matrix(((1.0, np.inf), (0.0, 0.0))), "infinite values"),
        (lambda: matrix(scale=POSITIVE), r"down to -0\.5, but its scale is positive"),
        (lambda: matrix(texts=(("1", "2"),)), "`texts` must have 2 rows of 2"),
        (lambda: matrix(digits=-1), "`digits` is -1, but runs from 0 to 8"),
        (lambda: CurvePanel((("a", np.ones(3)),), ticks=("x", "y")), "`ticks` has 2 names for lines of 3 values"),
        (lambda: CurvePanel((("a", np.ones(2)),), ticks=("x", "y"), x_range=(0, 1)), "both name the x axis"),
        (lambda: CurvePanel((("a", np.ones(2)),), bands=(None, None)), "`bands` has 2 entries for 1 lines"),
        (lambda: CurvePanel((("a", np.ones(2)),), bands=((np.ones(3), np.ones(3)),)), "band of 'a' has 3 and 3 values for a line of 2"),
        (lambda: CurvePanel((("a", np.ones(2)),), bands=((np.ones(2), np.zeros(2)),)), "band of 'a': low 1 is above high 0"),
        (lambda: KeyPanel(("a",) * 15), "`names` has 15 lines, but a panel tells 1 to 14 apart"),
        (lambda: KeyPanel(("a",) * 6, (True,) * 6), "6 controls, but a panel tells 5 apart"),
        (lambda: Grid(((matrix(),),), panel_size=1.2), "needs room for its names"),
    ],
)
def test_bad_input_is_refused_with_the_remedy(build, match):
    with pytest.raises(InterpError, match=match):
        build()


def drawn(grid, dpi=150):
    with Image.open(io.BytesIO(png(grid, dpi))) as image:
        return np.asarray(image.convert("RGB")) / 255


def lines_at(figure, height):
    """(colour, x extent, marker, face) of level or point lines, with their y from the top, in inches."""
    for artist in figure.artists:
        if hasattr(artist, "get_xdata"):
            yield artist, np.asarray(artist.get_xdata()), np.asarray(artist.get_ydata())


def test_a_dot_stands_where_its_value_is_and_whiskers_end_at_the_interval():
    grid = Grid(((interval(values=(1.0, 2.0), low=(0.0, NAN), high=(2.0, NAN), controls=(False, True)),),), panel_size=3.0)
    plan = arrange(grid)
    place = intervals.rows(grid.rows[0][0], plan.cells[0][0], plan.margins)
    dots = [(a, x, y) for a, x, y in lines_at(draw(grid), plan.height) if a.get_marker() == "o"]
    assert [float(y[0]) for _, _, y in dots] == [place.y(0), place.y(1)]
    np.testing.assert_allclose([x[0] for _, x, _ in dots], place.x(np.array([1.0, 2.0])))
    assert [(a.get_color(), a.get_markerfacecolor()) for a, _, _ in dots] == [(LINES[0], LINES[0]), (QUIET, "white")]
    whiskers = [x for a, x, y in lines_at(draw(grid), plan.height) if a.get_linewidth() == 1.1 and len(x) == 2 and a.get_linestyle() == "-"]
    assert len(whiskers) == 1, "an interval of NaN leaves the dot alone"
    np.testing.assert_allclose(whiskers[0], place.x(np.array([0.0, 2.0])))


def test_what_is_not_defined_is_written_out():
    texts = [line.text for line in _texts(Grid(((interval(values=(NAN, 2.0)),),), panel_size=2.0))]
    assert "not defined" in texts


def _texts(grid):
    from interp.figures import chartrooms

    plan = arrange(grid)
    return list(chartrooms.texts(grid.rows[0][0], plan.cells[0][0], plan.margins))


def test_cells_have_their_colours_and_readable_numbers():
    values = np.array([[1.0, 0.0], [-1.0, 0.25]])
    grid = Grid(((matrix(values, digits=None),),), panel_size=2.5)
    plan = arrange(grid)
    box = plan.margins.plot(plan.cells[0][0])
    pixels = drawn(grid)
    found = [
        [pixels[int((box.top + (row + 0.5) * box.height / 2) * 150), int((box.left + (col + 0.5) * box.width / 2) * 150)] for col in (0, 1)]
        for row in (0, 1)
    ]
    np.testing.assert_allclose(found, colors(values, SIGNED), atol=1 / 255)
    written = {line.text: line.color for line in _texts(Grid(((matrix(values),),), panel_size=2.5))}
    assert (written["1.00"], written["0.00"], written["\N{MINUS SIGN}1.00"]) == ("#ffffff", INK, "#ffffff")


def test_ink_stands_out_from_every_colour():
    values = np.linspace(-1, 1, 200)[None]
    panel = MatrixPanel(values, SIGNED, ("a",), ("",) * 200)
    shown = colors(values, SIGNED)
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    ink = np.array([[1.0 if one == "#ffffff" else 0.0 for one in row] for row in matrices._inks(panel)])
    contrast = (np.maximum(ink, linear) + 0.05) / (np.minimum(ink, linear) + 0.05)
    assert contrast.min() > 4.5  # WCAG 2, level AA


def test_a_missing_cell_is_hatched_and_has_no_number():
    panel = matrix()
    assert matrices.numbers(panel) == (("1.00", "\N{MINUS SIGN}0.50"), ("", "0.00"))
    pixels = drawn(Grid(((panel,),), panel_size=2.5))
    plan = arrange(Grid(((panel,),), panel_size=2.5))
    box = plan.margins.plot(plan.cells[0][0])
    left, top, width, height = (int(150 * v) for v in (box.left, box.top + box.height / 2, box.width / 2, box.height / 2))
    cell = pixels[top + 3 : top + height - 3, left + 3 : left + width - 3]
    assert 0.05 < (cell.max(axis=-1) < 0.6).mean() < 0.6


def test_numbers_that_do_not_fit_are_left_out_together():
    panel = MatrixPanel(np.zeros((1, 60)), SIGNED, ("a",), ("",) * 60)
    assert [line.text for line in _texts(Grid(((panel,),), panel_size=2.0))] == ["a"]


def test_lines_are_told_apart_by_colour_then_by_dashes_and_controls_by_neither():
    looks = strokes(16, (True,) + (False,) * 14 + (True,))
    methods = looks[1:15]
    assert len({(look.color, look.dashes) for look in methods}) == 14
    assert {look.color for look in (looks[0], looks[15])} == {QUIET}
    assert looks[0].dashes != looks[15].dashes
    assert strokes(2, ()) == strokes(3, (True, False, False))[1:], "a control takes no method's colour"


def test_a_band_lies_between_its_ends_and_leaves_gaps_at_nan():
    low, high = np.array([0.0, NAN, 0.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0])
    panel = CurvePanel((("", np.full(4, 0.5)),), bands=((low, high),), ticks=("a", "b", "c", "d"))
    figure = draw(Grid(((panel,),), panel_size=3.0))
    areas = [artist.get_xy() for artist in figure.artists if type(artist).__name__ == "Polygon"]
    assert [len(area) for area in areas] == [3, 5], "one place before the gap, two after it, closed"
    plan = arrange(Grid(((panel,),), panel_size=3.0))
    box = plan.margins.plot(plan.cells[0][0])
    np.testing.assert_allclose([areas[1][:, 1].min(), areas[1][:, 1].max()], [box.top, box.top + box.height])


def test_names_of_places_stand_level_where_they_fit_else_upright_and_never_cut():
    from interp.figures.boxes import Box

    place = Box(0.0, 0.0, 3.0, 0.0)
    assert not any(line.upright for line in ticknames.across(("stem", "stage1", "stage2"), place, over=False))
    long = list(ticknames.across((LONG,) * 6, place, over=False))
    assert all(line.upright for line in long)
    assert "".join(line.text for line in long[:2]) == LONG
    crowded = [line.text for line in ticknames.across(tuple(f"layer{k}" for k in range(90)), place, over=False)]
    assert crowded[:2] == ["layer0", "layer3"], "where they would overlap, every third is named"


def test_a_warning_stands_below_its_map_in_its_own_colour_and_frames_it():
    panel = MapPanel(np.ones((2, 2)), SIGNED, sublabel="max 1", warning="! saturated")
    lines = {line.text: line for line in arrange(Grid(((panel,),))).lines}
    assert lines["! saturated"].color == WARNING
    assert lines["! saturated"].y > lines["max 1"].y
    plain = MapPanel(np.ones((2, 2)), SIGNED, sublabel="max 1")
    red = (np.abs(drawn(Grid(((panel,),))) - np.array([0xB3, 0x26, 0x1E]) / 255).max(-1) < 0.02).sum()
    assert red > 200
    assert (np.abs(drawn(Grid(((plain,),))) - np.array([0xB3, 0x26, 0x1E]) / 255).max(-1) < 0.02).sum() == 0


def test_columns_that_share_a_scale_share_a_bar_below_them():
    a, b = MapPanel(np.ones((2, 2)), SIGNED), MapPanel(np.ones((2, 2)), POSITIVE)
    plan = arrange(Grid(((a, a, b), (a, a, b))))
    assert [bar.scale for bar in plan.bars] == [SIGNED, POSITIVE]
    first, second = (bar.box for bar in plan.bars)
    left, right = plan.cells[0][0], plan.cells[0][1]
    np.testing.assert_allclose([first.left, first.width], [left.left, right.left + right.width - left.left])
    np.testing.assert_allclose([second.left, second.width, second.top], [plan.cells[0][2].left, plan.cells[0][2].width, first.top])
