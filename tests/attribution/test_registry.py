"""Every method and metric keeps the contract of its kind, and can be named with each of its options as the lists print them."""

from __future__ import annotations

import re
import typing
from dataclasses import MISSING, fields, is_dataclass

import pytest

from interp import attribution
from interp.attribution.registry import CONTROLS, METHODS, method
from interp.cli.catalogue import _options
from interp.core.choices import choice
from interp.core.method import Family, Method, Place
from interp.errors import InterpError, UnknownName
from interp.metrics.evidence import Better, Metric
from interp.metrics.registry import DEFAULT, LOCALIZING, METRICS, metric

ALL = {**METHODS, **METRICS}
KEBAB = re.compile(r"[a-z][a-z0-9]*(\+\+)?(-[a-z0-9]+)*")


def made(kind):
    return kind(**({"layer": "conv"} if "layer" in kind.__dataclass_fields__ else {}))


def test_names_are_unique_short_and_spoken_for_once():
    assert len(ALL) == len(METHODS) + len(METRICS), "no metric is called as a method is"
    for registry in (METHODS, METRICS):
        assert len({kind.title for kind in registry.values()}) == len(registry)
        assert all(kind.name == name for name, kind in registry.items())
    assert all(KEBAB.fullmatch(name) for name in ALL), [name for name in ALL if not KEBAB.fullmatch(name)]


@pytest.mark.parametrize("name", ALL)
def test_each_is_a_frozen_dataclass_whose_options_are_typed(name):
    kind = ALL[name]
    assert is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert kind.__dataclass_params__.eq
    hash(made(kind))
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}("), "a docstring of its own"
    hints = typing.get_type_hints(kind)
    for field in fields(kind):
        assert not isinstance(field.default, str) or field.name == "layer" or hasattr(field.default, "value"), "no strings as options"
        assert field.default is not MISSING or field.name == "layer", "everything but the layer has a default"
        assert field.name in hints


@pytest.mark.parametrize("name", METHODS)
def test_each_method_follows_the_protocol(name):
    kind = METHODS[name]
    assert isinstance(made(kind), Method)
    assert isinstance(kind.place, Place)
    assert isinstance(kind.family, Family)
    assert kind.title
    assert re.search(r"(19|20)\d\d|^control$", kind.source), "where it was published"
    options = {field.name for field in fields(kind)}
    assert ("layer" in options) == (kind.place is Place.LAYER)
    assert "n_samples" not in options or "batch_size" in options
    assert (kind in CONTROLS) == (kind.family is Family.CONTROL)


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_follows_the_protocol(name):
    kind = METRICS[name]
    assert isinstance(made(kind), Metric)
    assert isinstance(kind.better, Better)
    assert type(kind.needs_masks) is bool
    assert kind.least_images >= 1
    assert kind.title
    assert re.search(r"(19|20)\d\d", kind.source), "where it was published"


def test_methods_stand_by_family_with_the_controls_last():
    families = [kind.family for kind in METHODS.values()]
    assert len(CONTROLS) == 4
    assert list(METHODS.values())[-4:] == list(CONTROLS)
    assert families[-5] is not Family.CONTROL
    attention = [k for k, family in enumerate(families) if family is Family.ATTENTION]
    assert attention == list(range(attention[0], attention[-1] + 1))


def test_what_is_public_is_in_the_registry_and_the_other_way_round():
    public = {value for name in attribution.__all__ if isinstance(value := getattr(attribution, name), type)}
    assert public == set(METHODS.values())


def test_the_metrics_of_a_run_that_names_none():
    assert set(DEFAULT) <= set(METRICS)
    assert not any(METRICS[name].needs_masks or METRICS[name].least_images > 1 for name in DEFAULT), "they fit any run"
    assert all(METRICS[name].needs_masks for name in LOCALIZING)


@pytest.mark.parametrize("name", ALL)
def test_the_options_that_are_listed_can_be_typed(name):
    kind, registry = ALL[name], METHODS if name in METHODS else METRICS
    listed = _options(kind)
    found = choice(f"{name}:{listed}", registry, "method")
    options = dict(found.options)
    assert [*options] == [field.name for field in fields(kind) if field.name not in ("layer", "seed", "batch_size")]
    for field in fields(kind):
        if field.name in options:
            assert options[field.name] == field.default
            assert type(options[field.name]) in (type(field.default), float), "1 may be read as 1.0 where only floats are allowed"
    assert found.make(layer="conv", seed=0, batch_size=made(kind).batch_size if hasattr(made(kind), "batch_size") else 1) == made(kind)


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(UnknownName, match=r"no method 'grad-cam': did you mean 'gradcam'"):
        method("grad-cam")
    with pytest.raises(UnknownName, match=r"no metric 'deletions': did you mean 'deletion'"):
        metric("deletions")
    with pytest.raises(UnknownName, match=r"the method 'occlusion' has no option 'windw': did you mean 'window'"):
        method("occlusion:windw=3")
    with pytest.raises(InterpError, match=r"the method 'integrated-gradients' has no baseline 'blurr': did you mean 'blur'"):
        method("integrated-gradients:baseline=blurr")
    with pytest.raises(InterpError, match=r"the method 'smoothgrad' cannot have the around 'gradcam', which needs a layer"):
        method("smoothgrad:around=gradcam")


def test_options_reach_the_method():
    found = method("smoothgrad:around=guided-backprop,n_samples=4,noise=0.2").make(seed=3)
    assert (found.around, found.n_samples, found.noise, found.seed) == (attribution.GuidedBackprop(), 4, 0.2, 3)
    assert method("occlusion:window=16").make().window == 16
    assert type(method("occlusion:window=16").make().window) is int, "pixels, where 0.125 is a share"
    with pytest.raises(InterpError, match=r"`n_samples` is 0"):
        method("rise:n_samples=0").make()
