"""Modules as users have them: wrappers that are taken off, and kinds that cannot be looked into, each with its sentence."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule
from torch.nn.parameter import is_lazy

from interp.errors import InterpError, Unsupported, a
from interp.images import Preprocess

# By the names of classes, so that nothing is imported only to be told apart: what wraps, and under which name the network is in it.
_WRAPPERS = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "AveragedModel": "module",
    "OptimizedModule": "_orig_mod",
}
_SHARDED = ("FullyShardedDataParallel", "FSDPModule")
_QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.ao.nn.sparse.quantized", "torch.nn.quantized")
_QUANTIZED_ELSEWHERE = ("torchao", "bitsandbytes")
EXPORTED = "an exported program, whose layers are dissolved: give the Python module it was made from, not the program or its `.module()`"
_RANKS = {
    1: (nn.Conv1d, nn.ConvTranspose1d),
    2: (nn.Conv2d, nn.ConvTranspose2d),
    3: (nn.Conv3d, nn.ConvTranspose3d),
}


def bare(given: Any, name: str) -> nn.Module:
    """The network in what is ``given``: ``torch.compile``, DataParallel and AveragedModel taken off.

    Raises Unsupported for what has no layers to look at: scripted and traced modules, exported programs, quantized and sharded
    networks, parts that are compiled; InterpError for what is no module.
    """
    module: Any = given
    while (inside := _WRAPPERS.get(type(module).__name__)) is not None and isinstance(getattr(module, inside, None), nn.Module):
        module = getattr(module, inside)
    if type(module).__name__ == "ExportedProgram" or (isinstance(module, GraphModule) and not _calls_modules(module)):
        raise Unsupported(f"'{name}' is {EXPORTED}")
    if not isinstance(module, nn.Module):
        raise InterpError(f"'{name}' is {a(module)}, not a torch.nn.Module")
    if isinstance(module, torch.jit.ScriptModule):
        raise Unsupported(f"'{name}' is a scripted module, whose layers cannot be hooked: give the Python module it was made from")
    for part, inner in module.named_modules():
        _refuse_part(inner, f"'{name}'" if not part else f"'{part}' in '{name}'")
    return module


def _refuse_part(module: nn.Module, what: str) -> None:
    kinds = type(module).__mro__
    if any(kind.__name__ in _SHARDED for kind in kinds):
        raise Unsupported(
            f"{what} is sharded by FSDP over processes: give the network it was made from, with the full state dict loaded into it"
        )
    if type(module).__module__.startswith(_QUANTIZED + _QUANTIZED_ELSEWHERE) or any(map(_quantized, module.parameters(recurse=False))):
        raise Unsupported(f"{what} is quantized ({type(module).__name__}), and has no gradients: give the float network it was made from")
    if any(is_lazy(tensor) or tensor.is_meta for tensor in module.parameters(recurse=False)):
        raise Unsupported(f"{what} has weights without values (lazy, or on the device 'meta'): run or load the network once before")
    if type(module).__name__ == "OptimizedModule" or vars(module).get("_compiled_call_impl") is not None:
        raise Unsupported(f"{what} is compiled, so that its layers cannot be hooked: give the network as it was before torch.compile")


def _quantized(tensor: torch.Tensor) -> bool:
    return tensor.is_quantized or any(type(one).__module__.startswith(_QUANTIZED_ELSEWHERE) for one in (tensor, tensor.data))


def _calls_modules(module: GraphModule) -> bool:
    """A graph that was traced symbolically calls its layers; an exported one only computes what they would, and calls its own guards."""
    return any(node.op == "call_module" and not str(node.target).startswith("_guards") for node in module.graph.nodes)


def why(module: nn.Module, preprocess: Preprocess) -> str:
    """Why a network may not run on the images of ``preprocess``, by what its convolutions take; "" where these tell nothing."""
    convolutions = {rank: [m for m in module.modules() if isinstance(m, kinds)] for rank, kinds in _RANKS.items()}
    if not convolutions[2] and (convolutions[1] or convolutions[3]):
        rank = 1 if convolutions[1] else 3
        what = "signals (n, channels, length)" if rank == 1 else "volumes or videos (n, channels, frames, rows, cols)"
        return f"its convolutions are Conv{rank}d, for {what}, and interp looks into networks of images (n, channels, rows, cols)"
    channels = getattr(convolutions[2][0], "in_channels", None) if convolutions[2] else None
    if channels is None or channels == len(preprocess.mean):
        return ""
    numbers = "a number" if channels == 1 else f"{channels} numbers"
    return (
        f"its first convolution takes {channels} channel{'s' * (channels != 1)}, and it is given {len(preprocess.mean)}: "
        f"give --mean and --std with {numbers} each, or --normalize-from FOLDER"
    )


def first_channels(module: nn.Module) -> int | None:
    """The channels that the first convolution takes, which are those of the images; None where there is none."""
    found = next((m for m in module.modules() if isinstance(m, _RANKS[2])), None)
    return None if found is None else int(found.in_channels)
