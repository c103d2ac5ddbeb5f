"""Transforms are exact where the arithmetic is, know rows from columns, and treat each image by itself."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from interp.errors import InterpError
from interp.featurevis.transform import NONE, STANDARD, Compose, Crop, Jitter, Pad, Rotate, Scale, Transform, rotation, sample, translation

from .conftest import generators


def photos(n: int = 2, rows: int = 9, cols: int = 14) -> torch.Tensor:
    return torch.rand(n, 3, rows, cols, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def close(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    return True


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_nothing() -> None:
    images = photos()
    assert NONE(images, generators(2)) is images
    for still in (Jitter(0), Scale(1.0, 1.0), Rotate(0.0), Pad(0), Compose((Pad(3), Crop(3)))):
        close(still(images, generators(2)), images)


def test_pad_adds_a_border_of_its_colour() -> None:
    images = photos()
    close(Pad(3, 0.25)(images, generators(2)), F.pad(images, (3, 3, 3, 3), value=0.25))
    assert Pad(3).size((9, 14)) == (15, 20)
    close(Crop(2)(images, generators(2)), images[:, :, 2:-2, 2:-2])


def test_shift_of_rows_and_columns_brings_in_the_mirror_image() -> None:
    images = photos()
    moved = sample(images, translation(vector(2, 0), vector(0, -3)), (9, 14), None)
    close(moved[0], torch.cat([images[0, :, :2].flip(1), images[0, :, :-2]], dim=1))
    close(moved[1], torch.cat([images[1, :, :, 3:], images[1, :, :, -3:].flip(2)], dim=2))
    inside = torch.roll(images, (2, 0), (2, 3))[0, :, 2:]
    close(moved[0, :, 2:], inside)


def test_shift_within_a_pad_is_pad_and_crop() -> None:
    images = photos(8)
    result = Compose((Pad(4, 0.25), Jitter(8), Crop(4)))(images, generators(8))
    padded = F.pad(images, (4, 4, 4, 4), value=0.25)
    draws = [torch.randint(0, 9, (2,), generator=g).tolist() for g in generators(8)]
    assert len({tuple(d) for d in draws}) > 4
    for i, (row, col) in enumerate(draws):
        close(result[i], padded[i, :, 8 - row : 17 - row, 8 - col : 22 - col])


def test_jitter_reaches_each_place() -> None:
    for pixels, expected in ((4, {-2, -1, 0, 1, 2}), (3, {-2, -1, 0, 1})):
        matrices = Jitter(pixels).matrices((9, 14), generators(80))
        assert set(matrices[:, 1, 2].neg().int().tolist()) == expected == set(matrices[:, 0, 2].neg().int().tolist())


def test_scale_by_two_is_bilinear_interpolation_of_the_middle() -> None:
    images = photos(2, 8, 12)
    enlarged = F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)
    result = Scale(2.0, 2.0)(images, generators(2))
    close(result, enlarged[:, :, 4:-4, 6:-6])
    shrunk = Compose((Pad(0, 0.25), Scale(0.5, 0.5)))(images, generators(2))
    close(shrunk[:, :, 2:6, 3:9], F.avg_pool2d(images, 2))
    close(shrunk[:, :, 0], torch.full_like(shrunk[:, :, 0], 0.25))


def test_quarter_turn_is_rot90() -> None:
    square = photos(2, 9, 9)
    turned = sample(square, rotation(vector(90, -90)), (9, 9), None)
    close(turned[0], torch.rot90(square[0], 1, (1, 2)))
    close(turned[1], torch.rot90(square[1], -1, (1, 2)))
    wide = photos(1, 9, 15)
    close(sample(wide, rotation(vector(90.0)), (15, 9), None), torch.rot90(wide, 1, (2, 3)))
    # In a frame that keeps its shape the outside is filled, not stretched into.
    kept = sample(wide, rotation(vector(90)), (9, 15), 0.25)
    close(kept[:, :, :, 3:12], torch.rot90(wide, 1, (2, 3))[:, :, 3:12])
    close(kept[:, :, :, :3], torch.full_like(kept[:, :, :, :3], 0.25))


def test_a_chain_is_sampled_once_and_equals_its_steps() -> None:
    ramp = torch.linspace(0, 1, 40, dtype=torch.float64).expand(1, 3, 40, 40).contiguous()
    draws, chain = generators(1), (Jitter(4), Scale(0.9, 1.1), Rotate(10.0))
    together = Compose(chain)(ramp, generators(1))
    apart = ramp
    for part in chain:
        apart = part(apart, draws)
    # A ramp is what bilinear interpolation leaves alone, away from the edges.
    torch.testing.assert_close(together[..., 8:-8, 8:-8], apart[..., 8:-8, 8:-8], rtol=0, atol=1e-9)


def test_a_second_pad_has_its_own_colour() -> None:
    images = photos(1)
    result = Compose((Pad(1, 0.0), Pad(1, 1.0)))(images, generators(1))
    close(result, F.pad(F.pad(images, (1,) * 4, value=0.0), (1,) * 4, value=1.0))


class Invert(Transform):
    def __call__(self, images: torch.Tensor, generators: object) -> torch.Tensor:
        return 1 - images

    def size(self, before: tuple[int, int]) -> tuple[int, int]:
        return before


def test_other_transforms_take_their_turn() -> None:
    images = photos(1)
    close(Compose((Pad(1, 0.25), Invert()))(images, generators(1)), 1 - F.pad(images, (1,) * 4, value=0.25))
    close(Compose((Invert(), Pad(1, 0.25)))(images, generators(1)), F.pad(1 - images, (1,) * 4, value=0.25))


def test_standard_is_lucids_at_lucids_size_and_scales() -> None:
    assert STANDARD.chain((128, 128)).parts == (Pad(12), Jitter(8), Scale(0.9, 1.1), Rotate(10.0), Jitter(4), Crop(12))
    assert STANDARD.chain((256, 300)).parts[1] == Jitter(16)
    assert STANDARD.size((33, 47)) == (33, 47) == tuple(STANDARD(photos(1, 33, 47), generators(1)).shape[2:])


def test_draws_of_an_image_are_its_own() -> None:
    images = photos(3, 20, 24)
    batch = STANDARD(images, generators(3))
    for i in range(3):
        close(STANDARD(images[i : i + 1], generators(3)[i : i + 1]), batch[i : i + 1])
    same = STANDARD(images[:1].expand(3, -1, -1, -1), generators(3))
    assert not torch.allclose(same[0], same[1]), "each image is moved by itself"


def test_gradients_flow() -> None:
    images = photos(1, 16, 16).requires_grad_()
    (gradient,) = torch.autograd.grad(STANDARD(images, generators(1)).sum(), images)
    assert (gradient > 0).float().mean() > 0.6


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: Jitter(-1), "`pixels` of Jitter are -1"),
        (lambda: Pad(-2), "`pixels` of Pad are -2"),
        (lambda: Pad(1, 3.0), "`grey` of Pad is 3"),
        (lambda: Scale(1.1, 0.9), r"Scale goes from 1\.1 to 0\.9"),
        (lambda: Rotate(270.0), "`degrees` of Rotate are 270"),
        (lambda: Crop(5)(photos(), generators(2)), r"Crop\(5\) leaves nothing of an image of 9 x 14 px"),
        (lambda: STANDARD(photos(2), generators(3)), "shape 2x3x9x14 with 3 generators"),
    ],
)
def test_refusals(bad: type, message: str) -> None:
    with pytest.raises(InterpError, match=message):
        bad()
