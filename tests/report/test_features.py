"""The product of feature visualization: which image stands where, what is measured of it, what a film holds."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from interp import featurevis
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig, Feature
from interp.featurevis.config import Weighted
from interp.featurevis.joint import Diversity
from interp.featurevis.quality import Checks, measure
from interp.figures import EmptyPanel, ImagePanel
from interp.images import Photo
from interp.report.features import FeatureOptions, FilmKind, Made, made, of_features, product, strengths, suitable_size
from interp.zoo import load

CONFIG = AscentConfig(steps=2, size=(32, 32))
UNITS = [Unit("stem", 0), Unit("fc", 3)]


@pytest.fixture(scope="module")
def model():
    return load("embedded", random_weights=True, seed=1)


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    return [Photo(name, rng.integers(0, 255, (90, 70, 3), dtype=np.uint8), name * 64) for name in "ab"]


def test_the_images_are_those_of_the_engine_and_the_numbers_those_of_quality(model, photos):
    found = of_features(model, UNITS, CONFIG, 3, options=FeatureOptions(checks=Checks()), photos=photos)
    features = featurevis.visualize(model, UNITS, CONFIG, 3)
    qualities = measure(model, features, UNITS, photos, Checks(), CONFIG, 3)
    panels = [panel for panel in found.figures[0].grid.panels() if isinstance(panel, ImagePanel)]
    for unit, feature, quality, panel in zip(UNITS, features, qualities, panels, strict=True):
        assert np.array_equal(found.arrays[f"features/{unit}/image"], np.rint(feature.image * 255).astype(np.uint8))
        assert np.array_equal(panel.pixels, feature.image)
        assert found.metrics["features"][str(unit)]["quality"] == quality.as_dict()
        assert panel.sublabel.startswith(f"{quality.natural_ratio:.3g}x photographs") == (quality.natural_ratio > 0)
    assert panels[1].label == model.class_name(3)


def test_seeds_stand_one_after_the_other_each_found_alone(model):
    found = made(model, UNITS, CONFIG, 3, options=FeatureOptions(seeds=2))
    assert [one.key for one in found] == ["stem:0, seed 3", "stem:0, seed 4", "fc:3, seed 3", "fc:3, seed 4"]
    (alone,) = featurevis.visualize(model, UNITS[1:], CONFIG, 4)
    assert np.abs(found[3].feature.image - alone.image).max() < 0.02


def test_images_that_are_optimized_together_each_have_their_place(model):
    found = made(model, [Diversity("stem", 3)], CONFIG, 0)
    assert [(one.heading, one.key) for one in found] == [("stem", f"diversity of 3 at stem#{k}") for k in (1, 2, 3)]


def test_a_joint_regularizer_gives_each_unit_as_many_images(model):
    config = replace(CONFIG, regularizers=(Weighted(Diversity("stem", 2), 1.0),))
    found = made(model, UNITS, config, 3, options=FeatureOptions(seeds=2, checks=Checks(frozenset())))
    names = [("stem", "stem:0"), ("fc", "fc:3")]
    keys = [(layer, f"{unit}#{k}, seed {seed}") for layer, unit in names for k in (1, 2) for seed in (3, 4)]
    assert [(one.heading, one.key) for one in found] == keys
    assert [one.quality.unit for one in found] == [key.split(",")[0] for _, key in keys]


def test_silent_units_are_words_and_in_no_film(model):
    def one(name: str, dead: bool) -> Made:
        frames = np.full((3, 8, 8, 3), 90, dtype=np.uint8)
        return Made(name, "stem", name, Feature(name, np.zeros((8, 8, 3), np.float32), np.zeros(2, np.float32), 0.0, dead, film=frames))

    options = FeatureOptions(film=FilmKind.WEBP)
    found = product(model, [one("stem:0", False), one("stem:1", True)], CONFIG, options)
    assert [type(panel) for panel in found.figures[0].grid.panels()] == [ImagePanel, EmptyPanel]
    (film,) = found.films
    with Image.open(io.BytesIO(film.webp)) as opened:
        assert opened.size == (film.size[1], film.size[0])
        assert opened.width < 24, "one picture"
    assert product(model, [one("stem:1", True)], CONFIG, options).films == []


def test_channels_are_ranked_by_their_mean_whatever_the_batch(model, photos):
    many = [*photos * 5]
    one = strengths(model, photos)(["stem", "fc"])
    assert {name: len(values) for name, values in one.items()} == {"stem": 32, "fc": 200}
    assert np.allclose(one["stem"], strengths(model, many)(["stem"])["stem"], rtol=1e-4)


def test_a_size_that_suits_is_one_that_the_model_takes(model):
    assert suitable_size(model) == (96, 96)
    assert suitable_size(load("vit_b_32", random_weights=True)) is None


def test_bad_requests(model):
    with pytest.raises(InterpError, match="no unit is named"):
        of_features(model, [], CONFIG, 0)
    with pytest.raises(InterpError, match="`seeds` is 0: give how many images"):
        FeatureOptions(seeds=0)
