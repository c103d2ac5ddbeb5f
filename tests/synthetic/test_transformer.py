"""The small transformer learns, the same way each time, and is fit for attention, class activation maps and gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from interp.attribution import attention, cams
from interp.attribution.registry import method
from interp.core.layout import Tokens
from interp.core.method import Fault
from interp.core.model import Model
from interp.errors import InterpError, Unsupported
from interp.synthetic import EASY, Shape, ShapeOptions, Split, TrainingOptions, accuracy, draw, weights
from interp.synthetic.transformer import TransformerOptions, train, untrained

TINY = ShapeOptions(classes=(Shape.DISC, Shape.CROSS, Shape.RING), size=(32, 32), n_distractors=0, difficulty=EASY)
LEARNING = TrainingOptions(TINY, n_images=600, n_plain=240, n_epochs=6, batch_size=24, learning_rate=0.003)
SHORT = TransformerOptions(LEARNING, n_blocks=3, n_heads=2, width=32, stem=(8, 16, 32))


@pytest.fixture(scope="module")
def learned() -> Model:
    return train(SHORT)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return draw(TINY, range(4), split=Split.HELD_OUT).tensor


def test_it_learns_what_shapes_are(learned: Model) -> None:
    # A third would be chance; three standard deviations on 240 pictures are 0.09.
    assert accuracy(learned, draw(TINY, range(240), split=Split.HELD_OUT)) > 0.6
    assert learned.spec.reference == "shapes-transformer"
    assert learned.spec.classes == TINY.names


def test_the_same_seed_gives_the_same_weights_and_nothing_else_changes() -> None:
    once = replace(SHORT, training=replace(SHORT.training, n_images=24, n_plain=0, n_epochs=1))
    torch.manual_seed(5)
    before, fused = torch.get_rng_state(), torch.backends.cuda.flash_sdp_enabled()
    first = weights(train(once))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.backends.cuda.flash_sdp_enabled() == fused
    torch.manual_seed(6)
    again, other = weights(train(once)), weights(train(replace(once, training=replace(once.training, seed=1))))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["head.weight"], other["head.weight"])


def test_a_token_sees_15_pixels_around_the_corner_of_its_patch() -> None:
    net = untrained(SHORT).eval()
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (gradient,) = torch.autograd.grad(net.stem(image)[0, :, 2, 1].abs().sum(), image)
    rows, cols = gradient[0].abs().sum(0).nonzero(as_tuple=True)
    assert (int(rows.min()), int(rows.max())) == (9, 23)
    assert (int(cols.min()), int(cols.max())) == (1, 15)


def test_the_classes_are_read_from_the_class_token(learned: Model, pictures: torch.Tensor) -> None:
    outputs, _ = learned.capture(["blocks", "norm", "head"], pictures)
    assert learned.layer("blocks.0").layout == Tokens(1, (4, 4))
    head = learned.module.get_submodule("head")
    assert torch.allclose(outputs["head"], head(outputs["norm"][:, 0]), atol=1e-6)
    (gradcam,) = cams.of(learned, pictures[:1], [learned.class_unit(0)], ["blocks.2"], [cams.GradCAM])
    assert Fault.CLASS_TOKEN_ONLY in {d.fault for d in gradcam["gradcam", "blocks.2"].degenerations}


def test_attention_can_be_read_in_every_block(learned: Model, pictures: torch.Tensor) -> None:
    assert attention.layers(learned) == [f"blocks.{k}.self_attention" for k in range(3)]
    for maps in attention.of(learned, pictures)[0].values():
        assert maps.values.shape == (2, 4, 4)
        assert np.allclose(maps.values.sum((1, 2)) + maps.prefix.sum(1), 1, atol=1e-5)


def test_a_normalized_token_has_no_length_to_explain(learned: Model, pictures: torch.Tensor) -> None:
    # The last block reads patches through a LayerNorm only, which forgets their length: Euler's sum of gradient x activation is 0.
    units = [learned.class_unit(0)] * len(pictures)
    for found in cams.of(learned, pictures, units, ["blocks.1", "blocks.0"], [cams.HiResCAM, cams.LayerCAM]):
        zero, other = (np.abs(found["hirescam", layer].values).max() for layer in ("blocks.1", "blocks.0"))
        assert zero < 1e-3 * other
        assert Fault.ZERO in {d.fault for d in found["hirescam", "blocks.1"].degenerations}
        assert np.abs(found["layercam", "blocks.1"].values).max() > 1e-3 * other


@pytest.mark.parametrize(
    "name",
    [
        "saliency",
        "integrated-gradients",
        "smoothgrad",
        "occlusion",
        "gradcam",
        "layercam",
        "attention-rollout",
        "gradient-rollout",
        "ablationcam",
    ],
)
def test_methods_of_every_family_explain_it(learned: Model, pictures: torch.Tensor, name: str) -> None:
    units = [learned.class_unit(k % 3) for k in range(len(pictures))]
    found = method(name).make(layer="blocks.1", seed=0, batch_size=16)(learned, pictures, units)
    assert all(np.isfinite(h.values).all() and h.values.std() > 0 for h in found)
    # Those that explain the class say something else of another one.
    others = method(name).make(layer="blocks.1", seed=0, batch_size=16)(
        learned, pictures, [learned.class_unit((k + 1) % 3) for k in range(4)]
    )
    same = all(np.array_equal(a.values, b.values) for a, b in zip(found, others, strict=True))
    assert same == (name == "attention-rollout")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InterpError, match=r"`width` is 30: give a multiple of the 4 heads"):
        TransformerOptions(width=30)
    with pytest.raises(InterpError, match=r"`n_blocks` is 0, `n_heads` 4, `stem` \(24, 48, 96\): give at least 1 of each"):
        TransformerOptions(n_blocks=0)
    odd = TrainingOptions(replace(TINY, size=(36, 32)))
    with pytest.raises(Unsupported, match=r"pictures of 36 x 32 px cannot be cut into tokens: give sides that are multiples of 8"):
        TransformerOptions(odd)
