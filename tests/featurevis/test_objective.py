"""Objectives are values that compose, and each is what its equation says."""

from __future__ import annotations

import pytest
import torch

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.featurevis.objective import IMAGE, Objective, each
from interp.featurevis.regularizers import L1, L2, TotalVariation
from interp.featurevis.units import Channel, Logit, Neuron, objective_of

A, B = Channel(Unit("conv1", 0)), Channel(Unit("conv2", 1))


def activations() -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=rng)

    return {"conv1": rand(3, 2, 4, 6), "conv2": rand(3, 4, 2, 5), "fc": rand(3, 5, 1, 1), IMAGE: rand(3, 3, 4, 6)}


def test_equations() -> None:
    maps = activations()
    c, image = maps["conv1"], maps[IMAGE]
    cases: list[tuple[Objective, torch.Tensor]] = [
        (A, c[:, 0].mean((1, 2))),
        (Neuron(Unit("conv1", 1, (3, 5))), c[:, 1, 3, 5]),
        (Neuron(Unit("conv1", 1)), c[:, 1, 2, 3]),
        (Neuron(Unit("conv2", 1)), maps["conv2"][:, 1, 1, 2]),
        (Logit(Unit("fc", 2)), maps["fc"][:, 2, 0, 0]),
        (
            TotalVariation(),
            -sum((image.narrow(d, 1, n - 1) - image.narrow(d, 0, n - 1)).abs().mean((1, 2, 3)) for d, n in ((2, 4), (3, 6))),
        ),
        (L1(), -(image - 0.5).abs().mean((1, 2, 3))),
        (L2(0.25), -((image - 0.25) ** 2).mean((1, 2, 3))),
        (A + B, A(maps) + B(maps)),
        (A - B, A(maps) - B(maps)),
        (A * B, A(maps) * B(maps)),
        (-A, -A(maps)),
        (2 * A + 3, 2 * A(maps) + 3),
        (1 - A * 0.5, 1 - A(maps) / 2),
        (A + B + A - 2, 2 * A(maps) + B(maps) - 2),
        ((A + 1) * (B - 1), (A(maps) + 1) * (B(maps) - 1)),
    ]
    for objective, expected in cases:
        torch.testing.assert_close(objective(maps), expected)


def test_operators_return_new_values() -> None:
    before = str(A), str(B), A.layers
    total = A + B
    assert (total + A).layers == ("conv1", "conv2")
    assert total.layers == ("conv1", "conv2")
    assert total == A + B
    assert total != B + A
    assert hash(total) == hash(A + B)
    assert len(total.parts) == 2
    assert len((total + A).parts) == 3, "a sum of a sum leaves the first sum alone"
    assert before == (str(A), str(B), A.layers)
    with pytest.raises(AttributeError):
        total.offset = 1.0  # type: ignore[misc]


def test_names() -> None:
    assert str(A) == "conv1:0"
    assert str(Neuron(Unit("conv1", 0))) == "conv1:0@centre"
    assert str(Neuron(Unit("conv1", 0, (1, 2)))) == "conv1:0@1,2"
    assert str(A + B - 1) == "(conv1:0 + conv2:1 + -1)"
    assert str(-A * 2) == "2 * -1 * conv1:0"
    assert str(A - 0.5 * TotalVariation()) == "(conv1:0 + -1 * 0.5 * TotalVariation())"


def test_units_become_objectives() -> None:
    assert objective_of(Unit("conv1", 3)) == Channel(Unit("conv1", 3))
    assert objective_of(Unit("conv1", 3, (0, 1))) == Neuron(Unit("conv1", 3, (0, 1)))
    assert objective_of(A) is A


def test_each_image_under_its_own_objective() -> None:
    maps = activations()
    for trio in ([A, B, Channel(Unit("conv1", 1))], [A, A + B, Logit(Unit("fc", 1))], [TotalVariation(), Neuron(Unit("conv2", 2)), A]):
        expected = torch.stack([objective(maps)[i] for i, objective in enumerate(trio)])
        torch.testing.assert_close(each(trio, maps), expected.float())


def test_refusals(cnn: Model) -> None:
    with pytest.raises(UnknownName, match="no layer 'conv3' in 'tiny': did you mean 'conv"):
        (A + Channel(Unit("conv3", 0))).validate(cnn)
    with pytest.raises(UnknownName, match="layer 'conv1' has 6 channels, 0 to 5"):
        (A * Channel(Unit("conv1", 6))).validate(cnn)
    with pytest.raises(UnknownName, match="no unit 'conv1:-1'"):
        Channel(Unit("conv1", -1)).validate(cnn)
    with pytest.raises(UnknownName, match="have 16 rows and 16 columns"):
        Neuron(Unit("conv2", 1, (16, 0))).validate(cnn)
    Neuron(Unit("conv2", 1, (16, 0))).validate(cnn, (64, 64))
    with pytest.raises(UnknownName, match=r"no neuron 'conv1:1@4,0': .* 4 rows and 6 columns, so row,col goes up to 3,5"):
        Neuron(Unit("conv1", 1, (4, 0)))(activations())
    with pytest.raises(Unsupported, match="'conv1:0' is no class of 'tiny': classes are units of 'fc'"):
        Logit(Unit("conv1", 0)).validate(cnn)
    with pytest.raises(InterpError, match="the channel objective has no place, but 'conv1:0@1,1' names one"):
        Channel(Unit("conv1", 0, (1, 1)))
    TotalVariation().validate(cnn)
