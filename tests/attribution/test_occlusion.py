import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.attr import Occlusion as CaptumOcclusion
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from interp.attribution.occlusion import Occlusion
from interp.core.baseline import Baseline, baseline
from interp.core.method import Fault
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.images import Preprocess

Make = Callable[..., Model]
PLAIN = {"mean": (0.0,) * 3, "std": (1.0,) * 3}


class Linear(nn.Module):
    """One class whose logit is the sum of weights times values: what any place adds is known."""

    def __init__(self, rows: int, cols: int) -> None:
        super().__init__()
        self.flat, self.fc = nn.Flatten(), nn.Linear(3 * rows * cols, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.flat(x))


def linear(rows: int = 12, cols: int = 12) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return trace(Linear(rows, cols), ModelSpec("linear"), Preprocess(size=(rows, cols), resize=rows, **PLAIN))


@pytest.fixture
def small(traced: Make) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        early = [nn.Conv2d(3, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 12, 3, stride=2), nn.ReLU()]
        return traced(nn.Sequential(*early, nn.Conv2d(12, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)), 32)


def images(n: int = 2, rows: int = 12, cols: int = 12) -> Tensor:
    return torch.rand(n, 3, rows, cols, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("kind", [Baseline.MEAN, Baseline.WHITE, Baseline.BLUR])
@pytest.mark.parametrize(("window", "stride"), [(9, 4), (8, 8), (7, 5), (32, 1), (0.25, 0.5)])
def test_equals_captum(small: Model, window: int | float, stride: int | float, kind: Baseline) -> None:
    x, units = images(2, 32, 32), [Unit(small.output, 3), Unit(small.output, 7)]
    ours = Occlusion(window, stride, kind, batch_size=7)(small, x, units)
    pixels, step = (8, 4) if isinstance(window, float) else (window, int(stride))
    with torch.no_grad():
        theirs = CaptumOcclusion(small).attribute(
            x,
            (3, pixels, pixels),
            (3, step, step),
            baselines=baseline(small, x, kind),
            target=torch.tensor([3, 7]),
            perturbations_per_eval=4,
        )
    for heatmap, theirs_one in zip(ours, theirs, strict=True):
        expected = theirs_one[0].numpy()
        assert np.ptp(expected) > 0 or window == 32
        np.testing.assert_allclose(heatmap.values, expected, rtol=0, atol=1e-6 * max(1, np.abs(expected).max()))


def test_a_linear_model_gives_what_each_window_adds() -> None:
    model, x = linear(), images(1)
    weights = model.module.fc.weight[1].detach().view(3, 12, 12)  # type: ignore[union-attr, index]
    added = (weights * x[0]).sum(0).numpy()
    one = Occlusion(1, 1, Baseline.BLACK)(model, x, [Unit("fc", 1)])[0]
    np.testing.assert_allclose(one.values, added, atol=1e-6)
    # Windows of 4 x 4 side by side: each place has the sum over its window.
    four = Occlusion(4, 4, Baseline.BLACK)(model, x, [Unit("fc", 1)])[0]
    sums = added.reshape(3, 4, 3, 4).sum((1, 3)).repeat(4, 0).repeat(4, 1)
    np.testing.assert_allclose(four.values, sums, atol=1e-6)
    assert (four.method, four.layer, four.unit) == ("Occlusion", "", Unit("fc", 1))


def test_fractions_are_of_rows_and_of_columns() -> None:
    boxes = Occlusion(0.25, 0.5).boxes(16, 32)
    assert boxes[0] == (slice(0, 4), slice(0, 8))
    assert boxes[1] == (slice(0, 4), slice(4, 12))
    assert boxes[-1] == (slice(12, 16), slice(24, 32))
    assert len(boxes) == 7 * 7
    assert len(Occlusion().boxes(224, 224)) == 225


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_windows_cover_every_place_and_stay_inside(rows: int, cols: int, data: st.DataObject) -> None:
    window = data.draw(st.integers(1, min(rows, cols)))
    stride = data.draw(st.integers(1, window))
    covered = np.zeros((rows, cols), int)
    for box in Occlusion(window, stride).boxes(rows, cols):
        assert covered[box].size > 0
        assert box[0].stop <= rows
        assert box[1].stop <= cols
        covered[box] += 1
    assert covered.min() >= 1


def test_alone_or_in_company_and_in_batches_of_any_size_the_map_is_the_same(small: Model) -> None:
    x, units = images(3, 32, 32), [Unit(small.output, 3), Unit("0", 5), Unit("5", 9, (1, 0))]
    together = Occlusion(8, 8)(small, x, units)
    for i, unit in enumerate(units):
        for size in (1, 5, 64):
            alone = Occlusion(8, 8, batch_size=size)(small, x[i : i + 1], [unit])[0]
            scale = np.abs(alone.values).max()
            assert scale > 0
            np.testing.assert_allclose(together[i].values, alone.values, rtol=0, atol=1e-5 * scale)


def test_no_batch_is_larger_than_asked(small: Model) -> None:
    sizes: list[int] = []
    handle = small.module.register_forward_pre_hook(lambda _m, given: sizes.append(len(given[0])))
    try:
        Occlusion(8, 8, batch_size=6)(small, images(2, 32, 32), [Unit(small.output, 0)] * 2)
    finally:
        handle.remove()
    assert sizes == [1, 6, 6, 4] * 2


def test_the_model_and_the_images_are_left_as_they_were(trap_model: Model) -> None:
    net = trap_model.module.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = images().requires_grad_()
    maps = Occlusion(4)(trap_model, x, [trap_model.class_unit(0)] * 2)
    assert all(m.training for m in net.modules())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert x.grad is None
    for heatmap in maps:
        assert heatmap.values.base is None
        assert not heatmap.values.flags.writeable
        assert heatmap.values.dtype == np.float32
        assert heatmap.values.shape == (12, 12)


def test_a_score_that_nothing_changes_gives_a_zero_map() -> None:
    model = linear()
    model.module.fc.weight.data.zero_()  # type: ignore[union-attr, operator]
    heatmap = Occlusion(4)(model, images(1), [Unit("fc", 0)])[0]
    assert [d.fault for d in heatmap.degenerations] == [Fault.ZERO]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` is 0: give at least 1"),
        ({"window": 0}, "`window` is 0 pixels: give at least 1, or a fraction of the image up to 1.0"),
        ({"window": 1.5}, "`window` is 1.5: a fraction of the image lies above 0 and up to 1"),
        ({"window": float("nan")}, "`window` is nan"),
        ({"stride": -1}, "`stride` is -1 pixels"),
        ({"stride": 0.0}, "`stride` is 0.0: a fraction of the window lies above 0"),
    ],
)
def test_bad_options_are_refused_at_once(options: dict[str, int | float], message: str) -> None:
    with pytest.raises(InterpError, match=re.escape(message)):
        Occlusion(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Occlusion(13), r"`window` is 13 pixels, but the image has 12 rows: give at most 12, or a fraction such as 0\.125"),
        (Occlusion(4, 5), r"`stride` is 5 pixels, more than the window's 4: places between windows would be left out"),
    ],
)
def test_options_that_do_not_fit_the_image(method: Occlusion, message: str) -> None:
    with pytest.raises(InterpError, match=message):
        method(linear(), images(1), [Unit("fc", 0)])


def test_one_unit_per_image_and_finite_scores() -> None:
    model = linear()
    with pytest.raises(InterpError, match=r"1 units for 2 images"):
        Occlusion(4)(model, images(2), [Unit("fc", 0)])
    model.module.fc.bias.data.fill_(torch.inf)  # type: ignore[union-attr, operator]
    with pytest.raises(InterpError, match=r"the score of 'fc:0' is inf, not a finite number"):
        Occlusion(4)(model, images(1), [Unit("fc", 0)])
