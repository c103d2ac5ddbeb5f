"""Objectives of several images: their sums written out pair by pair, and how they share a batch with others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName
from interp.featurevis import Objective
from interp.featurevis.joint import Alignment, Diversity, Interpolation
from interp.featurevis.objective import IMAGE, each
from interp.featurevis.regularizers import L2
from interp.featurevis.units import Channel, Neuron

from .ascending import LOUD, check_raised, seen

BLOCK = "encoder.layers.encoder_layer_0"
U, V = Unit("conv2", 3), Unit("conv1", 1)


def maps(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [2, 4])
def test_diversity_pair_by_pair(count: int) -> None:
    given = maps(count)
    flat = given.numpy().reshape(count, 3, 10)
    grams = [(f @ f.T).ravel() for f in flat]
    cosines = [[np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)) for b in grams] for a in grams]
    expected = [-np.mean([cosines[i][j] for j in range(count) if j != i]) for i in range(count)]
    found = Diversity("a", count)({"a": given})
    np.testing.assert_allclose(found.numpy(), expected)
    assert bool(((found >= -1) & (found <= 0)).all())


def test_diversity_at_its_ends() -> None:
    same = maps(1).repeat(3, 1, 1, 1)
    torch.testing.assert_close(Diversity("a", 3)({"a": same}), torch.full((3,), -1.0, dtype=torch.float64))
    apart = torch.zeros(3, 3, 2, 5)
    for i in range(3):
        apart[i, i] = i + 1.0
    torch.testing.assert_close(Diversity("a", 3)({"a": apart}), torch.zeros(3))


def test_diversity_of_silent_images_can_be_left() -> None:
    given = torch.zeros(2, 3, 2, 2, requires_grad=True)
    value = Diversity("a", 2)({"a": given})
    assert value.detach().tolist() == [0, 0]
    assert bool(torch.isfinite(torch.autograd.grad(value.sum(), given)[0]).all())


@pytest.mark.parametrize(("count", "decay"), [(2, 2.0), (3, 1.0), (7, 3.0)])
def test_alignment_sums_to_lucids(count: int, decay: float) -> None:
    given = maps(count)
    values = given.numpy()
    total, per_image = 0.0, np.zeros(count)
    for apart in (1, 2, 3, 4):
        for i in range(count - apart):
            pair = ((values[i] - values[i + apart]) ** 2).mean() / decay**apart
            total -= pair
            per_image[[i, i + apart]] -= pair / 2
    found = Alignment("a", count, decay)({"a": given})
    np.testing.assert_allclose(found.numpy(), per_image)
    assert float(found.sum()) == pytest.approx(total)
    torch.testing.assert_close(Alignment("a", 3)({"a": maps(1).repeat(3, 1, 1, 1)}), torch.zeros(3, dtype=torch.float64))


def test_interpolation_goes_from_one_unit_to_the_other() -> None:
    given = {"a": maps(5), "b": maps(5, 1)}
    first, second = Channel(Unit("a", 2))(given).numpy(), Neuron(Unit("b", 0, (1, 3)))(given).numpy()
    found = Interpolation(Unit("a", 2), Unit("b", 0, (1, 3)), 5)(given)
    np.testing.assert_allclose(found.numpy(), [(1 - i / 4) * first[i] + i / 4 * second[i] for i in range(5)])
    ends = Interpolation(Unit("a", 2), Unit("a", 1), 2)
    assert ends.layers == ("a",)
    pair = {"a": given["a"][:2]}
    np.testing.assert_allclose(ends(pair).numpy(), [given["a"][0, 2].mean(), given["a"][1, 1].mean()])


def test_a_joint_term_makes_the_whole_joint() -> None:
    alone = Channel(Unit("a", 1))
    total = alone + 2.0 * Diversity("a", 4) + 0.1 * Alignment("b", 4)
    assert total.images == 4
    assert total.layers == ("a", "b")
    assert alone.images == 1
    assert (alone * Diversity("a", 3)).images == 3
    given = {"a": maps(4), "b": maps(4, 1)}
    expected = alone(given) + 2 * Diversity("a", 4)(given) + 0.1 * Alignment("b", 4)(given)
    torch.testing.assert_close(total(given), expected)
    assert total == alone + 2.0 * Diversity("a", 4) + 0.1 * Alignment("b", 4)
    assert str(total) == "(a:1 + 2 * diversity of 4 at a + 0.1 * alignment of 4 at b, decay 2)"


def test_each_job_sees_its_own_images_only() -> None:
    joint = Channel(Unit("a", 1)) + 2.0 * Diversity("a", 4)
    jobs: Sequence[Objective] = [Channel(Unit("a", 0)), joint, L2(), Interpolation(Unit("a", 0), Unit("b", 1), 4), Channel(Unit("b", 2))]
    given = {"a": maps(20).float(), "b": maps(20, 1).float(), IMAGE: maps(20, 2).float()}
    expected = [job({key: value[4 * k : 4 * k + 4] for key, value in given.items()}) for k, job in enumerate(jobs)]
    torch.testing.assert_close(each(jobs, given, 4), torch.cat(expected))
    # Other jobs around it change nothing, and neither does their order.
    torch.testing.assert_close(each([joint], {key: value[4:8] for key, value in given.items()}, 4), expected[1])
    turned = {key: value.view(5, 4, *value.shape[1:]).flip(0).flatten(0, 1) for key, value in given.items()}
    torch.testing.assert_close(each(jobs[::-1], turned, 4), torch.cat(expected[::-1]))


def test_gradients_stay_within_a_job() -> None:
    given = maps(12).float().requires_grad_()
    values = each([Channel(Unit("a", 0)), Diversity("a", 4), Channel(Unit("a", 1))], {"a": given}, 4)
    (gradient,) = torch.autograd.grad(values[4], given)
    touched = (gradient != 0).flatten(1).any(1)
    assert touched.tolist() == [4 <= i < 8 for i in range(12)], "an image's diversity hangs on its own four, and on all of them"


@pytest.mark.parametrize("kind", ["diversity", "alignment", "interpolation", "sum"])
@pytest.mark.parametrize("network", ["cnn", "vit"])
def test_plain_gradient_steps_raise_each(network: str, kind: str, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(network)
    objective = made(network, kind)
    images = 0.5 + 0.05 * torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    values = []
    for _ in range(6):
        images = images.detach().requires_grad_()
        value = objective(seen(model, objective, images)).sum()
        values.append(float(value.detach()))
        (gradient,) = torch.autograd.grad(value, images)
        images = images + 1e-2 * gradient / gradient.abs().max()
    assert all(after > before for before, after in pairwise(values)), values


def test_ascent_raises_each(cnn: Model, vit: Model) -> None:
    for name, model in (("cnn", cnn), ("vit", vit)):
        check_raised(model, [made(name, kind) for kind in ("diversity", "alignment", "interpolation", "sum")], LOUD)


def made(network: str, kind: str) -> Objective:
    layer = "conv2" if network == "cnn" else BLOCK
    joint: dict[str, Objective] = {
        "diversity": Diversity(layer, 3),
        "alignment": Alignment(layer, 3),
        "interpolation": Interpolation(Unit(layer, 0), Unit(layer, 3, (1, 2)), 3),
        "sum": Channel(Unit(layer, 3)) + 0.1 * Diversity(layer, 3),
    }
    return joint[kind]


def test_refusals(cnn: Model) -> None:
    for objective in (Diversity("conv3"), Alignment("conv3"), Interpolation(U, Unit("conv3", 0))):
        with pytest.raises(UnknownName, match="no layer 'conv3' in 'tiny'"):
            objective.validate(cnn)
    with pytest.raises(UnknownName, match="no unit 'conv1:6': layer 'conv1' has 6 channels"):
        Interpolation(Unit("conv1", 6), U).validate(cnn)
    Interpolation(U, V).validate(cnn)
    for count in (1, 0):
        with pytest.raises(
            InterpError, match=f"the `images` of Diversity are {count}: give how many images are optimized together, 2 or more"
        ):
            Diversity("a", count)
    with pytest.raises(InterpError, match="the `images` of Alignment are 1"):
        Alignment("a", 1)
    with pytest.raises(InterpError, match="the `images` of Interpolation are 1"):
        Interpolation(U, V, 1)
    with pytest.raises(InterpError, match=r"the `decay` of Alignment is 0\.0: give by how much each further one counts less"):
        Alignment("a", 2, 0.0)
    for objective in (Diversity("a", 3), Alignment("a", 3), Interpolation(Unit("a", 0), Unit("a", 1), 3)):
        with pytest.raises(InterpError, match="compares 3 images, but was given 2: give the activations of all of them at once"):
            objective({"a": maps(2)})
    with pytest.raises(InterpError, match="objectives of 3 and 4 images cannot be combined"):
        (Diversity("conv1", 3) + Diversity("conv1", 4)).validate(cnn)
