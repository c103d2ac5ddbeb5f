"""One forward in which chosen layers are recorded, and nothing of which remains in the model.

Hooks live for the length of one call. A recorded output goes on through the network as a clone, so
an in-place ReLU behind a convolution cannot change what was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from interp.core.written import kept
from interp.errors import Unsupported, a

_INPUT = "input of "


def input_of(name: str) -> str:
    """The key under which `record` gives what goes into a module, instead of what comes out of it."""
    return _INPUT + name


def module_of(key: str) -> str:
    """The module's name in a key of `record`: a layer's name, or that of ``input_of`` a layer."""
    return key.removeprefix(_INPUT)


class _Reached(Exception):
    """Raised from a hook once every wanted layer has fired: the rest of the network is not needed."""


def tensor_of(output: Any) -> Tensor | None:
    """The one tensor in a module's output: itself, or the only tensor of a tuple; None where there is no or no single one."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, (tuple, list)):
        tensors = [item for item in output if isinstance(item, Tensor)]
        if len(tensors) == 1:
            return tensors[0]
    return None


def replaced(output: Any, tensor: Tensor) -> Any:
    """``output`` with its one tensor replaced."""
    if isinstance(output, Tensor):
        return tensor
    items = [tensor if isinstance(item, Tensor) else item for item in output]
    return type(output)(items) if type(output) in (tuple, list) else type(output)(*items)


@contextmanager
def quiet(module: nn.Module) -> Iterator[None]:
    """Eval mode and frozen parameters inside; modes, ``requires_grad``, ``.grad``, buffers and attributes as before outside, on errors too.

    Of attributes that holds as far as `written.kept` says.
    """
    modes = [(m, m.training) for m in module.modules()]
    flags = [(p, p.requires_grad) for p in module.parameters()]
    try:
        with kept(module):
            module.eval()
            for parameter, _ in flags:
                parameter.requires_grad_(False)
            yield
    finally:
        for m, training in modes:
            m.training = training
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


@contextmanager
def hooked(modules: Mapping[str, nn.Module], hook: Callable[[str, Any], Any]) -> Iterator[None]:
    """``hook(key, output)`` after each call of each module; what it returns, if not None, replaces the output.

    Under a key of ``input_of`` it is called before each call, with the first positional argument.
    """
    handles = []
    try:
        for key, module in modules.items():
            if key.startswith(_INPUT):
                handles.append(module.register_forward_pre_hook(lambda _m, given, key=key: _given(hook, key, given)))
            else:
                handles.append(module.register_forward_hook(lambda _m, _i, out, key=key: hook(key, out)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _given(hook: Callable[[str, Any], Any], key: str, given: tuple[Any, ...]) -> Any:
    changed = hook(key, given[0] if given else None)
    return None if changed is None else (changed, *given[1:])


def record(
    module: nn.Module, forward: Callable[[], Tensor], calls: Mapping[str, int], *, truncate: bool = False, gradients: bool = False
) -> tuple[dict[str, Tensor], Tensor | None]:
    """Run ``forward`` and return the outputs of the layers in ``calls`` (key -> times it fires) and the result.

    A key is a layer's name, or ``input_of`` it for what goes in.

    Of a module called several times, the last call's output is kept. With ``truncate`` the forward ends
    at the deepest layer wanted and the result is None. With ``gradients`` the outputs are part of the
    graph, so that ``torch.autograd.grad`` can be asked for them.
    """
    outputs: dict[str, Tensor] = {}
    left = dict(calls)

    def keep(name: str, output: Any) -> Any:
        tensor = tensor_of(output)
        if tensor is None:
            verb = "is given" if name.startswith(_INPUT) else "returns"
            raise Unsupported(f"layer '{module_of(name)}' {verb} {describe(output)}, not one tensor: choose a layer inside or behind it")
        if gradients and not tensor.requires_grad:
            tensor.requires_grad_()
        outputs[name] = tensor
        left[name] -= 1
        if truncate and all(count <= 0 for count in left.values()):
            raise _Reached
        return replaced(output, tensor.clone())

    named = {key: module.get_submodule(module_of(key)) for key in calls}
    with quiet(module), hooked(named, keep), torch.set_grad_enabled(gradients or torch.is_grad_enabled()):
        try:
            result: Tensor | None = forward()
        except _Reached:
            result = None
    return outputs, result


def describe(output: Any) -> str:
    """What a module returned, in words."""
    if isinstance(output, (tuple, list)):
        return f"{a(output)} of " + ", ".join(type(item).__name__ for item in output)
    return a(output)
