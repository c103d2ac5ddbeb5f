"""A network and pictures so small that a whole microscope of them takes a second or two; run as a script, one that can be killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NET = """
from collections import OrderedDict

from torch import nn

classes = ["ant", "bee", "cat"]
preprocess = {"size": (16, 16), "resize": 16, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


def net():
    parts = [
        ("one", nn.Conv2d(3, 6, 3, padding=1)), ("relu", nn.ReLU()), ("two", nn.Conv2d(6, 5, 3, stride=2, padding=1)),
        ("up", nn.ReLU()), ("pool", nn.AdaptiveAvgPool2d(1)), ("flat", nn.Flatten()), ("fc", nn.Linear(5, 3)),
    ]
    return nn.Sequential(OrderedDict(parts))
"""
LAYERS = ("one", "two", "fc")
UNITS = 14


@dataclass(frozen=True)
class Config:
    """What the manifest records."""

    steps: int = 2


def write_inputs(folder: Path, pictures: int = 12) -> None:
    """``net.py``, and in ``pictures`` two classes of noise and one file that is no picture."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(NET, encoding="utf-8")
    draw = np.random.default_rng(0)
    for k in range(pictures):
        path = folder / "pictures" / ("even" if k % 2 == 0 else "odd") / f"{k:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        pixels[..., 0] = 255 * (k % 2)
        Image.fromarray(pixels).save(path)
    (folder / "pictures" / "odd" / "broken.png").write_bytes(b"no picture")


def building(folder: Path, site: Path, seed: int = 0, **changes: Any) -> Any:
    """The `Building` of the small network; ``changes`` are those of its options, or ``layers`` by name, or ``config``."""
    from interp.microscope import About, Building, Data, Options, Recipe
    from interp.runs.entries import Program

    layers, config = tuple(changes.pop("layers", LAYERS)), changes.pop("config", Config())
    recipe = Recipe(f"{folder / 'net.py'}:net", seed=seed, random_weights=seed > 0)
    model = recipe.load()
    told = About(Program("command", "microscope"), config, ("interp", "microscope", "net.py:net"), 0)
    options = replace(Options(steps=2, top=3, bottom=1, maps=2, links=3, chunk=4), **changes)
    return Building(model, replace(recipe, sha256=model.spec.sha256), Data(str(folder / "pictures")), site, layers, options, told)


def contents(site: Path) -> dict[str, bytes]:
    """Every file of a site; of the manifest what does not tell of times."""
    found = {path.relative_to(site).as_posix(): path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()}
    told = json.loads(found["manifest.json"])
    found["manifest.json"] = json.dumps({key: value for key, value in told.items() if key not in ("created", "seconds")}).encode()
    return found


def _killed_at(stage: str, last_words: Callable[[], None]) -> None:
    """Let this process be killed in the middle of a stage: behind a checkpoint of the pass, in a step, at a page, or as the disk fills."""
    import errno

    from interp.activations import stream
    from interp.featurevis.ascent import Ascent
    from interp.microscope import building as module
    from interp.microscope import store
    from interp.site.microscope import pages

    # A checkpoint behind every batch, of which there are several.
    module.ScanConfig = lambda **given: stream.ScanConfig(**(given | {"batch": 4, "batches": 1}))  # type: ignore[assignment,misc]
    calls = {"pass": 0, "optimization": 0, "pages": 0}

    def counted(name: str, last: int, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            calls[name] += 1
            if calls[name] == last and stage == name:
                last_words()
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*given, **named)

        return call

    # The third picture of the second batch; the second step of the second chunk; the fourth page.
    from interp.datasets.folder import Folder

    Folder.photo = counted("pass", 11, Folder.photo)  # type: ignore[method-assign]
    Ascent.step = counted("optimization", 4, Ascent.step)  # type: ignore[method-assign]
    pages.unit_page = counted("pages", 4, pages.unit_page)
    if stage == "disk":
        writes = 0
        write = store.save_arrays

        def full(*given: Any) -> None:
            nonlocal writes
            writes += 1
            if writes > 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(*given)

        store.save_arrays = full


def work(folder: Path, site: Path, stage: str, said: Path) -> None:
    """Build the site, killed in ``stage`` ("none": not at all). Writes how many pictures were read and steps taken, and the error."""
    from interp.datasets.folder import Folder
    from interp.errors import InterpError
    from interp.featurevis.ascent import Ascent
    from interp.microscope import build
    from interp.parallel import Here

    counts: dict[str, Any] = {"photos": 0, "steps": 0, "error": ""}
    _killed_at(stage, lambda: _write(said, counts))
    photo, step = Folder.photo, Ascent.step

    def photos(self: Folder, index: int) -> Any:
        counts["photos"] += 1
        return photo(self, index)

    def steps(self: Ascent) -> None:
        counts["steps"] += 1
        step(self)

    Folder.photo, Ascent.step = photos, steps  # type: ignore[method-assign]
    try:
        build(building(folder, site), Here())
    except InterpError as error:
        counts["error"] = str(error)
    _write(said, counts)


def _write(said: Path, counts: dict[str, Any]) -> None:
    said.write_text(json.dumps(counts))


def main(folder: Path, jobs: list[str]) -> None:
    """Each job (SITE:STAGE) in a process of its own, one after the other. Prints for each how it ended, and what `work` gave."""
    import torch

    import interp.microscope  # noqa: F401 - loaded once for all

    torch.set_num_threads(1)
    found = []
    for job in jobs:
        name, _, stage = job.partition(":")
        said = folder / f"{name}-{stage}.json"
        child = os.fork()
        if child == 0:
            work(folder, folder / name / "site", stage, said)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        found.append({"code": code, **json.loads(said.read_text())})
        said.unlink()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
