"""The edits that lie over a module: which rows its weights have meanwhile, and what its output becomes.

The module's own parameters are never written to. While edits last it holds edited copies in their place, and afterwards the same
objects again, so that every bit is as before, and a parameter that another module shares is changed for the named one alone. Edits lie
over each other in the order in which they came; whichever goes first, what remains is worked out anew from the module's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils.hooks import RemovableHandle

from interp.core.capture import replaced, tensor_of
from interp.core.unit import Unit
from interp.editing.edits import Ablate, Edit, Fresh, Replace, Scale
from interp.errors import InterpError, Unsupported

_NAMES = ("weight", "bias")
# What these compute is proportional to a channel's row of weight and bias, and to nothing else of the module.
_PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, _BatchNorm, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Change:
    """What one block asks of one module: edits by channel, where its ``channels`` are (``axis``) in its output, rows drawn for `Fresh`."""

    edits: Mapping[int, Edit]
    channels: int
    axis: int
    drawn: Mapping[int, Mapping[str, Tensor]] = field(default_factory=dict)


@dataclass
class _Overlay:
    """Of one module: its own parameters, the changes in force, and what becomes of channels behind the forward."""

    own: dict[str, nn.Parameter]
    changes: list[Change] = field(default_factory=list)
    constant: dict[int, float] = field(default_factory=dict)
    factor: dict[int, float] = field(default_factory=dict)
    handle: RemovableHandle | None = None


_OVERLAYS: WeakKeyDictionary[nn.Module, _Overlay] = WeakKeyDictionary()


@contextmanager
def changed(module: nn.Module, change: Change) -> Iterator[None]:
    """``module`` with the change on top of those in force; on leaving, by an error too, without it."""
    if module not in _OVERLAYS:
        _OVERLAYS[module] = _Overlay({name: p for name in _NAMES if (p := module._parameters.get(name)) is not None})
    overlay = _OVERLAYS[module]
    overlay.changes.append(change)
    try:
        _lay(module, overlay)
        _check(module, overlay, change)
        yield
    finally:
        overlay.changes = [other for other in overlay.changes if other is not change]
        _lay(module, overlay)
        if not overlay.changes:
            del _OVERLAYS[module]


def by_rows(module: nn.Module, channels: int) -> bool:
    """Whether what a channel gives is proportional to its row of weight and bias, so that weights say what becomes of it.

    Not where the forward is the module's own (weight standardization, say), or weights are computed (parametrizations).
    """
    forward = type(module).forward
    plain = any(forward is kind.forward for kind in _PLAIN) and "forward" not in vars(module)
    conv = (
        type(module)._conv_forward in [k._conv_forward for k in (nn.Conv1d, nn.Conv2d, nn.Conv3d)] if isinstance(module, _ConvNd) else True
    )
    return plain and conv and has_rows(module, channels)


def has_rows(module: nn.Module, channels: int) -> bool:
    """Whether the module holds weights of which each channel has a row."""
    weight = module._parameters.get("weight")
    known = isinstance(module, (_ConvNd, nn.Linear, _BatchNorm, nn.LayerNorm, nn.GroupNorm)) and not isinstance(module, _ConvTransposeNd)
    return known and weight is not None and weight.ndim > 0 and weight.shape[0] == channels


def refuse_without_rows(module: nn.Module, edit: Replace, channels: int) -> None:
    """Raise Unsupported where the unit has no weights that another's could replace."""
    if has_rows(module, channels):
        return
    layer, kind = edit.unit.layer, type(module).__name__
    if hasattr(module, "parametrizations") or (isinstance(getattr(module, "weight", None), Tensor) and "weight" not in module._parameters):
        why = "its weights are computed from others (a parametrization)"
    elif isinstance(module, _ConvTransposeNd):
        why = "a transposed convolution keeps no row of weights for each unit"
    else:
        why = f"a {kind} has no weights of its own for each unit"
    raise Unsupported(
        f"'{edit.unit}' cannot be replaced: {why}; ablate or scale it, or name a unit of a convolution or Linear, not '{layer}'"
    )


def _lay(module: nn.Module, overlay: _Overlay) -> None:
    """Work the changes out anew from the module's own, and put them in place."""
    if overlay.handle is not None:
        overlay.handle.remove()
    overlay.handle, overlay.constant, overlay.factor = None, {}, {}
    module._parameters.update(overlay.own)
    # A caller's inference mode would leave weights that no gradient can pass.
    with torch.inference_mode(False), torch.no_grad():
        rows = {name: parameter.detach().clone() for name, parameter in overlay.own.items()}
        for change in overlay.changes:
            _apply(module, overlay, change, rows)
    for name, values in rows.items():
        own = overlay.own[name]
        if not torch.equal(values, own.detach()):
            module._parameters[name] = nn.Parameter(values, requires_grad=own.requires_grad)
    if overlay.constant or overlay.factor:
        axis = overlay.changes[-1].axis
        overlay.handle = module.register_forward_hook(lambda _m, _i, output: _after(overlay, output, axis))


def _apply(module: nn.Module, overlay: _Overlay, change: Change, rows: dict[str, Tensor]) -> None:
    """One block's edits, each of which sees the others' units as they were before it."""
    before = {name: values.clone() for name, values in rows.items()}
    constant, factor = dict(overlay.constant), dict(overlay.factor)
    proportional = by_rows(module, change.channels)
    for channel, edit in change.edits.items():
        match edit:
            case Ablate() if edit.value == 0 and proportional:
                _put(rows, channel, {name: torch.zeros_like(values[channel]) for name, values in before.items()})
                _behind(overlay, channel, None, None)
            case Ablate():
                _behind(overlay, channel, float(edit.value), None)
            case Scale() if channel in constant:
                _behind(overlay, channel, constant[channel] * edit.factor, None)
            case Scale() if channel in factor or not proportional:
                _behind(overlay, channel, None, factor.get(channel, 1.0) * edit.factor)
            case Scale():
                _put(rows, channel, {name: values[channel] * edit.factor for name, values in before.items()})
            case Replace(by=Fresh()):
                _put(rows, channel, change.drawn[channel])
                _behind(overlay, channel, None, None)
            case Replace(by=Unit() as source):
                _put(rows, channel, {name: values[source.channel] for name, values in before.items()})
                _behind(overlay, channel, constant.get(source.channel), factor.get(source.channel))


def _check(module: nn.Module, overlay: _Overlay, change: Change) -> None:
    """Raise InterpError where an edit has taken a row out of the range of its number format."""
    for name, own in overlay.own.items():
        now = module._parameters[name]
        if now is None or now is own:
            continue
        for channel, edit in change.edits.items():
            if bool(torch.isfinite(own[channel]).all()) and not bool(torch.isfinite(now[channel]).all()):
                raise InterpError(f"{edit}: its {name} would leave the range of {own.dtype}: give a smaller factor")


def _put(rows: dict[str, Tensor], channel: int, values: Mapping[str, Tensor]) -> None:
    for name, row in values.items():
        rows[name][channel] = row


def _behind(overlay: _Overlay, channel: int, constant: float | None, factor: float | None) -> None:
    for shelf, value in ((overlay.constant, constant), (overlay.factor, factor)):
        shelf.pop(channel, None)
        if value is not None:
            shelf[channel] = value


def _after(overlay: _Overlay, output: Any, axis: int) -> Any:
    """The output with the channels changed that weights cannot say; a copy, as the next module may write into its input."""
    tensor = tensor_of(output)
    if tensor is None:
        raise Unsupported("a layer that is edited has returned no single tensor this time")
    channels = tensor.clone().movedim(axis, 0)
    for channel, factor in overlay.factor.items():
        channels[channel] = channels[channel] * factor
    for channel, constant in overlay.constant.items():
        channels[channel] = constant
    return replaced(output, channels.movedim(0, axis))
