"""Connections against the weights they are made of, on networks whose wiring is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp.core.model import Model
from interp.errors import InterpError, UnknownName, Unsupported
from interp.kernels import connections, neighbours

Traced = Callable[..., Model]


def weights_of(module: nn.Module) -> np.ndarray:
    assert isinstance(module.weight, Tensor)
    return module.weight.detach().double().numpy()


def norms_and_sums(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = weights.reshape(*weights.shape[:2], -1)
    return np.sqrt((flat**2).sum(2)), flat.sum(2)


def unusual(norm: nn.BatchNorm2d) -> np.ndarray:
    """Gives a BatchNorm a history; returns gamma / sqrt(variance + eps)."""
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-1, 2, norm.num_features))
        assert norm.running_var is not None
        norm.running_var.copy_(torch.linspace(0.5, 3, norm.num_features))
        norm.bias.uniform_(-1, 1)
    return np.linspace(-1, 2, norm.num_features) / np.sqrt(np.linspace(0.5, 3, norm.num_features) + norm.eps)


def test_convolutions_that_follow_one_another(traced: Traced) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.LazyLinear(2))
    net(torch.zeros(1, 3, 12, 12))
    found = connections.of(traced(net, size=12), "0", "3", 3)
    norms, sums = norms_and_sums(weights_of(net[3]))
    np.testing.assert_allclose(found.norms, norms, rtol=1e-6)
    np.testing.assert_allclose(found.sums, sums, rtol=1e-5, atol=1e-7)
    for unit in range(5):
        order = sorted(range(4), key=lambda s: -norms[unit, s])[:3]
        assert found.incoming[unit].tolist() == order
        np.testing.assert_allclose(found.incoming_values[unit], [norms[unit, s] * np.sign(sums[unit, s]) for s in order], rtol=1e-6)
    for unit in range(4):
        order = sorted(range(5), key=lambda t: -norms[t, unit])[:3]
        assert found.outgoing[unit].tolist() == order
        np.testing.assert_allclose(found.outgoing_values[unit], [norms[t, unit] * np.sign(sums[t, unit]) for t in order], rtol=1e-6)


def test_batch_norm_between_is_scaled_in(traced: Traced) -> None:
    norm = nn.BatchNorm2d(4)
    factors = unusual(norm)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU(), nn.Conv2d(4, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))
    found = connections.of(traced(net, size=12), "0", "3", 2)
    norms, sums = norms_and_sums(weights_of(net[3]))
    np.testing.assert_allclose(found.norms, norms * np.abs(factors), rtol=1e-5)
    np.testing.assert_allclose(found.sums, sums * factors, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("groups", [2, 4])
def test_grouped_and_depthwise_see_their_group_only(traced: Traced, groups: int) -> None:
    conv = nn.Conv2d(4, 8, 3, groups=groups)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    found = connections.of(traced(net, size=12), "0", "1", 3)
    expected = np.zeros((8, 4))
    for unit in range(8):
        for place in range(4 // groups):
            expected[unit, (unit // (8 // groups)) * (4 // groups) + place] = np.linalg.norm(weights_of(conv)[unit, place])
    np.testing.assert_allclose(found.norms, expected, rtol=1e-6)
    assert ((found.incoming >= 0).sum(1) == min(3, 4 // groups)).all()
    assert (found.incoming_values[found.incoming < 0] == 0).all()


def test_linear_sees_blocks_of_features_after_flattening_and_channels_after_pooling(traced: Traced) -> None:
    flat = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    found = connections.of(traced(flat, size=8), "0", "3", 2)
    norms, sums = norms_and_sums(weights_of(flat[3]).reshape(5, 4, 36))
    np.testing.assert_allclose(found.norms, norms, rtol=1e-6)
    np.testing.assert_allclose(found.sums, sums, rtol=1e-4, atol=1e-6)
    pooled = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5), nn.Hardswish(), nn.Linear(5, 2)
    )
    model = traced(pooled, size=8)
    np.testing.assert_allclose(
        connections.of(model, "0", "4", 2).signed, np.abs(weights_of(pooled[4])) * np.sign(weights_of(pooled[4])), rtol=1e-6
    )
    np.testing.assert_allclose(connections.of(model, "4", "6", 9).signed, weights_of(pooled[6]), rtol=1e-6)


def test_transposed_convolution(traced: Traced) -> None:
    up = nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), up, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))
    found = connections.of(traced(net, size=8), "0", "1", 2)
    expected = np.zeros((6, 4))
    for source in range(4):
        for place in range(3):
            expected[source // 2 * 3 + place, source] = np.linalg.norm(weights_of(up)[source, place])
    np.testing.assert_allclose(found.norms, expected, rtol=1e-6)


class Branching(nn.Module):
    """Concatenation, then a shuffle of channels, then BatchNorm before the next convolution; and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.norm, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3)
        self.d, self.after, self.fc = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.a(x), self.b(x)], 1)
        x = x.unflatten(1, (2, 3)).transpose(1, 2).flatten(1, 2)
        x = self.c(torch.relu(self.norm(x)))
        x = self.after(self.d(x)) + x
        out: Tensor = self.fc(torch.relu(x).mean((2, 3)))
        return out


def test_channels_are_followed_through_concatenation_shuffle_and_sum(traced: Traced) -> None:
    net = Branching()
    before, after = unusual(net.norm), unusual(net.after)
    model = traced(net, size=8)
    # Joined they are a0 a1 a2 a3 b0 b1; shuffled a0 a3 a1 b0 a2 b1.
    norms, _ = norms_and_sums(weights_of(net.c))
    np.testing.assert_allclose(connections.of(model, "a", "c", 1).norms, (norms * np.abs(before))[:, [0, 2, 4, 1]], rtol=1e-5)
    np.testing.assert_allclose(connections.of(model, "b", "c", 1).norms, (norms * np.abs(before))[:, [3, 5]], rtol=1e-5)
    # All of d passes the BatchNorm; c goes around it too.
    np.testing.assert_allclose(connections.of(model, "d", "fc", 1).signed, weights_of(net.fc) * after, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(connections.of(model, "c", "fc", 1).signed, weights_of(net.fc), rtol=1e-6)


class Attending(nn.Module):
    """A gate of its own weights, a layer normalization and a shared ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.gate, self.norm, self.b = nn.Conv2d(3, 4, 3), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 3)
        self.relu, self.fc = nn.ReLU(), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.a(x))
        x = x * torch.sigmoid(self.gate(x.mean((2, 3))))[:, :, None, None]
        out: Tensor = self.fc(self.b(self.relu(self.norm(x.permute(0, 2, 3, 1)))).mean((1, 2)))
        return out


def test_gates_and_layer_normalization_are_passed_by(traced: Traced) -> None:
    net = Attending()
    model = traced(net, size=8)
    np.testing.assert_allclose(connections.of(model, "a", "b", 1).signed, weights_of(net.b), rtol=1e-6)
    np.testing.assert_allclose(connections.of(model, "a", "gate", 1).signed, weights_of(net.gate), rtol=1e-6)


def test_networks_as_they_are(network: Callable[[str], Model]) -> None:
    model = network("shufflenet_v2_x0_5")
    branch = model.module.get_submodule("stage2.1.branch2.0")
    assert isinstance(branch, nn.Conv2d)
    # The second half of the shuffled channels goes into the second branch: every other channel of each branch of the block before.
    for source, places in (("stage2.0.branch1.2", range(12, 24)), ("stage2.0.branch2.5", range(12, 24))):
        found = connections.of(model, source, "stage2.1.branch2.0", 1).norms
        norms = norms_and_sums(weights_of(branch))[0]
        scale = np.zeros((24, 24))
        for joined in places:  # of 48 channels 2 c + branch is channel c of that branch
            feature = 2 * joined + ("branch2" in source) - 24
            scale[:, joined] = norms[:, feature] / np.sqrt(1 + 1e-5)
        np.testing.assert_allclose(found, scale, rtol=1e-5)


def test_nothing_is_left_in_the_model(traced: Traced) -> None:
    net = Branching().train()
    model = traced(net, size=8)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    connections.of(model, "a", "c", 1)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any("forward" in vars(m) or m._forward_hooks or m._forward_pre_hooks for m in net.modules())


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.fc = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(torch.softmax(self.a(x), 1))
        out: Tensor = self.fc(self.c(self.c(x * 0)).mean((2, 3)))
        return out


def test_what_cannot_be_followed_is_refused(traced: Traced) -> None:
    model = traced(Mixed(), size=8)
    with pytest.raises(Unsupported, match=r"a channel of 'a' is mixed with other channels on its way to 'b'"):
        connections.of(model, "a", "b", 1)
    with pytest.raises(Unsupported, match=r"layer 'c' fires 2 times"):
        connections.of(model, "c", "fc", 1)
    with pytest.raises(Unsupported, match=r"nothing of 'a' reaches 'fc' without passing other weights: choose 'c'"):
        connections.of(model, "a", "fc", 1)
    with pytest.raises(Unsupported, match=r"nothing of 'b' reaches 'a' .*: it is fed by the image"):
        connections.of(model, "b", "a", 1)
    with pytest.raises(InterpError, match=r"`k` is 0: give at least 1"):
        connections.of(model, "a", "b", 0)
    with pytest.raises(UnknownName, match=r"no layer 'd'"):
        connections.of(model, "a", "d", 1)


def test_neighbours_by_cosine(traced: Traced) -> None:
    conv = nn.Conv2d(3, 4, 1, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[1.0, 0, 0], [2, 0, 0], [1, 1, 0], [0, 0, 0]]).view(4, 3, 1, 1))
    found = neighbours.of(traced(nn.Sequential(conv, nn.Flatten(), nn.Linear(64, 2)), size=4), "0", 4)
    half = float(np.sqrt(0.5))
    assert found.indices.tolist() == [[1, 2, -1, -1], [0, 2, -1, -1], [0, 1, -1, -1], [-1] * 4]
    np.testing.assert_allclose(found.cosines, [[1, half, 0, 0], [1, half, 0, 0], [half, half, 0, 0], [0] * 4], atol=1e-12)
    with pytest.raises(InterpError, match=r"`k` is 0"):
        neighbours.of(traced(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(64, 2)), size=4), "0", 0)
