"""What a second forward tells: draws of a network's own, probabilities, NaN; and that no softmax is taken twice."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp.attribution.gradients import Saliency
from interp.comparisons.subjects import shown
from interp.core.again import DRAWS, PROBABILITIES
from interp.core.answers import Answer
from interp.core.model import Model
from interp.core.own_draws import drawing
from interp.core.score import evaluate
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.featurevis import AscentConfig, Probability, visualize
from interp.featurevis.quality.transfer import logits_of
from interp.images import Preprocess
from interp.metrics.scoring import Output
from interp.report.notes import telling
from interp.zoo.loading import load

SMALL = Preprocess((12, 12), None, (0.5,) * 3, (0.25,) * 3)
IMAGES = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(4))


def plain(classes: int = 3) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, classes)]
        for parameter in layers[-1].parameters():
            parameter.data *= 20  # far from a uniform distribution
        return nn.Sequential(*layers)


class Behind(nn.Module):
    """A network whose result goes through a function in its own forward."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.net, self.function = plain(), function

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.function(self.net(images))  # type: ignore[operator]
        return found


def model_of(module: nn.Module, **options: object) -> Model:
    return load(module, preprocess=SMALL, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("taken", [lambda: nn.Sequential(*plain(), nn.Softmax(1)), lambda: Behind(lambda rows: rows.softmax(1))])
def test_no_softmax_is_taken_of_a_softmax(taken: object) -> None:
    expected = model_of(plain())(IMAGES).softmax(1)
    model = model_of(taken())  # type: ignore[operator]
    assert model.answer is Answer.PROBABILITIES
    units = [Unit(model.output, 1)] * 3
    assert torch.allclose(evaluate(model, IMAGES, units, softmax=True), expected[:, 1])
    people = shown(model, IMAGES, ["a", "b", "c"], [np.zeros((4, 4, 3), np.float32)] * 3, [None] * 3)
    assert [one.probability for one in people] == pytest.approx(expected.max(1).values.tolist())
    pictures = IMAGES.permute(0, 2, 3, 1).numpy()
    assert np.allclose(torch.from_numpy(logits_of(model, pictures)).softmax(1), expected, atol=1e-6)


def test_the_logarithm_of_a_probability_is_that_of_the_layer_that_gives_it() -> None:
    logits, softmax = model_of(plain()), model_of(nn.Sequential(*plain(), nn.Softmax(1)))
    expected = logits(IMAGES).log_softmax(1)[:, 2]
    maps = {m.output: m(IMAGES)[:, :, None, None] for m in (logits, softmax)}
    assert torch.allclose(Probability(Unit(logits.output, 2))(maps), expected, atol=1e-5)
    assert torch.allclose(Probability(Unit(softmax.output, 2))(maps), expected, atol=1e-5)


def test_what_returns_probabilities_says_so_and_that_their_gradient_vanishes_only_where_it_does() -> None:
    module, function = model_of(nn.Sequential(*plain(), nn.Softmax(1))), model_of(Behind(lambda rows: rows.softmax(1)))
    assert "the gradient of a probability vanishes" in dict(module.spec.notes)[PROBABILITIES]
    # Its explained units are those of the layer before the softmax.
    assert (function.output, dict(function.spec.notes)[PROBABILITIES]) == (
        "net.4",
        "the network returns probabilities, which are shown as they are",
    )
    assert telling(module)[0].startswith("The network returns probabilities")
    assert model_of(plain()).spec.notes == ()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0.25, 0.75], [1.0, 0.0]], Answer.PROBABILITIES),
        ([[0.25, 0.75], [0.5, 0.6]], Answer.LOGITS),
        ([[-0.25, 1.25], [0.5, 0.5]], Answer.LOGITS),
        ([[1.0], [1.0]], Answer.LOGITS),
    ],
)
def test_probabilities_are_not_negative_and_sum_to_one(rows: list[list[float]], expected: Answer) -> None:
    assert Answer.of(torch.tensor(rows)) is expected


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = plain(4)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        found = self.net(images)
        return {"boxes": found, "logits": found}


def test_outputs_that_are_called_otherwise_than_scores_have_no_percentages() -> None:
    scores, boxes = model_of(Two(), output="logits"), model_of(Two(), output="boxes")
    assert (scores.answer, boxes.answer) == (Answer.LOGITS, Answer.NUMBERS)
    view = [np.zeros((4, 4, 3), np.float32)]
    (person,), (number,) = (shown(m, IMAGES[:1], ["a"], view, [None]) for m in (scores, boxes))
    assert person.label.endswith("%")
    best = float(boxes(IMAGES[:1]).max())
    assert (number.score, number.label) == (pytest.approx(best), f"number {number.best.channel} {best:.3g}")
    assert "no classes" in dict(boxes.spec.notes)["Scores"]
    unit = Unit(boxes.output, 1)
    assert not Output.AUTO.is_probability(boxes, unit)
    with pytest.raises(Unsupported, match=r"taken for numbers, not scores of classes"):
        evaluate(boxes, IMAGES[:1], [unit], softmax=True)
    assert model_of(Two(), output="boxes", classes=["a", "b", "c", "d"]).answer is Answer.LOGITS


def test_one_number_alone_is_watched_as_it_is() -> None:
    model = model_of(plain(1))
    assert not Output.AUTO.is_probability(model, Unit(model.output, 0))  # the softmax of one number is 1, whatever it is


def noisy(images: Tensor) -> Tensor:
    return images + torch.randn_like(images) + float(np.random.rand()) + random.random()  # noqa: NPY002


def states() -> tuple[object, ...]:
    """Of torch and NumPy; beartype, which checks types in tests, draws from Python's."""
    return torch.get_rng_state().tolist(), [str(part) for part in np.random.get_state()]  # noqa: NPY002


def test_a_network_that_draws_by_pythons_generator_alone() -> None:
    model = model_of(Behind(lambda rows: rows + random.random()))
    assert (model.draws, dict(model.spec.notes)[DRAWS][:33]) == (0, "the network draws random numbers ")
    assert torch.equal(model(IMAGES), model(IMAGES))


def test_a_network_that_draws_repeats_and_leaves_the_generators_alone() -> None:
    before = states()
    model = model_of(Behind(noisy), seed=3)
    assert (model.draws, dict(model.spec.notes)[DRAWS][:33]) == (3, "the network draws random numbers ")
    first = model(IMAGES)
    assert states() == before
    torch.rand(5)
    np.random.rand()  # noqa: NPY002
    assert torch.equal(model(IMAGES), first)
    assert not torch.equal(model_of(Behind(noisy), seed=4)(IMAGES), first)
    unit = Unit(model.output, 0)
    assert np.array_equal(*(Saliency()(model, IMAGES[:1], [unit])[0].values for _ in range(2)))


def test_dropout_that_stays_on_repeats_in_the_ascent_too() -> None:
    model = model_of(Behind(lambda rows: nn.functional.dropout(rows, 0.5, training=True)))
    config = AscentConfig(steps=3, size=(16, 16))
    before = states()
    first, second = (visualize(model, [Unit("net.0", 1)], config, seed=0)[0] for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert states() == before


def test_a_network_that_draws_nothing_is_run_without_seeding() -> None:
    model = model_of(plain())
    assert (model.draws, model.spec.notes) == (None, ())


def test_what_differs_each_time_without_a_generator_is_told() -> None:
    calls: list[int] = []

    def counted(rows: Tensor) -> Tensor:
        calls.append(0)
        return rows + len(calls)

    model = model_of(Behind(counted))
    assert "no generator that could be seeded" in dict(model.spec.notes)[DRAWS]


def test_the_generators_are_given_back_after_an_error() -> None:
    before = states()
    random.seed(5)
    with pytest.raises(TypeError), drawing(0, torch.device("cpu")):
        noisy(noisy(IMAGES) + "")  # type: ignore[operator]
    assert (states(), random.random()) == (before, random.Random(5).random())
    with drawing(0, torch.device("cpu")) as draws:
        torch.zeros(3)
    assert not draws.moved


def test_nan_in_the_result_is_refused_at_load() -> None:
    with pytest.raises(Unsupported, match=r"'Behind' gives NaN for images of noise, though its weights are finite"):
        model_of(Behind(lambda rows: rows * float("nan")))


def test_nan_for_one_picture_alone_names_it() -> None:
    model = model_of(Behind(lambda rows: rows / (rows.abs().sum(1, keepdim=True) > 1e-6)))
    model.module.net[4].weight.data.zero_()  # type: ignore[index, union-attr, operator]
    model.module.net[4].bias.data.zero_()  # type: ignore[index, union-attr, operator]
    with pytest.raises(InterpError, match=r"'Behind' gives nan for picture 'cat', no finite number"):
        shown(model, IMAGES[:1], ["cat"], [np.zeros((4, 4, 3), np.float32)], [None])


def test_weights_that_are_not_finite_are_named_at_load() -> None:
    broken = plain()
    broken[0].weight.data[2, 0, 0, 1] = float("nan")
    with pytest.raises(InterpError, match=r"the weights '0.weight' of 'Sequential' hold NaN \(1 of 162 numbers\)"):
        model_of(broken)
    infinite = plain()
    infinite[4].bias.data[:] = float("inf")
    with pytest.raises(InterpError, match=r"the weights '4.bias' of 'Sequential' hold infinite values \(3 of 3 numbers\)"):
        model_of(infinite)
    masked = plain()
    masked.register_buffer("mask", torch.tensor([0.0, float("-inf")]))  # as attention has them
    assert model_of(masked).classes == 3
