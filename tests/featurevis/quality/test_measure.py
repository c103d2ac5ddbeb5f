"""Everything put together: known answers, reasons for what is missing, flags, and no NaN anywhere."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.featurevis.attention_heads import head
from interp.featurevis.config import AscentConfig, Precision, Weighted
from interp.featurevis.objective import Objective
from interp.featurevis.quality import ALL, Check, Checks, Quality, Similarity, measure, similarity
from interp.featurevis.quality.natural import Natural
from interp.featurevis.quality.parts import controlled, look, robust
from interp.featurevis.quality.randomized import randomized
from interp.featurevis.quality.result import Control, Robustness
from interp.featurevis.quality.transfer import Transfer
from interp.featurevis.visualization import visualize

from .conftest import Apart, Undefined, expected, feature, flat, flat_photos, linear, noise

FEW = AscentConfig(steps=4, precision=Precision.FLOAT32)
GOOD = Quality("conv:0", 1.0, False, 0.2, 0.0, 1.0)


def plain(qualities: list[Quality]) -> str:
    return json.dumps([quality.as_dict() for quality in qualities], allow_nan=False)


def test_a_linear_network(linear_model: Model) -> None:
    images = [flat(0.8, 0.2, 0.4), noise(32, 32, 3), flat(0.0, 0.0, 0.0)]
    units = [Unit("conv", 0), Unit("conv", 1), Unit("conv", 3)]
    features = [feature(i, u) for i, u in zip(images, units, strict=True)]
    first, second, third = measure(linear_model, features, units, flat_photos())
    eight = np.rint(images[1] * 255) / 255
    assert first.unit == "conv:0"
    assert first.score == pytest.approx(0.8, rel=1e-5)
    assert second.score == pytest.approx(expected(1, eight), rel=1e-5)
    assert first.natural is not None
    assert (first.natural.maximum, first.natural.image) == (1.0, "red")
    assert first.natural.ratio == pytest.approx(0.8, rel=1e-5)
    assert second.natural_ratio == pytest.approx(expected(1, eight) / 2.5, rel=1e-5)
    # It sees colours alone, and random images of the same spectrum have the same mean colour.
    assert second.control is not None
    assert second.control.mean == pytest.approx(second.score, rel=1e-5)
    assert second.control.z is None
    assert "there is no spread to measure in" in dict(second.reasons)["control.z"]
    assert second.control.ratio == pytest.approx(1, rel=1e-5)
    # Shifted and mirrored a flat image is the same, and JPEG moves its colours by less than 2 of 255.
    assert first.robustness is not None
    assert first.robustness.shifts == pytest.approx(1)
    assert first.robustness.jpeg == pytest.approx(1, abs=0.01)
    assert first.flags == ("natural", "control")
    # Nothing natural, random or moved is above 0 here.
    assert third.score == pytest.approx(-0.5)
    assert third.natural is not None
    assert third.natural.ratio is None
    reasons = dict(third.reasons)
    assert reasons["natural.ratio"] == "the maximum over natural images is -0.5, not above 0"
    assert reasons["control.ratio"] == "the mean score of random images of the same spectrum is -0.5, not above 0"
    assert reasons["robustness"] == "the score of the image itself is -0.5, not above 0"
    assert reasons["seeds"] == reasons["randomized"] == reasons["path"] == "not asked for"
    assert reasons["transfer"] == "no held-out model was given"
    assert "saturated" in third.flags
    plain([first, second, third])


def test_jpeg_of_a_grey_image_keeps_the_score(linear_model: Model) -> None:
    (found,) = measure(linear_model, [feature(flat(0.6, 0.6, 0.6))], [Unit("conv", 0)], flat_photos())
    assert found.robustness is not None
    assert (found.robustness.shifts, found.robustness.jpeg) == (pytest.approx(1), pytest.approx(1))
    assert "grey" in found.flags


def test_an_image_that_is_the_most_natural_has_ratio_1(cnn: Model) -> None:
    from interp.featurevis.quality.natural import views

    unit = Unit("relu2", 2)
    natural = views(cnn, None, (32, 32))
    scores = [
        q.score for q in measure(cnn, [feature(i, unit) for i in natural.images], [unit] * len(natural.images), checks=Checks(frozenset()))
    ]
    (found,) = measure(cnn, [feature(natural.images[int(np.argmax(scores))], unit)], [unit], checks=Checks(frozenset({Check.NATURAL})))
    assert found.natural is not None
    assert found.natural.ratio == pytest.approx(1, rel=1e-5)
    assert found.natural.image == natural.names[int(np.argmax(scores))]
    assert dict(found.reasons)["control"] == "not asked for"


def test_one_image_alone_is_that_image_in_company(cnn: Model) -> None:
    units, photos = [Unit("conv1", 0), Unit("relu2", 1), Unit("fc", 2), Unit("conv2", 3, (4, 5))], flat_photos()[:1]
    features = [feature(noise(32, 32, 3, seed=k), u) for k, u in enumerate(units)]
    together = measure(cnn, features, units, photos, seed=5)
    assert plain(together) == plain(measure(cnn, features, units, photos, seed=5)), "repeats bit for bit"
    for k in range(4):
        (alone,) = measure(cnn, features[k : k + 1], units[k : k + 1], photos, seed=5, checks=Checks(batch=7))
        assert alone.score == pytest.approx(together[k].score, rel=1e-4, abs=1e-5)
        assert alone.control is not None
        assert together[k].control is not None
        assert alone.control.mean == pytest.approx(together[k].control.mean, rel=1e-3, abs=1e-4)  # type: ignore[union-attr]
        assert alone.spectrum == together[k].spectrum
    other = measure(cnn, features, units, photos, seed=6)[0].control
    assert other is not None
    assert other != together[0].control


def test_images_that_are_looked_at_together(linear_model: Model) -> None:
    images = [flat(0.9, 0.1, 0.1), flat(0.2, 0.1, 0.1)]
    features = [feature(image, f"apart#{k + 1}") for k, image in enumerate(images)]
    one, two = measure(linear_model, features, [Apart(Unit("conv", 0))], flat_photos(), checks=Checks(ALL), config=FEW)
    difference = (np.rint(0.9 * 255) - np.rint(0.2 * 255)) / 255
    assert (one.score, two.score) == (pytest.approx(difference, rel=1e-5), pytest.approx(-difference, rel=1e-5))
    assert one.natural is None
    assert one.path is None
    assert "compares 2 images" in dict(one.reasons)["natural"]
    assert one.control is not None
    assert one.control.mean == pytest.approx(difference, rel=1e-4)
    assert one.seeds is not None
    assert one.randomized is not None


def test_ascents_anew(cnn: Model) -> None:
    cnn = replace(cnn, spec=replace(cnn.spec, classes=tuple("abcde")))
    units = [Unit("relu2", 2), Unit("fc", 1)]
    features = visualize(cnn, units, FEW, 0)
    before = {name: value.clone() for name, value in cnn.module.state_dict().items()}
    calls: list[tuple[int, int]] = []
    found = measure(cnn, features, units, checks=Checks(ALL), config=FEW, seed=0, on_step=lambda a, b: calls.append((a, b)), judge=cnn)
    others = visualize(cnn, units, FEW, 1)
    for quality, mine, other in zip(found, features, others, strict=True):
        assert quality.score == pytest.approx(mine.final, rel=1e-5, abs=1e-6)
        assert quality.seeds == similarity(mine.image, other.image)
        assert quality.randomized is not None
        assert quality.randomized != quality.seeds
        assert quality.path is not None
    assert found[0].transfer is None
    assert found[1].transfer is not None, "the model itself has its own class"
    assert all(torch.equal(value, before[name]) for name, value in cnn.module.state_dict().items())
    done, totals = zip(*calls, strict=True)
    assert set(totals) == {800}
    assert list(done) == sorted(done)
    assert done[-1] == 800
    assert len(set(done)) > 8, "long stages report on their way"
    plain(found)


def test_an_objective_that_holds_weights_has_no_randomized_image(vit: Model) -> None:
    layer = "encoder.layers.encoder_layer_0.self_attention"
    wanted: list[Unit | Objective] = [head(vit, layer, 0), Unit("conv_proj", 1), -head(vit, layer, 1)]
    features, random = visualize(vit, wanted, FEW, 0), Checks(frozenset({Check.RANDOMIZATION}))
    first, second, third = measure(vit, features, wanted, checks=random, config=FEW)
    (other,) = visualize(randomized(vit, 1), wanted[1:2], FEW, 1)
    assert second.randomized == similarity(features[1].image, other.image)
    for found, number in ((first, 0), (third, 1)):
        assert found.randomized is None
        said = f"a copy with permuted weights cannot be asked: '{layer} head {number}' was made for other weights"
        assert dict(found.reasons)["randomized"].startswith(said)
    bound = replace(FEW, regularizers=(Weighted(head(vit, layer, 0), 0.1),))
    (alone,) = measure(vit, features[1:2], wanted[1:2], checks=random, config=bound)
    assert alone.randomized is None
    assert "head 0' was made for other weights" in dict(alone.reasons)["randomized"]


def test_dead_features_are_flagged(cnn: Model) -> None:
    with torch.no_grad():
        conv = cnn.module.get_submodule("conv2")
        conv.weight[0] = 0  # type: ignore[index,operator]
        conv.bias[0] = -1  # type: ignore[index,operator]
    unit = Unit("relu2", 0)
    (found,) = measure(cnn, [feature(noise(32, 32, 3), unit, dead=True)], [unit])
    assert found.dead
    assert found.score == 0
    assert found.natural_ratio is None
    assert found.robustness is None
    assert {"dead", "control"} <= set(found.flags)
    plain([found])


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, ()),
        ({"natural": Natural(2.0, "cat", 1.0)}, ()),
        ({"natural": Natural(2.0, "cat", 0.99)}, ("natural",)),
        ({"natural": Natural(-2.0, "cat", None)}, ()),
        ({"control": Control(0.0, 0.1, 3.0, None)}, ()),
        ({"control": Control(0.0, 0.1, 2.9, None)}, ("control",)),
        ({"control": Control(0.5, 0.0, None, 2.0)}, ()),
        ({"control": Control(1.0, 0.0, None, 1.0)}, ("control",)),
        ({"robustness": Robustness(0.5, 0.9)}, ()),
        ({"robustness": Robustness(0.9, 0.49)}, ("fragile",)),
        ({"dead": True, "contrast": 0.01}, ("dead", "grey")),
        ({"saturation": 0.3}, ("saturated",)),
        ({"checkerboard": 11.0}, ("checkerboard",)),
        ({"randomized": Similarity(0.6, 0.0), "seeds": Similarity(0.9, 0.9)}, ("randomization",)),
        ({"randomized": Similarity(0.3, 0.0), "seeds": Similarity(0.1, 0.1)}, ("randomization",)),
        ({"randomized": Similarity(0.15, 0.0), "seeds": Similarity(0.1, 0.1)}, ()),
        ({"randomized": Similarity(0.3, 0.0)}, ()),
        ({"path": (("a", None), ("b", 0.4), ("c", 0.45), ("d", 2.0))}, ("path",)),
        ({"path": (("a", None), ("b", 0.9))}, ()),
        ({"path": (("a", None),)}, ()),
        ({"transfer": Transfer("cat", 5, 0.1)}, ()),
        ({"transfer": Transfer("cat", 6, 0.1)}, ("transfer",)),
    ],
)
def test_flags(changes: dict[str, object], flags: tuple[str, ...]) -> None:
    assert replace(GOOD, **changes).flags == flags  # type: ignore[arg-type]


def test_plain_values() -> None:
    quality = replace(GOOD, natural=Natural(2.0, "cat", 0.5), path=(("a", None), ("b", 0.75)), reasons=(("seeds", "not asked for"),))
    found = json.loads(plain([quality]))[0]
    assert found["natural"] == {"maximum": 2.0, "image": "cat", "ratio": 0.5}
    assert found["path"] == {"a": None, "b": 0.75}
    assert found["path_median"] == 0.75
    assert found["reasons"] == {"seeds": "not asked for"}
    assert found["flags"] == ["natural"]
    assert found["control"] is None


def test_looks() -> None:
    assert look(flat(0.5, 0.5, 0.5)) == (0, 0)
    half = flat(0.0, 0.0, 0.0)
    half[:16] = 1
    assert look(half) == (0.5, 1)
    assert look(np.where(half > 0, 2.4 / 255, 0.5).astype(np.float32))[1] == 0.5
    assert look(np.where(half > 0, 3 / 255, 0.5).astype(np.float32))[1] == 0


def test_parts_without_a_model() -> None:
    control, reasons = controlled(6.0, [1.0, 3.0])
    assert (control.mean, control.ratio) == (2.0, 3.0)
    assert (control.spread, control.z) == (pytest.approx(math.sqrt(2)), pytest.approx(4 / math.sqrt(2)))
    assert reasons == {}
    assert controlled(6.0, [math.nan, 3.0]) == (None, {"": "the score of a random image is no finite number"})
    assert robust(4.0, [1.0, 3.0, 1.0]) == (Robustness(0.5, 0.25), {})
    assert robust(4.0, [math.nan, 1.0])[0] is None


def test_small_images() -> None:
    (found,) = measure(linear(size=3), [feature(noise(3, 3, 3))], [Unit("conv", 0)], flat_photos())
    assert found.checkerboard is None
    assert found.spectrum is None
    assert found.robustness is not None
    assert dict(found.reasons)["checkerboard"] == "the image is below 16 px"
    assert dict(found.reasons)["spectrum"] == "an image below 4 px has no spectrum to speak of"
    plain([found])


def test_bad_input(linear_model: Model) -> None:
    unit = Unit("conv", 0)
    one, small = feature(noise(32, 32, 3)), feature(noise(16, 16, 3))
    assert measure(linear_model, [], []) == []
    with pytest.raises(InterpError, match="1 features were given with objectives of 2 images in all"):
        measure(linear_model, [one], [unit, unit])
    with pytest.raises(InterpError, match="1 features were given with objectives of 2 images in all"):
        measure(linear_model, [one], [Apart(unit)])
    with pytest.raises(InterpError, match=r"features of \(16, 16\) and \(32, 32\) px \(rows, cols\) cannot be measured together"):
        measure(linear_model, [one, small], [unit, unit])
    with pytest.raises(InterpError, match="the check 'randomization' optimizes images anew: give the `config`"):
        measure(linear_model, [one], [unit], checks=Checks(frozenset({Check.RANDOMIZATION})))
    with pytest.raises(Unsupported, match=r"the score of 'conv:0' is no finite number \(nan\)"):
        measure(linear_model, [one], [Undefined()])
    with pytest.raises(InterpError, match="no natural image was given"):
        measure(linear_model, [one], [unit], [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 1}, "`draws` is 1: give at least 2"),
        ({"shift": 0.0}, "`shift` is 0.0: give a share"),
        ({"jpeg": 0}, "`jpeg` is 0: give a JPEG quality"),
        ({"top": 1}, "`top` is 1: give at least 2"),
        ({"batch": 0}, "`batch` is 0: give at least 1"),
    ],
)
def test_refused_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        Checks(**options)  # type: ignore[arg-type]
