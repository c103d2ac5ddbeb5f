"""Chains: sampled once, equal to their steps, each image by itself, draws from the generators alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import InterpError
from interp.featurevis import chain, sampling
from interp.featurevis.transform import (
    NONE,
    PRESETS,
    STANDARD,
    Affine,
    Blur,
    Compose,
    Crop,
    Flip,
    Geometric,
    Jitter,
    Noise,
    Pad,
    RandomCrop,
    Resize,
    Rotate,
    Scale,
    Transform,
    sample,
)

from .conftest import generators
from .photos import close, photos

AFFINE = Affine(degrees=20.0, translate=0.1, scale=(0.8, 1.2), shear=10.0)
DRAWN = [
    Jitter(6),
    Scale(0.4, 1.5),
    Scale(values=(0.9, 1.0, 1.1)),
    Rotate(30.0),
    AFFINE,
    Flip(0.5, 0.5),
    RandomCrop(),
    Compose((RandomCrop(0.8, sd=0.2), Resize(6, 5))),
    Noise(0.1, 0.1),
    Blur(0.0, 2.0),
    Compose((Pad(2, 0.3), Jitter(4), Flip(), Crop(2))),
    Compose((Pad(2, 0.3), Jitter(4), Rotate(20.0), Blur(0.1, 1.0), Jitter(3), Noise(0.05))),
    *(transform for name, transform in PRESETS.items() if name != "none"),
]
EACH = pytest.mark.parametrize("transform", DRAWN, ids=str)


class Invert(Transform):
    def __call__(self, images: torch.Tensor, generators: object) -> torch.Tensor:
        return 1 - images

    def size(self, before: tuple[int, int]) -> tuple[int, int]:
        return before


def test_nothing() -> None:
    images = photos()
    assert NONE(images, generators(2)) is images
    for still in (Jitter(0), Pad(0), Flip(0.0, 0.0), Compose((Pad(3), Crop(3)))):
        assert torch.equal(still(images, generators(2)), images)
    for still in (Scale(1.0, 1.0), Rotate(0.0), Affine(), Resize(9, 14), RandomCrop(1.0, sd=0.0)):
        close(still(images, generators(2)), images)


def test_a_chain_is_sampled_once_and_equals_its_steps() -> None:
    ramp = torch.linspace(0, 1, 40, dtype=torch.float64).expand(1, 3, 40, 40).contiguous()
    draws, moves = generators(1), (Jitter(4), Scale(0.9, 1.1), Rotate(10.0), AFFINE)
    together = Compose(moves)(ramp, generators(1))
    apart = ramp
    for part in moves:
        apart = part(apart, draws)
    # A ramp is what bilinear interpolation leaves alone, away from the edges.
    close(together[..., 14:-14, 14:-14], apart[..., 14:-14, 14:-14], 1e-9)


@pytest.mark.parametrize(
    ("transform", "passes"),
    [
        (Compose((Pad(2), Jitter(4), Scale(0.9, 1.1), Rotate(10.0), Jitter(2), Crop(2), Resize(30, 30))), 1),
        (Compose((Compose((Jitter(4), Rotate(5.0))), STANDARD)), 2),
        (Compose((Compose((Jitter(4), Rotate(5.0))), Compose((Scale(0.9, 1.1), Flip())))), 1),
        (Compose((Rotate(5.0), Invert(), Rotate(5.0))), 2),
        (Compose((Jitter(5), Flip())), 0),
    ],
)
def test_how_often_pixels_are_interpolated(transform: Transform, passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(*args: object) -> torch.Tensor:
        calls.append(1)
        found: torch.Tensor = sample(*args)
        return found

    monkeypatch.setattr(chain, "sample", counted)
    transform(photos(1, 30, 30), generators(1))
    assert len(calls) == passes


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.integers(0, 40).map(Jitter), st.integers(0, 3).map(Crop), st.just(Flip(0.5, 0.5))),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([None, 0.0, 0.3]),
    st.integers(0, 1000),
)
def test_moves_by_whole_pixels_are_what_sampling_gives_but_exact(moves: list[Geometric], grey: float | None, seed: int) -> None:
    images = photos(2, 33, 38)
    parts = (*moves,) if grey is None else (Pad(3, grey), *moves)
    exact = Compose(parts)(images, generators(2, seed))
    # A rotation by nothing makes the chain one that is interpolated.
    close(exact, Compose((*parts, Rotate(0.0)))(images, generators(2, seed)), 1e-9)
    known = torch.cat([images.flatten(), torch.tensor([grey or 0.0], dtype=torch.float64)])
    assert torch.isin(exact, known).all(), "each pixel is one of the image's, to the bit"


def test_a_second_pad_has_its_own_colour() -> None:
    images = photos(1)
    result = Compose((Pad(1, 0.0), Pad(1, 1.0)))(images, generators(1))
    assert torch.equal(result, F.pad(F.pad(images, (1,) * 4, value=0.0), (1,) * 4, value=1.0))


def test_other_transforms_take_their_turn() -> None:
    images = photos(1)
    close(Compose((Pad(1, 0.25), Invert()))(images, generators(1)), 1 - F.pad(images, (1,) * 4, value=0.25))
    close(Compose((Invert(), Pad(1, 0.25)))(images, generators(1)), F.pad(1 - images, (1,) * 4, value=0.25))


def test_chains_within_a_chain_are_taken_apart() -> None:
    nested = Compose((Pad(2), Compose((Jitter(3), Compose((Crop(1),)), NONE)), STANDARD))
    assert nested.steps((128, 126)) == (Pad(2), Jitter(3), Crop(1), *STANDARD.chain((130, 128)).parts)
    assert nested.size((128, 126)) == (130, 128)


@EACH
def test_each_image_has_its_own_draws(transform: Transform) -> None:
    images = photos(4, 24, 30, torch.float32)
    batch = transform(images, generators(4))
    assert tuple(batch.shape[2:]) == transform.size((24, 30))
    assert torch.equal(transform(images, generators(4)), batch), "the same draws give the same images"
    for i in range(4):
        assert torch.equal(transform(images[i : i + 1], generators(4)[i : i + 1])[0], batch[i]), "alone as in company"
    turned = transform(images.flip(0), generators(4)[::-1])
    assert torch.equal(turned.flip(0), batch)
    same = transform(images[:1].expand(16, -1, -1, -1), generators(16))
    assert any(not torch.equal(same[0], other) for other in same[1:]), "each image is moved by itself"


@EACH
def test_nothing_is_drawn_from_elsewhere(transform: Transform) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002 - the global state is the subject
    first = transform(photos(2, 24, 30), generators(2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    torch.rand(3)
    assert torch.equal(transform(photos(2, 24, 30), generators(2)), first)


@EACH
def test_the_gradient_is_the_adjoint(transform: Transform) -> None:
    images = photos(2, 16, 20).requires_grad_()
    nothing = transform(torch.zeros_like(images), generators(2))
    moved = transform(images, generators(2))
    other = torch.rand(moved.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(moved, images, other)
    # <Ax, y> = <x, A'y>, where A is the transform without what it adds to a black image.
    torch.testing.assert_close(((moved - nothing) * other).sum(), (images * gradient).sum(), rtol=1e-9, atol=1e-9)
    assert gradient.abs().sum() > 0


@EACH
def test_values_stay_in_their_range(transform: Transform) -> None:
    moved = transform(photos(4, 24, 30).round(), generators(4))
    loud = isinstance(transform, Noise) or any(isinstance(step, Noise) for step in transform.steps((24, 30)))
    assert (-0.6 if loud else -1e-9) <= moved.min() <= moved.max() <= (1.6 if loud else 1 + 1e-9)


def test_shrinking_averages_what_bilinear_interpolation_would_skip() -> None:
    images = photos(2, 24, 32)
    close(Resize(8, 8)(images, generators(2)), F.avg_pool2d(images, (3, 4)))
    stripes = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(32).expand(1, 3, 64, 64).contiguous()
    close(Resize(16, 16)(stripes, generators(1)), torch.full((1, 3, 16, 16), 0.5, dtype=torch.float64))
    # A window that is enlarged by as much as the image shrinks is not blurred by the two of them.
    half = Compose((RandomCrop(0.5, sd=0.0, centre_sd=0.0), Resize(12, 16)))
    close(half(images, generators(2)), images[:, :, 6:18, 8:24])


def test_images_that_shrink_by_different_factors_keep_their_places() -> None:
    images = photos(3, 24, 32)
    factors = torch.tensor([1.0, 0.25, 1.0], dtype=torch.float64)
    mixed = sample(images, sampling.scaling(factors, factors), (24, 32), None)
    close(mixed[[0, 2]], images[[0, 2]])
    close(mixed[1, :, 9:15, 12:20], F.avg_pool2d(images[1], 4))


def test_refusals() -> None:
    with pytest.raises(InterpError, match="shape 2x3x9x14 with 3 generators: give images"):
        STANDARD(photos(2), generators(3))
    with pytest.raises(InterpError, match=r"Crop\(5\) leaves nothing of an image of 9 x 14 px \(rows x cols\)"):
        Crop(5)(photos(), generators(2))
