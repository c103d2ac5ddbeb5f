"""Pictures on disk in every form that is read."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Png = Callable[[int], bytes]


@pytest.fixture
def png() -> Png:
    def make(seed: int) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (9, 11, 3), dtype=np.uint8)
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, "PNG")
        return data.getvalue()

    return make


@pytest.fixture
def tree(tmp_path: Path, png: Png) -> Path:
    """Two classes, a picture in a deeper folder, hidden and other files."""
    root = tmp_path / "tree"
    for number, name in enumerate(("cat/b.png", "cat/a.png", "dog/far/c.PNG", "dog/.hidden.png", ".git/x.png", "cat/notes.txt")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(number))
    return root


@pytest.fixture
def tar() -> Callable[[Path, dict[str, bytes]], Path]:
    def make(path: Path, members: dict[str, bytes]) -> Path:
        with tarfile.open(path, "w") as file:
            for name, data in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                file.addfile(member, io.BytesIO(data))
        return path

    return make
