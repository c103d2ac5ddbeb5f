"""Small networks of random wiring, with all in them that has ever hurt a tool: drawn by Hypothesis, and the same for the same draw.

In-place ReLUs, modules used twice, sums and concatenations, dictionaries and tuples between modules, normalizations of all kinds,
dropout, channels last, tokens with attention. A network comes as a user has it in the middle of training: in train mode but for
some modules, some weights frozen, gradients in ``.grad``, the user's own hooks attached.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from interp.core.model import Model
from interp.images import Preprocess
from interp.zoo.loading import load

SIZE, CLASSES, WIDTH = 12, 4, 4


class Twice(nn.Module):
    """One convolution and one in-place ReLU, both called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.relu(self.conv(self.relu(self.conv(x))))
        return result


class Residual(nn.Module):
    """x + f(x), the sum in place, f ending in a BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.relu = nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn(self.conv(x))
        out += x
        result: Tensor = self.relu(out)
        return result


class Joined(nn.Module):
    """Two branches, one behind the other in the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(WIDTH, 2, 1), nn.Conv2d(WIDTH, WIDTH - 2, 3, padding=1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.left(x), self.right(x)], dim=1)


class Named(nn.Module):
    """Gives a dictionary of two tensors, which what stands around it takes apart."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(WIDTH, WIDTH, 1), nn.GroupNorm(2, WIDTH)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.norm(self.conv(x)), "given": x}


class Opened(nn.Module):
    """Takes one tensor from a dictionary, and one from a tuple with None in it."""

    def __init__(self) -> None:
        super().__init__()
        self.named, self.paired = Named(), Paired()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.paired(self.named(x)["out"])[0]
        return found


class Paired(nn.Module):
    """Gives a tensor and None."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return self.act(x), None


class Last(nn.Module):
    """Channels last inside: LayerNorm and Linear layers, as in ConvNeXt."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.act, self.down = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 7), nn.GELU(), nn.Linear(7, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(self.act(self.up(self.norm(x.permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)


class Attended(nn.Module):
    """Tokens inside: a class token in front, attention that returns no weights, and back to maps."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.norm, self.attention = nn.LayerNorm(WIDTH), nn.MultiheadAttention(WIDTH, 2, batch_first=True, dropout=0.1)

    def forward(self, x: Tensor) -> Tensor:
        rows, cols = x.shape[2:]
        tokens = torch.cat([self.token.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
        seen = self.norm(tokens)
        tokens = tokens + self.attention(seen, seen, seen, need_weights=False)[0]
        return tokens[:, 1:].transpose(1, 2).reshape(len(x), WIDTH, rows, cols)


def _plain() -> nn.Module:
    return nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU(inplace=True))


def _dropped() -> nn.Module:
    return nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 1, bias=False), nn.Dropout2d(0.3, inplace=True), nn.LeakyReLU(0.1, inplace=True))


def _smaller() -> nn.Module:
    return nn.Sequential(nn.ConstantPad2d((0, 1, 0, 1), 0.0), nn.MaxPool2d(2))


def _larger() -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.ConvTranspose2d(WIDTH, WIDTH, 2, stride=2), nn.Tanh())


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "plain": _plain,
    "twice": Twice,
    "residual": Residual,
    "joined": Joined,
    "opened": Opened,
    "last": Last,
    "attended": Attended,
    "dropped": _dropped,
    "smaller": _smaller,
    "larger": _larger,
}


@dataclass
class Switch:
    """When a fuse blows: after so many calls, with which error."""

    calls_left: int | None = None
    error: type[BaseException] = OSError

    def __deepcopy__(self, memo: object) -> Switch:
        return self  # of a copy of the network, too


class Fuse(nn.Module):
    """The identity, which fails at a call when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.switch = Switch()

    def forward(self, x: Tensor) -> Tensor:
        if self.switch.calls_left is not None:
            self.switch.calls_left -= 1
            if self.switch.calls_left < 0:
                raise self.switch.error("the fuse has blown")
        return x


class Net(nn.Module):
    """(N, 3, 12, 12) -> (N, 4): a stem, the blocks, a fuse, a pooled head; with ``again``, the first block a second time."""

    def __init__(self, blocks: tuple[str, ...], again: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.blocks = nn.Sequential(OrderedDict((f"{i}_{name}", BLOCKS[name]()) for i, name in enumerate(blocks)))
        self.fuse = Fuse()
        self.pool, self.drop, self.head = nn.AdaptiveAvgPool2d(1), nn.Dropout(0.5), nn.Linear(WIDTH, CLASSES)
        self.never = nn.Conv2d(WIDTH, WIDTH, 1)
        self.again = again

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.act(self.stem(x)))
        if self.again:
            x = self.blocks[0](x)
        scores: Tensor = self.head(self.drop(self.pool(self.fuse(x)).flatten(1)))
        return scores


@dataclass
class Called:
    """What the user's hooks saw: which module called them, and whether what they were given was in order."""

    modules: list[nn.Module] = field(default_factory=list)

    def __deepcopy__(self, memo: object) -> Called:
        return self

    def forward(self, module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        assert isinstance(given, tuple)
        assert output is not None
        self.modules.append(module)

    def before(self, module: nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(given, tuple)
        self.modules.append(module)

    def backward(self, module: nn.Module, grad_input: Any, grad_output: Any) -> None:
        assert isinstance(grad_output, tuple)
        self.modules.append(module)


@dataclass(frozen=True)
class Drawn:
    """A network as a user has it."""

    net: Net
    called: Called
    blocks: tuple[str, ...]
    seed: int

    @property
    def twin(self) -> Drawn:
        """The same network, untouched."""
        return drawn(self.blocks, self.net.again, self.seed)

    def model(self) -> Model:
        return load(self.net, preprocess=Preprocess(size=(SIZE, SIZE), resize=SIZE), classes=["ant", "bee", "cat", "dog"])

    def images(self, count: int = 2) -> Tensor:
        return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(self.seed))


@st.composite
def networks(draw: st.DrawFn) -> Drawn:
    """A network of one to four blocks, in the middle of training."""
    blocks = tuple(draw(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=4)))
    return drawn(blocks, draw(st.booleans()), draw(st.integers(0, 2**16)))


def drawn(blocks: tuple[str, ...], again: bool = False, seed: int = 0) -> Drawn:
    """The network of these ``blocks``; the rest depends on ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Net(blocks, again)
        for module in net.modules():  # statistics of a network that has seen images
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    rng, called = random.Random(seed), Called()
    net.train()
    for module in net.modules():
        if rng.random() < 0.2:
            module.training = False
    for parameter in net.parameters():
        parameter.requires_grad_(rng.random() < 0.7)
        if rng.random() < 0.5:
            parameter.grad = torch.full_like(parameter, rng.random())
    net.stem.weight.requires_grad_()  # torch warns of backward hooks where no input needs a gradient
    for module in rng.sample(list(net.modules())[1:], 3):
        module.register_forward_hook(called.forward)
        module.register_forward_pre_hook(called.before)
    # Of a module before an in-place operation, torch itself refuses backward hooks.
    net.head.register_full_backward_hook(called.backward)
    net.pool.register_full_backward_hook(called.backward)
    return Drawn(net, called, blocks, seed)


def state(net: nn.Module) -> dict[str, Any]:
    """All of a network that a tool could change: to be compared with ``same`` later."""
    found: dict[str, Any] = {}
    for name, module in net.named_modules():
        hooks = {
            key: list(value.items()) for key, value in vars(module).items() if key.endswith(("_hooks", "_with_kwargs", "_always_called"))
        }
        attributes = {key: id(value) for key, value in vars(module).items() if not key.startswith("_")}
        found[name] = (id(module), type(module), module.training, hooks, attributes, list(module._modules), module._is_full_backward_hook)
    for name, parameter in net.named_parameters():
        grad = None if parameter.grad is None else (id(parameter.grad), parameter.grad.clone())
        found[f"parameter {name}"] = (
            id(parameter),
            parameter.data_ptr(),
            parameter.requires_grad,
            parameter.grad_fn,
            grad,
            _copy(parameter),
        )
    for name, buffer in net.named_buffers():
        found[f"buffer {name}"] = (id(buffer), buffer.data_ptr(), _copy(buffer))
    return found


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names under which two states are not the same, bit for bit."""
    names = before.keys() | after.keys()
    return sorted(name for name in names if not (name in before and name in after and _equal(before[name], after[name])))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return bool(one == other)


def surroundings() -> tuple[Any, ...]:
    """What is not the network's and must stay too: the global generators, and torch's switches.

    Python's own generator is not among them: the type checker of the tests draws from it.
    """
    return (
        torch.get_rng_state(),
        [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state(legacy=True)],  # noqa: NPY002
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
        torch.is_autocast_enabled("cpu"),
    )


def unchanged(before: tuple[Any, ...]) -> bool:
    return _equal(before, surroundings())
