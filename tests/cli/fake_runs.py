"""Small finished runs for tests of what lists them: no network is looked at."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from interp.runs import About, FigureEntry, Machine, Manifest, ModelEntry, Program, Run

MACHINE = Machine("Linux x86_64", "AMD EPYC 9V74 80-Core Processor (25/17/1)", "AVX512", threads=2)


@dataclass(frozen=True)
class Saving:
    dpi: int = 120


@dataclass(frozen=True)
class Config:
    steps: int = 128
    images: tuple[str, ...] = ("cat", "coffee")
    target: str | None = None
    whole: bool = False
    rate: float = 0.5
    saving: Saving = field(default_factory=Saving)


def png(color: str = "teal") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), color).save(file, "png")
    return file.getvalue()


def make(
    folder: Path,
    experiment: str = "tour",
    config: object = Config(),
    *,
    about: About = About("A tour", "What is there to see?", "First this.\n\nThen\nthat."),  # noqa: B008 - frozen
    figures: Mapping[str, tuple[str, str]] = {"grid": ("A grid", "What the grid means.")},
    metrics: Mapping[str, object] = {"score": 0.5, "name": "cat"},
    arrays: Mapping[str, list[float]] = {"maps": [1.0, 2.0]},
    model: str | None = "embedded",
    machine: Machine = MACHINE,
    command: tuple[str, ...] = ("interp", "tour", "cat"),
    created: str = "2026-11-20T10:00:00+00:00",
    seconds: float = 12.3,
    parent: str | None = None,
) -> Path:
    """A run in ``folder`` with a PNG for each figure and a page of its own; made at ``created`` in ``seconds``."""
    entry = None if model is None else ModelEntry(model, "version 1", "a" * 64, 10)
    program = Program("command", "tour")
    started = Run.create(
        folder, experiment=experiment, program=program, config=config, seed=3, machine=machine, model=entry, command=command, parent=parent
    )
    with started as run:
        run.about(about)
        run.arrays({name: np.array(values, np.float32) for name, values in arrays.items()})
        run.metrics(metrics)
        for stem, (alt, caption) in figures.items():
            run.figure(stem, FigureEntry("b" * 64, alt, caption))
            run.write(f"figures/{stem}.png", png())
        run.text("index.html", "<!doctype html><title>run</title>")
    manifest = replace(Manifest.read(folder), created=created, seconds=seconds)
    (folder / "manifest.json").write_text(manifest.to_json(), encoding="ascii", newline="\n")
    return folder


def outdated(folder: Path) -> Path:
    """A folder whose manifest is of an older format."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"experiment": "tour", "format": 1}\n', encoding="ascii")
    return folder
