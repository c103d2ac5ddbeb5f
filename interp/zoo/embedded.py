"""The network that ships with the package: its weights, class names and preprocessing."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from interp.errors import BadFile
from interp.images import Preprocess
from interp.zoo import weights
from interp.zoo.embedded_net import EmbeddedNet

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "embedded.safetensors"
CLASSES = FOLDER / "embedded_classes.json"
VERSION = "1"
PREPROCESS = Preprocess(size=(64, 64), resize=64)


@dataclass(frozen=True)
class EmbeddedClass:
    """A class of the embedded network: its WordNet id and its (unique) name."""

    wnid: str
    name: str


@cache
def classes() -> tuple[EmbeddedClass, ...]:
    """The classes, in the order of the network's outputs; raises BadFile where the package is damaged."""
    try:
        return tuple(EmbeddedClass(**entry) for entry in json.loads(CLASSES.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BadFile(f"the class names of the embedded network, '{CLASSES}', cannot be read: {error}") from None


def network(*, trained: bool = True) -> EmbeddedNet:
    """The embedded network, in eval mode, with its weights if ``trained``; raises BadFile where the package is damaged."""
    net = EmbeddedNet(len(classes()))
    if trained:
        weights.apply(net, weights.read(WEIGHTS), WEIGHTS)
    return net.eval()


def pack(net: nn.Module, path: Path, version: str = VERSION) -> None:
    """Write the weights of ``net`` as float16 safetensors, all or nothing; the counters of BatchNorm are left out.

    Raises BadFile where a weight is not finite in float16.
    """
    state: dict[str, Tensor] = {}
    for name, tensor in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            state[name] = tensor.detach().cpu().to(torch.float16).contiguous()
            if not bool(torch.isfinite(state[name]).all()):
                raise BadFile(f"'{name}' has values that float16 cannot hold: '{path}' is not written")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(save(state, metadata={"format": "pt", "version": version, "network": "interp.zoo.embedded_net.EmbeddedNet"}))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
