"""What a pass depends on, as hashes: by these a checkpoint is found to be of the same work, and a finished pass named."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from interp.activations.stream.config import ScanConfig
from interp.activations.stream.values import Source
from interp.core.model import Model
from interp.datasets import DataSet

VERSION = 2
"""Of the pass: to be raised when the same images would give other numbers."""


def plan_key(model: Model, data: DataSet, layers: Sequence[str], config: ScanConfig) -> str:
    """SHA-256 of all that is known before the first image: weights, code, names and labels of images, preprocessing, layers, options."""
    digest = hashlib.sha256()
    options = {name: value for name, value in dataclasses.asdict(config).items() if name not in ("seconds", "batches")}
    parts: dict[str, object] = {
        "version": VERSION,
        "weights": _weights(model.module),
        "preprocess": dataclasses.asdict(model.preprocess),
        "layers": [(name, model.layer(name).map_shape) for name in layers],
        "output": model.spec.notes,
        "config": options,
        "device": model.device.type,
    }
    if model.spec.files:
        # The user's own code says what is done with the weights.
        parts["files"] = sorted((file.name, file.sha256) for file in model.spec.files)
    digest.update(json.dumps(parts, sort_keys=True).encode())
    for index in range(len(data)):
        digest.update(json.dumps([data.name(index), data.label(index)]).encode())
    return digest.hexdigest()


def result_key(plan: str, sources: Sequence[Source], skipped: Sequence[tuple[str, str]]) -> str:
    """SHA-256 of the plan and of what every image was."""
    digest = hashlib.sha256(plan.encode())
    for source in sources:
        digest.update(f"{source.index}\x1f{source.sha256}\x1e".encode())
    for name, _ in skipped:
        digest.update(f"{name}\x1e".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _weights(module: nn.Module) -> str:
    """SHA-256 over the names, types, shapes and bytes of the parameters and buffers, and the classes of the modules."""
    digest = hashlib.sha256()
    for name, part in module.named_modules():
        digest.update(f"{name}\x1f{type(part).__qualname__}\x1f{part.extra_repr()}\x1e".encode())
    for name, tensor in sorted(module.state_dict().items()):
        if isinstance(tensor, Tensor):
            digest.update(f"{name}\x1f{tensor.dtype}\x1f{tuple(tensor.shape)}\x1e".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
