"""Two runs of one config, the second changed as a test asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from interp.proof.compare import compare
from interp.proof.verdict import Compared, Item
from interp.runs import CommitEntry, FigureEntry, InputEntry, Machine, Manifest, ModelEntry, Program, Run, Tolerance

HERE = Machine("Linux x86_64", "a processor (6/85/4)", "AVX2")
THERE = replace(HERE, processor="another processor")
MODEL = ModelEntry("tiny", "trained", "a" * 64, 10)
SPEC, OTHER_SPEC = "1" * 64, "2" * 64


@dataclass(frozen=True)
class Config:
    steps: int = 8


@dataclass(frozen=True)
class Made:
    """What a run is to hold; ``figures``: stem -> (hash of the spec, files by suffix, where an array is drawn as PNG with its stamp)."""

    arrays: Mapping[str, np.ndarray]
    metrics: Mapping[str, object]
    figures: Mapping[str, tuple[str, Mapping[str, bytes | np.ndarray]]]
    files: Mapping[str, bytes]
    config: Config = Config()
    seed: int = 0
    machine: Machine = HERE
    model: ModelEntry = MODEL
    inputs: tuple[InputEntry, ...] = (InputEntry("cat.png", "c" * 64, 3),)
    tolerances: Mapping[str, Tolerance] | None = None
    versions: Mapping[str, str] | None = None
    commit: CommitEntry | None = None


def nothing(**given: object) -> Made:
    """A run with what is ``given``, else empty."""
    return replace(Made({}, {}, {}, {}), **given)  # type: ignore[arg-type]


def write(folder: Path, made: Made) -> Path:
    """The run on disk; files may hold IDENTITY and COMMIT, which stand for those of its run."""
    told = made.versions or {"torch": "2.0", "matplotlib": "3.9", "tyro": "1"}
    with patch("interp.runs.run.source_commit", return_value=made.commit), patch("interp.runs.run.versions", return_value=dict(told)):
        run = Run.create(
            folder,
            experiment="tour",
            program=Program("command", "tour"),
            config=made.config,
            seed=made.seed,
            machine=made.machine,
            model=made.model,
            inputs=made.inputs,
        )
    with run:
        run.tolerances(made.tolerances or {})
        run.arrays(made.arrays)
        run.metrics(made.metrics)
        marks = {b"IDENTITY": run.identity.encode(), b"COMMIT": made.commit.hash.encode() if made.commit else b""}
        for stem, (spec, files) in made.figures.items():
            run.figure(stem, FigureEntry(spec))
            for suffix, data in files.items():
                run.write(f"figures/{stem}.{suffix}", png(data, run.identity) if isinstance(data, np.ndarray) else _marked(data, marks))
        for path, data in made.files.items():
            run.write(path, _marked(data, marks))
    return folder


def both(folder: Path, first: Made, second: Made, completed: Mapping[str, object] | None = None) -> Compared:
    """The second declares the tolerances of the first where it says nothing of them."""
    if second.tolerances is None:
        second = replace(second, tolerances=first.tolerances)
    return compare(write(folder / "recorded", first), write(folder / "repeated", second), completed=completed)


def one(found: Compared, name: str) -> Item:
    (item,) = [item for item in found.items if item.name == name]
    return item


def identity(folder: Path) -> str:
    return Manifest.read(folder).identity


def png(pixels: np.ndarray, text: str = "") -> bytes:
    """With ``text`` in a chunk, as figures hold their run's."""
    info = PngInfo()
    info.add_text("interp", text)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "png", pnginfo=info)
    return file.getvalue()


def _marked(data: bytes, marks: Mapping[bytes, bytes]) -> bytes:
    for mark, value in marks.items():
        data = data.replace(mark, value)
    return data
