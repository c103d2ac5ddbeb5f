"""The small network learns, the same way each time, leaves everything as it was, and is fit for every attribution method."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import LRP, DeepLift, GuidedBackprop
from torch import nn

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import BadFile, InterpError, Unsupported
from interp.synthetic import (
    EASY,
    Progress,
    Shape,
    ShapeOptions,
    Split,
    TrainingOptions,
    accuracy,
    draw,
    lesson,
    restored,
    train,
    truth,
    weights,
)
from interp.synthetic.network import model_of, untrained
from interp.synthetic.training import augmented

TINY = ShapeOptions(classes=(Shape.DISC, Shape.CROSS, Shape.RING), size=(32, 32), n_distractors=0, difficulty=EASY)
SHORT = TrainingOptions(TINY, n_images=360, n_plain=240, n_epochs=4, batch_size=24, widths=(8, 16, 24))


@pytest.fixture(scope="module")
def learned() -> tuple[Model, list[Progress]]:
    steps: list[Progress] = []
    return train(SHORT, steps.append), steps


def test_it_learns_what_shapes_are(learned: tuple[Model, list[Progress]]) -> None:
    model, _ = learned
    # A third would be chance; three standard deviations on 240 pictures are 0.09.
    assert accuracy(model, draw(TINY, range(240), split=Split.HELD_OUT)) > 0.75


def test_every_step_is_told(learned: tuple[Model, list[Progress]]) -> None:
    _, steps = learned
    done = [p for p in steps if p.done]
    assert [p.done for p in done] == list(range(1, SHORT.steps + 1))
    assert SHORT.steps == 10 + 4 * 15
    assert np.mean([p.loss for p in done[-10:]]) < 0.7 * np.mean([p.loss for p in done[:10]])


def test_the_same_seed_gives_the_same_weights_and_nothing_else_changes() -> None:
    once = replace(SHORT, n_images=48, n_plain=24, n_epochs=1)
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    first = weights(train(once))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    torch.manual_seed(6)
    again, other = weights(train(once)), weights(train(replace(once, seed=1)))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["fc.weight"], other["fc.weight"])


def test_threads_come_back_on_errors_too() -> None:
    before = torch.get_num_threads()

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(replace(SHORT, threads=before + 1), stop)
    assert torch.get_num_threads() == before


def test_mirroring_is_all_that_is_changed() -> None:
    images = torch.from_numpy(draw(TINY, range(16)).images).permute(0, 3, 1, 2)
    changed = augmented(images, torch.Generator().manual_seed(0)) * 0.25 + 0.5
    plain = images.float() / 255
    same = [bool(torch.allclose(a, b, atol=1e-6)) for a, b in zip(changed, plain, strict=True)]
    mirrored = [bool(torch.allclose(a, b.flip(2), atol=1e-6)) for a, b in zip(changed, plain, strict=True)]
    assert all(a or b for a, b in zip(same, mirrored, strict=True))
    assert any(same)
    assert any(mirrored)


def test_the_network_suits_every_attribution_method() -> None:
    model = model_of(untrained(ShapeOptions()), ShapeOptions())
    relus = [name for name, module in model.module.named_modules() if isinstance(module, nn.ReLU)]
    assert len(relus) == 7
    assert all(model.layer(name).calls == 1 for name in relus)  # DeepLift refuses one that is used twice
    assert not any(module.inplace for module in model.module.modules() if isinstance(module, nn.ReLU))
    assert model.layer("stage2.1").map_shape == (64, 8, 8)
    assert (model.output, model.classes, model.class_name(3)) == ("fc", 8, "star")
    assert not any(module.training for module in model.module.modules())


def test_captums_layerwise_methods_run_and_are_complete() -> None:
    net = untrained(TINY, widths=(4, 6, 8)).eval()
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, gap = DeepLift(net).attribute(x, x * 0, target=1, return_convergence_delta=True)
        found = LRP(net).attribute(x, target=1)
        guided = GuidedBackprop(net).attribute(x, target=1)
    assert gap.abs().max() < 1e-4
    assert bool(found.abs().sum() > 0)
    plain = torch.autograd.grad(net(x.requires_grad_())[:, 1].sum(), x)[0]
    assert not torch.allclose(guided, plain)


def test_weights_as_arrays_give_the_model_back(learned: tuple[Model, list[Progress]]) -> None:
    model, _ = learned
    again = restored(weights(model), TINY)
    images = draw(TINY, range(6), split=Split.HELD_OUT).tensor
    assert torch.equal(again(images), model(images))
    assert again.spec == model.spec
    arrays = weights(model)
    arrays["fc.weight"][:] = 0
    assert model.module.get_parameter("fc.weight").abs().sum() > 0  # they are copies


def test_weights_that_do_not_fit_are_refused(learned: tuple[Model, list[Progress]]) -> None:
    arrays = weights(learned[0])
    with pytest.raises(BadFile, match=r"these \d+ arrays are not the weights of a network for 8 shapes: size mismatch for fc.bias"):
        restored(arrays, ShapeOptions())
    del arrays["stem.bn.weight"]
    with pytest.raises(BadFile, match=r"are not the weights of a network for 3 shapes: 'stem.bn.weight'"):
        restored(arrays, TINY)


def test_truth_puts_the_correctly_classified_first(learned: tuple[Model, list[Progress]]) -> None:
    model, _ = learned
    known = truth(model, TINY, 40, seed=2)
    right = known.predicted == known.labels
    assert right[: known.n_correct].all()
    assert not right[known.n_correct :].any()
    assert known.accuracy == pytest.approx(right.mean())
    assert list(known.indices[: known.n_correct]) == sorted(known.indices[: known.n_correct])
    drawn = draw(TINY, known.indices, seed=2, split=Split.HELD_OUT)
    assert np.array_equal(known.masks, drawn.masks)
    assert torch.equal(known.images, drawn.tensor)
    assert known.units == tuple(Unit("fc", int(label)) for label in drawn.labels)
    assert torch.equal(model(known.images).argmax(1), torch.from_numpy(known.predicted))
    few = known.correct.first(5)
    assert (len(few), few.accuracy, few.masks.base) == (5, 1.0, None)


def test_bad_truth(learned: tuple[Model, list[Progress]]) -> None:
    model, _ = learned
    with pytest.raises(Unsupported, match=r"'shapes' tells disc, cross, ring apart, but the pictures show disc, square"):
        truth(model, ShapeOptions(), 4)
    known = truth(model, TINY, 4)
    with pytest.raises(InterpError, match=r"`n_images` is 9: there are 4 pictures, give 1 to 4"):
        known.first(9)
    with pytest.raises(InterpError, match=r"none of the 4 pictures is classified correctly"):
        _ = replace(known, n_correct=0).correct


BAD = {
    r"`n_epochs` is 0: give at least 1": {"n_epochs": 0},
    r"`threads` is 0: give at least 1": {"threads": 0},
    r"`n_images` is 8, less than a batch of 24: give more images": {"n_images": 8},
    r"`n_plain` is -1 and `widths` \(8, 16, 24\): give 0 or more pictures": {"n_plain": -1},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_options(message: str) -> None:
    with pytest.raises(InterpError, match=message):
        replace(SHORT, **BAD[message])


def test_networks_may_learn_from_pictures_drawn_once() -> None:
    once = replace(SHORT, n_images=48, n_plain=24, n_epochs=1)
    pictures = lesson(once)
    drawn = draw(TINY, range(24, 72))
    assert np.array_equal(pictures.images[24:].permute(0, 2, 3, 1).numpy(), drawn.images), "the plain ones come first"
    assert pictures.labels[24:].tolist() == drawn.labels.tolist()
    given, other = train(once, pictures=pictures), train(replace(once, seed=1), pictures=pictures)
    assert given.spec.sha256 == train(once).spec.sha256 != other.spec.sha256


def test_pictures_of_other_options_are_refused() -> None:
    once = replace(SHORT, n_images=48, n_plain=24, n_epochs=1)
    with pytest.raises(InterpError, match=r"there are 72 pictures for `n_plain` 24 and `n_images` 72: draw them with `lesson`"):
        train(replace(once, n_images=72), pictures=lesson(once))
