"""Random weights, for a while: a map that looks the same for them says nothing about the trained weights (Adebayo et al. 2018).

The draw of a layer depends on the seed and its name alone, so that layers can be randomized one after the other in any order.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from interp.core.capture import quiet
from interp.core.model import Model
from interp.core.rng import generator
from interp.errors import InterpError, UnknownName, nearest


class Redraw(StrEnum):
    """``RESET``: what the module's own ``reset_parameters`` draws, as before any training; permuted where it has none.

    ``PERMUTE``: the trained values in random order, which keeps their scale and distribution.
    """

    RESET = "reset"
    PERMUTE = "permute"


def weighted_layers(model: Model) -> tuple[str, ...]:
    """The modules that hold weights themselves, in the order in which a forward first uses them.

    Weights that an evaluation forward never uses (auxiliary heads) are left out; those that are used although their module is
    never called (``self_attention.out_proj``) are not. "" is the network itself, where it holds some (a class token). A weight
    that two modules share belongs to the first of them.
    """
    owners = _owners(model.module)
    watch = _FirstUse({id(parameter) for parameter in model.module.parameters()})
    sample = torch.rand(1, len(model.preprocess.mean), *model.preprocess.size, generator=generator(0, "weighted layers"))
    precision = next((p.dtype for p in model.module.parameters() if p.is_floating_point()), torch.float32)
    # Watched inside `quiet`, which touches every parameter itself.
    with quiet(model.module), torch.no_grad(), watch:
        model.forward(sample.to(model.device, precision))
    return tuple(dict.fromkeys(owners[key] for key in watch.order))


@contextmanager
def randomized_weights(model: Model, layers: Sequence[str], seed: int, redraw: Redraw = Redraw.RESET) -> Iterator[tuple[str, ...]]:
    """``layers`` (names of modules) have random weights inside, and the same tensors with the same bits as before outside.

    Only a module's own parameters are drawn, not those of the modules inside it, and for ``RESET`` its own buffers too, as
    ``reset_parameters`` sets them (BatchNorm statistics). Gives the names of the parameters that were permuted rather than
    reset. The global generator is left alone; errors inside restore too. Raises UnknownName for a module that does not exist.
    """
    modules = _named(model, layers)
    permuted_names: list[str] = []
    before: dict[int, tuple[Tensor, Tensor]] = {}
    try:
        # A caller's inference_mode would leave weights that no gradient can pass.
        with torch.inference_mode(False), torch.no_grad():
            for name, module in modules.items():
                for tensor, drawn in _draw(module, name, seed, redraw, permuted_names):
                    if id(tensor) not in before:  # a shared weight is drawn once
                        before[id(tensor)] = (tensor, tensor.data)
                        tensor.data = torch.empty_like(tensor.data).copy_(drawn)
        yield tuple(permuted_names)
    finally:
        for tensor, data in before.values():
            tensor.data = data


def permuted(values: Tensor, seed: int, name: str) -> Tensor:
    """The entries of ``values`` in random order; the draw depends on ``seed`` and ``name`` alone."""
    order = torch.randperm(values.numel(), generator=generator(seed, "random weights", name))
    return values.detach().flatten()[order.to(values.device)].view_as(values)


def _owners(module: nn.Module) -> dict[int, str]:
    """The first module that holds each parameter, by the parameter's id."""
    owners: dict[int, str] = {}
    for name, child in module.named_modules():
        for parameter in child.parameters(recurse=False):
            owners.setdefault(id(parameter), name)
    return owners


def _named(model: Model, layers: Sequence[str]) -> dict[str, nn.Module]:
    modules = dict(model.module.named_modules())
    if isinstance(layers, str):
        raise InterpError(f"`layers` is '{layers}': give a sequence of layer names")
    for name in layers:
        if name not in modules:
            hint = nearest(name, modules) or f"`interp layers {model.spec.reference}` lists those that fire"
            raise UnknownName(f"no layer '{name}' in '{model.spec.reference}': {hint}")
    return {name: modules[name] for name in layers}


def _draw(module: nn.Module, name: str, seed: int, redraw: Redraw, permuted_names: list[str]) -> Iterator[tuple[Tensor, Tensor]]:
    """(tensor, what it becomes) for each of the module's own parameters, and the buffers that a reset sets."""
    fresh = _reset(module, seed, name) if redraw is Redraw.RESET else None
    drawn = {} if fresh is None else dict(fresh.named_parameters(recurse=False))
    for key, parameter in module.named_parameters(recurse=False):
        full = f"{name}.{key}" if name else key
        # A `reset_parameters` that leaves one of its parameters as it is has not drawn it.
        if key in drawn and not torch.equal(drawn[key].data, parameter.data.cpu()):
            yield parameter, drawn[key].data
        else:
            permuted_names.append(full)
            yield parameter, permuted(parameter, seed, full)
    for key, buffer in [] if fresh is None else fresh.named_buffers(recurse=False):
        yield module.get_buffer(key), buffer


def _reset(module: nn.Module, seed: int, name: str) -> nn.Module | None:
    """A copy on the CPU as its own initializer leaves it; None where the module has none, or it cannot be copied and reset."""
    if not callable(getattr(module, "reset_parameters", None)):
        return None
    with torch.random.fork_rng(devices=[]):
        # Not `torch.manual_seed`, which would seed the accelerators for good.
        torch.default_generator.manual_seed(generator(seed, "redrawn weights", name).initial_seed())
        try:
            fresh: Any = copy.deepcopy(module).cpu()
            fresh.reset_parameters()
        except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError):
            return None
    return fresh if isinstance(fresh, nn.Module) else None


class _FirstUse(TorchFunctionMode):
    """Notes in which order tensors of the given ids are first given to a torch function."""

    def __init__(self, wanted: set[int]) -> None:
        super().__init__()
        self._wanted = wanted
        self.order: dict[int, None] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # Reading an attribute (`weight.dtype`) is no use of the values.
        if getattr(func, "__name__", "") != "__get__":
            for leaf in tree_leaves((args, kwargs)):
                if isinstance(leaf, Tensor) and id(leaf) in self._wanted:
                    self.order.setdefault(id(leaf))
        return func(*args, **kwargs)
