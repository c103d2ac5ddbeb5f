"""Labelled pictures in memory, from a folder of class folders or from Parquet files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from interp.decoding import SUFFIXES, opened
from interp.errors import BadFile


@dataclass(frozen=True, eq=False)
class Labelled:
    """``images``: uint8 (N, 3, side, side); ``labels``: (N,) from 0; ``classes``: their names, "" where not known."""

    images: UInt8[Tensor, "n 3 h w"]
    labels: Int[Tensor, " n"]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def read(sources: Sequence[Path], side: int) -> Labelled:
    """All pictures of ``sources``, each cut to its central square and resized to ``side`` px.

    A source is a folder with one folder of pictures per class (classes in sorted order), or a Parquet file with the
    columns ``image`` (encoded bytes, or a struct with ``bytes``) and ``label`` (integers), and ``name`` if there is one.
    Raises BadFile where a source is neither or holds nothing.
    """
    images: list[np.ndarray] = []
    labels: list[int] = []
    names: dict[int, str] = {}
    for source in sources:
        if source.is_dir():
            _folder(source, side, images, labels, names)
        elif source.suffix == ".parquet" and source.is_file():
            _parquet(source, side, images, labels, names)
        else:
            raise BadFile(f"'{source}' is neither a folder of class folders nor a Parquet file")
    if not images:
        raise BadFile(f"no labelled picture in {', '.join(map(str, sources))}: a folder needs one folder of pictures per class")
    classes = tuple(names.get(k, "") for k in range(max(labels) + 1))
    return Labelled(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels), classes)


def _folder(source: Path, side: int, images: list[np.ndarray], labels: list[int], names: dict[int, str]) -> None:
    for index, folder in enumerate(sorted(p for p in source.iterdir() if p.is_dir())):
        names[index] = folder.name
        for file in sorted(folder.rglob("*")):
            if file.suffix.lower() in SUFFIXES:
                images.append(_square(file.read_bytes(), side, str(file)))
                labels.append(index)


def _parquet(source: Path, side: int, images: list[np.ndarray], labels: list[int], names: dict[int, str]) -> None:
    import pyarrow.parquet as pq
    from pyarrow.lib import ArrowException

    try:
        table = pq.read_table(source)
    except (ArrowException, OSError) as error:
        raise BadFile(f"the Parquet file '{source}' cannot be read: {str(error).splitlines()[0]}") from None
    missing = {"image", "label"} - set(table.column_names)
    if missing:
        raise BadFile(f"the Parquet file '{source}' has no column {' and '.join(sorted(missing))}; it has {', '.join(table.column_names)}")
    for number, (image, label) in enumerate(zip(table["image"].to_pylist(), table["label"].to_pylist(), strict=True)):
        data: Any = image["bytes"] if isinstance(image, dict) else image
        images.append(_square(data, side, f"{source}, row {number}"))
        labels.append(int(label))
    if "name" in table.column_names:
        names.update(zip(map(int, table["label"].to_pylist()), map(str, table["name"].to_pylist()), strict=True))


def _square(data: bytes, side: int, where: str) -> np.ndarray:
    with opened(io.BytesIO(data), f"the picture in '{where}'") as found:
        image = found.convert("RGB")
    return np.asarray(image if image.size == (side, side) else ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS))
