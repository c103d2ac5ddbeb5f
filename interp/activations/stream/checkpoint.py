"""A pass that was interrupted goes on from its last checkpoint: one file, replaced as a whole.

Tensors are stored exactly, so what follows is the same bit for bit as if nothing had happened. The file is safetensors; its text parts
are JSON: nothing is unpickled. A checkpoint of other work, or a damaged one, is not taken up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as bytes_of
from torch import Tensor

from interp.activations.stream.layer import LayerState
from interp.errors import BadFile
from interp.runs.partial import write_whole

_FORMAT = 2
_TEXT = "text"


@dataclass(frozen=True)
class Seen:
    """An item of the data set that was read: its stamp (what tells cheaply that it has not changed), SHA-256, or why it was skipped."""

    stamp: tuple[int, ...]
    sha256: str
    reason: str = ""


@dataclass
class Progress:
    """How far a pass has come: what was seen of each item, in order, and the state of each layer."""

    layers: Mapping[str, LayerState]
    seen: list[Seen] = field(default_factory=list)

    @property
    def read(self) -> int:
        return sum(not item.reason for item in self.seen)


def save(path: Path, key: str, progress: Progress) -> None:
    """Write a checkpoint; BadFile where the disk does not take it: then the one before is still there."""
    text = json.dumps({"format": _FORMAT, "key": key, "seen": [[s.stamp, s.sha256, s.reason] for s in progress.seen]})
    tensors = {_TEXT: torch.from_numpy(np.frombuffer(text.encode(), dtype=np.uint8).copy())}
    for name, state in progress.layers.items():
        tensors |= {f"{name}/{part}": tensor.cpu().contiguous() for part, tensor in state.tensors().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, bytes_of(tensors))
    except OSError as error:
        raise BadFile(f"the checkpoint `{path}` cannot be written: {error.strerror or error}") from None


def load(path: Path, key: str, progress: Progress) -> str:
    """Take up the checkpoint at ``path`` into ``progress``; "" where that was done, else why not.

    Raises BadFile where there is a file that cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return "there is none"
    except OSError as error:
        raise BadFile(f"the checkpoint `{path}` cannot be read: {error.strerror}") from None
    try:
        tensors = tensors_of(data)
        text = json.loads(tensors[_TEXT].numpy().tobytes())
        if text["format"] != _FORMAT or text["key"] != key:
            return "it is of other weights, data or options"
        seen = [Seen(tuple(int(number) for number in stamp), str(sha256), str(reason)) for stamp, sha256, reason in text["seen"]]
        for name, state in progress.layers.items():
            state.restore(_below(tensors, f"{name}/"))
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        return f"it is damaged ({type(error).__name__})"
    progress.seen = seen
    return ""


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
