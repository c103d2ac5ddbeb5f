"""At any grid size and for any names: no text over another, nothing cut, panels exactly aligned."""

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.transforms import Bbox

from interp.figures import (
    CurvePanel,
    EmptyPanel,
    Grid,
    ImagePanel,
    IntervalPanel,
    KeyPanel,
    Kind,
    MapPanel,
    MatrixPanel,
    Scale,
    TilePanel,
    draw,
)
from interp.figures.layout import arrange
from interp.figures.raster import Raster
from interp.figures.text import Role, fit, flow, line_height, measure

LONG = "features.denseblock4.denselayer16.conv2"
SHARK = "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias"
SCALES = (Scale(-1.0, 1.0, Kind.DIVERGING, "relevance, clipped at the 99th percentile"), Scale(0.0, 1.3e-7, Kind.POSITIVE, "a"))

names = st.one_of(
    st.sampled_from(["", "conv1", LONG, SHARK, "W" * 90, "$x$", "Å_gjpqy", "stem\n32 ch, 32 x 32", f"{LONG}\n{SHARK}"]),
    st.text("abcWgjpqy.:_ 0", max_size=60),
)
PHOTO, TILES, CURVE = np.full((6, 9, 3), 0.5), np.zeros((5, 3, 3)), np.linspace(-1e-7, 3e-7, 5)
# Panels are built in the test: checking their types draws random numbers, which strategies must not.
square = st.one_of(
    st.builds(partial, st.just(ImagePanel), st.just(PHOTO), names, names),
    st.builds(partial, st.just(MapPanel), st.just(np.zeros((3, 4))), st.sampled_from(SCALES), st.sampled_from([None, PHOTO]), names, names),
    st.builds(partial, st.just(TilePanel), st.just(TILES), st.sampled_from(SCALES), st.none(), names, names),
    st.builds(partial, st.just(EmptyPanel), names),
    st.builds(
        lambda note, warning: partial(MapPanel, np.ones((3, 4)), SCALES[0], None, "", note, warning=warning),
        names,
        names,
    ),
)
curve = st.builds(
    lambda series, *texts: partial(CurvePanel, tuple((name, CURVE) for name in series), *texts),
    st.lists(names, min_size=1, max_size=7),
    names,
    names,
    names,
    names,
    st.sampled_from([None, (0.0, 1.0), (-1.2e-7, 3.4e-7)]),
)

placed = st.builds(
    lambda series, ticks, *texts: partial(
        CurvePanel,
        tuple((name, CURVE[: len(ticks)]) for name in series),
        *texts,
        bands=tuple((CURVE[: len(ticks)] - 1e-8, CURVE[: len(ticks)] + 1e-8) for _ in series),
        ticks=tuple(ticks),
        controls=tuple(index % 2 == 1 for index in range(len(series))),
    ),
    st.lists(names, min_size=1, max_size=5),
    st.lists(names, min_size=2, max_size=5),
    names,
    names,
)
named = st.builds(
    lambda rows, columns, *texts: (rows, columns, texts),
    st.lists(names, min_size=1, max_size=20),
    st.lists(names, min_size=1, max_size=12),
    names,
    names,
)
chart = st.one_of(
    curve,
    placed,
    named.map(lambda n: partial(IntervalPanel, tuple(n[0]), *(np.linspace(-k, 1e-3, len(n[0])) for k in (2, 3, 1)), (), *n[2])),
    named.map(lambda n: partial(MatrixPanel, np.full((len(n[0]), len(n[1])), -0.5), SCALES[0], tuple(n[0]), tuple(n[1]), label=n[2][0])),
    st.lists(names, min_size=1, max_size=14).map(lambda n: partial(KeyPanel, tuple(n))),
)


@st.composite
def grids(draw_from):
    rows, columns, curves = draw_from(st.integers(1, 4)), draw_from(st.integers(1, 5)), draw_from(st.booleans())
    panel = st.one_of(square, chart) if curves else square
    row = st.lists(panel, min_size=columns, max_size=columns).map(tuple)
    return {
        "rows": draw_from(st.lists(row, min_size=rows, max_size=rows)),
        "row_headers": tuple(draw_from(st.lists(names, min_size=rows, max_size=rows))) if draw_from(st.booleans()) else (),
        "column_headers": tuple(draw_from(st.lists(names, min_size=columns, max_size=columns))) if draw_from(st.booleans()) else (),
        "title": draw_from(names),
        "caption": draw_from(names),
        "panel_size": draw_from(st.floats(1.6 if curves else 0.4, 3.0)),
    }


def overlap(one, other):
    return min(one.x1, other.x1) > max(one.x0, other.x0) and min(one.y1, other.y1) > max(one.y0, other.y0)


def inside(inner, outer, slack=0.0):
    return inner.x0 >= outer.x0 - slack and inner.y0 >= outer.y0 - slack and inner.x1 <= outer.x1 + slack and inner.y1 <= outer.y1 + slack


def places(grid):
    """(panels, bars) where nothing else may be; of a chart, the plot alone."""
    plan = arrange(grid)
    cells = zip(grid.panels(), (box for boxes in plan.cells for box in boxes), strict=True)
    panels = [
        plan.margins.plot(box) if isinstance(panel, CurvePanel | IntervalPanel | MatrixPanel) else box
        for panel, box in cells
        if not isinstance(panel, KeyPanel)
    ]
    return panels, [bar.box for bar in plan.bars]


def on_page(figure, box):
    """A box in inches from the top as pixels from the bottom."""
    bottom = figure.get_figheight() - box.top - box.height
    return Bbox.from_bounds(box.left, bottom, box.width, box.height).transformed(figure.dpi_scale_trans)


def assert_legible(texts, boxes, page):
    """`texts` is (string, box) pairs; a text stands beside each panel and bar, or within it as a note."""
    for (said, one), (other_said, other) in itertools.combinations(texts, 2):
        assert not overlap(one, other), f"{said!r} is drawn over {other_said!r}"
    for said, box in texts:
        assert inside(box, page), f"{said!r} is cut by the figure's edge"
        assert all(not overlap(box, place) or inside(box, place) for place in boxes), f"{said!r} is drawn over a panel"
    for one, other in itertools.combinations(boxes, 2):
        assert not overlap(one, other)
    assert all(inside(place, page) for place in boxes)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(grids())
def test_as_drawn_nothing_overlaps_and_nothing_is_cut(recipe):
    rows = tuple(tuple(make() for make in row) for row in recipe.pop("rows"))
    grid = Grid(rows, **recipe)
    figure = draw(grid)
    renderer = figure.canvas.get_renderer()
    texts = [(text.get_text(), text.get_window_extent(renderer)) for text in figure.texts]
    panels, bars = places(grid)
    boxes = [on_page(figure, box) for box in (*panels, *bars)]
    assert_legible(texts, boxes, figure.bbox)
    pictures = [artist.get_window_extent(renderer) for artist in figure.artists if isinstance(artist, Raster)]
    assert len(pictures) == len(bars) + sum(isinstance(panel, ImagePanel | MapPanel | TilePanel | MatrixPanel) for panel in grid.panels())
    assert all(any(inside(picture, box, 1e-6) for box in boxes) for picture in pictures)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (12, 30), (30, 2)])
def test_as_arranged_nothing_overlaps_at_extreme_sizes(rows, columns):
    scale = SCALES[0]
    row = tuple(MapPanel(np.ones((3, 3)), scale, label=LONG, sublabel=SHARK) for _ in range(columns))
    plan = arrange(Grid((row,) * rows, (LONG,) * rows, (SHARK,) * columns, SHARK * 3, SHARK * 9, panel_size=0.5))
    texts = []
    for line in plan.lines:
        width, height = measure(line.text, line.size, line.bold), line_height(line.size)
        if line.upright:
            box = (line.x, line.y - width / 2, line.x + height, line.y + width / 2)
        else:
            left = line.x - width * {"left": 0.0, "center": 0.5, "right": 1.0}[line.align]
            box = (left, line.y - 0.9 * line.size / 72, left + width, line.y + 0.24 * line.size / 72)
        texts.append((line.text, Bbox.from_extents(*box)))
    cells = [Bbox.from_bounds(box.left, box.top, box.width, box.height) for boxes in plan.cells for box in boxes]
    assert len(cells) == rows * columns
    assert_legible_fast(texts, Bbox.from_extents(0, 0, plan.width, plan.height))
    assert max(box.x1 for box in cells) < plan.width


def assert_legible_fast(texts, page):
    """The same for thousands of texts: sorted by their top, each is compared with its neighbours."""
    ordered = sorted(texts, key=lambda item: item[1].y0)
    for index, (said, box) in enumerate(ordered):
        assert inside(box, page), said
        for other_said, other in ordered[index + 1 :]:
            if other.y0 >= box.y1:
                break
            assert not overlap(box, other), f"{said!r} is drawn over {other_said!r}"


def test_panels_of_a_row_and_a_column_align():
    scale, other = SCALES
    kinds = (
        MapPanel(np.ones((3, 3)), scale, label=LONG),
        ImagePanel(np.zeros((9, 4, 3)), label="a"),
        MapPanel(np.zeros((2, 5)), other, sublabel=SHARK),
    )
    cells = arrange(Grid((kinds, kinds[::-1], kinds[:1] * 3), (LONG, "b", "c"), ("x", LONG, "z"))).cells
    panels = np.array([[(box.left, box.top, box.left + box.width, box.top + box.height) for box in row] for row in cells])
    np.testing.assert_allclose(panels[..., [0, 2]], np.broadcast_to(panels[:1, :, [0, 2]], (3, 3, 2)), atol=1e-9)
    np.testing.assert_allclose(panels[..., [1, 3]], np.broadcast_to(panels[:, :1, [1, 3]], (3, 3, 2)), atol=1e-9)


def test_curves_align_whatever_their_numbers():
    short, wide = (CurvePanel((("a", CURVE * factor),), "x", "y") for factor in (1.0, 1e9))
    panels, _ = places(Grid(((short,), (wide,))))
    assert len({box.left for box in panels}) == 1


@pytest.mark.parametrize(
    ("rows", "bars"),
    [
        ([[0, 0], [0, 0]], [True]),  # one for the whole figure
        ([[0, 0]], [True]),  # one for the row
        ([[0, 0], [1, 1]], [True, True]),  # one per row
        ([[0, 1], [1, 1]], [False, False, True]),  # one under each panel of the mixed row
    ],
)
def test_a_bar_is_shared_as_far_as_its_scale_is(rows, bars):
    grid = Grid(tuple(tuple(MapPanel(np.ones((2, 2)), SCALES[index]) for index in row) for row in rows))
    assert [bar.upright for bar in arrange(grid).bars] == bars


def test_line_breaks_of_headers_and_labels_stay():
    columns = ("stem\n32 ch, 32 x 32", "conv1", f"{LONG}\n256 ch, 7 x 7")
    panels = (EmptyPanel(), EmptyPanel(), ImagePanel(PHOTO, "a\n\n  b", "c\nd\ne"))
    texts = [line.text for line in arrange(Grid((panels,), column_headers=columns, panel_size=1.5)).lines]
    assert texts[:3] == ["stem", "32 ch, 32 x 32", "conv1"]
    assert texts[-4:] == ["256 ch, 7 x 7", "a", "b", "c d e"]  # a sublabel has no third line


def test_a_cut_header_keeps_its_own_lines():
    *name, shape = fit([f"{LONG}{LONG}\n256 ch, 7 x 7"], 1.2, Role(8.0, 6.0, lines=3, bold=True))[0].lines
    assert shape == "256 ch, 7 x 7"
    assert len(name) == 2
    assert "…" in "".join(name)


def test_text_shrinks_then_wraps_then_loses_its_middle():
    role = Role(8.0, 6.0, lines=2)
    wide = measure(LONG, 8.0)
    assert fit([LONG], wide, role)[0].lines == (LONG,)
    assert (smaller := fit([LONG], wide * 0.8, role)[0]).lines == (LONG,)
    assert 6 <= smaller.size < 8
    assert fit([LONG], wide * 0.6, role)[0].lines == ("features.denseblock4.", "denselayer16.conv2")
    cut = "".join(fit([LONG], wide * 0.3, role)[0].lines)
    assert cut.count("…") == 1
    head, tail = cut.split("…")
    assert LONG.startswith(head)
    assert LONG.endswith(tail)
    assert len(head) > 5
    assert len(tail) > 5


def test_texts_of_one_role_have_one_size():
    short, long = fit(["conv1", LONG], 1.0, Role(8.0, 6.0, lines=1))
    assert short.size == long.size == 6


def test_a_caption_keeps_every_word():
    assert " ".join(flow(SHARK * 4, 1.0, 7.0).lines).split() == (SHARK * 4).split()
    assert "".join(flow("W" * 200, 1.0, 7.0).lines) == "W" * 200
