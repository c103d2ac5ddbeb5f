"""The formulas of the CAM family against their definitions, written out, and what `cams.of` promises of itself."""

import gc
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision import models

from interp.attribution import cams, gradcam
from interp.attribution.cams import CAM, FAMILY, EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from interp.core.method import Family, Fault, Heatmap, Place
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.images import Preprocess

Make = Callable[..., Model]
GRADIENT_KINDS = [kind for kind in FAMILY if kind.needs_gradient]
FC = [Unit("fc", 3), Unit("fc", 7)]


def images(n: int = 2, size: int = 64, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def faults(heatmap: Heatmap) -> list[Fault]:
    return [found.fault for found in heatmap.degenerations]


def defined(kind: type[CAM], a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """A map (rows, cols) by the letter of the definition, in double precision, one channel and one place at a time."""
    a, g = a.astype(float), g.astype(float)
    values = np.zeros(a.shape[1:])
    for a_k, g_k in zip(a, g, strict=True):
        if kind is GradCAM:
            values += g_k.mean() * a_k
        elif kind is HiResCAM:
            values += g_k * a_k
        elif kind is LayerCAM:
            values += np.maximum(g_k, 0) * a_k
        elif kind is XGradCAM:
            values += sum(a_ij / a_k.sum() * g_ij for a_ij, g_ij in zip(a_k.flat, g_k.flat, strict=True)) * a_k if a_k.any() else 0
        elif kind is GradCAMPlusPlus:
            alphas = [g_ij**2 / (2 * g_ij**2 + a_k.sum() * g_ij**3) if g_ij else 0 for g_ij in g_k.flat]
            values += sum(alpha * max(g_ij, 0) for alpha, g_ij in zip(alphas, g_k.flat, strict=True)) * a_k
    if kind is EigenCAM:
        rows = a.reshape(len(a), -1).T
        left, sizes, _ = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
        first = left[:, 0] * sizes[0]
        values = (first * np.sign(first @ rows.mean(1))).reshape(a.shape[1:])
    return values


def close(ours: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * np.abs(expected).max())


class Places(nn.Module):
    """A layer whose maps are the bands of the image, and a score that weights each place: its gradient is the weight."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        channels = weight.shape[1]
        self.maps = nn.Conv2d(channels, channels, 1, bias=False)
        self.maps.weight.data = torch.eye(channels)[:, :, None, None]
        self.head = nn.Linear(weight[0].numel(), len(weight), bias=False)
        self.head.weight.data = weight.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.maps(x).flatten(1))


def places(weight: Tensor) -> Model:
    """``weight`` is (classes, c, rows, cols)."""
    channels, rows, cols = weight.shape[1:]
    preprocess = Preprocess(size=(rows, cols), resize=rows, mean=(0.0,) * channels, std=(1.0,) * channels)
    return trace(Places(weight.float()), ModelSpec("places"), preprocess)


def map_of(kind: type[CAM], a: Tensor, g: Tensor) -> np.ndarray:
    """The map where a layer's maps are ``a`` and the gradient there is ``g``, both (c, rows, cols)."""
    return kind("maps")(places(g[None]), a[None].float(), [Unit("head", 0)])[0].values


@pytest.mark.parametrize("kind", FAMILY)
def test_every_kind_by_its_definition(kind: type[CAM]) -> None:
    draw = torch.Generator().manual_seed(1)
    a, g = torch.randn(3, 4, 5, generator=draw) + 1, torch.randn(3, 4, 5, generator=draw)
    close(map_of(kind, a, g), defined(kind, a.numpy(), g.numpy()), 1e-6 if kind is not GradCAMPlusPlus else 1e-5)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (GradCAM, [[0.5, 1.0]]),  # the mean gradient is 1/2
        (HiResCAM, [[2.0, -2.0]]),
        (LayerCAM, [[2.0, 0.0]]),
        (XGradCAM, [[0.0, 0.0]]),  # (1 * 2 + 2 * -1) / 3 = 0
        (GradCAMPlusPlus, [[0.25, 0.5]]),  # alpha = 4 / (2 * 4 + 3 * 8) = 1/8 where g = 2; relu(-1) = 0: w = 1/4
        (EigenCAM, [[-0.5, 0.5]]),
    ],
)
def test_two_places_by_hand(kind: type[CAM], expected: list[list[float]]) -> None:
    a, g = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[2.0, -1.0]]])
    np.testing.assert_allclose(map_of(kind, a, g), expected, atol=1e-7)


def test_denominators_of_zero_leave_a_channel_without_weight() -> None:
    g = torch.ones(2, 1, 2)
    # Grad-CAM++: 2 + sum(A) g = 0 in the first channel; the second has alpha = 1 / (2 + 2), twice.
    balanced = torch.tensor([[[-3.0, 1.0]], [[0.0, 2.0]]])
    np.testing.assert_allclose(map_of(GradCAMPlusPlus, balanced, g), [[0, 1.0]])
    # XGrad-CAM: the first channel sums to zero, the second's weight is 1.
    cancelled = torch.tensor([[[-1.0, 1.0]], [[0.0, 2.0]]])
    np.testing.assert_allclose(map_of(XGradCAM, cancelled, g), [[0, 2.0]])


def test_plus_plus_of_gradients_whose_powers_vanish_in_single_precision() -> None:
    a = torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(2))
    g = torch.full((2, 3, 3), 1e-15)  # cubed, it is no single-precision number; alpha is 1/2
    close(map_of(GradCAMPlusPlus, a, g), 9 * 1e-15 / 2 * a.sum(0).numpy())


class Unbiased(nn.Module):
    """ReLUs and convolutions without bias: the score is the sum of gradient times activation at any layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.relu1 = nn.Conv2d(3, 6, 3, bias=False), nn.ReLU()
        self.two, self.relu2 = nn.Conv2d(6, 8, 3, stride=2, bias=False), nn.ReLU()
        self.fc = nn.Linear(8, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.relu2(self.two(self.relu1(self.one(x)))).mean((2, 3)))


@pytest.fixture(scope="module")
def unbiased() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return trace(Unbiased(), ModelSpec("unbiased"), Preprocess(size=(16, 16), resize=16, mean=(0.0,) * 3, std=(1.0,) * 3))


@pytest.mark.parametrize("kind", [HiResCAM, XGradCAM])
def test_conservation(unbiased: Model, kind: type[CAM]) -> None:
    units = [Unit("fc", 0), Unit("fc", 2), Unit("two", 5), Unit("two", 1, (2, 3))]
    x = images(1, 16).repeat(4, 1, 1, 1)
    two = unbiased.capture(["two"], x)[0]["two"]
    logits = unbiased(x)
    scores = [logits[0, 0], logits[0, 2], two[0, 5].mean(), two[0, 1, 2, 3]]
    for maps, score in zip(cams.of(unbiased, x, units, ["relu1"], [kind]), scores, strict=True):
        assert maps[kind.name, "relu1"].values.sum() == pytest.approx(float(score), rel=1e-4)


def test_before_global_pooling_three_kinds_are_one(unbiased: Model) -> None:
    maps = cams.of(unbiased, images(1, 16), [Unit("fc", 1)], ["relu2"], [GradCAM, HiResCAM, XGradCAM])[0]
    close(maps["hirescam", "relu2"].values, maps["gradcam", "relu2"].values, 1e-6)
    close(maps["xgradcam", "relu2"].values, maps["gradcam", "relu2"].values, 1e-6)


@pytest.mark.parametrize("kind", GRADIENT_KINDS)
@pytest.mark.parametrize("unit", [Unit("fc", 1), Unit("two", 5), Unit("two", 1, (2, 3))])
def test_class_channel_and_neuron(unbiased: Model, kind: type[CAM], unit: Unit) -> None:
    x = images(1, 16)
    net = unbiased.module
    a = net.relu1(net.one(x)).detach().requires_grad_()
    two = net.two(a)
    score = net.fc(net.relu2(two).mean((2, 3)))[0, 1] if unit.layer == "fc" else two[0, 5].mean() if unit.at is None else two[0, 1, 2, 3]
    (g,) = torch.autograd.grad(score, a)
    close(kind("relu1")(unbiased, x, [unit])[0].values, defined(kind, a.detach()[0].numpy(), g[0].numpy()))


def test_eigencam_is_the_pattern_that_channels_share() -> None:
    pattern = torch.tensor([[0.0, 1.0, 5.0], [2.0, 0.0, 1.0]])
    strengths, levels = torch.tensor([3.0, -1.0, 0.5]), torch.tensor([1.0, 7.0, 0.0])
    a = strengths[:, None, None] * pattern + levels[:, None, None]
    expected = float(strengths.norm()) * (pattern - pattern.mean()).numpy()  # the mean over channels grows with the pattern
    values = map_of(EigenCAM, a, torch.ones(3, 2, 3))
    close(values, expected, 1e-6)
    close(map_of(EigenCAM, a[[2, 0, 1]], torch.ones(3, 2, 3)), expected, 1e-6)
    close(map_of(EigenCAM, -a, torch.ones(3, 2, 3)), -expected, 1e-6)
    # Where the mean over channels is flat, the largest magnitude is positive, whichever channel comes first.
    for signs in ((1.0, -1.0), (-1.0, 1.0)):
        opposed = torch.tensor(signs)[:, None, None] * pattern
        close(map_of(EigenCAM, opposed, torch.ones(2, 2, 3)), 2**0.5 * (pattern - pattern.mean()).numpy(), 1e-6)
    # More channels than places: the other Gram matrix.
    many = torch.rand(9, 2, 2, generator=torch.Generator().manual_seed(4))
    close(map_of(EigenCAM, many, torch.ones(9, 2, 2)), defined(EigenCAM, many.numpy(), many.numpy()), 1e-6)


def test_eigencam_needs_no_backward_and_no_unit(resnet: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.autograd, "grad", lambda *_a, **_k: pytest.fail("a backward"))
    one, other = (EigenCAM("layer3")(resnet, images(), units) for units in (FC, [Unit("conv1", 0)] * 2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
    assert EigenCAM("layer3")(resnet, images(1), [Unit("layer3", 0)])[0].layer == "layer3"


def test_one_forward_and_one_backward_for_everything(traced: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = traced(models.resnet18(num_classes=10))
    grads, forwards = [], []
    original = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: (grads.append(1), original(*a, **k))[1])
    model.module.get_submodule("conv1").register_forward_hook(lambda *_: forwards.append(1))
    layers = [layer.name for layer in model.layers if layer.kind == "Conv2d"]
    found = cams.of(model, images(), FC, layers, FAMILY)
    assert (len(layers), len(grads), len(forwards)) == (20, 1, 1)
    assert [list(maps) for maps in found] == [[(kind.name, layer) for kind in FAMILY for layer in layers]] * 2
    for kind in FAMILY:
        alone = kind("layer3.0.conv1")(model, images(), FC)
        for i in range(2):
            together = found[i][kind.name, "layer3.0.conv1"]
            close(alone[i].values, together.values, 1e-6)
            assert (alone[i].method, alone[i].layer, alone[i].unit) == (kind.title, "layer3.0.conv1", FC[i])
            assert (together.method, together.layer, together.unit) == (kind.title, "layer3.0.conv1", FC[i])


def test_the_graph_begins_at_the_earliest_layer_asked(resnet: Model) -> None:
    outputs, _ = resnet.capture(["layer1", "layer3", "layer4"], images(1), truncate=True, gradients=True)
    assert outputs["layer1"].is_leaf
    assert not outputs["layer3"].is_leaf


def test_what_the_kinds_say_of_themselves() -> None:
    assert [kind.name for kind in FAMILY] == ["gradcam", "gradcam++", "hirescam", "xgradcam", "layercam", "eigencam"]
    assert GradCAM.title == gradcam.METHOD == "Grad-CAM"
    for kind in FAMILY:
        assert (kind.place, kind.family) == (Place.LAYER, Family.CAM)
        assert kind("a") == kind("a") != kind("b")
    assert len({kind.title for kind in FAMILY} | {kind.source for kind in FAMILY}) == 12


def test_gradcam_of_is_the_shared_pass(resnet: Model) -> None:
    shared = cams.of(resnet, images(), FC, ["layer1", "layer3"], [LayerCAM, GradCAM])
    for maps, both in zip(gradcam.of(resnet, images(), FC, ["layer1", "layer3"]), shared, strict=True):
        assert list(maps) == ["layer1", "layer3"]
        for layer, heatmap in maps.items():
            np.testing.assert_array_equal(heatmap.values, both["gradcam", layer].values)


def test_kept_maps_hold_nothing_else(resnet: Model) -> None:
    def tensors() -> set[int]:
        gc.collect()
        return {id(thing) for thing in gc.get_objects() if issubclass(type(thing), Tensor)}

    x = images()
    cams.of(resnet, x, FC, ["layer1", "layer4"], FAMILY)
    before = tensors()
    kept = [cams.of(resnet, x, FC, ["layer1", "layer4"], FAMILY) for _ in range(5)]
    assert tensors() <= before
    arrays = [heatmap.values for found in kept for maps in found for heatmap in maps.values()]
    assert len(arrays) == 5 * 2 * 2 * len(FAMILY)
    for values in arrays:
        assert values.base is None
        assert (values.flags.owndata, values.flags.writeable) == (True, False)
        assert values.dtype == np.float32


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("units", "layers", "kinds", "error", "message"),
    [
        (FC[:1], ["layer4"], [], InterpError, r"`kinds` is \[\]: give a sequence of CAM classes, at least one"),
        (FC[:1], ["layer4"], LayerCAM, InterpError, r"`kinds` is LayerCAM: give a sequence of CAM classes"),
        (FC[:1], ["layer4"], [GradCAM("layer4")], Unsupported, "'GradCAM' is no kind of CAM that one pass gives: give classes such as"),
        (FC[:1], ["layer4"], [nn.Linear], Unsupported, "'Linear' is no kind of CAM that one pass gives"),
        (FC[:1], ["layer5"], [LayerCAM], UnknownName, "no layer 'layer5' in 'resnet18'"),
        (FC[:1], ["fc"], [EigenCAM], Unsupported, r"layer 'fc' \(Linear\) gives a vector, which has no places"),
        (FC, ["layer4"], [EigenCAM], InterpError, "2 units for 1 images"),
        ([Unit("layer1", 0)], ["layer2"], [EigenCAM, LayerCAM], Unsupported, "no LayerCAM of 'layer1:0' at 'layer2', which fires after"),
        ([Unit("layer1", 0)], ["layer1"], [XGradCAM], Unsupported, "no XGrad-CAM of 'layer1:0' at 'layer1', the unit's own layer"),
        (
            [Unit("layer2.0.conv2", 0)],
            ["layer2.0.conv1", "layer1", "layer2.0.downsample.0"],
            [HiResCAM],
            Unsupported,
            "no HiResCAM of 'layer2.0.conv2:0' at 'layer2.0.downsample.0', which fires after",
        ),
        (
            [Unit("layer2.0.downsample.1", 0)],
            ["layer1", "layer2.0.conv1"],
            [HiResCAM],
            Unsupported,
            "no HiResCAM of 'layer2.0.downsample.1:0' at 'layer2.0.conv1', on which the unit does not depend: choose",
        ),
    ],
)
def test_bad_input(resnet: Model, units: list[Unit], layers: list[str], kinds: list[type[CAM]], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        cams.of(resnet, images(1), units, layers, kinds)


@settings(deadline=None, max_examples=5)
@given(st.permutations(range(3)), st.lists(st.integers(0, 999), min_size=3, max_size=3))
def test_a_map_does_not_depend_on_its_company(resnet: Model, order: list[int], classes: list[int]) -> None:
    x, units = images(3, 32), [Unit("fc", c) for c in classes]
    straight = cams.of(resnet, x, units, ["layer1", "layer2"], FAMILY)
    moved = cams.of(resnet, x[order], [units[i] for i in order], ["layer1", "layer2"], FAMILY)
    for place, i in enumerate(order):
        for key in straight[i]:
            close(moved[place][key].values, straight[i][key].values, 1e-4 if key[0] == "gradcam++" else 1e-5)


# Transformers: tokens and channels last, and the class token.


def vit() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        net = models.VisionTransformer(image_size=64, patch_size=16, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=10)
        nn.init.normal_(net.heads.head.weight)
        return net


def swin() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return models.SwinTransformer(patch_size=[4, 4], embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=[4, 4], num_classes=10)


def seen_by_hand(model: Model, layer: str, target: int, laid_out: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Maps and gradient (c, rows, cols) at ``layer`` for the first image, by a plain hook and ``backward``."""
    seen: list[Tensor] = []
    handle = model.module.get_submodule(layer).register_forward_hook(lambda _m, _i, out: (out.retain_grad(), seen.append(out))[1])
    model.module.eval()
    model.forward(images(1).requires_grad_())[0, target].backward()
    handle.remove()
    model.module.zero_grad()
    assert seen[0].grad is not None
    return laid_out(seen[0].detach())[0].numpy(), laid_out(seen[0].grad)[0].numpy()


@pytest.mark.parametrize("kind", FAMILY)
@pytest.mark.parametrize(
    ("net", "layer", "laid_out"),
    [
        (vit, "encoder.layers.encoder_layer_0", lambda out: out[:, 1:].reshape(1, 4, 4, 8).permute(0, 3, 1, 2)),
        (swin, "features.1", lambda out: out.permute(0, 3, 1, 2)),
    ],
)
def test_layouts_by_hand(
    traced: Make, kind: type[CAM], net: Callable[[], nn.Module], layer: str, laid_out: Callable[[Tensor], Tensor]
) -> None:
    model = traced(net())
    ours = kind(layer)(model, images(1), [Unit(model.output, 3)])[0]
    close(ours.values, defined(kind, *seen_by_hand(model, layer, 3, laid_out)), 1e-4)
    assert ours.degenerations == ()


def test_the_last_block_of_a_vision_transformer_speaks_of_its_class_token_only(traced: Make) -> None:
    model = traced(vit())
    last, remedy = "encoder.layers.encoder_layer_2", "encoder.layers.encoder_layer_2.ln_1"
    maps = cams.of(model, images(1), [Unit(model.output, 3)], [last, remedy], FAMILY)[0]
    for kind in GRADIENT_KINDS:
        assert not maps[kind.name, last].values.any()
        assert faults(maps[kind.name, last]) == [Fault.CLASS_TOKEN_ONLY, Fault.ZERO]
        assert faults(maps[kind.name, remedy]) == []
    assert faults(maps["eigencam", last]) == []
    sentence = maps["layercam", last].degenerations[0].sentence
    assert f"class or register tokens of '{last}' alone" in sentence
    assert "choose a layer before the last attention, such as the last block's first norm" in sentence
    # A unit of the last block that has a place does reach the block before, and a pooled one is no matter of tokens.
    channel = gradcam.of(model, images(1), [Unit(last, 2)], [remedy])[0][remedy]
    assert channel.degenerations == ()


def test_hirescam_cancels_where_only_a_norm_reads_the_layer(traced: Make) -> None:
    # The last attention reads the block before through a LayerNorm alone, which no scaling of a token changes: by Euler's
    # theorem the gradient is orthogonal to each token, so that their product is rounding.
    model = traced(vit())
    layer = "encoder.layers.encoder_layer_1"
    maps = cams.of(model, images(1), [Unit(model.output, 3)], [layer], FAMILY)[0]
    (found,) = maps["hirescam", layer].degenerations
    assert (found.fault, found.label) == (Fault.ZERO, "zero up to rounding")
    assert "choose a layer that more than a normalization reads" in found.sentence
    assert np.abs(maps["hirescam", layer].values).max() < 1e-4 * np.abs(maps["gradcam", layer].values).max()
    assert not any(maps[kind.name, layer].degenerations for kind in FAMILY if kind is not HiResCAM)


def test_an_image_whose_score_reaches_no_place_is_marked_alone(unbiased: Model) -> None:
    x = torch.cat([images(1, 16), torch.zeros(1, 3, 16, 16)])  # nothing in, nothing on: every ReLU is off
    bright, dark = (maps["layercam", "relu1"] for maps in cams.of(unbiased, x, [Unit("fc", 1)] * 2, ["relu1"], [LayerCAM]))
    assert (faults(bright), faults(dark)) == ([], [Fault.ZERO])


def test_maps_that_are_not_finite_or_constant_say_so() -> None:
    one = torch.ones(1, 4, 4)
    broken = places(torch.full((1, 1, 4, 4), float("inf")))
    for kind in (GradCAM, HiResCAM):
        assert faults(kind("maps")(broken, one[None], [Unit("head", 0)])[0]) == [Fault.NOT_FINITE]
    flat = GradCAM("maps")(places(one[None]), one[None], [Unit("head", 0)])[0]
    assert faults(flat) == [Fault.SATURATED]
    assert faults(EigenCAM("maps")(places(one[None]), one[None], [Unit("head", 0)])[0]) == [Fault.ZERO]


def test_eigencam_of_values_that_are_not_finite() -> None:
    model = places(torch.ones(1, 1, 4, 4))
    model.module.maps.weight.data.fill_(float("nan"))
    assert faults(EigenCAM("maps")(model, torch.ones(1, 1, 4, 4), [Unit("head", 0)])[0]) == [Fault.NOT_FINITE]
