"""Moves are exact where the arithmetic is, know rows from columns, and reach both ends of what they promise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import InterpError
from interp.featurevis.transform import (
    Affine,
    Compose,
    Crop,
    Flip,
    Jitter,
    Pad,
    RandomCrop,
    Resize,
    Rotate,
    Scale,
    rotation,
    sample,
    scaling,
    shearing,
    translation,
)

from .conftest import generators
from .photos import close, photos, vector


def shifts(matrices: torch.Tensor) -> torch.Tensor:
    """(rows, cols) by which the content moves."""
    return -matrices[:, [1, 0], 2]


def test_pad_adds_a_border_of_its_colour() -> None:
    images = photos()
    assert torch.equal(Pad(3, 0.25)(images, generators(2)), F.pad(images, (3, 3, 3, 3), value=0.25))
    assert Pad(3).size((9, 14)) == (15, 20)
    assert torch.equal(Crop(2)(images, generators(2)), images[:, :, 2:-2, 2:-2])


def test_shift_of_rows_and_columns_brings_in_the_mirror_image() -> None:
    images = photos()
    moved = sample(images, translation(vector(2, 0), vector(0, -3)), (9, 14), None)
    close(moved[0], torch.cat([images[0, :, :2].flip(1), images[0, :, :-2]], dim=1))
    close(moved[1], torch.cat([images[1, :, :, 3:], images[1, :, :, -3:].flip(2)], dim=2))
    close(moved[0, :, 2:], torch.roll(images, (2, 0), (2, 3))[0, :, 2:])


def test_jitter_moves_the_image_and_brings_in_no_black() -> None:
    """Some tools shift by a translation that fills with zeros, and blur on the way."""
    images = photos(16, 9, 14, torch.float32) + 0.1
    moved = Jitter(6)(images, generators(16))
    draws = [torch.randint(0, 7, (2,), generator=g).sub(3).tolist() for g in generators(16)]
    assert len({tuple(draw) for draw in draws}) > 8
    wide = torch.cat([images.flip(2), images, images.flip(2)], dim=2)
    wide = torch.cat([wide.flip(3), wide, wide.flip(3)], dim=3)
    for i, (row, col) in enumerate(draws):
        assert torch.equal(moved[i], wide[i, :, 9 - row : 18 - row, 14 - col : 28 - col])


def test_a_shift_beyond_the_image_goes_on_mirroring() -> None:
    images = photos(32, 4, 3)
    moved = Jitter(30)(images, generators(32))
    repeated = torch.cat([images, images.flip(2)], dim=2).repeat(1, 1, 9, 1)
    repeated = torch.cat([repeated, repeated.flip(3)], dim=3).repeat(1, 1, 1, 9)
    for i, (row, col) in enumerate(shifts(Jitter(30).matrices((4, 3), generators(32))).int().tolist()):
        assert torch.equal(moved[i], repeated[i, :, 32 - row : 36 - row, 24 - col : 27 - col])


def test_shift_within_a_pad_is_pad_and_crop() -> None:
    images = photos(8, 9, 14, torch.float32)
    result = Compose((Pad(4, 0.25), Jitter(8), Crop(4)))(images, generators(8))
    padded = F.pad(images, (4, 4, 4, 4), value=0.25)
    draws = [torch.randint(0, 9, (2,), generator=g).tolist() for g in generators(8)]
    assert len({tuple(d) for d in draws}) > 4
    for i, (row, col) in enumerate(draws):
        assert torch.equal(result[i], padded[i, :, 8 - row : 17 - row, 8 - col : 22 - col])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 12), st.integers(0, 10**6))
def test_jitter_keeps_within_its_places(pixels: int, seed: int) -> None:
    moved = shifts(Jitter(pixels).matrices((9, 14), generators(20, seed)))
    assert torch.equal(moved, moved.round())
    assert moved.min() >= -((pixels + 1) // 2)
    assert moved.max() <= pixels // 2


def test_jitter_reaches_each_place() -> None:
    for pixels, expected in ((4, {-2, -1, 0, 1, 2}), (3, {-2, -1, 0, 1})):
        matrices = Jitter(pixels).matrices((9, 14), generators(80))
        assert set(shifts(matrices)[:, 0].int().tolist()) == expected == set(shifts(matrices)[:, 1].int().tolist())


def test_scale_by_two_is_bilinear_interpolation_of_the_middle() -> None:
    """In some tools a later resize to the model's input undoes every scale above 1."""
    images = photos(2, 8, 12)
    enlarged = F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)[:, :, 4:-4, 6:-6]
    close(Scale(2.0, 2.0)(images, generators(2)), enlarged)
    close(Compose((Scale(2.0, 2.0), Resize(8, 12)))(images, generators(2)), enlarged)
    shrunk = Compose((Pad(0, 0.25), Scale(0.5, 0.5)))(images, generators(2))
    close(shrunk[:, :, 2:6, 3:9], F.avg_pool2d(images, 2))
    close(shrunk[:, :, 0], torch.full_like(shrunk[:, :, 0], 0.25))


def test_scale_draws_from_its_range_or_its_values() -> None:
    factors = 1 / Scale(0.9, 1.1).matrices((9, 14), generators(200))[:, [0, 1], [0, 1]]
    assert torch.equal(factors[:, 0], factors[:, 1])
    assert 0.9 <= factors.min() < 0.91
    assert 1.09 < factors.max() <= 1.1
    chosen = (1 / Scale(values=(0.5, 1.0, 4.0)).matrices((9, 14), generators(60))[:, 0, 0]).tolist()
    assert set(chosen) == {0.5, 1.0, 4.0}
    assert all(chosen.count(value) > 10 for value in (0.5, 1.0, 4.0))


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


def test_rotate_goes_both_ways() -> None:
    matrices = Rotate(10.0).matrices((9, 14), generators(200))
    angles = torch.rad2deg(torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert -10 <= angles.min() < -9
    assert 9 < angles.max() <= 10


def test_affine_is_the_product_of_its_parts() -> None:
    affine = Affine(degrees=40.0, translate=0.25, scale=(0.5, 2.0), shear=30.0)
    matrices = affine.matrices((10, 20), generators(50))
    draws = torch.stack([torch.stack([torch.rand((), generator=g, dtype=torch.float64) for _ in range(5)]) for g in generators(50)])
    factor, lean, angle = 0.5 + 1.5 * draws[:, 0], 60 * draws[:, 1] - 30, 80 * draws[:, 2] - 40
    rows, cols = 10 * (0.5 * draws[:, 3] - 0.25), 20 * (0.5 * draws[:, 4] - 0.25)
    close(matrices, scaling(factor, factor) @ shearing(lean) @ rotation(angle) @ translation(rows, cols))
    # The content is enlarged, then leans, turns, and is shifted: the maps of output to input multiply in this order.
    for one, option in ((rotation(angle), {"degrees": 40.0}), (scaling(factor, factor), {"scale": (0.5, 2.0)})):
        drawn = Affine(**option).matrices((10, 20), generators(50))
        close(torch.linalg.det(drawn), torch.linalg.det(one))
    assert rows.abs().max() > 2.3
    assert cols.abs().max() > 4.6, "a share of the columns, which are twice as many"


def test_affine_shifts_by_shares_and_leans_to_the_right() -> None:
    moved = shifts(Affine(translate=0.25).matrices((8, 40), generators(300)))
    assert moved[:, 0].abs().max() <= 2
    assert 9.5 < moved[:, 1].abs().max() <= 10
    assert 0.1 < (moved[:, 1] > 0).double().mean() < 0.9
    line = torch.zeros(1, 3, 9, 9, dtype=torch.float64)
    line[..., 4] = 1
    leaning = sample(line, shearing(vector(45)), (9, 9), 0.0)
    close(leaning, torch.eye(9, dtype=torch.float64).flip(0).expand(1, 3, 9, 9))


def test_flips_mirror_and_undo_each_other() -> None:
    images = photos(2, 9, 14, torch.float32)
    assert torch.equal(Flip(1.0)(images, generators(2)), images.flip(3))
    assert torch.equal(Flip(0.0, 1.0)(images, generators(2)), images.flip(2))
    assert torch.equal(Flip(1.0, 1.0)(images, generators(2)), images.flip(2, 3))
    assert torch.equal(Compose((Flip(1.0, 1.0), Flip(1.0, 1.0)))(images, generators(2)), images)
    once = Flip(1.0)(images, generators(2))
    assert torch.equal(Flip(1.0)(once, generators(2)), images)


def test_flips_come_with_their_probability() -> None:
    signs = Flip(0.5, 0.2).matrices((9, 14), generators(1000))[:, [0, 1], [0, 1]]
    assert (signs[:, 0] < 0).double().mean() == pytest.approx(0.5, abs=0.05)
    assert (signs[:, 1] < 0).double().mean() == pytest.approx(0.2, abs=0.04)
    both = ((signs[:, 0] < 0) & (signs[:, 1] < 0)).double().mean()
    assert both == pytest.approx(0.1, abs=0.03), "independent of each other"


def window(matrices: torch.Tensor, rows: int, cols: int) -> torch.Tensor:
    """(top, left, height, width) in shares of the image."""
    height, width = matrices[:, 1, 1], matrices[:, 0, 0]
    return torch.stack([0.5 + matrices[:, 1, 2] / rows - height / 2, 0.5 + matrices[:, 0, 2] / cols - width / 2, height, width], dim=1)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.1, 0.9), st.floats(0, 0.5), st.floats(0, 1), st.integers(0, 10**6))
def test_random_crops_lie_within_the_image_and_their_sizes_in_the_interval(share: float, sd: float, centre_sd: float, seed: int) -> None:
    """Some tools draw the side from the interval above the one that is asked for."""
    crop = RandomCrop(share, sd, 0.1, 0.9, centre_sd)
    top, left, height, width = window(crop.matrices((20, 50), generators(30, seed)), 20, 50).unbind(1)
    close(height, width)
    assert height.min() >= 0.1 - 1e-9
    assert height.max() <= 0.9 + 1e-9
    for start in (top, left):
        assert start.min() >= -1e-9
        assert (start + height).max() <= 1 + 1e-9


def test_random_crops_are_distributed_as_they_say() -> None:
    top, left, height, _ = window(RandomCrop(0.25, 0.05).matrices((20, 50), generators(3000)), 20, 50).unbind(1)
    assert height.mean() == pytest.approx(0.25, abs=0.004)
    assert height.std() == pytest.approx(0.05, abs=0.004)
    for start in (top, left):
        centre = start + height / 2
        assert centre.mean() == pytest.approx(0.5, abs=0.01)
        assert centre.std() == pytest.approx(0.15, abs=0.01)
    assert abs(torch.corrcoef(torch.stack([top, left]))[0, 1]) < 0.06


def test_a_random_crop_is_its_window_enlarged() -> None:
    images = photos(6, 16, 24)
    cropped = RandomCrop(0.5, sd=0.0)(images, generators(6))
    assert cropped.shape == images.shape
    places = window(RandomCrop(0.5, sd=0.0).matrices((16, 24), generators(6)), 16, 24)
    rows = (places[:, :1] + 0.5 * (torch.arange(16.0).double() + 0.5) / 16) * 16 - 0.5
    cols = (places[:, 1:2] + 0.5 * (torch.arange(24.0).double() + 0.5) / 24) * 24 - 0.5
    # A product of two ramps is interpolated without error, away from the edges.
    ramp = (torch.arange(16.0)[:, None] * torch.arange(24.0)).double().div(400).expand(6, 3, 16, 24).contiguous()
    inside = RandomCrop(0.5, sd=0.0)(ramp, generators(6))[..., 2:-2, 2:-2]
    close(inside, (rows[:, :, None] * cols[:, None] / 400)[:, None, 2:-2, 2:-2].expand_as(inside))
    still = RandomCrop(0.5, sd=0.0, centre_sd=0.0)(images, generators(6))
    close(still, Scale(2.0, 2.0)(images, generators(6)))


@pytest.mark.parametrize("size", [(9, 14), (12, 14), (18, 28), (25, 31), (64, 15)])
def test_resize_is_bilinear_interpolation(size: tuple[int, int]) -> None:
    images = photos()
    assert Resize(*size).size((9, 14)) == size
    close(Resize(*size)(images, generators(2)), F.interpolate(images, size, mode="bilinear", align_corners=False))


def test_resize_to_the_models_input_is_part_of_the_sampling() -> None:
    images = photos(1, 128, 128, torch.float32)
    close(Resize(224, 224)(images, generators(1)), F.interpolate(images, (224, 224), mode="bilinear", align_corners=False), 1e-4)
    turned = Compose((Rotate(5.0), Resize(224, 200)))
    assert turned.size((128, 128)) == (224, 200) == tuple(turned(images, generators(1)).shape[2:])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: Jitter(-1), "`pixels` of Jitter are -1"),
        (lambda: Jitter(True), "`pixels` of Jitter are True"),
        (lambda: Pad(-2), "`pixels` of Pad are -2"),
        (lambda: Pad(1, 3.0), "`grey` of Pad is 3"),
        (lambda: Crop(-1), "`pixels` of Crop are -1"),
        (lambda: Scale(1.1, 0.9), r"Scale goes from 1\.1 to 0\.9: give two positive factors"),
        (lambda: Scale(0.9, 1.1, (1.0,)), "Scale has both a range, 0.9 to 1.1, and `values`"),
        (lambda: Scale(values=(1.0, 0.0)), r"`values` of Scale hold 0\.0: give positive factors"),
        (lambda: Rotate(270.0), "`degrees` of Rotate are 270"),
        (lambda: Rotate(float("nan")), "`degrees` of Rotate are nan"),
        (lambda: Affine(degrees=-1.0), "`degrees` of Affine are -1"),
        (lambda: Affine(shear=90.0), "`shear` of Affine are 90.0: give the largest angle either way, from 0 to 80"),
        (lambda: Affine(translate=2.0), "`translate` of Affine is 2.0: give the largest shift as a share"),
        (lambda: Affine(scale=(0.0, 1.0)), r"`scale` of Affine is \(0.0, 1.0\)"),
        (lambda: Flip(1.5), "`horizontal` of Flip is 1.5: give a probability"),
        (lambda: Flip(0.5, -0.1), "`vertical` of Flip is -0.1"),
        (lambda: RandomCrop(share=0.01), "RandomCrop has `least` 0.05, `share` 0.01, `most` 1.0: give shares"),
        (lambda: RandomCrop(most=1.5), "`most` 1.5"),
        (lambda: RandomCrop(sd=-0.1), "`sd` of RandomCrop is -0.1"),
        (lambda: RandomCrop(centre_sd=float("inf")), "`centre_sd` of RandomCrop is inf"),
        (lambda: Resize(0, 5), "Resize to 0 x 5 px: give rows and columns"),
    ],
)
def test_refusals(bad: Callable[[], object], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        bad()
