"""Finished images kept on disk while a long run goes on, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import BadFile, InterpError
from interp.featurevis.config import AscentConfig
from interp.featurevis.feature import Feature
from interp.featurevis.objective import Objective
from interp.runs import array_hash
from interp.runs.arrayfile import save_arrays
from interp.runs.lock import Lock
from interp.runs.origin import versions
from interp.runs.partial import replacing
from interp.runs.plain import canonical, plain


class FeatureStore:
    """A folder of finished images, each under a hash of the model's weights, its objective, the options and the seed.

    A file is written whole or not at all; one that cannot be read, or is not what was written, counts as not there. Several
    processes may use one folder at once: the last of them removes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: Lock | None = None

    def __len__(self) -> int:
        return len(list(self.folder.glob("*.safetensors"))) if self.folder.is_dir() else 0

    def hold(self) -> None:
        """Keep other processes from removing the folder, if it is there, until `release` or `remove`."""
        if self._lock is None:
            with contextlib.suppress(OSError):
                self._lock = Lock.take(self.folder, shared=True, wait=True)

    def release(self) -> None:
        """Leave the folder with what it holds for another time."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def remove(self) -> None:
        """Remove the folder, unless another process uses it."""
        self.hold()
        if self._lock is None or self._lock.alone():
            shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

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
            if rest.pop("seal") != _seal(rest, arrays):
                return None
            alpha, film = arrays.get("alpha"), arrays.get("film")
            return Feature(unit, arrays["image"], arrays["scores"], rest["final"], rest["dead"], alpha, rest["precision"], film)
        except (OSError, SafetensorError, InterpError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def put(self, key: str, feature: Feature) -> None:
        """Keep ``feature`` under ``key``; a BadFile where the disk refuses."""
        arrays = {"image": feature.image, "scores": feature.scores}
        arrays |= {name: a for name, a in (("alpha", feature.alpha), ("film", feature.film)) if a is not None}
        rest: dict[str, object] = {"final": feature.final, "dead": feature.dead, "precision": feature.precision}
        rest["seal"] = _seal(rest, arrays)
        arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
        arrays["rest"] = np.frombuffer(json.dumps(rest).encode(), np.uint8)
        try:
            self._make()
            with replacing(self.folder / f"{key}.safetensors") as partial:
                save_arrays(arrays, partial)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BadFile(f"finished images cannot be kept in `{self.folder}`: {reason}; make room, or choose another folder") from error

    def _make(self) -> None:
        for _ in range(3):  # another process may remove it between the two
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._lock is None:
                self.hold()
            if self._lock is not None:
                return


def _seal(rest: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of all that is kept of an image."""
    hashes = {name: array_hash(array) for name, array in arrays.items()}
    return hashlib.sha256(canonical([rest, hashes]).encode()).hexdigest()


def _digest(model: Model) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
