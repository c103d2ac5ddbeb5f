"""Which objectives share a forward, and how many at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from interp.core.memory import refuse_above
from interp.core.model import Model
from interp.errors import InterpError
from interp.featurevis.config import AscentConfig
from interp.featurevis.engine import Engine
from interp.featurevis.objective import Objective, layer_of, source_of

# Images per forward at most. CPU: measured, larger ones fall out of the cache.
CPU_MOST, GPU_MOST = 8, 256
# GiB a step may take: a fixed amount beside the other work of a laptop, a share of all that an accelerator has. What is free at the
# moment does not count: batches of another size give other last bits, and one kind of device is to give the same each time.
CPU_MEMORY, GPU_SHARE = 2.0, 0.5
_GIB = 1 << 30


def group_of(objective: Objective, config: AscentConfig) -> int:
    """How many images are optimized together for ``objective``; raises InterpError where a regularizer asks for another number."""
    counts = {o.images for o in (objective, *(w.objective for w in config.regularizers))} - {1}
    if len(counts) > 1:
        raise InterpError(f"'{objective}' and its regularizers are for {' and '.join(map(str, sorted(counts)))} images: give all the same")
    return counts.pop() if counts else 1


def keys_of(objectives: Sequence[Objective], config: AscentConfig) -> list[str]:
    """The keys of the activations that ``objectives`` and the config's regularizers read."""
    every = [*objectives, *(w.objective for w in config.regularizers)]
    return list(dict.fromkeys(key for o in every for key in o.layers))


def layers_of(keys: Sequence[str]) -> list[str]:
    """The layers behind keys of the activations."""
    return list(dict.fromkeys(name for name in map(layer_of, keys) if name is not None))


def sources_of(keys: Sequence[str]) -> list[str]:
    """What has to be recorded for keys of the activations: layers, and inputs of layers."""
    return list(dict.fromkeys(source for source in map(source_of, keys) if source is not None))


def batches(model: Model, objectives: Sequence[Objective], config: AscentConfig, most: Sequence[int]) -> list[list[int]]:
    """Indices of objectives that share a forward: of one depth and one number of images; ``most[i]`` images with objective i at most."""
    depths = {layer.name: depth for depth, layer in enumerate(model.layers)}
    groups: dict[tuple[int, int, int], list[int]] = {}
    for i, objective in enumerate(objectives):
        deepest = max((depths[name] for name in layers_of(keys_of([objective], config))), default=-1)
        groups.setdefault((deepest, group_of(objective, config), most[i]), []).append(i)
    found = []
    for (_, together, limit), members in groups.items():
        count = max(1, limit // together)
        found += [members[k : k + count] for k in range(0, len(members), count)]
    return found


def most_images(made: Engine, sources: Sequence[str], config: AscentConfig, size: tuple[int, int]) -> int:
    """Images per batch whose forward down to ``sources`` keeps within the memory, on this device; at least 1.

    The memory is that of ``config``, else the limit of the model, of which InterpError is raised where one image exceeds it, else
    what suits the device.
    """
    if config.batch is not None:
        return config.batch
    device = made.model.device
    most = CPU_MOST if device.type == "cpu" else GPU_MOST
    if not sources:
        return most
    cost = _bytes(made, sources, size) * config.views
    if config.memory is None and made.model.memory is not None:
        refuse_above(made.model, cost)
        return min(most, made.model.memory // max(1, cost))
    budget = (config.memory or _memory(device)) * _GIB
    return max(1, min(most, math.floor(budget / max(1, cost))))


def _bytes(made: Engine, sources: Sequence[str], size: tuple[int, int]) -> int:
    """Bytes that one image's forward keeps for the backward, each storage counted once, and as much again for the gradients."""
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> None:
        # Held here until all are counted, so that no two have one address. The graph is given nothing to hold: no backward asks for it,
        # and a graph that holds its own output is never freed.
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage

    weights = {t.untyped_storage().data_ptr() for t in made.model.module.state_dict().values()}
    grey = torch.full((1, len(made.model.preprocess.mean), *size), 0.5, device=made.model.device, requires_grad=True)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        outputs = made.outputs(sources, grey)
        del outputs
    return 2 * sum(storage.nbytes() for pointer, storage in kept.items() if pointer not in weights)


def _memory(device: torch.device) -> float:
    """GiB that a step may take on this kind of device."""
    if device.type == "cuda":
        return GPU_SHARE * torch.cuda.get_device_properties(device).total_memory / _GIB
    return CPU_MEMORY if device.type == "cpu" else 2 * CPU_MEMORY
