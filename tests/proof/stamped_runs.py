"""Runs with real figures, small ones, stamped as `interp.report.product` stamps them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interp.figures import FORMATS, Grid, ImagePanel, render, spec_hash
from interp.runs import FigureEntry, InputEntry, Machine, ModelEntry, Program, Run
from interp.runs.stamp import Stamp

MODEL = ModelEntry("tiny", "trained", "a" * 64, 10)


@dataclass(frozen=True)
class Config:
    layer: str = "conv1"
    steps: int = 8


def grid(level: float) -> Grid:
    """A figure of about 40 px."""
    return Grid(((ImagePanel(np.linspace(0, level, 27).reshape(3, 3, 3), f"{level}"),),), panel_size=0.5)


def stamped_run(folder: Path, seed: int = 0, formats: tuple[str, ...] = FORMATS, experiment: str = "tour") -> Path:
    """A finished run with the figures ``cat`` and ``dog``; the seed decides its identity and its pixels."""
    run = Run.create(
        folder,
        experiment=experiment,
        program=Program("command", "tour"),
        config=Config(),
        seed=seed,
        machine=Machine("Linux x86_64", "a processor"),
        model=MODEL,
        inputs=[InputEntry.of_bytes("cat.png", b"cat")],
        command=["interp", "tour", "--seed", str(seed)],
    )
    with run:
        run.arrays({"maps": np.arange(4.0) + seed})
        _ = run.identity
        for stem, level in (("cat", 0.5 + seed / 16), ("dog", 1.0 - seed / 16)):
            shown = grid(level)
            run.figure(stem, FigureEntry(spec_hash(shown), f"A {stem}.", f"What a {stem} is."))
            for suffix, data in render(shown, formats, 60, Stamp.of(run.manifest(), stem)).files.items():
                run.write(f"figures/{stem}.{suffix}", data)
    return folder
