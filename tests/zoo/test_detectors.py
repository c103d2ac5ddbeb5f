"""Detectors and segmentation networks of torchvision, with random weights: their backbones are looked into by a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import detection, segmentation

import interp
from interp.core.layout import Maps
from interp.core.unit import Unit
from interp.images import Preprocess

SMALL = {"weights": None, "weights_backbone": None, "min_size": 64, "max_size": 96}
PLAIN = Preprocess(size=(64, 96), resize=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def scores(output: Sequence[dict[str, Tensor]]) -> Tensor:
    return torch.stack([found["scores"].sum() for found in output])


def first_class(output: dict[str, Tensor]) -> Tensor:
    return output["out"][:, 1].mean((1, 2))


def faster_rcnn() -> nn.Module:
    few = {"rpn_pre_nms_top_n_test": 20, "rpn_post_nms_top_n_test": 10, "box_score_thresh": 0.0, "box_detections_per_img": 5}
    return detection.fasterrcnn_resnet50_fpn(**SMALL, **few)


def retinanet() -> nn.Module:
    return detection.retinanet_resnet50_fpn(**SMALL, score_thresh=0.0, topk_candidates=10, detections_per_img=5)


def ssdlite() -> nn.Module:
    network = detection.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, score_thresh=0.0, topk_candidates=10, detections_per_img=5
    )
    network.transform.fixed_size = (96, 96)
    return network


def lraspp() -> nn.Module:
    return segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)


@pytest.mark.parametrize(
    ("factory", "target", "layer"),
    [
        (faster_rcnn, scores, "backbone.body.layer2"),
        (retinanet, scores, "backbone.body.layer3"),
        (ssdlite, scores, "backbone.features.0.4"),
        (lraspp, first_class, "backbone.6"),
    ],
)
def test_a_backbone_is_looked_into_by_a_target(factory: Callable[[], nn.Module], target: Callable[[Any], Tensor], layer: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = factory().eval()
    model = interp.load(network, preprocess=PLAIN, target=target)
    seen = {found.name: found for found in model.layers}
    maps = [found for found in model.layers if found.name.startswith("backbone.") and len(found.shape) == 3]
    assert len(maps) > 50
    assert [found.name for found in maps if found.layout != Maps()] == []

    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    kept: list[Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        inputs = images.clone().requires_grad_()  # parameters are frozen: the graph begins here
        (gradient,) = torch.autograd.grad(target(network(inputs)).sum(), kept[0])
    finally:
        hook.remove()
    assert seen[layer].shape == tuple(kept[0].shape[1:])
    np.testing.assert_array_equal(interp.activations.of(model, images, [layer])[layer].maps, kept[0].detach().numpy())
    by_hand = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1).detach().numpy()
    assert np.abs(by_hand).max() > 0
    found = interp.gradcam.of(model, images, [Unit("target", 0)] * 2, [layer])
    for one, expected in zip(found, by_hand, strict=True):
        np.testing.assert_allclose(one[layer].values, expected, rtol=1e-4, atol=1e-5 * float(np.abs(by_hand).max()))
