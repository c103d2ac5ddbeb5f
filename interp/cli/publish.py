"""From a made product to a finished run folder: shared by the commands and the experiments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp.core.model import Model
    from interp.images import Photo
    from interp.report.product import Product, Tick

Make = Callable[["Model", "list[Photo]", "Tick"], "Product"]


def publish(
    experiment: str,
    config: object,
    load: Callable[[], Model],
    make: Make,
    *,
    reference: str,
    seed: int,
    out: Path | None,
    pictures: Sequence[Photo] = (),
    before: Callable[[], None] | None = None,
) -> Path:
    """Load the model, make the product and write it as one run, all or nothing, with progress; prints where it is.

    ``config`` is the frozen dataclass that the manifest records. The folder is ``out``, or a new one under
    ``results/<experiment>/``. ``before`` is called once it is written, to print what stands before its path. Raises
    InterpError before any work where it cannot be written.
    """
    import torch

    from interp.cli.progress import bars
    from interp.report.product import input_entries, model_entry, write
    from interp.runs import Run, default_folder
    from interp.runs.run import refuse

    folder = out or default_folder(Path("results"), experiment, reference, config, datetime.now())
    refuse(folder)
    model = load()
    run = Run.create(
        folder,
        experiment=experiment,
        config=config,
        seed=seed,
        model=model_entry(model),
        inputs=input_entries(pictures),
        command=[Path(sys.argv[0]).name, *sys.argv[1:]],
        device=str(model.device),
        threads=torch.get_num_threads(),
    )
    with run, bars() as tick:
        write(make(model, list(pictures), tick), run, tick)
    if before is not None:
        before()
    sys.stdout.write(f"{folder / 'index.html'}\n")
    return folder
