"""Finished images kept on disk while a long run goes on, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis.config import AscentConfig
from interp.featurevis.feature import Feature
from interp.featurevis.objective import Objective
from interp.runs.origin import versions
from interp.runs.plain import canonical, plain


class FeatureStore:
    """A folder of finished images, each under a hash of the model's weights, its objective, the options and the seed.

    A file is written whole or not at all; one that cannot be read counts as not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return len(list(self.folder.glob("*.safetensors"))) if self.folder.is_dir() else 0

    def keys(self, model: Model, config: AscentConfig, size: tuple[int, int], seed: int) -> Callable[[Objective, int], str | None]:
        """Gives the name under which image ``place`` of an objective is kept; None where the objective is no plain value.

        The name stands for all that the image depends on: the weights as they are now, not as they were loaded.
        """
        run = [
            versions(),
            model.spec.reference,
            _digest(model),
            plain(model.preprocess, "preprocess"),
            list(size),
            str(model.device),
            seed,
        ]

        def key(objective: Objective, place: int) -> str | None:
            try:
                entry = plain([type(objective).__name__, objective, config], "key")
            except InterpError:
                return None
            return hashlib.sha256(canonical([run, entry, place]).encode()).hexdigest()[:32]

        return key

    def get(self, key: str, unit: Unit | str) -> Feature | None:
        """The image kept under ``key``, as that of ``unit``."""
        path = self.folder / f"{key}.safetensors"
        try:
            arrays = load_file(path)
            rest = json.loads(arrays.pop("rest").tobytes())
            alpha, film = arrays.get("alpha"), arrays.get("film")
            return Feature(unit, arrays["image"], arrays["scores"], rest["final"], rest["dead"], alpha, rest["precision"], film)
        except (OSError, SafetensorError, ValueError, KeyError):
            return None

    def put(self, key: str, feature: Feature) -> None:
        """Keep ``feature`` under ``key``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rest = json.dumps({"final": feature.final, "dead": feature.dead, "precision": feature.precision}).encode()
        arrays = {"image": feature.image, "scores": feature.scores, "rest": np.frombuffer(rest, np.uint8)}
        arrays |= {name: a for name, a in (("alpha", feature.alpha), ("film", feature.film)) if a is not None}
        partial = self.folder / f".{key}.{os.getpid()}"
        try:
            save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, partial)
            partial.replace(self.folder / f"{key}.safetensors")
        finally:
            partial.unlink(missing_ok=True)


def _digest(model: Model) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
