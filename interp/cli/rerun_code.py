"""Which code ``interp rerun`` may start: the user's own as it was recorded, or what comes with interp; never what lies in a run.

A run may come from someone else: its manifest names a script, and its options may name a file of Python.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from interp.errors import BadFile, InterpError
from interp.runs import InputEntry, Program, Role
from interp.runs.entries import file_hash
from interp.runs.manifest import MANIFEST
from interp.runs.program import checkout, script_of

# Scripts in here come with interp: they go with its source, which may have changed since.
_EXPERIMENTS = "experiments/"
_RUNNABLE = (".py", ".pyc", ".so", ".pyd")
# As networks of the user's own are named.
_OWN = re.compile(r"(?P<path>.+\.py)(?::.*)?", re.DOTALL)


def script_for(program: Program) -> Path:
    """The file of the script ``program``: as it was recorded, or one of interp's own; InterpError for any other."""
    folders = (checkout(), Path.cwd())
    script_of(program, folders)
    there = [folder / program.name for folder in folders if (folder / program.name).is_file()]
    if program.name.startswith(_EXPERIMENTS) and there[0] == checkout() / program.name and (checkout() / "pyproject.toml").is_file():
        refuse_in_run(there[0], program.name)
        if _hash(there[0], program.name) != program.sha256:
            sys.stderr.write(f"interp: note: `{program.name}` is not as it was when the run was made\n")
        return there[0]
    script = next((file for file in there if _hash(file, program.name) == program.sha256), None)
    if script is None:
        seen = f"SHA-256 {_hash(there[0], program.name)[:12]}..., {program.sha256[:12]}... was run"
        raise InterpError(f"the script `{program.name}` has changed: {seen}; put it back, or start it yourself with --config")
    refuse_in_run(script, program.name)
    return script


def refuse_code(options: Mapping[str, object], chosen: Sequence[str], inputs: Sequence[InputEntry]) -> None:
    """InterpError where one of the ``inputs`` is code in a run, or the ``options`` name code in one, or code that no input is.

    What the ``chosen`` options name was typed now, and need not be recorded. That the inputs are as they were is not asked here.
    """
    from interp.cli.settings import leaves

    code = [item for item in inputs if item.role is Role.CODE or item.name.endswith(_RUNNABLE)]
    for item in code:
        if item.path and os.path.lexists(item.path):
            refuse_in_run(Path(item.path), item.path)
    known = {item.sha256 for item in code}
    for place, value in leaves(options):
        for text in _texts(value):
            named = _OWN.fullmatch(text.strip())
            if named is None or not Path(named["path"]).is_file():
                continue
            refuse_in_run(Path(named["path"]), named["path"])
            if place not in chosen and _hash(Path(named["path"]), named["path"]) not in known:
                raise InterpError(
                    f"`{place}` names the code `{named['path']}`, which the run did not record: give it with --set {place}=..."
                )


def refuse_in_run(file: Path, name: str) -> None:
    """InterpError for code that lies in or below a folder with a manifest: it came with a run, from whomever."""
    above = next((folder for folder in file.resolve().parents if os.path.lexists(folder / MANIFEST)), None)
    if above is not None:
        raise InterpError(f"the code `{name}` lies in the folder of a run (`{above.name}` has a {MANIFEST}): nothing in there is run")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _hash(file: Path, name: str) -> str:
    try:
        return file_hash(file)[0]
    except OSError as error:
        raise BadFile(f"the code `{name}` of the run cannot be read: {error.strerror}") from None
