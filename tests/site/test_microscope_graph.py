"""The picture of a network: where cards lie, which lines are main, and that lines meet no card."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from microscope_content import resnet18

from interp.site.microscope import graph
from interp.site.microscope.graph import NARROW, WIDE, Drawing, Shape

SHAPE = Shape(width=100, height=80, gap=30, columns=4)


def chain(count: int) -> tuple[list[str], list[tuple[str, str]]]:
    names = [f"conv{number}" for number in range(count)]
    return names, list(pairwise(names))


def columns(drawing: Drawing, shape: Shape) -> list[int]:
    first = min(card.left for card in drawing.cards)
    return [(card.left - first) // (shape.width + shape.gap) for card in drawing.cards]


def test_a_chain_runs_in_rows_of_so_many_columns() -> None:
    drawing = graph.draw(*chain(10), SHAPE)
    assert columns(drawing, SHAPE) == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    tops = [card.top for card in drawing.cards]
    assert len(set(tops)) == 3
    assert tops == sorted(tops)
    assert drawing.skips == ()
    assert len(drawing.edges) == 9
    assert len(drawing.tips) == 9
    # Within a row an edge is a straight line from card to card.
    assert drawing.edges[0] == f"M{drawing.cards[0].left + 100} {tops[0] + 40}H{drawing.cards[1].left}"


def test_branches_stand_below_each_other_and_join() -> None:
    names = ["squeeze", "expand1", "expand3", "next"]
    edges = [("squeeze", "expand1"), ("squeeze", "expand3"), ("expand1", "next"), ("expand3", "next")]
    drawing = graph.draw(names, edges, SHAPE)
    assert columns(drawing, SHAPE) == [0, 1, 1, 2]
    squeeze, one, three, last = drawing.cards
    assert squeeze.top == one.top == last.top < three.top
    assert drawing.skips == ()


def test_the_longest_way_is_on_the_first_row_and_what_it_covers_is_thin() -> None:
    """A block with a projection: conv1 -> conv2 -> next, and beside them down -> next; the stream also skips to next."""
    names = ["in", "conv1", "conv2", "down", "next"]
    edges = [("in", "conv1"), ("conv1", "conv2"), ("in", "down"), ("conv2", "next"), ("down", "next"), ("in", "next")]
    drawing = graph.draw(names, edges, SHAPE)
    assert columns(drawing, SHAPE) == [0, 1, 2, 1, 3]
    tops = dict(zip(names, (card.top for card in drawing.cards), strict=True))
    assert tops["in"] == tops["conv1"] == tops["conv2"] == tops["next"] < tops["down"]
    assert len(drawing.skips) == 1  # from `in` to `next`: the longer ways say so already


def test_residual_streams_are_one_line_per_source() -> None:
    sizes, edges = resnet18()
    drawing = graph.draw(list(sizes), edges, WIDE)
    skipping = {source for source, _ in edges}
    assert len(drawing.edges) <= len(sizes)
    assert 0 < len(drawing.skips) <= len(skipping)


def test_a_stream_is_drawn_to_where_it_joins_first_and_the_rest_is_counted() -> None:
    """As in a DenseNet: every layer feeds all later ones."""
    names, edges = chain(30)
    dense = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
    drawing = graph.draw(names, dense, SHAPE)
    assert len(drawing.skips) == 28  # to the layer after the next
    assert drawing.left_out == len(dense) - len(edges) - 28
    assert graph.draw(names, edges, SHAPE).left_out == 0


def test_a_stage_begins_a_row_where_the_one_before_is_full_enough() -> None:
    names = ["stem", "layer1.0", "layer1.1", "layer1.2", "layer1.3", "layer2.0", "layer2.1"]
    drawing = graph.draw(names, list(pairwise(names)), Shape(100, 80, 30, 6))
    assert columns(drawing, Shape(100, 80, 30, 6)) == [0, 1, 2, 3, 4, 0, 1]


def test_a_module_called_twice_feeds_back_and_itself() -> None:
    names, edges = chain(3)
    drawing = graph.draw(names, [*edges, ("conv2", "conv0"), ("conv1", "conv1")], SHAPE)
    assert columns(drawing, SHAPE) == [0, 1, 2]
    assert len(drawing.edges) == 3


def segments(path: str) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The straight pieces of a path; curves by their ends."""
    out, here = [], (0.0, 0.0)
    for command, text in re.findall(r"([MLHVQC])([^MLHVQC]*)", path):
        numbers = [float(number) for number in text.split()]
        there = {"H": (numbers[0], here[1]), "V": (here[0], numbers[0])}.get(
            command, (numbers[-2], numbers[-1]) if len(numbers) > 1 else here
        )
        if command in "LHV":
            out.append((here, there))
        here = there
    return out


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    count = draw(st.integers(1, 14))
    names = [f"s{number // 4}.{number}" for number in range(count)]
    edges = {(names[max(0, number - draw(st.integers(1, 4)))], names[number]) for number in range(1, count)}
    more = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=8))
    return names, [*edges, *((names[one], names[other]) for one, other in more)]


@given(networks(), st.sampled_from([WIDE, NARROW, SHAPE]))
@settings(max_examples=60, deadline=None)
def test_no_cards_overlap_no_line_crosses_one_and_all_lie_in_the_picture(network, shape: Shape) -> None:
    drawing = graph.draw(*network, shape)
    assert [card.index for card in drawing.cards] == list(range(len(network[0])))
    boxes = [(card.left, card.top, card.left + shape.width, card.top + shape.height) for card in drawing.cards]
    for place, one in enumerate(boxes):
        assert 0 <= one[0] < one[2] <= drawing.width
        assert 0 <= one[1] < one[3] <= drawing.height
        for other in boxes[place + 1 :]:
            assert one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
    for path in [*drawing.edges, *drawing.skips]:
        for (left, top), (right, bottom) in segments(path):
            low, high = sorted((left, right)), sorted((top, bottom))
            assert min(low[0], high[0]) >= 0
            assert low[1] <= drawing.width
            assert high[1] <= drawing.height
            for box in boxes:
                inside = low[0] < box[2] - 0.5 and low[1] > box[0] + 0.5 and high[0] < box[3] - 0.5 and high[1] > box[1] + 0.5
                assert not inside, (path, box)


def test_edges_that_name_no_layer_are_refused() -> None:
    from interp.errors import InterpError
    from interp.site.microscope import LayerSummary, NetworkContent

    with pytest.raises(InterpError, match=r"the edges name `b`, which is none of the 1 layers"):
        NetworkContent("t", "r", "0", (LayerSummary("a", "Conv2d", 3),), (("a", "b"),))
    with pytest.raises(InterpError, match=r"have different names"):
        NetworkContent("t", "r", "0", (LayerSummary("a", "Conv2d", 3), LayerSummary("a", "Conv2d", 3)), ())
