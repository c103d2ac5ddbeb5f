import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_grad_cam import AblationCAM as PytorchAblationCAM
from pytorch_grad_cam import ScoreCAM as PytorchScoreCAM
from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchvision import models

from interp.attribution import channel_masks
from interp.attribution.channel_masks import AblationCAM, ScoreCAM
from interp.core.baseline import Baseline, baseline
from interp.core.method import Fault
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.images import Preprocess

Make = Callable[..., Model]
Kind = type[ScoreCAM] | type[AblationCAM]
PLAIN = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
KINDS: list[Kind] = [ScoreCAM, AblationCAM]


def images(n: int = 2, side: int = 32) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(4))


def close(ours: np.ndarray, theirs: np.ndarray, atol: float = 1e-5) -> None:
    assert np.abs(theirs).max() > 0
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol * np.abs(theirs).max())


@pytest.fixture
def small(traced: Make) -> Model:
    """Layers 1 and 3 at the image's own size, layer 6 at a quarter; the logits are positive."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        early = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4)]
        net = nn.Sequential(*early, nn.Conv2d(8, 40, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, 5))
    net[-1].weight.data *= 8
    net[-1].bias.data += 4
    return traced(net, 32)


class Joined(nn.Module):
    """``conv`` is joined with what was there before it: added (one row suits many), or put side by side (it does not)."""

    def __init__(self, cat: bool) -> None:
        super().__init__()
        self.cat = cat
        self.stem, self.conv, self.fc = nn.Conv2d(3, 6, 3, stride=2), nn.Conv2d(6, 6, 1), nn.Linear(12 if cat else 6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        y = self.conv(x)
        if self.cat:
            y = torch.cat([x, y], 1)
        else:
            y += x  # in place, as torchvision's residual blocks
        return self.fc(y.relu().mean((2, 3)))


class Together(nn.Module):
    """Flattens with the number of rows known before ``conv``: widened there, all rows would become one image's tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.fc = nn.Conv2d(3, 6, 3, stride=2), nn.Conv2d(6, 6, 1), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        rows = len(x)
        y = self.conv(self.stem(x).relu()).relu().permute(0, 2, 3, 1)
        return self.fc(y.reshape(rows, -1, 6).mean(1))


class Rows(nn.Module):
    """As Together, and then repeats its one row for each of the widened ones, so that only the values tell."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.fc = nn.Conv2d(3, 6, 3, stride=2), nn.Conv2d(6, 6, 1), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        rows = len(x)
        y = self.conv(self.stem(x).relu()).relu()
        mean = y.permute(0, 2, 3, 1).reshape(rows, -1, 6).mean(1)
        return self.fc(mean).expand(len(y), 4)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(6)
        return make()


def vit() -> nn.Module:
    net = models.VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=10)
    nn.init.normal_(net.heads.head.weight)
    return net


def swin() -> nn.Module:
    return models.SwinTransformer(patch_size=[4, 4], embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=[4, 4], num_classes=10)


def output_of(model: Model, layer: str, x: Tensor) -> Tensor:
    seen: list[Tensor] = []
    handle = model.module.get_submodule(layer).register_forward_hook(lambda _m, _i, out: seen.append(out.clone()))
    with torch.no_grad():
        model(x)
    handle.remove()
    return seen[-1]


# --- Score-CAM


def score_cam_by_hand(model: Model, maps: Tensor, x: Tensor, target: int, kind: Baseline) -> np.ndarray:
    """The paper's algorithm 1, channel by channel, baseline included, without the last ReLU."""
    filler = baseline(model, x, kind)
    nothing = float(model(filler)[0, target])
    rises = []
    for channel in maps:
        mask = F.interpolate(channel[None, None], x.shape[2:], mode="bilinear")
        low, high = mask.min(), mask.max()
        mask = (mask - low) / (high - low) if high > low else torch.zeros_like(mask)
        rises.append(float(model(mask * x + (1 - mask) * filler)[0, target]) - nothing)
    weights = torch.tensor(rises, dtype=torch.float64).softmax(0)
    return torch.einsum("k,kij->ij", weights, maps.double()).numpy()


@pytest.mark.parametrize("kind", [Baseline.MEAN, Baseline.BLACK])
@pytest.mark.parametrize("layer", ["0", "3", "6"])
def test_score_cam_by_hand(small: Model, layer: str, kind: Baseline) -> None:
    small.module[5].bias.data[[2, 9]] = -100.0  # type: ignore[index, union-attr]  # two channels of layer 6 that are zero everywhere
    ours = ScoreCAM(layer, baseline=kind, batch_size=7)(small, images(), [Unit(small.output, 2), Unit(small.output, 4)])
    for i, target in enumerate((2, 4)):
        x = images()[i : i + 1]
        close(ours[i].values, score_cam_by_hand(small, output_of(small, layer, x)[0], x, target, kind))
        assert (ours[i].layer, ours[i].method, ours[i].degenerations) == (layer, "Score-CAM", ())


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_score_cam_of_tokens_and_channels_last_by_hand(traced: Make, name: str) -> None:
    model = traced(seeded(vit if name == "vit" else swin), 32)
    layer = "encoder.layers.encoder_layer_0" if name == "vit" else "features.1"
    x = images(1)
    output = output_of(model, layer, x)
    maps = output[0, 1:].T.reshape(8, 4, 4) if name == "vit" else output[0].permute(2, 0, 1)
    ours = ScoreCAM(layer)(model, x, [Unit(model.output, 3)])[0]
    close(ours.values, score_cam_by_hand(model, maps, x, 3, Baseline.MEAN))


def test_score_cam_equals_pytorch_grad_cam_where_nothing_is_upsampled(small: Model) -> None:
    """Elsewhere it upsamples with corners aligned, which shifts masks against the places they were computed from."""
    targets, normalized = [2, 4], small.normalized(images())
    peer = PytorchScoreCAM(small.module, [small.module[3]])  # type: ignore[index, list-item]
    peer.forward(normalized, [ClassifierOutputTarget(t) for t in targets])
    activations = peer.activations_and_grads.activations[0].numpy()
    theirs = peer.get_cam_image(normalized, small.module[3], [ClassifierOutputTarget(t) for t in targets], activations, None)
    peer.activations_and_grads.release()
    ours = ScoreCAM("3")(small, images(), [Unit(small.output, t) for t in targets])
    for i in range(2):
        close(ours[i].values, theirs[i])


def test_score_cam_of_a_channel_that_the_score_reads_alone() -> None:
    """The score is 50 times the mean of channel 0: the softmax gives its mask nearly all the weight, and the map is channel 0."""
    net = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2, bias=False))
    net[0].weight.data = torch.eye(3)[:, :, None, None]
    net[3].weight.data = torch.tensor([[400.0, 0, 0], [0, 0, 1]])
    model = trace(net, ModelSpec("tiny"), Preprocess(size=(8, 8), resize=8, **PLAIN))
    x = torch.zeros(1, 3, 8, 8)
    x[0, 0, :4], x[0, 1, 4:], x[0, 2, :, :4] = 1, 1, 0.5
    values = ScoreCAM("0")(model, x, [Unit(model.output, 0)])[0].values
    np.testing.assert_allclose(values, x[0, 0].numpy(), atol=1e-6)


# --- Ablation-CAM


def ablation_by_hand(model: Model, layer: str, x: Tensor, target: int, zero: Callable[[Tensor, int], None], channels: int) -> np.ndarray:
    """(y - y_k) / |y| for every channel, one forward at a time, with a plain hook."""
    whole = float(model(x)[0, target])
    falls = []
    for channel in range(channels):

        def ablate(_m: nn.Module, _i: object, out: Tensor, channel: int = channel) -> Tensor:
            out = out.clone()
            zero(out, channel)
            return out

        handle = model.module.get_submodule(layer).register_forward_hook(ablate)
        with torch.no_grad():
            falls.append((whole - float(model(x)[0, target])) / abs(whole))
        handle.remove()
    return np.array(falls)


def zero_map(output: Tensor, channel: int) -> None:
    output[:, channel] = 0


def zero_patches(output: Tensor, channel: int) -> None:
    output[:, 1:, channel] = 0


def zero_last(output: Tensor, channel: int) -> None:
    output[..., channel] = 0


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("layer", ["0", "3", "6"])
def test_ablation_cam_by_hand(small: Model, layer: str, size: int) -> None:
    ours = AblationCAM(layer, batch_size=size)(small, images(), [Unit(small.output, 2), Unit(small.output, 4)])
    for i, target in enumerate((2, 4)):
        x = images()[i : i + 1]
        maps = output_of(small, layer, x)[0].numpy()
        weights = ablation_by_hand(small, layer, x, target, zero_map, len(maps))
        close(ours[i].values, np.einsum("k,kij->ij", weights, maps))
        assert (ours[i].layer, ours[i].method, ours[i].degenerations) == (layer, "Ablation-CAM", ())


def test_ablation_cam_equals_pytorch_grad_cam_behind_a_relu(small: Model) -> None:
    """Before a ReLU it subtracts ten million more at each channel instead of zeroing, and at logits below 0 it turns the sign over."""
    targets, normalized = [2, 4], small.normalized(images())
    assert bool((small(images())[[0, 1], targets] > 0).all())
    peer = PytorchAblationCAM(small.module, [small.module[6]], ablation_layer=AblationLayer(), batch_size=8)  # type: ignore[index, list-item]
    wanted = [ClassifierOutputTarget(t) for t in targets]
    layer = small.module[6]  # type: ignore[index]
    with torch.no_grad():
        peer.activations_and_grads(normalized)
    theirs = peer.get_cam_image(normalized, layer, wanted, peer.activations_and_grads.activations[0].numpy(), None)
    peer.activations_and_grads.release()
    assert small.module[6] is layer  # type: ignore[index]
    ours = AblationCAM("6")(small, images(), [Unit(small.output, t) for t in targets])
    for i in range(2):
        close(ours[i].values, theirs[i])


def test_a_negative_score_does_not_turn_the_map_over(small: Model) -> None:
    """Removing a channel changes the score alike, whatever constant the score has: only the divisor differs."""
    unit, x = Unit(small.output, 2), images(1)
    above = float(small(x)[0, 2])
    up = AblationCAM("6")(small, x, [unit])[0].values * above
    small.module[-1].bias.data[2] -= above + 3  # type: ignore[index, union-attr]
    assert float(small(x)[0, 2]) == pytest.approx(-3, abs=1e-4)
    close(AblationCAM("6")(small, x, [unit])[0].values * 3, up, 1e-4)


def test_a_score_of_zero_divides_nothing(small: Model) -> None:
    x = images(1)
    small.module[-1].weight.data[2] = 0  # type: ignore[index, union-attr]
    small.module[-1].bias.data[2] = 0  # type: ignore[index, union-attr]
    heatmap = AblationCAM("6")(small, x, [Unit(small.output, 2)])[0]
    assert not heatmap.values.any()
    assert [d.fault for d in heatmap.degenerations] == [Fault.ZERO]


@pytest.mark.parametrize(
    ("make", "layer", "widens"),
    [
        (lambda: Joined(cat=False), "conv", True),
        (lambda: Joined(cat=True), "conv", False),
        (Together, "conv", False),
        (Rows, "conv", False),
    ],
)
def test_widening_at_the_layer_gives_the_values_of_a_full_batch(
    traced: Make, make: Callable[[], nn.Module], layer: str, widens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = traced(seeded(make), 32)
    seen: list[bool] = []
    can = channel_masks._Ablation._can_widen

    def noted(self: channel_masks._Ablation, channels: Tensor, expected: Tensor) -> bool:
        seen.append(can(self, channels, expected))
        return seen[-1]

    monkeypatch.setattr(channel_masks._Ablation, "_can_widen", noted)
    x, unit = images(1), Unit(model.output, 1)
    ours = AblationCAM(layer, batch_size=2)(model, x, [unit])[0]
    assert seen == [widens]
    maps = output_of(model, layer, x)[0].numpy()
    close(ours.values, np.einsum("k,kij->ij", ablation_by_hand(model, layer, x, 1, zero_map, len(maps)), maps), 2e-4)


def test_widened_batches_run_the_layers_before_once(small: Model) -> None:
    counts: dict[str, list[int]] = {"0": [], "7": []}
    handles = [
        small.module.get_submodule(name).register_forward_pre_hook(lambda _m, given, name=name: counts[name].append(len(given[0])))
        for name in counts
    ]
    AblationCAM("5", batch_size=16)(small, images(1), [Unit(small.output, 2)])
    for handle in handles:
        handle.remove()
    # Maps (which end at the layer), score, first batch, first batch again to test, two batches of the remaining 24 channels.
    assert counts == {"0": [1, 1, 16, 1, 1, 1], "7": [1, 16, 16, 16, 8]}


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_ablation_cam_of_tokens_and_channels_last_by_hand(traced: Make, name: str) -> None:
    model = traced(seeded(vit if name == "vit" else swin), 32)
    layer, zero = ("encoder.layers.encoder_layer_0", zero_patches) if name == "vit" else ("features.1", zero_last)
    x = images(1)
    output = output_of(model, layer, x)
    maps = (output[0, 1:].T.reshape(8, 4, 4) if name == "vit" else output[0].permute(2, 0, 1)).numpy()
    ours = AblationCAM(layer, batch_size=3)(model, x, [Unit(model.output, 3)])[0]
    close(ours.values, np.einsum("k,kij->ij", ablation_by_hand(model, layer, x, 3, zero, 8), maps), 2e-5)


def test_the_places_of_a_vits_last_block_do_nothing(traced: Make) -> None:
    model = traced(seeded(vit), 32)
    heatmap = AblationCAM("encoder.layers.encoder_layer_1")(model, images(1), [Unit(model.output, 3)])[0]
    assert [d.fault for d in heatmap.degenerations] == [Fault.ZERO]


def test_of_a_module_called_twice_the_last_call_is_ablated(trap_model: Model) -> None:
    x, unit = images(1, 12), trap_model.class_unit(2)
    assert trap_model.layer("relu").calls == 2
    ours = AblationCAM("relu", batch_size=2)(trap_model, x, [unit])[0]
    # The last call's output is what `pair` is given.
    maps = trap_model.capture(["conv2"], x)[0]["conv2"].detach().relu()
    net, falls = trap_model.module, []
    whole = float(trap_model(x)[0, 2])
    net.requires_grad_(False)
    for channel in range(5):
        ablated = maps.clone()
        ablated[:, channel] = 0
        falls.append((whole - float(net.fc((4 * ablated + 1).mean((2, 3)))[0, 2])) / abs(whole))  # type: ignore[operator]
    close(ours.values, np.einsum("k,kij->ij", falls, maps[0].numpy()))


# --- Both


@pytest.mark.parametrize("kind", KINDS)
def test_alone_or_in_company_with_units_of_any_layer(small: Model, kind: Kind) -> None:
    units = [Unit(small.output, 3), Unit("5", 17), Unit("6", 20, (2, 3))]
    together = kind("2")(small, images(3), units)
    for i, unit in enumerate(units):
        alone = kind("2", batch_size=3)(small, images(3)[i : i + 1], [unit])[0]
        close(together[i].values, alone.values)


@pytest.mark.parametrize("kind", KINDS)
def test_some_channels_only(small: Model, kind: Kind) -> None:
    """The chosen ones are the strongest; the map is the same as where the others had no weight."""
    x, unit = images(1), Unit(small.output, 3)
    maps = output_of(small, "6", x)[0]
    chosen = maps.abs().mean((1, 2)).topk(5).indices.tolist()
    if kind is AblationCAM:
        weights = ablation_by_hand(small, "6", x, 3, zero_map, 40)
        expected = np.einsum("k,kij->ij", weights[chosen], maps[chosen].numpy())
    else:
        expected = score_cam_by_hand(small, maps[chosen], x, 3, Baseline.MEAN)
    close(kind("6", n_channels=5)(small, x, [unit])[0].values, expected)
    np.testing.assert_array_equal(kind("6", n_channels=99)(small, x, [unit])[0].values, kind("6")(small, x, [unit])[0].values)


@pytest.mark.parametrize("kind", KINDS)
def test_no_batch_is_larger_than_asked(small: Model, kind: Kind) -> None:
    sizes: list[int] = []
    handle = small.module.get_submodule("7").register_forward_pre_hook(lambda _m, given: sizes.append(len(given[0])))
    kind("6", batch_size=9)(small, images(1), [Unit(small.output, 0)])
    handle.remove()
    assert max(sizes) == 9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(trap_model: Model, kind: Kind, fails: bool) -> None:
    net = trap_model.module.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = images(2, 12).requires_grad_()
    units = [trap_model.class_unit(0)] * 2
    if fails:
        net.fc.bias.data.fill_(torch.inf)  # type: ignore[union-attr, operator]
        before["fc.bias"].fill_(torch.inf)
        with pytest.raises(InterpError, match=r"the score of 'fc:0' is inf, not a finite number"):
            kind("conv2")(trap_model, x, units)
    else:
        for heatmap in kind("conv2")(trap_model, x, units):
            assert heatmap.values.base is None
            assert not heatmap.values.flags.writeable
            assert heatmap.values.dtype == np.float32
    assert all(m.training for m in net.modules())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert x.grad is None


def test_a_score_that_ablation_makes_infinite_is_refused(traced: Make) -> None:
    class Ratio(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 3, 1), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(1 / self.conv(x).mean((2, 3)))

    model = traced(seeded(Ratio), 16)
    with pytest.raises(InterpError, match=r"the score of 'fc:1' with 'conv:\d' zeroed is not finite: check the weights"):
        AblationCAM("conv")(model, images(1, 16), [Unit("fc", 1)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("options", "message"),
    [({"batch_size": 0}, "`batch_size` is 0: give at least 1"), ({"n_channels": 0}, "`n_channels` is 0: give at least 1")],
)
def test_bad_options(kind: Kind, options: dict[str, int], message: str) -> None:
    with pytest.raises(InterpError, match=re.escape(message)):
        kind("6", **options)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_that_cannot_be(small: Model, trap_model: Model, kind: Kind) -> None:
    unit, x = Unit(small.output, 0), images(1)
    with pytest.raises(UnknownName, match=r"no layer '77'"):
        kind("77")(small, x, [unit])
    with pytest.raises(
        Unsupported, match=r"layer '8' \(Flatten\) gives a vector, which has no places: choose an earlier layer, such as '6'"
    ):
        kind("8")(small, x, [unit])
    with pytest.raises(Unsupported, match=rf"no {kind.title} of '3:1' at '6', which fires after the unit's layer: .* such as '2'"):
        kind("6")(small, x, [Unit("3", 1)])
    with pytest.raises(Unsupported, match=rf"no {kind.title} of '3:1' at '3', the unit's own layer: .* such as '2'"):
        kind("3")(small, x, [Unit("3", 1)])
    with pytest.raises(Unsupported, match=r"layer 'both' \(Both\) has no maps"):
        kind("both")(trap_model, images(1, 12), [trap_model.class_unit(0)])
