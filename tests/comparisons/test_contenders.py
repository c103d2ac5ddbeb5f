"""Who competes: each method once, at each layer where it needs one, under a name of its own."""

from __future__ import annotations

import pytest

from interp.attribution import METHODS, CentreGaussian, GradCAM, IntegratedGradients, Occlusion, RandomMap, Saliency, SmoothGrad
from interp.attribution.guided import GuidedBackprop
from interp.attribution.registry import method
from interp.comparisons.contenders import Contender, Limits, contenders, controls, names
from interp.core.baseline import Baseline


def named(*texts: str) -> list[Contender]:
    return contenders([method(text) for text in texts], ("low", "high"), Limits(seed=3, batch_size=5), named=True)


def test_methods_that_work_at_a_layer_compete_at_each():
    found = named("gradcam", "saliency", "layercam:layer=middle")
    assert [(c.method.name, c.layer) for c in found] == [("gradcam", "low"), ("gradcam", "high"), ("saliency", ""), ("layercam", "middle")]
    assert found[0].method == GradCAM("low")
    assert all(c.named and not c.control for c in found)


def test_each_competes_once():
    assert len(named("gradcam", "gradcam", "gradcam:layer=high", "saliency", "saliency")) == 3


def test_seed_and_batch_size_are_those_of_the_run_unless_named():
    (occlusion,), (smooth,) = named("occlusion:batch_size=2"), named("smoothgrad")
    assert occlusion.method == Occlusion(batch_size=2)
    assert smooth.method == SmoothGrad(seed=3, batch_size=5)


def test_titles_labels_and_keys_say_what_was_chosen():
    plain = Contender(GradCAM("layer4.1"), "layer4.1")
    assert (plain.title, plain.label, plain.key) == ("Grad-CAM", "Grad-CAM at layer4.1", "gradcam@layer4.1")
    chosen = Contender(IntegratedGradients(n_steps=8, baseline=Baseline.BLUR))
    assert chosen.title == chosen.label == "Integrated gradients (n steps 8, baseline blur)"
    assert chosen.key == "integrated-gradients-n-steps-8-baseline-blur"
    around = Contender(SmoothGrad(around=GuidedBackprop()))
    assert around.title == "SmoothGrad (around Guided backprop)"
    assert around.key == "smoothgrad-around-Guided-backprop"


@pytest.mark.parametrize("name", METHODS)
def test_a_key_of_defaults_is_the_name(name):
    (first, *_) = named(name)
    assert first.key == name + ("@low" if first.layer else "")


def test_controls_are_four_with_the_seed_of_the_run():
    found = controls(Limits(seed=9))
    assert [c.key for c in found] == ["random", "input-magnitude", "sobel", "centre-gaussian"]
    assert found[0].method == RandomMap(9)
    assert found[3].method == CentreGaussian()
    assert all(c.control and not c.named and not c.layer for c in found)


def test_names_carry_the_layer_only_where_titles_repeat():
    low, high, single = Contender(GradCAM("low"), "low"), Contender(GradCAM("high"), "high"), Contender(Saliency())
    assert names([low, single, high]) == {low: "Grad-CAM at low", single: "Saliency", high: "Grad-CAM at high"}
    assert names([low, single]) == {low: "Grad-CAM", single: "Saliency"}
