"""Layouts: each ``maps`` against an index loop, and what is inferred from a shape."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.core.layout import ChannelsLast, Layout, Maps, Tokens, Vector, infer

SIZES = st.integers(1, 4)


def numbered(*shape: int) -> torch.Tensor:
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


@given(SIZES, SIZES, SIZES, SIZES)
def test_maps_are_themselves(n: int, c: int, h: int, w: int) -> None:
    output = numbered(n, c, h, w)
    assert torch.equal(Maps().maps(output), output)


@given(SIZES, SIZES, SIZES, SIZES)
def test_channels_last_by_index(n: int, c: int, h: int, w: int) -> None:
    output = numbered(n, h, w, c)
    maps = ChannelsLast().maps(output)
    assert maps.shape == (n, c, h, w)
    for i in range(n):
        for channel in range(c):
            for row in range(h):
                for col in range(w):
                    assert maps[i, channel, row, col] == output[i, row, col, channel]


@given(SIZES, SIZES, SIZES, SIZES, st.integers(0, 3))
def test_tokens_by_index(n: int, c: int, h: int, w: int, prefix: int) -> None:
    output = numbered(n, prefix + h * w, c)
    maps = Tokens(prefix, (h, w)).maps(output)
    assert maps.shape == (n, c, h, w)
    for i in range(n):
        for channel in range(c):
            for row in range(h):
                for col in range(w):
                    assert maps[i, channel, row, col] == output[i, prefix + row * w + col, channel]


@given(SIZES, SIZES)
def test_vectors_are_maps_of_one_place(n: int, c: int) -> None:
    output = numbered(n, c)
    assert torch.equal(Vector().maps(output)[:, :, 0, 0], output)


@pytest.mark.parametrize(
    ("kind", "shape", "grids", "before", "expected"),
    [
        ("Linear", (10,), [], None, Vector()),
        ("Conv2d", (8, 8, 12), [(8, 12)], None, Maps()),
        ("LayerNorm", (7, 7, 7), [(7, 7)], Maps(), ChannelsLast()),
        ("ReLU", (64, 7, 7), [(224, 224)], ChannelsLast(), Maps()),
        ("Block", (7, 7, 64), [(224, 224)], Maps(), ChannelsLast()),
        # Channels equal to the rows of an image that is not square.
        ("ReLU", (8, 8, 12), [(8, 12), (16, 24)], Maps(), Maps()),
        ("ReLU", (8, 8, 12), [(32, 48)], None, Maps()),
        ("Block", (8, 12, 12), [(8, 12), (16, 24)], Maps(), ChannelsLast()),
        ("Block", (8, 12, 12), [(32, 48)], None, ChannelsLast()),
        # All three sizes equal: as before, and turned over by a permutation.
        ("ReLU", (7, 7, 7), [(7, 7), (14, 14)], Maps(), Maps()),
        ("Dropout", (7, 7, 7), [(7, 7), (14, 14)], ChannelsLast(), ChannelsLast()),
        ("Permute", (7, 7, 7), [(7, 7), (14, 14)], Maps(), ChannelsLast()),
        ("Permute", (7, 7, 7), [(7, 7), (14, 14)], ChannelsLast(), Maps()),
        ("Encoder", (197, 768), [(14, 14), (224, 224)], Maps(), Tokens(1, (14, 14))),
        ("Block", (196, 32), [(14, 14), (224, 224)], Maps(), Tokens(0, (14, 14))),
        ("Block", (300, 32), [(14, 14), (224, 224)], Maps(), None),
        ("Block", (2, 3, 4, 5), [], None, None),
        ("Block", (), [], None, None),
    ],
)
def test_inference(kind: str, shape: tuple[int, ...], grids: list[tuple[int, int]], before: Layout | None, expected: Layout | None) -> None:
    assert infer(kind, shape, grids, before) == expected


def test_layouts_are_named() -> None:
    assert [str(x) for x in (Maps(), ChannelsLast(), Tokens(1, (14, 14)), Tokens(0, (7, 9)), Vector())] == [
        "maps",
        "channels last",
        "tokens 1 + 14x14",
        "tokens 7x9",
        "vector",
    ]
