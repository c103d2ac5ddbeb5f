"""What is followed of places through a forward: each operation on its own, against where the numbers 0, 1, 2, ... end up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interp.core.axes import Kind, Part, fresh, joined, other, raster, sliced, union, viewed
from interp.core.layout import ChannelsLast, Layout, Maps, Tokens
from interp.core.placing import PlaceTracker
from interp.errors import Unsupported
from interp.images import Preprocess
from interp.zoo.loading import load

IMAGES, CHANNELS, ROWS, COLS = 2, 6, 8, 12


def followed(operation: Callable[[Tensor], Tensor]) -> Layout | str | None:
    images = torch.rand(IMAGES, CHANNELS, ROWS, COLS, generator=torch.Generator().manual_seed(0))
    tracker = PlaceTracker(images)
    with torch.no_grad(), tracker:
        result = operation(images)
    return tracker.layout(result)


def tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def batched(x: Tensor, rows: int = 11, cols: int = 16, order: tuple[int, ...] = (0, 1)) -> Tensor:
    """As torchvision's detectors do it: images are resized one by one, and written into an empty batch with room behind them."""
    made = [F.interpolate((image - 0.5)[None], scale_factor=1.25)[0] for image in x]
    batch = made[0].new_full((len(made), CHANNELS, rows, cols), 0)
    for k, image in zip(order, made, strict=True):
        batch[k, :, : image.shape[1], : image.shape[2]].copy_(image)
    return batch


def framed(x: Tensor) -> Tensor:
    frame = torch.zeros(IMAGES, CHANNELS + 2, ROWS + 2, COLS + 1)
    frame[:, 1:-1, 1:-1, 1:] = x
    return frame


def half_written(x: Tensor) -> Tensor:
    batch = x.new_zeros(x.shape)
    batch[0] = x[0]
    return batch


def turned_and_not(x: Tensor) -> Tensor:
    batch = x.new_zeros(IMAGES, CHANNELS, COLS, COLS)
    batch[0, :, :ROWS] = x[0]
    batch[1, :, :, :ROWS] = x[1].transpose(1, 2)
    return batch


def halves_swapped(x: Tensor) -> Tensor:
    made = torch.zeros(x.shape)
    made[:, :, : ROWS // 2], made[:, :, ROWS // 2 :] = x[:, :, ROWS // 2 :], x[:, :, : ROWS // 2]
    return made


def windows(x: Tensor) -> Tensor:
    """(N, windows, places within, C), in windows of 4 x 4."""
    n, c, rows, cols = x.shape
    return x.view(n, c, rows // 4, 4, cols // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(n, -1, 16, c)


def unwindowed(x: Tensor) -> Tensor:
    return x.view(IMAGES, ROWS // 4, COLS // 4, 4, 4, CHANNELS).permute(0, 1, 3, 2, 4, 5).reshape(IMAGES, ROWS, COLS, CHANNELS)


def with_class(x: Tensor) -> Tensor:
    return torch.cat([torch.zeros(IMAGES, 1, CHANNELS), tokens(x)], dim=1)


def attention(x: Tensor) -> Tensor:
    return (x @ x.transpose(1, 2)).softmax(-1)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda x: x.relu(), Maps()),
        (lambda x: F.conv2d(x, torch.ones(4, 6, 3, 3), stride=2), Maps()),
        (lambda x: F.max_pool2d(x, 2), Maps()),
        (lambda x: F.interpolate(x, size=(5, 7)), Maps()),
        (lambda x: F.pixel_unshuffle(x, 2), Maps()),
        (lambda x: F.pad(x, (1, 1, 1, 1)), Maps()),
        (lambda x: F.pad(x, (4, 4, 4, 4))[:, :, 4:-4, 4:-4], Maps()),
        (lambda x: F.conv2d(F.pad(x, (2, 2, 2, 2)), torch.ones(4, 6, 5, 5)), Maps()),
        (lambda x: F.conv2d(F.pad(x, (0, 1, 0, 1)), torch.ones(4, 6, 3, 3), stride=2, padding=1), Maps()),
        (lambda x: F.max_pool2d(F.pad(x, (2, 2, 2, 2)), 5, 1), Maps()),
        (lambda x: F.conv2d(F.conv2d(x, torch.ones(4, 6, 3, 3)), torch.ones(4, 4, 3, 3)), Maps()),
        (lambda x: F.conv2d(x[:, :, 1:, :-1], torch.ones(4, 6, 3, 3)), Maps()),
        (lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), Maps()),
        (lambda x: x.view(IMAGES, 2, 3, ROWS, COLS).transpose(1, 2).reshape(x.shape), Maps()),
        (lambda x: torch.cat([x, x[:, :2]], dim=1), Maps()),
        (lambda x: x.permute(0, 2, 3, 1), ChannelsLast()),
        (lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (CHANNELS,)), ChannelsLast()),
        (lambda x: F.linear(x.permute(0, 2, 3, 1), torch.ones(5, CHANNELS)), ChannelsLast()),
        (lambda x: x.permute(0, 2, 3, 1)[:, ::2, 1::2], ChannelsLast()),
        (tokens, Tokens(0, (ROWS, COLS))),
        (with_class, Tokens(1, (ROWS, COLS))),
        (lambda x: with_class(x)[:, 1:], Tokens(0, (ROWS, COLS))),
        (lambda x: torch.cat([torch.zeros(IMAGES, 3, CHANNELS), with_class(x)], dim=1), Tokens(4, (ROWS, COLS))),
        (lambda x: attention(tokens(x)) @ tokens(x), Tokens(0, (ROWS, COLS))),
        (lambda x: F.scaled_dot_product_attention(*[tokens(x)[:, None]] * 3).squeeze(1), Tokens(0, (ROWS, COLS))),
        (lambda x: F.conv2d(with_class(x)[:, 1:].transpose(1, 2).view(x.shape), torch.ones(4, 6, 2, 2), stride=2), Maps()),
        (lambda x: unwindowed(windows(x)), ChannelsLast()),
        (lambda x: x.roll((2, 3), (2, 3)).roll((-2, -3), (2, 3)), Maps()),
        (batched, Maps()),
        (lambda x: F.conv2d(batched(x), torch.ones(4, 6, 3, 3)).permute(0, 2, 3, 1), ChannelsLast()),
        (framed, Maps()),
        (lambda x: torch.stack([image.relu() for image in x]), Maps()),
        (lambda x: torch.stack([image.permute(1, 2, 0) for image in x.unbind()]), ChannelsLast()),
        (lambda x: torch.cat([x[k : k + 1] * 2 for k in range(len(x))]), Maps()),
        (lambda x: torch.cat([part.permute(0, 2, 3, 1) for part in x.split(1)]), ChannelsLast()),
        (lambda x: F.conv2d(x.unfold(2, 3, 1).mean(-1), torch.ones(4, 6, 3, 3)), Maps()),
        # A Linear over places mixes them; what it is added to says where the sum belongs.
        (lambda x: tokens(x) + F.linear(tokens(x).transpose(1, 2), torch.ones(96, 96)).transpose(1, 2), Tokens(0, (ROWS, COLS))),
    ],
)
def test_places_are_followed(operation: Callable[[Tensor], Tensor], expected: Layout) -> None:
    assert followed(operation) == expected


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (lambda x: batched(x, order=(1, 0)), "does not keep the images apart"),
        (lambda x: torch.stack([x[1], x[0]]), "does not keep the images apart"),
        (lambda x: torch.stack([x[0] + x[1], x[1]]), "does not keep the images apart"),
        (lambda x: x[:, :, ROWS // 2 :], r"rows 50% to 100%, cols 0% to 100%"),
        (lambda x: F.conv2d(x[:, :, :, : COLS // 2], torch.ones(4, 6, 3, 3), padding=1), r"rows 0% to 100%, cols 0% to 50%"),
        (lambda x: tokens(x[:, :, ROWS // 2 :]), r"rows 50% to 100%"),
        (lambda x: x[:, :, 4:] + x[:, :, :4], r"rows 50% to 100%"),
        (lambda x: F.pad(x, (0, 0, 0, 4)), r"rows 0% to 150%"),
        (lambda x: F.conv2d(x.rot90(1, (2, 3)), torch.ones(4, 6, 3, 3)), "belong to no places"),
        (lambda x: F.conv2d(F.grid_sample(x, torch.zeros(IMAGES, 9, 9, 2), align_corners=False), torch.ones(4, 6, 3, 3)), "no places"),
        (windows, "not in the order of rows and columns"),
        (lambda x: windows(x).flatten(1, 2), "not in the order of rows and columns"),
        (lambda x: windows(x).flatten(0, 1), "does not keep the images apart"),
        (lambda x: x.permute(0, 1, 3, 2), "not in the order of rows and columns"),
        (lambda x: x.transpose(2, 3).flatten(2).transpose(1, 2), "not in the order of rows and columns"),
        (lambda x: x.roll(1, 3), "not in the order of rows and columns"),
        (lambda x: attention(tokens(x)), "belongs to two places"),
        (lambda x: attention(tokens(x))[:, None].expand(-1, 3, -1, -1), "belongs to two places"),
        (lambda x: with_class(x).view(IMAGES, 97, 2, 3).transpose(1, 2), "stand beside heads"),
        (lambda x: x.flatten(2), "in one dimension, stand behind its channels"),
        (lambda x: F.linear(x.flatten(2), torch.ones(96, 96)), "belong to no places"),
        (lambda x: tokens(x)[:, torch.randperm(96)], "belong to no places"),
        (lambda x: tokens(x).roll(1, 1), "belong to no places"),
        (lambda x: x.flip(3), "belong to no places|not in the order"),
    ],
)
def test_what_has_no_places_in_order_is_refused(operation: Callable[[Tensor], Tensor], reason: str) -> None:
    told = followed(operation)
    assert isinstance(told, str)
    assert any(part in told for part in reason.split("|"))


def test_what_is_not_known_is_left_open() -> None:
    assert followed(lambda x: x.unfold(2, 3, 1).mean(-1)) is None
    assert followed(lambda x: torch.fft.ifft2(torch.fft.fft2(x)).real) is None
    assert followed(half_written) is None
    assert followed(turned_and_not) is None
    assert followed(halves_swapped) is None
    assert followed(lambda x: F.adaptive_avg_pool2d(x, 1)) is None, "one place: the sizes tell"


def test_what_is_followed_agrees_with_where_numbers_end_up() -> None:
    """A picture of row numbers and one of column numbers, through views alone, against the layout that is told."""
    rows = torch.arange(float(ROWS)).view(1, 1, ROWS, 1).expand(IMAGES, CHANNELS, ROWS, COLS)
    cols = torch.arange(float(COLS)).view(1, 1, 1, COLS).expand(IMAGES, CHANNELS, ROWS, COLS)
    for operation in (tokens, with_class, lambda x: x.permute(0, 2, 3, 1), lambda x: unwindowed(windows(x))):
        layout = followed(operation)
        assert layout is not None
        assert not isinstance(layout, str)
        assert torch.equal(layout.maps(operation(rows)), rows)
        assert torch.equal(layout.maps(operation(cols)), cols)


class Positions(nn.Module):
    """A grid of positions for each image, of which nothing hangs on the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.expand(len(x), -1, -1, -1)


class Positioned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.positions = Positions()
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(48, 2)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.norm((x + self.positions(x)).flatten(2))
        scores: Tensor = self.head(heads.flatten(1))
        return scores


def test_a_trace_refuses_what_is_no_map_of_the_picture() -> None:
    model = load(Positioned(), preprocess=Preprocess(size=(4, 4), resize=None))
    with pytest.raises(
        Unsupported, match=r"layer 'positions' \(Positions\) has no maps: its output \(3, 4, 4\) does not depend on the picture"
    ):
        _ = model.layer("positions").map_shape
    with pytest.raises(
        Unsupported, match=r"'norm' \(LayerNorm\) has no maps: the places of its output \(3, 16\), in one dimension, stand behind"
    ):
        model.units("norm:0")


def test_a_view_splits_and_joins() -> None:
    axes = (fresh(Kind.ROW, 8), fresh(Kind.COL, 12))
    split = viewed(axes, (2, 4, 3, 4))
    assert split == ((Part(Kind.ROW, 2, 4, 8),), (Part(Kind.ROW, 4, 1, 8),), (Part(Kind.COL, 3, 4, 12),), (Part(Kind.COL, 4, 1, 12),))
    assert viewed(split, (8, 12)) == axes
    assert viewed(split, (96,)) == (axes[0] + axes[1],)
    assert viewed(axes, (16, 6)) == ((Part(Kind.ROW, 8, 1, 8), Part(Kind.COL, 2, 6, 12)), (Part(Kind.COL, 6, 1, 12),))
    assert viewed(axes, (5, 20)) is None, "8 rows do not part into 5"


def test_windows_side_by_side_are_not_rows() -> None:
    within_first = (Part(Kind.ROW, 4, 1, 8), Part(Kind.ROW, 2, 4, 8))
    assert joined(within_first) == within_first
    assert raster((*fresh(Kind.COL, 12), *fresh(Kind.ROW, 8))) is None
    assert sliced(fresh(Kind.ROW, 8), 0, 8, 2) == (Part(Kind.ROW, 4, 2, 8),)
    assert sliced(fresh(Kind.ROW, 8), 2, 6, 1) == fresh(Kind.ROW, 4, (0.25, 0.75)), "a crop is a part of the picture"
    assert union(fresh(Kind.ROW, 8), fresh(Kind.COL, 8)) is None
    assert union(other(8), fresh(Kind.COL, 8)) == fresh(Kind.COL, 8)
