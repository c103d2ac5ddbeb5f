"""What makes a run, found again and written as the words that start it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from interp.errors import BadFile
from interp.runs.entries import Program

# The class of the options of saving, by which they are known under whatever name a script has them.
_SAVING = "SaveOptions"


def words(program: Program, config_file: Path, out: Path | None, script: Path | None = None) -> list[str]:
    """The words of a process that makes a run into ``out`` (None: the default folder) with the options in ``config_file``.

    ``script`` is where the script of ``program`` lies (see `script_of`), None of a command. The paths should be absolute where
    the process starts in another folder.
    """
    # -P: a file of the current folder must not stand in for a module of the same name. A script finds what lies beside it.
    start = ["-P", "-m", "interp", program.name] if script is None else [str(script)]
    return [sys.executable, *start, "--config", str(config_file), *([] if out is None else ["--out", str(out)])]


def script_of(program: Program, folders: Sequence[Path]) -> Path:
    """The file of the script ``program`` below the first of ``folders`` that has it; BadFile where none does."""
    for folder in folders:
        path = folder / program.name
        if path.is_file():
            return path
    looked = " or ".join(f"`{folder}`" for folder in dict.fromkeys(folders))
    raise BadFile(f"the script `{program.name}` that made the run is not in {looked or 'any folder'}: go to the folder it lies below")


def with_saving(options: Mapping[str, object], **values: object) -> dict[str, object] | None:
    """The recorded ``options`` with ``values`` in those that say how the run is saved; None where there are none such."""
    for name, held in options.items():
        if isinstance(held, Mapping) and held.get("class") == _SAVING:
            return {**options, name: {**held, **values}}
    return None


def checkout() -> Path:
    """The folder that holds the package: of a source checkout, its root, with `experiments/`."""
    return Path(__file__).resolve().parent.parent.parent
