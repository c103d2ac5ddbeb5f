"""Products: what a report chooses, names and saves, against the missions called one by one."""

from dataclasses import replace

import numpy as np
import pytest

from interp import activations, kernels
from interp.activations import Rank
from interp.attribution import gradcam
from interp.comparisons.subjects import subjects
from interp.core.depth import kernel_layer, spread
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig
from interp.images import Photo
from interp.report import compose
from interp.report.whole import Settings, chosen_layers, report
from interp.zoo import load


@pytest.fixture(scope="module")
def model():
    return load("embedded", random_weights=True, seed=1)


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    return [Photo(name, rng.integers(0, 255, (90, 70, 3), dtype=np.uint8), name * 64) for name in "ab"]


def test_spread_takes_the_first_and_last_stage_in_order(model):
    names = [layer.name for layer in spread(model, 4)]
    assert names[0] == "stem"
    assert names[-1] == "stage4.block2"
    order = [layer.name for layer in model.layers]
    assert sorted(names, key=order.index) == names


def test_the_kernel_of_a_block_is_the_convolution_inside_it_and_of_a_relu_the_one_before(model):
    assert kernel_layer(model, "stage2.block1").name == "stage2.block1.conv"
    assert kernel_layer(model, "stage2.block1.relu").name == "stage2.block1.conv"
    assert kernel_layer(model, "fc").name == "fc"


def test_the_kernel_of_a_residual_block_is_wide():
    resnet = load("resnet18", random_weights=True)
    assert kernel_layer(resnet, "layer2.0").name == "layer2.0.conv2"
    assert spread(resnet)[0].name == "relu"


def test_a_transformers_last_block_is_left_out():
    """Its patches have no gradient from the class token any more."""
    assert spread(load("vit_b_32", random_weights=True))[-1].name == "encoder.layers.encoder_layer_10"


def test_a_reports_arrays_are_those_of_the_missions(model, photos):
    names = ("stem", "stage3.block1")
    settings = Settings(names, (), None, AscentConfig(steps=1, size=(32, 32)), per_layer=2)
    product = report(model, photos, settings)
    images, people = subjects(model, photos)
    found = activations.of(model, images, names)
    maps = gradcam.of(model, images, [s.unit for s in people], names)
    for place, name in enumerate("ab"):
        for layer in names:
            assert np.array_equal(product.arrays[f"activations/{name}/{layer}/mean"], found[layer].mean_map(place))
            channels = product.arrays[f"activations/{name}/{layer}/channels"]
            assert channels.tolist() == list(found[layer].top(2, Rank.MAX, place))
            assert np.array_equal(product.arrays[f"activations/{name}/{layer}/maps"], found[layer].maps[place][channels])
            assert np.allclose(product.arrays[f"gradcam/{name}/{layer}"], maps[place][layer].values, rtol=1e-4, atol=1e-7)
    assert np.array_equal(product.arrays["kernels_shown/stem.conv"], kernels.of(model, "stem.conv").weights)
    deep = kernels.of(model, "stage3.block1.conv").weights[:8, :8]
    assert np.array_equal(product.arrays["kernels_shown/stage3.block1.conv"], deep)
    units = {key.split("/")[1] for key in product.arrays if key.startswith("features/")}
    assert units == {str(Unit(layer, c)) for layer in names for c in found[layer].top(2, Rank.MEAN)}


def test_probabilities_are_the_softmax_of_each_image_alone(model, photos):
    images, people = subjects(model, photos)
    for image, subject in zip(images, people, strict=True):
        expected = model(image[None])[0].softmax(0)
        assert subject.best.channel == int(expected.argmax())
        assert subject.probability == pytest.approx(float(expected.max()))


def test_layers_of_named_units_join_the_report(model):
    settings = Settings(("stem",), (Unit("stage4.block1", 3),))
    assert chosen_layers(model, settings) == ["stem", "stage4.block1"]


def test_gradcam_is_only_asked_where_it_exists(model):
    assert compose.explainable(model, ["stem", "stage4.block2", "fc"], Unit("stage3.block1", 0)) == ["stem"]
    assert compose.explainable(model, ["stem", "fc"], Unit("fc", 0)) == ["stem"]


def test_photographs_of_one_name_get_numbers(photos):
    given = [photos[0], photos[0], photos[1], replace(photos[0], name="a-2")]
    assert [p.name for p in compose.unique(given)] == ["a", "a-2", "b", "a-2-2"]


def test_a_layer_without_maps_is_refused_by_name(model):
    with pytest.raises(InterpError, match="no layer 'stage9'"):
        report(model, [], Settings(("stage9",)))
