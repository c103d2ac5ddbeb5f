import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.color import rgb2gray
from skimage.filters import sobel
from torch import Tensor, nn

from interp.attribution.controls import CentreGaussian, InputMagnitude, RandomMap, SobelEdges
from interp.core.method import Family, Fault, Method, Place
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName
from interp.images import Preprocess

CONTROLS: list[Callable[[], Method]] = [RandomMap, InputMagnitude, SobelEdges, CentreGaussian]
UNITS = [Unit("fc", 0), Unit("conv1", 2)]


def images(n: int = 2, rows: int = 12, cols: int = 12) -> Tensor:
    return torch.rand(n, 3, rows, cols, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_are_methods_that_never_run_the_network(trap_model: Model, control: Callable[[], Method]) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network ran")

    handle = trap_model.module.register_forward_pre_hook(refuse)
    maps = control()(trap_model, images(2, 20, 17), UNITS)
    handle.remove()
    method = control()
    assert (method.place, method.family) == (Place.INPUT, Family.CONTROL)
    for heatmap, unit in zip(maps, UNITS, strict=True):
        assert (heatmap.unit, heatmap.method, heatmap.layer, heatmap.degenerations) == (unit, method.title, "", ())
        assert heatmap.values.shape == (20, 17)
        assert heatmap.values.dtype == np.float32
        assert not heatmap.values.flags.writeable
        assert heatmap.values.min() >= 0


@pytest.mark.parametrize("control", CONTROLS)
def test_alone_or_in_company(trap_model: Model, control: Callable[[], Method]) -> None:
    together = control()(trap_model, images(), UNITS)
    torch.rand(3)
    alone = control()(trap_model, images()[1:], UNITS[1:])[0]
    np.testing.assert_array_equal(together[1].values, alone.values)


@pytest.mark.parametrize("control", CONTROLS)
def test_units_and_images_are_checked(trap_model: Model, control: Callable[[], Method]) -> None:
    with pytest.raises(InterpError, match=r"1 units for 2 images"):
        control()(trap_model, images(), UNITS[:1])
    with pytest.raises(UnknownName, match=r"no unit 'fc:9'"):
        control()(trap_model, images(1), [Unit("fc", 9)])
    with pytest.raises(InterpError, match=r"`images` run from 0 to 255"):
        control()(trap_model, torch.linspace(0, 255, 432).view(1, 3, 12, 12), UNITS[:1])


def test_random_is_uniform_and_depends_on_seed_image_and_unit(trap_model: Model) -> None:
    x = images(1, 64, 64)
    values = RandomMap()(trap_model, x, UNITS[:1])[0].values
    counts, _ = np.histogram(values, bins=8, range=(0, 1))
    # Chi-squared with 7 degrees of freedom: beyond 24.3 once in a thousand.
    assert ((counts - 512) ** 2 / 512).sum() < 24.3
    assert abs(np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1]) < 0.06
    others = [
        RandomMap(seed=1)(trap_model, x, UNITS[:1])[0].values,
        RandomMap()(trap_model, x, [Unit("fc", 1)])[0].values,
        RandomMap()(trap_model, x.flip(3), UNITS[:1])[0].values,
    ]
    for other in others:
        assert abs(np.corrcoef(values.ravel(), other.ravel())[0, 1]) < 0.06


def test_random_leaves_the_global_generator(trap_model: Model) -> None:
    state = torch.random.get_rng_state()
    RandomMap()(trap_model, images(), UNITS)
    torch.testing.assert_close(torch.random.get_rng_state(), state, rtol=0, atol=0)


def test_input_magnitude_is_of_the_normalized_input(trap_model: Model) -> None:
    mean, std = trap_model.preprocess.mean, trap_model.preprocess.std
    x = torch.tensor(mean).view(1, 3, 1, 1).repeat(1, 1, 12, 12)
    x[0, 0, 3, 5] += 0.2
    x[0, 2, 3, 5] -= 0.3
    values = InputMagnitude()(trap_model, x, UNITS[:1])[0].values
    expected = np.zeros((12, 12))
    expected[3, 5] = 0.2 / std[0] + 0.3 / std[2]
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_sobel_is_scikit_images_of_luma(trap_model: Model) -> None:
    x = images(1, 30, 21)
    values = SobelEdges()(trap_model, x, UNITS[:1])[0].values
    np.testing.assert_allclose(values, sobel(rgb2gray(x[0].permute(1, 2, 0).double().numpy())), atol=1e-6)
    step = torch.zeros(1, 3, 12, 12)
    step[..., 6:] = 1
    columns = SobelEdges()(trap_model, step, UNITS[:1])[0].values
    np.testing.assert_allclose(columns[1:-1, 5:7], math.sqrt(0.5), atol=1e-6)  # 1 along columns, 0 along rows; root of the mean square
    assert not columns[:, :5].any()
    assert not columns[:, 7:].any()


def test_a_flat_image_has_no_edges(trap_model: Model) -> None:
    heatmap = SobelEdges()(trap_model, torch.full((1, 3, 12, 12), 0.25), UNITS[:1])[0]
    assert [d.fault for d in heatmap.degenerations] == [Fault.ZERO]


def test_sobel_of_one_channel() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = trace(net, ModelSpec("grey"), Preprocess(size=(9, 9), resize=9, mean=(0.5,), std=(0.5,)))
    x = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    values = SobelEdges()(model, x, [Unit(model.output, 0)])[0].values
    np.testing.assert_allclose(values, sobel(x[0, 0].double().numpy()), atol=1e-6)


def test_centre_gaussian_by_its_formula(trap_model: Model) -> None:
    values = CentreGaussian()(trap_model, images(1, 17, 33), UNITS[:1])[0].values
    assert np.unravel_index(values.argmax(), values.shape) == (8, 16)
    assert values[8, 16] == 1
    sigma = 17 / 4
    for row, col in ((8, 20), (0, 0), (15, 3)):
        assert values[row, col] == pytest.approx(math.exp(-((row - 8) ** 2 + (col - 16) ** 2) / (2 * sigma**2)), abs=1e-7)
    np.testing.assert_array_equal(values, values[::-1, ::-1])
    wide = CentreGaussian(0.5)(trap_model, images(1, 17, 33), UNITS[:1])[0].values
    assert wide[0, 0] == pytest.approx(math.exp(-(8**2 + 16**2) / (2 * 8.5**2)), rel=1e-5)


@pytest.mark.parametrize("sigma", [0, -0.1, math.nan, math.inf])
def test_sigma_is_refused(sigma: float) -> None:
    with pytest.raises(InterpError, match=r"`sigma` is .*: give a fraction of the shorter side, above 0"):
        CentreGaussian(sigma)
