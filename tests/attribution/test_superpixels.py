import re
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation as CaptumFeatureAblation
from captum.attr import KernelShap as CaptumKernelShap
from captum.attr import Lime as CaptumLime
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from skimage.segmentation import slic
from torch import Tensor, nn

from interp.attribution.superpixels import FeatureAblation, KernelShap, Lime, _grid, superpixels
from interp.core.baseline import Baseline, baseline
from interp.core.method import Fault, Heatmap, Method
from interp.core.model import Model, ModelSpec
from interp.core.rng import content, generator
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.images import Preprocess

Make = Callable[..., Model]
PLAIN = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
METHODS = [FeatureAblation(9), Lime(9, 40, alpha=0.0001), KernelShap(9, 40)]


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.flat, self.fc = nn.Flatten(), nn.Linear(3 * 24 * 24, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.flat(x))


@pytest.fixture
def linear() -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return trace(Linear(), ModelSpec("linear"), Preprocess(size=(24, 24), resize=24, **PLAIN))


@pytest.fixture
def small(traced: Make) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        early = [nn.Conv2d(3, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 12, 3), nn.ReLU()]
        net = nn.Sequential(*early, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10))
    for parameter in net[-1].parameters():
        parameter.data *= 20
    return traced(net, 32)


def images(n: int = 2, side: int = 32) -> Tensor:
    """Blotches of colour, for SLIC to find."""
    coarse = torch.rand(n, 3, 5, 5, generator=torch.Generator().manual_seed(2))
    return nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)


def one(method: Method, model: Model, x: Tensor, unit: Unit) -> Heatmap:
    return method(model, x[None], [unit])[0]


def per_superpixel(heatmap: Heatmap, segments: np.ndarray) -> np.ndarray:
    """The one value of each superpixel; fails where its pixels differ."""
    values = np.array([np.unique(heatmap.values[segments == index]) for index in range(segments.max() + 1)])
    assert values.shape == (segments.max() + 1, 1)
    return values[:, 0]


def test_superpixels_are_slics_in_lab() -> None:
    x = images(1)[0]
    found = superpixels(x, 12)
    theirs = slic(x.permute(1, 2, 0).double().numpy(), n_segments=12, start_label=0)
    np.testing.assert_array_equal(found, np.unique(theirs, return_inverse=True)[1].reshape(32, 32))
    np.testing.assert_array_equal(found, superpixels(x.clone(), 12))
    assert set(np.unique(found)) == set(range(found.max() + 1))
    assert 6 <= found.max() + 1 <= 20


def test_superpixels_keep_to_a_border_of_colour() -> None:
    x = torch.zeros(3, 32, 32)
    x[0, :, 13:] = 1
    found = superpixels(x, 16)
    assert not set(np.unique(found[:, :13])) & set(np.unique(found[:, 13:]))


def test_superpixels_of_one_channel() -> None:
    x = torch.zeros(1, 32, 32)
    x[0, :, 13:] = 1
    found = superpixels(x, 16)
    assert not set(np.unique(found[:, :13])) & set(np.unique(found[:, 13:]))


def noise(rows: int, cols: int) -> Tensor:
    return torch.rand(3, rows, cols, generator=torch.Generator().manual_seed(rows))


@pytest.mark.parametrize("side", [64, 224])
def test_noise_in_which_slic_finds_one_superpixel_gets_a_grid(side: int) -> None:
    x = noise(side, side)
    assert len(np.unique(slic(x.permute(1, 2, 0).double().numpy(), n_segments=50, start_label=0))) == 1
    found = superpixels(x, 50)
    places = np.arange(side) * 7 // side
    np.testing.assert_array_equal(found, 7 * places[:, None] + places)  # round(sqrt(50)) rows and round(50 / 7) columns
    sides = np.unique(places, return_counts=True)[1]
    assert sides.max() - sides.min() <= 1
    np.testing.assert_array_equal(found, superpixels(x.clone(), 50))


@pytest.mark.parametrize("kind", [FeatureAblation, Lime, KernelShap])
def test_noise_is_explained_cell_by_cell(small: Model, kind: type[FeatureAblation | Lime | KernelShap]) -> None:
    heatmap = one(kind(n_segments=9), small, noise(32, 32), Unit(small.output, 4))
    places = np.arange(32) * 3 // 32
    assert dict(heatmap.measures) == {"superpixels": 9}
    assert len(np.unique(per_superpixel(heatmap, 3 * places[:, None] + places))) > 4


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_a_grid_has_about_as_many_cells_as_asked(rows: int, cols: int, data: st.DataObject) -> None:
    assume(rows * cols >= 2)
    n_segments = data.draw(st.integers(2, rows * cols))
    cells = _grid(rows, cols, n_segments)
    counts = np.unique(cells, return_counts=True)
    assert counts[0].tolist() == list(range(len(counts[0])))
    assert len(counts[0]) >= 2
    assert n_segments / 2 <= len(counts[0]) <= 1.5 * n_segments
    for cell in counts[0]:
        down, across = (np.flatnonzero((cells == cell).any(axis=axis)) for axis in (1, 0))
        assert counts[1][cell] == len(down) * len(across) == (down[-1] - down[0] + 1) * (across[-1] - across[0] + 1)


@pytest.mark.parametrize("method", [FeatureAblation(9), Lime(9, 60, alpha=1e-6), KernelShap(9, 60)])
def test_an_additive_model_gives_what_each_superpixel_adds(linear: Model, method: Method) -> None:
    x = images(1, 24)[0]
    segments = superpixels(x, 9)
    weights = linear.module.fc.weight[1].detach().view(3, 24, 24)  # type: ignore[union-attr, index]
    added = (weights * (x - torch.tensor(linear.preprocess.mean).view(3, 1, 1))).sum(0).numpy()
    expected = np.array([added[segments == index].sum() for index in range(segments.max() + 1)])
    assert len(expected) >= 4
    heatmap = one(method, linear, x, Unit("fc", 1))
    np.testing.assert_allclose(per_superpixel(heatmap, segments), expected, atol=2e-4 * np.abs(expected).max())
    assert (heatmap.method, heatmap.layer, heatmap.measures) == (method.title, "", (("superpixels", float(len(expected))),))


@pytest.mark.parametrize("kind", [Baseline.MEAN, Baseline.BLACK])
def test_kernel_shap_is_efficient(small: Model, kind: Baseline) -> None:
    for x in images(3):
        segments = superpixels(x, 12)
        heatmap = one(KernelShap(12, 100, kind), small, x, Unit(small.output, 4))
        whole, nothing = (float(small(part)[0, 4]) for part in (x[None], baseline(small, x[None], kind)))
        assert abs(whole - nothing) > 0.1
        assert per_superpixel(heatmap, segments).sum() == pytest.approx(whole - nothing, rel=2e-3, abs=2e-3)


def test_feature_ablation_equals_captum(small: Model) -> None:
    x, units = images(), [Unit(small.output, 3), Unit("0", 7)]
    ours = FeatureAblation(12, Baseline.BLUR, batch_size=5)(small, x, units)
    small.module.eval()

    def channel(batch: Tensor) -> Tensor:
        return small.capture(["0"], batch)[0]["0"][:, 7].mean((1, 2))

    for i, forward in enumerate([lambda batch: small(batch)[:, 3], channel]):
        one_image, mask = x[i : i + 1], torch.from_numpy(superpixels(x[i], 12))[None, None]
        with torch.no_grad():
            theirs = CaptumFeatureAblation(forward).attribute(
                one_image, baselines=baseline(small, one_image, Baseline.BLUR), feature_mask=mask
            )
        expected = theirs[0, 0].numpy()
        assert np.ptp(expected) > 0
        np.testing.assert_allclose(ours[i].values, expected, rtol=0, atol=1e-6 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize(("method", "peer"), [(Lime(12, 50, seed=5), CaptumLime), (KernelShap(12, 50, seed=5), CaptumKernelShap)])
def test_lime_and_kernel_shap_equal_captum_with_the_same_draws(
    small: Model, method: Lime | KernelShap, peer: type[CaptumLime] | type[CaptumKernelShap]
) -> None:
    x, targets = images(), [3, 7]
    ours = method(small, x, [Unit(small.output, target) for target in targets])
    small.module.eval()
    for i, target in enumerate(targets):
        mask, filler = torch.from_numpy(superpixels(x[i], 12))[None, None], baseline(small, x[i : i + 1], Baseline.MEAN)
        with torch.random.fork_rng():
            torch.manual_seed(generator(5, method.name, content(x[i])).initial_seed())
            theirs = peer(small).attribute(x[i : i + 1], baselines=filler, target=target, feature_mask=mask, n_samples=50)
        expected = theirs[0, 0].numpy()
        assert np.ptp(expected) > 0
        np.testing.assert_allclose(ours[i].values, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_the_lasso_of_lime_shrinks(small: Model) -> None:
    x, unit = images(1)[0], Unit(small.output, 3)
    sizes = [np.abs(one(Lime(9, 60, alpha=alpha), small, x, unit).values).sum() for alpha in (0.001, 0.05, 1000)]
    assert sizes[0] > sizes[1] > sizes[2] == 0
    assert [d.fault for d in one(Lime(9, 60, alpha=1000), small, x, unit).degenerations] == [Fault.ZERO]


@pytest.mark.parametrize("method", METHODS)
def test_draws_depend_on_seed_and_image_alone(small: Model, method: Method) -> None:
    x, units = images(3), [Unit(small.output, 3), Unit("3", 5), Unit("0", 2, (3, 4))]
    state, numpys = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index, union-attr]  # noqa: NPY002
    together = method(small, x, units)
    torch.testing.assert_close(torch.random.get_rng_state(), state, rtol=0, atol=0)
    np.testing.assert_array_equal(np.random.get_state()[1], numpys)  # type: ignore[index]  # noqa: NPY002
    torch.rand(5)
    for i, unit in enumerate(units):
        alone = one(method, small, x[i], unit).values
        assert np.abs(alone).max() > 0
        np.testing.assert_allclose(together[i].values, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [Lime, KernelShap])
def test_another_seed_draws_otherwise(small: Model, kind: type[Lime] | type[KernelShap]) -> None:
    x, unit = images(1)[0], Unit(small.output, 3)
    first, again, other = (one(kind(9, 20, seed=seed), small, x, unit).values for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_batches_bound_memory_and_change_nothing(small: Model, method: FeatureAblation | Lime | KernelShap) -> None:
    sizes: list[int] = []
    x, unit = images(1)[0], Unit(small.output, 3)
    handle = small.module.register_forward_pre_hook(lambda _m, given: sizes.append(len(given[0])))
    maps = []
    try:
        for size in (1, 7, 100):
            sizes.clear()
            maps.append(one(type(method)(**{**vars(method), "batch_size": size}), small, x, unit).values)
            assert max(sizes) <= size
            assert size == 100 or max(sizes) == size
    finally:
        handle.remove()
    for other in maps[1:]:
        np.testing.assert_allclose(maps[0], other, rtol=0, atol=1e-4 * np.abs(maps[0]).max())


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_as_it_was(trap_model: Model, method: Method) -> None:
    net = trap_model.module.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    attributes = {name: set(vars(module)) for name, module in net.named_modules()}
    x = images(2, 12).requires_grad_()
    maps = method(trap_model, x, [trap_model.class_unit(0)] * 2)
    assert all(m.training for m in net.modules())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert {name: set(vars(module)) for name, module in net.named_modules()} == attributes
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert x.grad is None
    for heatmap in maps:
        assert heatmap.values.base is None
        assert not heatmap.values.flags.writeable
        assert heatmap.values.dtype == np.float32


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (FeatureAblation, {"n_segments": 1}, "`n_segments` is 1: give at least 2"),
        (FeatureAblation, {"batch_size": 0}, "`batch_size` is 0: give at least 1"),
        (Lime, {"n_samples": 0}, "`n_samples` is 0: give at least 1"),
        (Lime, {"alpha": 0}, "`alpha` is 0: give the Lasso's penalty, above 0"),
        (Lime, {"alpha": float("nan")}, "`alpha` is nan: give the Lasso's penalty, above 0"),
        (KernelShap, {"n_samples": 1}, "`n_samples` is 1: give at least 2"),
        (KernelShap, {"batch_size": -1}, "`batch_size` is -1: give at least 1"),
    ],
)
def test_bad_options(kind: type, options: dict[str, int | float], message: str) -> None:
    with pytest.raises(InterpError, match=re.escape(message)):
        kind(**options)


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_be_asked(linear: Model, method: FeatureAblation | Lime | KernelShap) -> None:
    x = images(1, 24)
    many = type(method)(n_segments=577)
    with pytest.raises(InterpError, match=r"`n_segments` is 577, but the image has 576 pixels: give fewer"):
        many(linear, x, [Unit("fc", 0)])
    with pytest.raises(InterpError, match=r"2 units for 1 images"):
        method(linear, x, [Unit("fc", 0)] * 2)
    linear.module.fc.bias.data.fill_(torch.nan)  # type: ignore[union-attr, operator]
    with pytest.raises(InterpError, match=r"the score of 'fc:0' is nan, not a finite number"):
        method(linear, x, [Unit("fc", 0)])


def test_fewer_than_two_superpixels_are_refused() -> None:
    with pytest.raises(InterpError, match=r"^`n_segments` is 1: give at least 2$"):
        superpixels(images(1)[0], 1)
    with pytest.raises(InterpError, match=r"^`n_segments` is 2, but the image has 1 pixels: give fewer$"):
        superpixels(torch.zeros(3, 1, 1), 2)


def test_fewer_samples_than_superpixels_stay_quiet_and_finite(small: Model) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in (Lime(20, 3), KernelShap(20, 3)):
            assert np.isfinite(one(method, small, images(1)[0], Unit(small.output, 3)).values).all()
