"""Side by side with Captum, pytorch-grad-cam and a computation by hand, in the same run."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM as PytorchGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchvision import models

from interp.attribution import gradcam
from interp.core.model import Model
from interp.core.unit import Unit

Make = Callable[..., Model]
TARGETS = [3, 7]


def images(size: int = 64) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(4))


def close(ours: np.ndarray, theirs: np.ndarray, tolerance: float = 1e-6) -> None:
    assert np.abs(theirs).max() > 0
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def network(name: str) -> nn.Module:
    if name != "vgg":
        return getattr(models, name)(num_classes=10)  # type: ignore[no-any-return]
    # vgg11's convolutions and in-place ReLUs, without its 120 million weights behind them
    features = models.vgg.make_layers([16, "M", 32, "M", 64, 64, "M", 64, 64])
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


@pytest.mark.parametrize("name", ["resnet18", "vgg", "squeezenet1_1"])
def test_captum_at_every_convolution(traced: Make, name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = traced(network(name))
    names = [layer.name for layer in model.layers if layer.kind == "Conv2d" and layer.map_shape[1:] != (1, 1)]
    targets = model(images()).argmax(1).tolist()  # squeezenet ends in a ReLU: a class that is off has no gradient
    names = names if name == "resnet18" else [n for n in names if "classifier" not in n]
    ours = gradcam.of(model, images(), [Unit(model.output, t) for t in targets], names)
    model.module.eval()
    for layer in names:
        theirs = LayerGradCam(model.forward, model.module.get_submodule(layer)).attribute(images(), targets)
        for i in range(2):
            close(ours[i][layer].values, theirs[i, 0].detach().numpy())


def test_captum_on_a_channel_as_the_score(resnet: Model) -> None:
    def score(x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        handle = resnet.module.get_submodule("layer3.0.bn1").register_forward_hook(lambda _m, _i, out: seen.append(out.clone()))
        resnet.forward(x)
        handle.remove()
        return seen[0][:, 11].mean((1, 2))[:, None]

    resnet.module.eval()
    ours = gradcam.of(resnet, images(), [Unit("layer3.0.bn1", 11)] * 2, ["layer1.0.conv2"])
    theirs = LayerGradCam(score, resnet.module.get_submodule("layer1.0.conv2")).attribute(images(), 0)
    for i in range(2):
        close(ours[i]["layer1.0.conv2"].values, theirs[i, 0].detach().numpy())


def vit() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(6)
        net = models.VisionTransformer(image_size=64, patch_size=16, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=10)
        nn.init.normal_(net.heads.head.weight)
        return net


def by_hand(model: Model, layer: str, places: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Grad-CAM with a plain hook and ``backward``; ``places`` brings the output to (n, c, rows, cols)."""
    seen: list[Tensor] = []

    def keep(_m: nn.Module, _i: object, out: Tensor) -> None:
        out.retain_grad()
        seen.append(out)

    handle = model.module.get_submodule(layer).register_forward_hook(keep)
    model.module.eval()
    logits = model.forward(images().requires_grad_())
    handle.remove()
    logits[torch.arange(2), TARGETS].sum().backward()
    assert seen[0].grad is not None
    a, g = places(seen[0].detach()), places(seen[0].grad)
    model.module.zero_grad()
    return torch.einsum("nc,ncij->nij", g.mean((2, 3)), a).numpy()


@pytest.mark.parametrize("block", ["encoder_layer_0", "encoder_layer_1.mlp", "encoder_layer_2.ln_1"])
def test_vit_tokens_by_hand(traced: Make, block: str) -> None:
    layer = f"encoder.layers.{block}"
    model = traced(vit())
    ours = gradcam.of(model, images(), [Unit(model.output, t) for t in TARGETS], [layer])
    theirs = by_hand(model, layer, lambda tokens: tokens[:, 1:].reshape(2, 4, 4, 8).permute(0, 3, 1, 2))
    for i in range(2):
        close(ours[i][layer].values, theirs[i])


def test_vit_where_captum_alone_is_silently_wrong(traced: Make) -> None:
    model = traced(vit())
    model.module.eval()
    layer = "encoder.layers.encoder_layer_1"
    wrong = LayerGradCam(model, model.module.get_submodule(layer)).attribute(images(), TARGETS)
    assert wrong.shape == (2, 1, 8)  # one value per channel, not per place
    # Given maps by a reshape around the block, Captum agrees with the layer's layout.

    class Placed(nn.Module):
        """A block whose patch tokens pass through an Identity as maps."""

        def __init__(self, block: nn.Module) -> None:
            super().__init__()
            self.block, self.maps = block, nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.block(x)
            maps = self.maps(tokens[:, 1:].transpose(1, 2).reshape(-1, 8, 4, 4))
            return torch.cat([tokens[:, :1], maps.flatten(2).transpose(1, 2)], dim=1)

    ours = gradcam.of(model, images(), [Unit(model.output, t) for t in TARGETS], [layer])
    placed = Placed(model.module.get_submodule(layer))
    model.module.get_submodule("encoder.layers").encoder_layer_1 = placed
    theirs = LayerGradCam(model.forward, placed.maps).attribute(images(), TARGETS)
    for i in range(2):
        close(ours[i][layer].values, theirs[i, 0].detach().numpy())


def test_swin_channels_last_by_hand(traced: Make) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = models.SwinTransformer(patch_size=[4, 4], embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=[4, 4], num_classes=10)
    model = traced(net)
    ours = gradcam.of(model, images(), [Unit(model.output, t) for t in TARGETS], ["features.1"])
    theirs = by_hand(model, "features.1", lambda out: out.permute(0, 3, 1, 2))
    for i in range(2):
        close(ours[i]["features.1"].values, theirs[i])


def test_pytorch_grad_cam_after_its_own_steps(traced: Make) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(8)
        model = traced(models.resnet18(num_classes=10))
    ours = gradcam.of(model, images(), [Unit("fc", t) for t in TARGETS], ["layer2"])
    with PytorchGradCAM(model=model.module, target_layers=[model.module.get_submodule("layer2")]) as peer:
        theirs = peer(model.normalized(images()), [ClassifierOutputTarget(t) for t in TARGETS])

    def minmax(values: Tensor) -> Tensor:
        values = values - values.min()
        return values / (1e-7 + values.max())

    for i in range(2):
        positive = torch.from_numpy(ours[i]["layer2"].positive.values.copy())
        resized = F.interpolate(minmax(positive)[None, None], (64, 64), mode="bilinear", align_corners=False)[0, 0]
        np.testing.assert_allclose(minmax(resized).numpy(), theirs[i], atol=1e-5)
