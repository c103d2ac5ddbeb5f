"""Edits as equations: what the named channel gives inside the block, what others give, and that every bit comes back."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from interp.core.capture import quiet
from interp.core.model import Model
from interp.core.unit import Unit
from interp.editing import Ablate, Edit, Fresh, Replace, Scale, edited, mean_ablations, mechanism
from interp.errors import InterpError, UnknownName, Unsupported
from interp.images import Preprocess
from interp.zoo import load


class Net(nn.Module):
    """A convolution in groups, one that is normalized, one called twice, tied ones, an MLP on tokens, and computed weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.grouped = nn.Conv2d(6, 6, 3, padding=1, groups=2, bias=False)
        self.twice = nn.Conv2d(6, 6, 1)
        self.one, self.two = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1)
        self.two.weight = self.one.weight
        self.norm = nn.LayerNorm(6)
        self.mlp = nn.Linear(6, 8)
        self.back = nn.Linear(8, 6)
        self.computed = parametrizations.weight_norm(nn.Conv2d(6, 6, 1))
        self.up = nn.ConvTranspose2d(6, 6, 2, stride=2)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(self.conv(x)))
        x = self.two(self.one(self.twice(self.twice(self.grouped(x)))))
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        x = self.back(self.mlp(tokens).relu()).transpose(1, 2).reshape(x.shape)
        logits: Tensor = self.fc(self.up(self.computed(x)).mean((2, 3)))
        return logits


@pytest.fixture
def model() -> Model:
    module = Net()
    module(torch.rand(4, 3, 8, 8))  # BatchNorm statistics of its own
    return load(module, preprocess=Preprocess(size=(8, 8), resize=8))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 8, 8)


def outputs(model: Model, layer: str, images: Tensor) -> Tensor:
    return model.maps(layer, model.capture([layer], images)[0][layer])


@contextmanager
def unchanged(model: Model) -> Iterator[None]:
    """Behind the block: the same parameter objects with the same bits and flags, the same hooks."""
    module = model.module
    before = {name: (p, p.detach().clone(), p.requires_grad, p.grad) for name, p in module.named_parameters(remove_duplicate=False)}
    state = {name: value.clone() for name, value in module.state_dict().items()}
    hooks = {name: tuple(m._forward_hooks) for name, m in module.named_modules()}
    yield
    after = dict(module.named_parameters(remove_duplicate=False))
    assert list(after) == list(before)
    for name, (parameter, bits, flag, grad) in before.items():
        assert after[name] is parameter
        assert torch.equal(parameter, bits)
        assert (parameter.requires_grad, parameter.grad) == (flag, grad)
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in state.items())
    assert {name: tuple(m._forward_hooks) for name, m in module.named_modules()} == hooks


LAYERS = ["conv", "bn", "relu", "grouped", "one", "two", "norm", "mlp", "computed", "up", "fc"]


@pytest.mark.parametrize("layer", LAYERS)
def test_an_ablated_channel_is_zero_and_the_others_are_as_before(model: Model, images: Tensor, layer: str) -> None:
    before, answers = outputs(model, layer, images), model(images)
    with unchanged(model):
        with edited(model, f"{layer}:1,3") as inside:
            assert inside is model
            after = outputs(model, layer, images)
            assert not torch.equal(model(images), answers)
        assert torch.equal(model(images), answers)
    assert torch.equal(after[:, [1, 3]], torch.zeros_like(after[:, [1, 3]]))
    rest = [c for c in range(after.shape[1]) if c not in (1, 3)]
    assert torch.equal(after[:, rest], before[:, rest])


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("factor", [0.5, -2.0, 0.0, 1.3])
def test_a_scaled_channel_is_the_channel_times_the_factor(model: Model, images: Tensor, layer: str, factor: float) -> None:
    before = outputs(model, layer, images)
    with unchanged(model), edited(model, Scale(Unit(layer, 2), factor)):
        after = outputs(model, layer, images)
    torch.testing.assert_close(after[:, 2], before[:, 2] * factor, rtol=1e-5, atol=1e-6)
    rest = [c for c in range(after.shape[1]) if c != 2]
    assert torch.equal(after[:, rest], before[:, rest])


@pytest.mark.parametrize("layer", ["conv", "one", "mlp", "fc", "bn", "norm"])
def test_a_replaced_unit_has_the_weights_of_the_other(model: Model, images: Tensor, layer: str) -> None:
    module = model.module.get_submodule(layer)
    before, weights = outputs(model, layer, images), module.weight.detach().clone()
    with unchanged(model), edited(model, [f"{layer}:0={layer}:3", f"{layer}:3={layer}:0"], "replace"):
        exchanged = [3, 1, 2, 0]
        assert torch.equal(module.weight[:4], weights[exchanged])
        after = outputs(model, layer, images)
    if layer not in ("bn", "norm"):  # those keep the statistics, or the inputs, of their own channel
        assert torch.equal(after[:, :4], before[:, exchanged])


def test_in_groups_a_replaced_filter_looks_at_the_inputs_of_its_own_group(model: Model, images: Tensor) -> None:
    given = outputs(model, "relu", images)
    weight = model.module.get_submodule("grouped").weight.detach()
    with edited(model, "grouped:0=grouped:5", "replace"):
        after = outputs(model, "grouped", images)
    torch.testing.assert_close(after[:, 0], nn.functional.conv2d(given[:, :3], weight[5:6], padding=1)[:, 0])


def test_a_fresh_draw_depends_on_seed_layer_and_channel_alone(model: Model) -> None:
    weight = model.module.get_submodule("conv").weight

    def drawn(edits: list[Edit]) -> Tensor:
        with unchanged(model), edited(model, edits):
            return model.module.get_submodule("conv").weight.detach().clone()

    alone = drawn([Replace(Unit("conv", 2), Fresh(5))])
    among = drawn([Replace(Unit("conv", channel), Fresh(5)) for channel in (4, 2)])
    assert torch.equal(alone[2], among[2])
    assert not torch.equal(alone[2], weight[2])
    assert not torch.equal(among[4], among[2])
    assert not torch.equal(alone[2], drawn([Replace(Unit("conv", 2), Fresh(6))])[2])
    bound = 1 / 27**0.5  # of `nn.Conv2d`: uniform within 1 / sqrt(fan in)
    assert float(alone[2].abs().max()) <= bound
    assert torch.equal(alone[[0, 1, 3, 4, 5]], weight[[0, 1, 3, 4, 5]])


def test_a_mean_ablation_is_the_mean_over_pictures_and_places(model: Model, images: Tensor) -> None:
    before = outputs(model, "conv", images)
    (edit,) = mean_ablations(model, images, "conv:4")
    assert edit.value == pytest.approx(float(before[:, 4].mean()), rel=1e-5)
    assert mean_ablations(model, [images[:1], images[1:]], "conv:4")[0].value == pytest.approx(edit.value, rel=1e-6)
    with unchanged(model), edited(model, edit):
        after = outputs(model, "conv", images)
    assert torch.equal(after[:, 4], torch.full_like(after[:, 4], edit.value))
    assert torch.equal(after[:, :4], before[:, :4])


def test_each_call_of_a_module_is_edited(model: Model, images: Tensor) -> None:
    given = outputs(model, "grouped", images)
    conv = model.module.get_submodule("twice")
    with torch.no_grad(), unchanged(model):
        silenced = conv(given)
        silenced[:, 1] = 0
        expected = conv(silenced)
        expected[:, 1] = 0
        with edited(model, "twice:1"):
            assert torch.equal(outputs(model, "twice", images), expected)
        for edit in (Ablate(Unit("twice", 1), 0.25), Scale(Unit("relu", 0), 0.5)):
            with edited(model, edit):
                assert not torch.equal(outputs(model, "twice", images), expected)


def test_a_shared_weight_changes_for_the_named_module_only(model: Model, images: Tensor) -> None:
    one, two = model.module.get_submodule("one"), model.module.get_submodule("two")
    before = outputs(model, "one", images)
    with unchanged(model), edited(model, "two:1"):
        assert torch.equal(outputs(model, "one", images), before)
        assert not two.weight[1].any()
        assert one.weight[1].any()
    assert two.weight is one.weight


def test_tokens_are_ablated_in_a_transformers_mlp(images: Tensor) -> None:
    from torchvision.models.vision_transformer import VisionTransformer

    model = load(VisionTransformer(32, 16, 2, 2, 12, 24, num_classes=5), preprocess=Preprocess(size=(32, 32), resize=32))
    name = next(layer.name for layer in model.layers if layer.name.endswith("layer_0.mlp.0"))
    pictures = torch.rand(2, 3, 32, 32)
    with unchanged(model), edited(model, f"{name}:5"):
        raw = model.capture([name], pictures)[0][name]
    assert raw.shape == (2, 5, 24)
    assert torch.equal(raw[..., 5], torch.zeros(2, 5))  # the class token too
    attention = name.replace("mlp.0", "self_attention")
    with unchanged(model), edited(model, f"{attention}:3"):
        assert not outputs(model, attention, pictures)[:, 3].any()
    with (
        pytest.raises(Unsupported, match=rf"'{attention}:head1' names an attention head, which is no unit of a layer"),
        edited(model, f"{attention}:head1"),
    ):
        pass


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_blocks_end_in_any_order(model: Model, images: Tensor, order: tuple[int, ...]) -> None:
    """Of a unit that is scaled, set to a constant and scaled again, what remains is what is left of it in the order of entering."""
    unit = Unit("conv", 1)
    edits: list[Edit] = [Scale(unit, 2.0), Ablate(unit, 0.5), Scale(unit, 3.0)]
    plain = outputs(model, "conv", images)[:, 1]
    with unchanged(model):
        stacks = [ExitStack() for _ in edits]
        for stack, edit in zip(stacks, edits, strict=True):
            stack.enter_context(edited(model, edit))
        left = list(range(3))
        while left:
            expected = plain
            for k in left:
                edit = edits[k]
                expected = torch.full_like(plain, edit.value) if isinstance(edit, Ablate) else expected * edit.factor  # type: ignore[union-attr]
            torch.testing.assert_close(outputs(model, "conv", images)[:, 1], expected)
            gone = next(k for k in order if k in left)
            stacks[gone].close()
            left.remove(gone)
        assert torch.equal(outputs(model, "conv", images)[:, 1], plain)


def test_a_block_that_ends_early_leaves_the_others_their_edits_even_out_of_range(images: Tensor) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 3)).to(torch.float16)
    model = load(module, preprocess=Preprocess(size=(8, 8), resize=8))
    weight = module.get_submodule("0").weight
    with unchanged(model):
        outer, inner = ExitStack(), ExitStack()
        outer.enter_context(edited(model, Scale(Unit("0", 1), 1e-4)))
        inner.enter_context(edited(model, Scale(Unit("0", 1), 1e6)))
        now = module.get_submodule("0").weight[1].float()
        torch.testing.assert_close(now, weight[1].float() * 100, rtol=0.05, atol=0.5)
        outer.close()
        assert module.get_submodule("0").weight[1].isinf().any()
        inner.close()


def _fails(model: Model, images: Tensor, error: BaseException) -> None:
    model(images)
    raise error


def test_errors_and_interruptions_restore(model: Model, images: Tensor) -> None:
    for error in (ValueError("inside"), KeyboardInterrupt()):
        with unchanged(model), pytest.raises(type(error)), edited(model, ["conv:0", "relu:1"]):
            _fails(model, images, error)
    # One that comes while the block is entered: the first layer is edited already, the second is refused.
    edits = [Ablate(Unit("conv", 0)), Replace(Unit("relu", 0), Unit("relu", 1))]
    with unchanged(model), pytest.raises(Unsupported, match="a ReLU has no weights of its own for each unit"), edited(model, edits):
        pass


def test_frozen_and_trainable_parameters_stay_so_and_gradients_pass(model: Model, images: Tensor) -> None:
    module = model.module
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    module.get_submodule("fc").weight.requires_grad_(True)
    with unchanged(model):
        with edited(model, ["fc:1", "conv:2"]):
            assert module.get_submodule("fc").weight.requires_grad
            assert not module.get_submodule("conv").weight.requires_grad
            asking = images.clone().requires_grad_()
            model(asking)[:, 0].sum().backward()
            assert asking.grad is not None
            assert asking.grad.any()
        with quiet(module), edited(model, "relu:1"), quiet(module):
            model(images)


def test_inside_inference_mode_and_afterwards(model: Model, images: Tensor) -> None:
    with torch.inference_mode(), edited(model, "conv:2"):
        assert not outputs(model, "conv", images)[:, 2].any()
        weight = model.module.get_submodule("conv").weight
    assert not weight.is_inference()


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_in_other_precisions(precision: torch.dtype, images: Tensor) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).to(precision)
    model = load(module, preprocess=Preprocess(size=(8, 8), resize=8))
    images = model.checked(images)
    before = outputs(model, "0", images)
    with unchanged(model):
        with edited(model, [Ablate(Unit("0", 0)), Scale(Unit("0", 1), 0.5), Ablate(Unit("1", 2), 0.5)]):
            after = outputs(model, "0", images)
            assert after.dtype is precision
            assert not after[:, 0].any()
            assert torch.equal(after[:, 1], before[:, 1] * 0.5)
            assert torch.equal(outputs(model, "1", images)[:, 2], torch.full((3, 6, 6), 0.5, dtype=precision))
        if precision is torch.float16:
            said = r"0:1 times 1e\+06: its weight would leave the range of torch.float16: give a smaller factor"
            with pytest.raises(InterpError, match=said), edited(model, Scale(Unit("0", 1), 1e6)):
                pass


def test_what_is_changed_is_told(model: Model) -> None:
    unit = Unit("conv", 1)
    assert mechanism(model, Ablate(unit)) == mechanism(model, Scale(unit, 2.0)) == mechanism(model, Replace(unit, Fresh())) == "weights"
    assert mechanism(model, Ablate(unit, 0.1)) == mechanism(model, Ablate(Unit("relu", 1))) == "output"
    assert mechanism(model, Ablate(Unit("computed", 1))) == mechanism(model, Scale(Unit("up", 1), 2.0)) == "output"


class Standardized(nn.Conv2d):
    """A forward of its own, for which scaled weights are the same weights."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight / self.weight.std((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight, self.bias)


def test_a_convolution_that_standardizes_its_weights_is_scaled_all_the_same(images: Tensor) -> None:
    model = load(nn.Sequential(Standardized(3, 4, 3), nn.Flatten(), nn.Linear(144, 3)), preprocess=Preprocess(size=(8, 8), resize=8))
    before = outputs(model, "0", images)
    with unchanged(model), edited(model, "0:1=0.5", "scale"):
        assert torch.equal(outputs(model, "0", images)[:, 1], before[:, 1] * 0.5)


@pytest.mark.parametrize(
    ("edits", "kind", "error", "message"),
    [
        (["conv:9"], "ablate", UnknownName, r"no unit 'conv:9': layer 'conv' has 6 channels, 0 to 5"),
        (["cnv:1"], "ablate", UnknownName, r"no layer 'cnv' in '.*': did you mean 'conv'"),
        (["conv"], "ablate", InterpError, r"'conv' names no units: write 'layer:channel'"),
        (["conv:1@0,0"], "ablate", InterpError, r"'conv:1@0,0' names one place, but units are edited whole: write 'conv:1'"),
        (["conv:1=2"], "ablate", InterpError, r"'conv:1=2' is no unit to ablate: write 'conv:1'"),
        (["conv:top2"], "ablate", InterpError, r"'conv:top2' needs images that say which channels are strongest"),
        ([], "ablate", InterpError, r"no edit is given: name at least one unit"),
        (["conv:1"], "mute", InterpError, r"no kind of edit 'mute': there are ablate, scale, replace"),
        (["conv:1"], "scale", InterpError, r"'conv:1' does not say what to scale by: write 'layer:7=0.5'"),
        (["conv:1=half"], "scale", InterpError, r"'half' in 'conv:1=half' is no factor: write 'layer:7=0.5'"),
        (["conv:1=inf"], "scale", InterpError, r"the factor 'inf' in 'conv:1=inf' is not finite"),
        (["conv:1=nan"], "scale", InterpError, r"the factor 'nan' in 'conv:1=nan' is not finite"),
        (["conv:1=0.5", "conv:0-2=2"], "scale", InterpError, r"two edits of one unit contradict: conv:1 times 0\.5, and conv:1 times 2"),
        (["conv:1="], "replace", InterpError, r"'conv:1=' does not say what to replace it by: write 'layer:3=layer:5', or 'layer:3=new'"),
        (["conv:1=old"], "replace", InterpError, r"'old' in 'conv:1=old' is no unit to replace by"),
        (["conv:1=conv:9"], "replace", UnknownName, r"no unit 'conv:9'"),
        (["conv:1=one:2"], "replace", InterpError, r"'conv:1' cannot be replaced by 'one:2': name a unit of the same layer, 'conv'"),
        (["conv:1=conv:1"], "replace", InterpError, r"'conv:1' cannot be replaced by itself: name another unit of 'conv'"),
        (["relu:1=relu:2"], "replace", Unsupported, r"'relu:1' cannot be replaced: a ReLU has no weights of its own for each unit"),
        (["up:1=new"], "replace", Unsupported, r"'up:1' cannot be replaced: a transposed convolution keeps no row of weights"),
        (["computed:1=new"], "replace", Unsupported, r"'computed:1' cannot be replaced: its weights are computed from others"),
    ],
)
def test_what_cannot_be_done_is_one_line(model: Model, edits: list[str], kind: str, error: type[InterpError], message: str) -> None:
    with unchanged(model), pytest.raises(error, match=message) as refused, edited(model, edits, kind):
        pass
    assert "\n" not in str(refused.value)


def test_other_things_than_models_and_units_are_refused(model: Model) -> None:
    given = inspect.unwrap(edited)  # without the type checks of the tests, as users have it
    with pytest.raises(
        InterpError, match=r"`model` is a Linear, whose layers are not known yet: give the Model that `interp\.load\(net\)`"
    ):
        next(given(nn.Linear(1, 1), ["conv:1"]))
    for edits, said in ((3, "an int"), (None, "None"), ([("conv", 1)], "a tuple")):
        with unchanged(model), pytest.raises(InterpError, match=rf"an edit is {said}: give units such as 'layer:3', or Ablate, Scale or"):
            next(given(model, edits))


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InterpError, match=r"'conv:1' cannot be scaled by inf: give a finite factor"):
        Scale(Unit("conv", 1), float("inf"))
    with pytest.raises(InterpError, match=r"'conv:1' cannot be ablated to nan: give a finite number"):
        Ablate(Unit("conv", 1), float("nan"))


def test_the_same_edit_twice_is_one(model: Model, images: Tensor) -> None:
    before = outputs(model, "conv", images)
    with edited(model, [Scale(Unit("conv", 1), 0.5), Scale(Unit("conv", 1), 0.5)]):
        assert torch.equal(outputs(model, "conv", images)[:, 1], before[:, 1] * 0.5)


def test_means_need_pictures(model: Model) -> None:
    with pytest.raises(InterpError, match="the mean of a unit needs pictures: give at least one"):
        mean_ablations(model, [], "conv:1")
