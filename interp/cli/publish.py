"""From a made product to a finished run folder: shared by the commands and the experiments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp.cli.options import SaveOptions
    from interp.core.model import Model
    from interp.images import Photo
    from interp.report.product import Product, Tick
    from interp.runs import InputEntry

Make = Callable[["Model", "list[Photo]", "Tick"], "Product"]


def publish(
    experiment: str,
    config: object,
    load: Callable[[], Model],
    make: Make,
    *,
    reference: str,
    seed: int,
    saving: SaveOptions,
    pictures: Sequence[Photo] = (),
    inputs: Iterable[InputEntry] = (),
    before: Callable[[], None] | None = None,
) -> Path:
    """Load the model, make the product and write it as one run, all or nothing, with progress; prints where it is.

    ``config`` is the frozen dataclass that the manifest records, an option of a command or of a script. The folder is
    ``saving.out``, or a new one under ``results/<experiment>/``. ``inputs`` are files that were read beside the ``pictures`` and
    those of the model; they are asked for once the model is loaded. What a script of the user's has imported from beside it until then
    is an input too. The work is done so that it repeats bit for bit, where that
    can be had; what cannot is told on stderr and recorded. ``before`` is called once it is written, to print what stands before its
    path. Raises InterpError before any work where it cannot be written.
    """
    from interp.cli.commandline import command_line
    from interp.cli.progress import bars
    from interp.core.machine import machine
    from interp.core.memory import limited
    from interp.core.repeatable import Repeatable
    from interp.report.notes import with_notes
    from interp.report.product import input_entries, model_entry, write
    from interp.runs import Place, Run, default_folder
    from interp.runs.origin import neighbours_of, program_of

    folder = saving.out or default_folder(Path("results"), experiment, reference, config, datetime.now())
    # The place is taken before the work starts: a second process learns at once that it is. Where nobody named one, it takes the next.
    with Place(folder, or_next=saving.out is None) as place, Repeatable() as repeatable:
        model = load()
        repeatable.on(model.device)
        here = machine(model.device)
        _warn(here.unrepeatable)
        run = Run.create(
            place,
            experiment=experiment,
            program=program_of(config),
            config=config,
            seed=seed,
            machine=here,
            model=model_entry(model),
            inputs=tuple(dict.fromkeys((*input_entries(pictures), *model.spec.files, *inputs, *neighbours_of(config)))),
            command=command_line(config),
            parent=saving.parent,
        )
        with run, bars() as tick, limited(model):
            product = with_notes(make(model, list(pictures), tick), model, pictures)
            run.unrepeatable(repeatable.reasons)
            write(product, run, tick, question_of(config), saving.formats, saving.dpi, saving.webp_quality)
    _warn(repeatable.reasons)
    # At the end, so that what is refused is refused in one line.
    tell(model)
    if before is not None:
        before()
    sys.stdout.write(f"{run.folder / 'index.html'}\n")
    return run.folder


def tell(model: Model) -> None:
    """Write on stderr what no figure may be read without, and what was chosen of the model's weights, input and output."""
    from interp.report.notes import telling, terminal

    for line in (*telling(model), *terminal(model)):
        sys.stderr.write(f"interp: {line}\n")


def _warn(reasons: Sequence[str]) -> None:
    if reasons:
        sys.stderr.write(f"interp: this may come out a little different another time: {'; '.join(reasons)}\n")


def question_of(config: object) -> str:
    """What the program of ``config`` asks: the first paragraph of a script's docstring, of a command's its first line."""
    module = sys.modules[type(config).__module__]
    text = (type(config).__doc__ if module.__name__.startswith("interp.") else module.__doc__) or ""
    return " ".join(text.strip().split("\n\n")[0].split())
