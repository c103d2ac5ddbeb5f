"""Directions against the same sums written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName
from interp.featurevis.directions import Direction, Kind
from interp.featurevis.fixed import Fixed
from interp.featurevis.units import Channel

from .ascending import check_raised

BLOCK = "encoder.layers.encoder_layer_0"


def vector(count: int, seed: int = 0, name: str = "v") -> Fixed:
    return Fixed.of(torch.randn(count, generator=torch.Generator().manual_seed(seed)), name)


def written_out(maps: np.ndarray, direction: np.ndarray, kind: Kind, power: float) -> np.ndarray:
    """One place at a time: (n, h, w)."""
    values = np.zeros((len(maps), *maps.shape[2:]))
    for n, row, col in np.ndindex(values.shape):
        here = maps[n, :, row, col]
        dot = sum(a * b for a, b in zip(here, direction, strict=True))
        cosine = dot / (np.sqrt((here**2).sum()) * np.sqrt((direction**2).sum()))
        values[n, row, col] = {Kind.DOT: dot, Kind.COSINE: cosine, Kind.DOT_COSINE: dot * max(0.1, cosine) ** power}[kind]
    return values


@pytest.mark.parametrize("power", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("kind", Kind)
def test_equations(kind: Kind, power: float) -> None:
    maps = torch.randn(2, 5, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    fixed = vector(5)
    expected = written_out(maps.numpy(), fixed.values.double().numpy(), kind, power)
    np.testing.assert_allclose(Direction("a", fixed, kind, power)({"a": maps}).numpy(), expected.mean((1, 2)), rtol=1e-12)
    np.testing.assert_allclose(Direction("a", fixed, kind, power, (2, 1))({"a": maps}).numpy(), expected[:, 2, 1], rtol=1e-12)


def test_a_unit_vector_is_a_channel() -> None:
    maps = {"a": torch.randn(3, 4, 2, 5, generator=torch.Generator().manual_seed(2))}
    one_hot = Fixed.of(torch.eye(4)[2], "third")
    torch.testing.assert_close(Direction("a", one_hot)(maps), Channel(Unit("a", 2))(maps))


@given(st.floats(0.01, 100), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_the_cosine_knows_no_length(length: float, seed: int) -> None:
    maps = torch.randn(2, 6, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    fixed = vector(6, seed)
    cosine = Direction("a", fixed, Kind.COSINE)
    torch.testing.assert_close(cosine({"a": length * maps}), cosine({"a": maps}))
    longer = Direction("a", Fixed.of(fixed.values * length, "long"), Kind.COSINE)
    torch.testing.assert_close(longer({"a": maps}), cosine({"a": maps}), rtol=1e-5, atol=1e-7)
    assert bool((cosine({"a": maps}).abs() <= 1).all())


@pytest.mark.parametrize("kind", Kind)
def test_silence_has_no_direction_and_a_finite_gradient(kind: Kind) -> None:
    maps = torch.zeros(1, 4, 2, 2, requires_grad=True)
    value = Direction("a", vector(4), kind)({"a": maps})
    assert float(value.detach()) == 0
    (gradient,) = torch.autograd.grad(value.sum(), maps)
    assert bool(torch.isfinite(gradient).all())
    assert bool((gradient != 0).any()), "it can be left"
    assert float(Direction("a", Fixed.of(torch.zeros(4), "nothing"), kind)({"a": maps.detach() + 1})) == 0


def test_options_are_values() -> None:
    one, same, other = Direction("a", vector(3)), Direction("a", vector(3)), Direction("a", vector(3, 1))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    before = str(one)
    total = 2 * one - other
    assert total.layers == ("a",)
    assert str(one) == before
    maps = {"a": torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(4))}
    torch.testing.assert_close(total(maps), 2 * one(maps) - other(maps))
    with pytest.raises(AttributeError):
        one.power = 3.0  # type: ignore[misc]


def test_names_tell_all_apart() -> None:
    fixed = vector(3)
    assert str(Direction("a", fixed)) == f"a:v[{fixed.sha256[:8]}] dot"
    assert str(Direction("a", fixed, Kind.DOT_COSINE, at=(0, 2))) == f"a:v[{fixed.sha256[:8]}]@0,2 dot-cosine^2"
    several = [
        Direction("a", fixed),
        Direction("b", fixed),
        Direction("a", vector(3, 1)),
        Direction("a", vector(3, 0, "w")),
        Direction("a", fixed, Kind.COSINE),
        Direction("a", fixed, Kind.DOT_COSINE),
        Direction("a", fixed, Kind.DOT_COSINE, 3.0),
        Direction("a", fixed, at=(0, 0)),
    ]
    assert len({str(d) for d in several}) == len(several)


def test_ascent_raises_each(cnn: Model, vit: Model) -> None:
    check_raised(cnn, [Direction("conv2", vector(8), kind) for kind in Kind] + [Direction("conv1", vector(6), Kind.COSINE, at=(4, 30))])
    check_raised(vit, [Direction(BLOCK, vector(16), kind) for kind in Kind] + [Direction(BLOCK, vector(16), Kind.DOT, at=(0, 3))])


def test_refusals(cnn: Model) -> None:
    with pytest.raises(InterpError, match="the direction 'v' has 7 numbers, but layer 'conv1' has 6 channels: give one number per channel"):
        Direction("conv1", vector(7)).validate(cnn)
    with pytest.raises(UnknownName, match="no layer 'conv3' in 'tiny'"):
        Direction("conv3", vector(6)).validate(cnn)
    with pytest.raises(UnknownName, match="the maps of 'conv2' have 16 rows and 16 columns, so row,col goes up to 15,15"):
        Direction("conv2", vector(8), at=(16, 0)).validate(cnn)
    Direction("conv2", vector(8), at=(16, 0)).validate(cnn, (64, 64))
    with pytest.raises(
        UnknownName, match=r"no place of 'a:v\[.{8}\]@2,0 dot': at this image size the maps of 'a' have 2 rows and 3 columns"
    ):
        Direction("a", vector(4), at=(2, 0))({"a": torch.zeros(1, 4, 2, 3)})
    with pytest.raises(InterpError, match=r"the `direction` of Direction, 'm', is an array of shape 2x2: give one number per channel"):
        Direction("a", Fixed.of(torch.ones(2, 2), "m"))
    with pytest.raises(InterpError, match="the `direction` of Direction, 'm', holds NaN or infinite values"):
        Direction("a", Fixed.of(torch.tensor([1.0, float("nan")]), "m"))
    with pytest.raises(InterpError, match=r"the `power` of Direction is -1\.0: give the exponent of the cosine, 0 or more"):
        Direction("a", vector(4), Kind.DOT_COSINE, -1.0)
