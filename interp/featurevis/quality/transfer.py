"""Whether another network sees the class that an image was optimized for: a held-out judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float

from interp.core.answers import Answer
from interp.core.model import Model
from interp.featurevis.objective import Objective
from interp.featurevis.quality.scoring import BATCH, Images


@dataclass(frozen=True)
class Transfer:
    """Under the held-out model: ``name`` of the class there, ``rank`` of its logit (1 the highest), ``probability`` (softmax)."""

    name: str
    rank: int
    probability: float


def transfer(
    model: Model, judge: Model, objectives: Sequence[Objective], images: Images, batch: int = BATCH
) -> list[tuple[Transfer | None, str]]:
    """What ``judge`` says of each [0, 1] image under its objective's class, or None and why.

    For objectives that are a class of ``model``; the judge's class is the one of the same name (see `same_class`).
    The images are resized to the judge's own size (bilinear, antialiased), not cropped.
    """
    results: list[tuple[Transfer | None, str]] = []
    logits = logits_of(judge, images, batch)
    for values, objective in zip(logits, objectives, strict=True):
        unit = objective.mean_of
        if unit is None or unit.layer != model.output:
            results.append((None, f"the objective is no class of '{model.spec.reference}'"))
            continue
        name = model.class_name(unit.channel)
        there = same_class(name, judge.spec.classes)
        if there is None:
            results.append((None, f"'{judge.spec.reference}' has no single class named '{name}'"))
        else:
            results.append(judged(values, there, judge.class_name(there)))
    return results


def judged(logits: Float[np.ndarray, " classes"], index: int, name: str) -> tuple[Transfer | None, str]:
    """Rank and probability of the class ``index``; equal logits count as ahead of it."""
    if not np.isfinite(logits).all():
        return None, "a logit of the held-out model is no finite number"
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return Transfer(name, int((logits >= logits[index]).sum()), float(powers[index] / powers.sum())), ""


def same_class(name: str, classes: Sequence[str]) -> int | None:
    """The one class of that name: case, underscores and what follows the first comma (synonyms) do not count. None for none or several."""
    found = [k for k, other in enumerate(classes) if _plain(other) == _plain(name)]
    exact = [k for k, other in enumerate(classes) if other == name]
    return (exact or found)[0] if len(exact or found) == 1 else None


def logits_of(judge: Model, images: Images, batch: int = BATCH) -> Float[np.ndarray, "n classes"]:
    """The judge's logits of [0, 1] images of any size; where it returns probabilities their logarithms, of which the softmax is these."""
    parts = []
    for start in range(0, len(images), batch):
        tensors = torch.from_numpy(np.ascontiguousarray(images[start : start + batch].transpose(0, 3, 1, 2), dtype=np.float32))
        if tensors.shape[2:] != judge.preprocess.size:
            tensors = F.interpolate(tensors, judge.preprocess.size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
        with torch.no_grad():
            rows = judge(judge.checked(tensors)).float()
            rows = judge.answer.log_probabilities(rows) if judge.answer is Answer.PROBABILITIES else rows
            parts.append(rows.cpu().numpy())
    return np.concatenate(parts)


def _plain(name: str) -> str:
    return " ".join(name.split(",")[0].replace("_", " ").lower().split())
