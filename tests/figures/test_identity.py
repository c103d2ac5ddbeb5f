"""One hash for a figure: equal grids have equal ones, and whatever a reader could see changes it."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from interp.errors import InterpError
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
    spec_hash,
)

SIGNED = Scale(-1.0, 1.0, Kind.DIVERGING, "weight")
LINES = (("a", np.array([1.0, np.nan, 2.0])), ("b", np.zeros(3)))


def grid():
    """Every kind of panel, with every field away from its default."""
    photo = np.linspace(0, 1, 24).reshape(2, 4, 3)
    band = (np.zeros(3), np.ones(3))
    return Grid(
        rows=(
            (
                ImagePanel(photo, "a", "b"),
                MapPanel(np.array([[0.5, np.nan]]), SIGNED, photo, "a", "b", "careful"),
                TilePanel(np.full((2, 1, 1), 0.25), SIGNED, 2, "a", "b"),
                CurvePanel(LINES, "x", "y", "a", "b", None, (band, None), ("p", "q", "r"), (False, True)),
            ),
            (
                IntervalPanel(("m", "n"), np.ones(2), np.zeros(2), np.full(2, 2.0), (False, True), "x", "a", "b", 0.5),
                MatrixPanel(np.ones((1, 2)) / 2, SIGNED, ("r",), ("c", "d"), 3, (("1", "2"),), "a", "b", (True,)),
                KeyPanel(("k", "l"), (False, True), "a", "b"),
                EmptyPanel("no tokens"),
            ),
        ),
        row_headers=("one", "two"),
        column_headers=("p", "q", "r", "s"),
        title="title",
        caption="caption",
        panel_size=2.0,
    )


def changed(value):
    """Each way in which a value may be a little different, one at a time."""
    if isinstance(value, np.ndarray):
        for place in np.ndindex(value.shape):
            other = value.copy()
            other[place] = 0.125 if np.isnan(other[place]) else other[place] + 0.0625 if other[place] < 0.5 else other[place] - 0.0625
            yield other
    elif isinstance(value, Kind):
        return  # decides which values are valid, so no scale differs in it alone
    elif isinstance(value, str):
        yield f"{value}!"
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield value * 1.5
    elif isinstance(value, tuple):
        for place, item in enumerate(value):
            for other in changed(item):
                yield (*value[:place], other, *value[place + 1 :])
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            for other in changed(getattr(value, field.name)):
                try:
                    yield dataclasses.replace(value, **{field.name: other})
                except InterpError:  # the ends of a scale, which only change together
                    assert isinstance(value, Scale)
                    yield Scale(-1.5, 1.5, Kind.DIVERGING, "weight")
    else:
        assert value is None, value


def test_each_field_and_each_element_changes_the_hash():
    first, found = grid(), set()
    for other in changed(first):
        assert other != first
        assert spec_hash(other) != spec_hash(first)
        found.add(spec_hash(other))
    assert len(found) > 80  # the walk went through all of it


def test_equal_grids_have_equal_hashes_in_another_process_too():
    code = "import sys; sys.path.insert(0, sys.argv[1]); from test_identity import grid, spec_hash; print(spec_hash(grid()))"
    said = subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True, check=True).stdout
    assert grid() == grid()
    assert said.strip() == spec_hash(grid())
    assert len(said.strip()) == 64


VALUES = arrays(np.float32, (2, 2), elements=st.sampled_from([0.0, -0.0, 0.5, float("nan"), 1.0]))


@given(VALUES, VALUES)
def test_hashes_are_equal_exactly_where_grids_are(one, other):
    first, second = (Grid(((MapPanel(values, SIGNED), CurvePanel((("a", values.ravel()),))),)) for values in (one, other))
    assert (first == second) == (spec_hash(first) == spec_hash(second))


NUMBERS = st.sampled_from([1, 1.0, np.float64(1.0), 2, 2.0, 1.5, np.float32(1.5)])


@given(NUMBERS, NUMBERS)
def test_numbers_are_equal_by_value_whatever_their_type(one, other):
    first, second = (Grid(((EmptyPanel(),),), panel_size=size if isinstance(size, int) else float(size)) for size in (one, other))
    assert (first == second) == (spec_hash(first) == spec_hash(second))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ImagePanel(np.zeros((2, 1, 3), np.uint8)), ImagePanel(np.zeros((1, 2, 3), np.uint8))),
        (ImagePanel(np.zeros((1, 1, 3), np.uint8)), ImagePanel(np.zeros((1, 1, 3), np.float32))),
        (ImagePanel(np.zeros((1, 1, 3), np.float32)), ImagePanel(np.zeros((1, 1, 3)))),
        (EmptyPanel("a"), KeyPanel(("a",))),
        (EmptyPanel("1"), EmptyPanel("1.0")),
        (KeyPanel(("a", "b")), KeyPanel(("a, b",))),
    ],
)
def test_shape_dtype_class_and_texts_count(one, other):
    assert spec_hash(Grid(((one,),))) != spec_hash(Grid(((other,),)))


def test_a_value_that_cannot_be_hashed_is_named():
    panel = EmptyPanel()
    object.__setattr__(panel, "reason", {"a"})
    with pytest.raises(InterpError, match=r"a figure holds a set, which has no hash"):
        spec_hash(Grid(((panel,),)))
