"""Objectives with a target, against their equations in NumPy and against photographs of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.featurevis import Objective
from interp.featurevis.directions import Direction, Kind
from interp.featurevis.fixed import Fixed
from interp.featurevis.objective import Sum
from interp.featurevis.targets import (
    Caricature,
    DeepDream,
    Inversion,
    SpatialTarget,
    Style,
    activation_grid,
    caricature,
    gram,
    inversion,
    style,
)

from .ascending import check_raised, noise, seen

BLOCK = "encoder.layers.encoder_layer_0"
U = Unit("conv2", 3)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


MAPS = random(2, 4, 3, 5, seed=1).double()
TARGET = Fixed.of(random(4, 3, 5, seed=2), "t")


def test_equations() -> None:
    maps, target = MAPS.numpy(), TARGET.values.double().numpy()
    activations = {"a": MAPS}
    for n, found in enumerate(Inversion("a", TARGET)(activations)):
        assert float(found) == pytest.approx(-(np.linalg.norm(maps[n] - target) ** 2) / np.linalg.norm(target) ** 2)
    flat = maps.reshape(2, 4, 15)
    grams = np.array([[[np.mean(flat[n, i] * flat[n, j]) for j in range(4)] for i in range(4)] for n in range(2)])
    np.testing.assert_allclose(gram(MAPS).numpy(), grams)
    wanted = Fixed.of(torch.from_numpy(grams[1]), "g")
    differences = wanted.values.double().numpy() - grams[0]
    found = Style("a", wanted)(activations)
    assert float(found[0]) == pytest.approx(-np.sum(differences**2) / np.sum(wanted.values.double().numpy() ** 2))
    assert float(found[1]) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(DeepDream("a")(activations).numpy(), (maps**2).reshape(2, -1).mean(1))
    drawn = Fixed.of(random(3, 5, seed=3), "drawn")
    expected = -((maps[:, 2] - drawn.values.double().numpy()) ** 2).mean((1, 2))
    np.testing.assert_allclose(SpatialTarget(Unit("a", 2), drawn)(activations).numpy(), expected)


@pytest.mark.parametrize("power", [0.0, 1.0, 3.0])
def test_caricature_equation(power: float) -> None:
    target = TARGET.values.double()
    # Three cosines: about 0, below 0 (counted as 0.1), and 1.
    maps = torch.stack([MAPS[0], MAPS[0] - target, 2 * target]).numpy()
    for n, found in enumerate(Caricature("a", TARGET, power)({"a": torch.from_numpy(maps)})):
        places = [np.dot(maps[n, :, r, c], target.numpy()[:, r, c]) for r in range(3) for c in range(5)]
        cosine = sum(places) / np.sqrt((maps[n] ** 2).sum() * (target.numpy() ** 2).sum())
        assert float(found) == pytest.approx(np.mean(places) * max(cosine, 0.1) ** power)


def test_silent_layers_have_finite_values_and_gradients() -> None:
    targets: list[Objective] = [Inversion("a", TARGET), Caricature("a", TARGET), Style("a", Fixed.of(torch.eye(4), "g")), DeepDream("a")]
    for objective, expected in zip(targets, (-1, 0, -1, 0), strict=True):
        maps = torch.zeros(1, 4, 3, 5, requires_grad=True)
        value = objective({"a": maps})
        assert float(value.detach()) == pytest.approx(expected)
        (gradient,) = torch.autograd.grad(value.sum(), maps)
        assert bool(torch.isfinite(gradient).all())


@pytest.mark.parametrize("layers", ["conv2", ("conv1", "conv2")], ids=str)
def test_the_photograph_itself_is_the_best_inversion(cnn: Model, layers: str | tuple[str, ...]) -> None:
    photo = noise(1)
    for made in (inversion(cnn, layers, photo), style(cnn, layers, photo)):
        values = made(seen(cnn, made, torch.cat([photo, noise(1, seed=1)])))
        assert float(values[0]) == pytest.approx(0, abs=1e-6)
        assert float(values[1]) < -0.01
        assert made.layers == ((layers,) if isinstance(layers, str) else layers)
    exaggerated = caricature(cnn, layers, photo)
    own = {name: cnn.maps(name, out) for name, out in cnn.capture(exaggerated.layers, photo)[0].items()}
    expected = sum(float(maps.square().sum(1).mean()) for maps in own.values())
    assert float(exaggerated(own)) == pytest.approx(expected, rel=1e-5)


def test_several_layers_are_a_sum(cnn: Model) -> None:
    photo = noise(1)
    both, first, second = (inversion(cnn, names, photo, "cat") for names in (("conv1", "conv2"), "conv1", "conv2"))
    assert both == first + second
    assert isinstance(both, Sum)
    assert caricature(cnn, ["conv1"], photo, 2.0) == Caricature("conv1", caricature(cnn, "conv1", photo).target, 2.0)  # type: ignore[attr-defined]
    assert isinstance(first, Inversion)
    assert str(first) == f"inversion of cat[{first.target.sha256[:8]}] at conv1"
    assert str(first) != str(inversion(cnn, "conv1", noise(1, seed=1), "cat"))


def test_style_is_the_same_at_every_size_and_blind_to_place(cnn: Model) -> None:
    photo = noise(1)
    wanted = style(cnn, "conv1", photo)
    wanted.validate(cnn, (64, 48))
    maps = cnn.maps("conv1", cnn.capture(["conv1"], photo)[0]["conv1"])
    shuffled = maps.flatten(2)[:, :, torch.randperm(32 * 32, generator=torch.Generator().manual_seed(0))].view(1, 6, 16, 64)
    assert float(wanted({"conv1": shuffled})) == pytest.approx(0, abs=1e-6)
    assert float(wanted({"conv1": maps.repeat(1, 1, 2, 1)})) == pytest.approx(0, abs=1e-6)


def test_activation_grid_is_the_photograph_cell_by_cell(cnn: Model, vit: Model) -> None:
    photo = noise(1, (24, 40))
    maps = cnn.maps("conv2", cnn.capture(["conv2"], photo)[0]["conv2"])[0]
    grid = activation_grid(cnn, "conv2", photo)
    assert len(grid) == 12 * 20
    for row, col in ((0, 0), (0, 19), (7, 3), (11, 19)):
        torch.testing.assert_close(grid[row * 20 + col].direction.values, maps[:, row, col])
    coarse = activation_grid(cnn, "conv2", photo, rows=3, kind=Kind.COSINE)
    assert len(coarse) == 3 * 5
    torch.testing.assert_close(coarse[1 * 5 + 4].direction.values, maps[:, 4:8, 16:20].mean((1, 2)))
    assert coarse[0] == Direction("conv2", coarse[0].direction, Kind.COSINE)
    assert len({str(cell) for cell in grid}) == len(grid)
    tokens = vit.capture([BLOCK], noise(1))[0][BLOCK]
    torch.testing.assert_close(activation_grid(vit, BLOCK, noise(1))[4 * 1 + 2].direction.values, tokens[0, 1 + 4 * 1 + 2])


def test_the_model_is_left_alone(cnn: Model) -> None:
    cnn.module.train()
    before = {k: v.clone() for k, v in cnn.module.state_dict().items()}
    inversion(cnn, ("conv1", "conv2"), noise(1))
    activation_grid(cnn, "conv2", noise(1))
    assert cnn.module.training
    assert all(torch.equal(before[k], v) for k, v in cnn.module.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in cnn.module.modules())
    assert all(p.requires_grad for p in cnn.module.parameters())


def test_ascent_raises_each(cnn: Model, vit: Model) -> None:
    photo = noise(1, seed=5)
    drawn = Fixed.of(torch.eye(16), "diagonal")
    check_raised(cnn, [
        SpatialTarget(U, drawn), inversion(cnn, "conv2", photo), inversion(cnn, ("conv1", "relu2"), photo), caricature(cnn, "conv2", photo),
        style(cnn, ("conv1", "conv2"), photo), DeepDream("relu2"), activation_grid(cnn, "conv2", photo, rows=2)[1],
        DeepDream("conv2") + 0.5 * inversion(cnn, "conv1", photo),
    ])  # fmt: skip
    check_raised(vit, [
        SpatialTarget(Unit(BLOCK, 3), Fixed.of(torch.eye(4), "diagonal")), inversion(vit, BLOCK, photo), caricature(vit, BLOCK, photo, 0.0),
        style(vit, ("conv_proj", BLOCK), photo), DeepDream(BLOCK), activation_grid(vit, BLOCK, photo)[5],
    ])  # fmt: skip


def test_refused_before_the_first_step(cnn: Model) -> None:
    photo = noise(1)
    wanted = inversion(cnn, "conv2", photo)
    with pytest.raises(
        Unsupported, match=r"has 16 x 16 places \(rows x cols\), but .* maps of 'conv2' have 8 x 12: optimize an image of the size"
    ):
        wanted(seen(cnn, wanted, noise(1, (16, 24))))
    other = caricature(cnn, "conv2", noise(1, (16, 24)))
    other.validate(cnn, (16, 24))
    with pytest.raises(Unsupported, match=r"the target of 'caricature\^1 of photo.* at conv2' has 8 x 12 places .* have 16 x 16"):
        other.validate(cnn)
    with pytest.raises(Unsupported, match=r"the target of 'conv2:3 as t\[.*' has 4 x 5 places .* have 16 x 16"):
        SpatialTarget(U, Fixed.of(torch.ones(4, 5), "t")).validate(cnn)
    with pytest.raises(InterpError, match="has 4 channels, but layer 'conv1' has 6: make the target at that layer"):
        Inversion("conv1", Fixed.of(torch.ones(4, 32, 32), "t")).validate(cnn)
    with pytest.raises(InterpError, match=r"is 4 x 4, but layer 'conv1' has 6 channels: give its Gram matrix"):
        Style("conv1", Fixed.of(torch.eye(4), "t")).validate(cnn)
    with pytest.raises(UnknownName, match="no unit 'conv2:8': layer 'conv2' has 8 channels"):
        SpatialTarget(Unit("conv2", 8), Fixed.of(torch.ones(16, 16), "t")).validate(cnn)
    for objective in (
        DeepDream("conv3"),
        Inversion("conv3", TARGET),
        Caricature("conv3", TARGET),
        Style("conv3", Fixed.of(torch.eye(4), "t")),
    ):
        with pytest.raises(UnknownName, match="no layer 'conv3' in 'tiny': did you mean 'conv"):
            objective.validate(cnn)


def test_targets_that_are_none() -> None:
    with pytest.raises(InterpError, match=r"the `target` of Inversion, 't', is an array of shape 4x5: give maps \(channels, rows, cols\)"):
        Inversion("a", Fixed.of(torch.ones(4, 5), "t"))
    with pytest.raises(InterpError, match="the `target` of Style, 't', holds NaN or infinite values"):
        Style("a", Fixed.of(torch.full((2, 2), float("inf")), "t"))
    with pytest.raises(
        Unsupported, match="the `target` of Caricature, 't', is zero everywhere: choose a layer that the photograph excites"
    ):
        Caricature("a", Fixed.of(torch.zeros(1, 2, 2), "t"))
    with pytest.raises(InterpError, match=r"the `power` of Caricature is -2\.0"):
        Caricature("a", TARGET, -2.0)
    with pytest.raises(InterpError, match="a spatial target is for a whole map, but 'a:1@0,0' names one place"):
        SpatialTarget(Unit("a", 1, (0, 0)), Fixed.of(torch.ones(2, 2), "t"))


def test_photographs_that_are_none(cnn: Model) -> None:
    with pytest.raises(InterpError, match=r"`image` holds 2 images: give one"):
        inversion(cnn, "conv1", noise(2)[:2])
    with pytest.raises(InterpError, match=r"`images` run from .* give \[0, 1\] RGB"):
        style(cnn, "conv1", noise(1) * 255)
    with pytest.raises(InterpError, match="`layers` names no layer: give at least one"):
        caricature(cnn, (), noise(1))
    with pytest.raises(UnknownName, match="no layer 'conv9'"):
        inversion(cnn, ("conv1", "conv9"), noise(1))
    with pytest.raises(InterpError, match="`rows` is 17: the maps of 'conv2' have 16 rows for this image, so give 1 to 16"):
        activation_grid(cnn, "conv2", noise(1), rows=17)
