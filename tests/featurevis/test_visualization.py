"""Many units in one run: groups, batches, memory, what is kept, what is recalled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp.core.model import Model
from interp.core.repeatable import Repeatable
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import visualization
from interp.featurevis.ascent import Ascent
from interp.featurevis.config import AscentConfig, Convergence, Precision, Weighted
from interp.featurevis.engine import Engine, engine
from interp.featurevis.feature import Feature
from interp.featurevis.maco import Maco
from interp.featurevis.objective import IMAGE, Activations, Objective
from interp.featurevis.optimizer import Torch
from interp.featurevis.param import ImageParam, Pixels
from interp.featurevis.regularizers import Opacity, TotalVariation
from interp.featurevis.schedule import Linear
from interp.featurevis.store import FeatureStore
from interp.featurevis.transform import NONE, Jitter
from interp.featurevis.units import Channel, Neuron
from interp.featurevis.visualization import visualize
from interp.images import Preprocess

from .conftest import traced

FEW = AscentConfig(steps=6, precision=Precision.FLOAT32)
UNITS: list[Unit | Objective] = [Unit("conv2", k) for k in range(5)]


def pictures(features: Sequence[Feature]) -> np.ndarray:
    return np.stack([f.image for f in features])


@dataclass(frozen=True)
class Apart(Objective):
    """Each image's squared distance from the mean of all of them: zero for an image alone."""

    count: int

    @property
    def layers(self) -> tuple[str, ...]:
        return (IMAGE,)

    @property
    def images(self) -> int:
        return self.count

    def __call__(self, activations: Activations) -> Tensor:
        images = activations[IMAGE]
        assert len(images) == self.count
        return (images - images.mean(0)).square().flatten(1).mean(1)

    def __str__(self) -> str:
        return f"apart {self.count}"


def test_images_of_one_objective_are_optimized_together(cnn: Model) -> None:
    config = replace(FEW, param=Pixels(sd=0.5), transform=NONE)
    three = Channel(Unit("conv2", 0)) + 500.0 * Apart(3)
    found = visualize(cnn, [Unit("conv2", 0), three, Unit("conv2", 1)], config, 0)
    assert [str(f.unit) for f in found] == ["conv2:0", f"{three}#1", f"{three}#2", f"{three}#3", "conv2:1"]
    together = pictures(found[1:4])
    # Of several images, the first draws as an objective of one image of that name would; all differ.
    assert len({f.image.tobytes() for f in found}) == 5
    plain = pictures([visualize(cnn, [Channel(Unit("conv2", 0)) + 0.0], config, seed)[0] for seed in range(3)])
    assert together.var(axis=0).mean() > 1.5 * plain.var(axis=0).mean()
    assert np.array_equal(pictures(visualize(cnn, [three], config, 0)), together)
    for k, feature in enumerate(found[1:4]):
        distance = ((together[k] - together.mean(0)) ** 2).mean()
        assert feature.final == pytest.approx(float(_mean(cnn, feature)) + 500 * distance, rel=0.02)


def _mean(model: Model, feature: Feature) -> Tensor:
    image = torch.from_numpy(np.rint(feature.image * 255) / 255).permute(2, 0, 1)[None]
    return model.capture(["conv2"], image)[0]["conv2"][0, 0].mean()


def test_numbers_of_images_must_agree(cnn: Model) -> None:
    config = replace(FEW, regularizers=(Weighted(Apart(2), 1.0),))
    assert len(visualize(cnn, UNITS[:2], config, 0)) == 4
    with pytest.raises(InterpError, match="'apart 3' and its regularizers are for 2 and 3 images: give all the same"):
        visualize(cnn, [Apart(3)], config, 0)
    with pytest.raises(InterpError, match="objectives of 2 and 3 images cannot be combined"):
        visualize(cnn, [Apart(2) + Apart(3)], FEW, 0)


@pytest.mark.parametrize("error", [RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError()], ids=repr)
def test_a_batch_too_large_is_halved(cnn: Model, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = visualize(cnn, UNITS, replace(FEW, batch=2), 0)
    tried: list[int] = []
    step = Ascent.step

    def limited(self: Ascent) -> None:
        if self.step_count == 1:
            tried.append(len(self.names))
            if len(self.names) > 2:
                raise error
        step(self)

    monkeypatch.setattr(Ascent, "step", limited)
    counts: list[tuple[int, int]] = []
    with Repeatable() as repeatable:
        found = visualize(cnn, UNITS, replace(FEW, batch=8), 0, lambda done, total: counts.append((done, total)))
    said = "memory ran out and a batch of {} was halved, which changes the last bits: the operation is not deterministic"
    assert repeatable.reasons == (said.format(3), said.format(5))
    assert tried == [5, 2, 3, 1, 2]
    np.testing.assert_allclose(pictures(found), pictures(expected), atol=1e-3)
    assert counts[-1] == (30, 30)
    monkeypatch.setattr(Ascent, "step", lambda self: (_ for _ in ()).throw(error))
    with pytest.warns(UserWarning, match=r"^memory ran out and a batch of"), pytest.raises(type(error)):
        visualize(cnn, UNITS, FEW, 0)


def test_other_errors_are_not_taken_for_memory(cnn: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Ascent) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Ascent, "step", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        visualize(cnn, UNITS, FEW, 0)


def test_memory_bounds_the_batch(cnn: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    begin = Ascent.__init__

    def watched(self: Ascent, *given: object) -> None:
        begin(self, *given)  # type: ignore[arg-type]
        sizes.append(len(self.names))

    monkeypatch.setattr(Ascent, "__init__", watched)
    visualize(cnn, UNITS, FEW, 0)
    assert sizes == [5]
    sizes.clear()
    visualize(cnn, UNITS, replace(FEW, memory=1e-6), 0)
    assert sizes == [1] * 5


def test_converged_images_rest(cnn: Model) -> None:
    units: list[Unit | Objective] = [TotalVariation(), Unit("conv2", 0)]
    config = replace(FEW, steps=60, rate=0.05, param=Pixels(sd=0.5), transform=NONE, best=False)
    free = visualize(cnn, units, config, 0)
    bound = visualize(cnn, units, replace(config, converged=Convergence(window=5, gain=0.5)), 0)
    for one, other in zip(free, bound, strict=True):
        taken = len(other.scores)
        assert 10 <= taken < 60
        assert taken % 5 == 0
        assert np.array_equal(one.scores[:taken], other.scores)
        # The stated rule, by hand: the first window that gains less than a half on the one before.
        means = one.scores.reshape(-1, 5).mean(1)
        gains = np.diff(means) < 0.5 * np.abs(means[:-1])
        assert taken == 5 * (int(np.argmax(gains)) + 2)
        short = visualize(cnn, [other.unit if isinstance(other.unit, Unit) else TotalVariation()], replace(config, steps=taken), 0)[0]
        np.testing.assert_allclose(short.image, other.image, atol=1e-3)


def test_films_begin_with_the_start_and_end_with_the_image(cnn: Model) -> None:
    config = replace(FEW, steps=60, rate=0.05, films=5)
    (feature,) = visualize(cnn, UNITS[:1], config, 0)
    assert feature.film is not None
    assert feature.film.shape == (5, 32, 32, 3)
    assert np.array_equal(feature.film[-1], np.rint(feature.image * 255).astype(np.uint8))
    contrast = [float(frame.std()) for frame in feature.film]
    assert contrast[0] < contrast[2] < contrast[-1]
    assert visualize(cnn, UNITS[:1], FEW, 0)[0].film is None
    (single,) = visualize(cnn, UNITS[:1], replace(config, films=1), 0)
    assert single.film is not None
    assert len(single.film) == 1


def test_views_average_over_transforms(cnn: Model) -> None:
    """Of two views the score is the mean; without transforms all views are alike."""
    still = replace(FEW, transform=NONE)
    one = visualize(cnn, UNITS[:2], still, 0)
    np.testing.assert_allclose(pictures(visualize(cnn, UNITS[:2], replace(still, views=3), 0)), pictures(one), atol=1e-4)
    moved = replace(FEW, transform=Jitter(8))
    assert not np.allclose(pictures(visualize(cnn, UNITS[:2], replace(moved, views=3), 0)), pictures(visualize(cnn, UNITS[:2], moved, 0)))


def test_the_best_moment_is_kept(cnn: Model) -> None:
    """With a rate that grows without bound the last image is not the best one."""
    wild = replace(FEW, steps=48, rate=Linear(0.05, 30.0), param=Pixels(), transform=Jitter(16))
    best = visualize(cnn, UNITS, wild, 0)
    last = visualize(cnn, UNITS, replace(wild, best=False), 0)
    assert all(b.final >= e.final for b, e in zip(best, last, strict=True))
    assert any(b.final > e.final for b, e in zip(best, last, strict=True))


def test_schedules_of_regularizers(cnn: Model) -> None:
    late = replace(FEW, steps=30, param=Pixels(sd=0.5), regularizers=(Weighted(TotalVariation(), Linear(100.0, 0.0)),))
    never = replace(late, regularizers=())
    always = replace(late, regularizers=(Weighted(TotalVariation(), 100.0),))
    roughness = [float(np.abs(np.diff(visualize(cnn, UNITS[:1], c, 0)[0].image, axis=0)).mean()) for c in (always, late, never)]
    assert roughness[0] < roughness[1] < roughness[2]


def test_a_regularizer_may_read_layers(cnn: Model) -> None:
    against = replace(FEW, steps=20, regularizers=(Weighted(-Channel(Unit("conv1", 2)), 10.0),))
    (plain,) = visualize(cnn, UNITS[:1], replace(FEW, steps=20), 0)
    (bound,) = visualize(cnn, UNITS[:1], against, 0)
    assert bound.scores[0] == pytest.approx(plain.scores[0]), "scores are those of the objective alone"
    value = [
        float(cnn.capture(["conv1"], torch.from_numpy(f.image).permute(2, 0, 1)[None])[0]["conv1"][0, 2].mean()) for f in (plain, bound)
    ]
    assert value[1] < value[0] - 0.05


class Transparent(ImageParam):
    """Grey that can only be seen through: the one number is its opacity, before a sigmoid."""

    alpha = True

    def start(self, size: tuple[int, int], generators: Sequence[torch.Generator], device: object, group: int = 1) -> list[Tensor]:
        return [torch.zeros(len(generators), 1, requires_grad=True)]

    def image(self, tensors: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        whole = torch.ones(len(tensors[0]), 4, *size)
        return whole * torch.cat([torch.ones(len(whole), 3), tensors[0].sigmoid()], dim=1)[:, :, None, None]

    def of(self, images: Tensor) -> list[Tensor]:
        raise NotImplementedError


def test_opacity_is_laid_on_changing_grounds_and_kept(cnn: Model) -> None:
    from interp.featurevis.objective import ALPHA

    @dataclass(frozen=True)
    class Opaque(Objective):
        @property
        def layers(self) -> tuple[str, ...]:
            return (ALPHA,)

        def __call__(self, activations: Activations) -> Tensor:
            return activations[ALPHA].flatten(1).mean(1)

    (feature,) = visualize(cnn, [Opaque()], replace(FEW, param=Transparent(), rate=1.0, best=False), 0)
    assert feature.alpha is not None
    assert feature.alpha.shape == (32, 32)
    assert feature.scores[0] == 0.5
    assert 0.9 < feature.alpha.min() == feature.alpha.max() < 1
    # White, laid on grey where it is see-through.
    np.testing.assert_allclose(feature.image, feature.alpha.mean() + 0.5 * (1 - feature.alpha.mean()), atol=1e-6)


def test_opacity_is_earned_where_gradients_are(cnn: Model) -> None:
    """MACO: one neuron's gradient is zero outside its field of 5 x 5 px, which so stays see-through."""
    config = replace(FEW, param=Maco(), transform=NONE, optimizer=Torch("NAdam"), rate=1.0)
    (feature,) = visualize(cnn, [Unit("conv2", 0, (4, 4))], config, 0)
    assert feature.alpha is not None
    field = np.zeros((32, 32), dtype=bool)
    field[6:11, 6:11] = True
    assert not feature.alpha[~field].any()
    assert feature.alpha[field].max() == 1
    assert feature.scores[-1] > feature.scores[0]


def test_what_is_finished_is_kept_and_recalled(cnn: Model, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "kept")
    config = replace(FEW, batch=2, films=2)
    expected = visualize(cnn, UNITS, config, 0)
    assert len(store) == 0

    def stop(done: int, total: int) -> None:
        if done > 4 * 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        visualize(cnn, UNITS, config, 0, stop, store)
    assert len(store) == 4
    steps: list[int] = []
    again = visualize(cnn, UNITS, config, 0, lambda done, total: steps.append(done), store)
    assert steps == [24, 25, 26, 27, 28, 29, 30]
    for one, other in zip(expected, again, strict=True):
        assert (one.unit, one.final, one.dead, one.precision) == (other.unit, other.final, other.dead, other.precision)
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.scores, other.scores)
        assert one.film is not None
        assert other.film is not None
        assert np.array_equal(one.film, other.film)
    # Other options, another seed, other units: nothing is taken for what it is not.
    for changed in (
        lambda f: visualize(cnn, UNITS, replace(config, rate=0.1), 0, f, store),
        lambda f: visualize(cnn, UNITS, config, 1, f, store),
        lambda f: visualize(cnn, [Neuron(Unit("conv2", 0))], config, 0, f, store),
    ):
        steps.clear()
        changed(lambda done, total: steps.append(done))
        assert min(steps) <= 2
    for file in store.folder.iterdir():
        file.write_bytes(b"not what it was")
    assert np.array_equal(pictures(visualize(cnn, UNITS, config, 0, None, store)), pictures(expected))


def test_what_is_kept_is_kept_for_these_weights(cnn: Model, tmp_path: Path) -> None:
    """Weights changed after loading, or another preprocessing: the image is another, and made anew."""
    store = FeatureStore(tmp_path)
    (first,) = visualize(cnn, UNITS[:1], FEW, 0, None, store)
    with torch.no_grad():
        cnn.module.get_submodule("conv2").weight.mul_(-1)
    (other,) = visualize(cnn, UNITS[:1], FEW, 0, None, store)
    assert not np.array_equal(first.image, other.image)
    assert len(store) == 2
    darker = replace(cnn, preprocess=replace(cnn.preprocess, mean=(0.1, 0.1, 0.1)))
    visualize(darker, UNITS[:1], FEW, 0, None, store)
    assert len(store) == 3


class Sleepy(nn.Module):
    """Channel 0 has no gradient on grey, and a bias that makes it score all the same; channel 1 has one everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.relu = nn.Conv2d(3, 2, 1), nn.ReLU()
        self.conv2, self.pool = nn.Conv2d(2, 2, 1), nn.AdaptiveAvgPool2d(1)
        with torch.no_grad():
            self.conv1.weight.zero_()
            self.conv1.weight[:, 0] = 1.0
            self.conv1.bias.copy_(torch.tensor([-1.5, 2.0]))
            self.conv2.weight.copy_(torch.eye(2)[:, :, None, None])
            self.conv2.bias.copy_(torch.tensor([1.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.pool(self.conv2(self.relu(self.conv1(x)))).flatten(1)
        return scores


def test_waking_one_unit_leaves_its_company_alone() -> None:
    model = traced(Sleepy())
    config = replace(FEW, steps=30, transform=NONE, rate=0.5)
    sleeper, awake = visualize(model, [Unit("conv2", 0), Unit("conv2", 1)], config, 0)
    assert not sleeper.dead
    assert sleeper.final > 1.2 > sleeper.scores[0] == 1.0
    for together, channel in ((sleeper, 0), (awake, 1)):
        (alone,) = visualize(model, [Unit("conv2", channel)], config, 0)
        np.testing.assert_allclose(alone.image, together.image, atol=1e-5)


def test_a_score_without_a_gradient_is_no_life() -> None:
    net = Sleepy()
    with torch.no_grad():
        net.conv1.bias[0] = -1e6
    model = traced(net)
    (dead,) = visualize(model, [Unit("conv2", 0)], replace(FEW, steps=30), 0)
    assert dead.dead
    assert dead.final == 1.0
    assert dead.image.std() < 0.05, "its random start, not the noise that was made loud to wake it"


def test_what_cannot_be_climbed_is_refused(cnn: Model) -> None:
    with pytest.raises(InterpError, match=r"'Opacity\(\)' does not depend on the image: there is nothing to climb"):
        visualize(cnn, [Opacity()], FEW, 0)
    assert visualize(cnn, UNITS[:1], replace(FEW, regularizers=(Weighted(Opacity(), 1.0),)), 0)[0].final
    grey = traced(nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    with pytest.raises(InterpError, match=r"'tiny' takes images of 1 channel: optimized images have 3, RGB"):
        visualize(replace(grey, preprocess=Preprocess(size=(32, 32), mean=(0.5,), std=(0.5,))), [Unit("0", 0)], FEW, 0)


def test_any_mode_of_the_caller(cnn: Model) -> None:
    expected = pictures(visualize(cnn, UNITS[:1], FEW, 0))
    with torch.inference_mode():
        assert np.array_equal(pictures(visualize(cnn, UNITS[:1], FEW, 0)), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(pictures(visualize(cnn, UNITS[:1], FEW, 0)), expected)


def test_scores_that_half_precision_moves_are_made_again(cnn: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """AUTO: an image whose rounded score differs by more than 2 % from float32's is optimized in float32."""
    made = engine(cnn, Precision.BFLOAT16)
    monkeypatch.setattr(visualization, "engine", lambda model, asked: engine(model, asked) if asked is Precision.FLOAT32 else made)
    longer = replace(FEW, steps=16, rate=0.5, best=False)
    exact = visualize(cnn, UNITS[1:4], longer, 0)
    honest = visualize(cnn, UNITS[1:4], replace(longer, precision=Precision.AUTO), 0)
    assert all(f.precision == "bfloat16" for f in honest)
    assert any(f.image.tobytes() != e.image.tobytes() for f, e in zip(honest, exact, strict=True))
    for feature, reference in zip(honest, exact, strict=True):
        assert feature.final > reference.final - 0.02 * abs(reference.final)
    value = Ascent.value

    def shifted(self: Ascent, engine: Engine, images: Tensor) -> Tensor:
        scores = value(self, engine, images)
        return scores if engine.precision is Precision.FLOAT32 else scores * torch.tensor([1.0, 1.05, 0.9])[: len(scores)]

    monkeypatch.setattr(Ascent, "value", shifted)
    redone = visualize(cnn, UNITS[1:4], replace(longer, precision=Precision.AUTO), 0)
    assert [f.precision for f in redone] == ["bfloat16", "float32", "float32"]
    asked = visualize(cnn, UNITS[1:4], replace(longer, precision=Precision.BFLOAT16), 0)
    assert all(f.precision == "bfloat16" for f in asked)


def test_nothing_asked_nothing_made(cnn: Model) -> None:
    assert visualize(cnn, [], FEW, 0) == []
