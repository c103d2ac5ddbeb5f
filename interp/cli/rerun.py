"""``interp rerun``: a run made again with other options, as a new run that names the one it came from."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from interp.errors import InterpError, UnknownName, Unsupported, nearest

if TYPE_CHECKING:
    from interp.cli.settings import Setting
    from interp.runs import InputEntry, Manifest, Program


@dataclass(frozen=True)
class Rerun:
    """Make a run again with other options: a new run, which names the one it came from.

    It is made by the same command or script, in the current folder, from the same inputs.
    """

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="its folder, or what begins only its name or identity")]
    changes: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(name="set", metavar="NAME=VALUE ...")] = ()
    """Options to change, by their names in the run's config.yaml: steps=512, saving.dpi=200, images=cat,coffee, 'layers=[stem, fc]'."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of the new run; must not exist yet. Default: a new one in results/."""

    def run(self) -> None:
        from interp.cli.rerun_code import refuse_code
        from interp.cli.settings import changed, settings
        from interp.runs import Manifest
        from interp.runs.configfile import to_yaml
        from interp.runs.listing import locate
        from interp.runs.place import refuse
        from interp.runs.program import words

        manifest = Manifest.read(locate(str(self.folder)))
        kind, script = _program(manifest.program)
        asked = settings([word for given in self.changes for word in given], manifest.config, manifest.program.name)
        options = changed(manifest.config, asked, kind)
        check_inputs(manifest, asked)
        refuse_code(options, [setting.place for setting in asked], _still_read(manifest, asked))
        if self.out is not None:
            refuse(self.out)
        derived = to_yaml(manifest.experiment, _derived(options, manifest.identity))
        try:
            with tempfile.TemporaryDirectory(prefix="interp-", ignore_cleanup_errors=True) as temporary:
                file = Path(temporary) / "config.yaml"
                file.write_bytes(derived)
                code = _made(words(manifest.program, file, self.out, script))
        except OSError as error:
            raise InterpError(f"the run cannot be started: {error.strerror or error}") from None
        if code:
            sys.exit(code)


def _program(program: Program) -> tuple[type[Any] | None, Path | None]:
    """The options of the command, or the file of the script, that ``program`` says; InterpError where it is not here."""
    from interp.cli import makes_run
    from interp.cli.commands import COMMANDS
    from interp.cli.rerun_code import script_for

    if program.kind == "command":
        kinds = {name: kind for name, kind in COMMANDS.items() if makes_run(kind)}
        if program.name not in kinds:
            raise UnknownName(f"the run was made by `interp {program.name}`, which this interp has not: {nearest(program.name, kinds)}")
        return kinds[program.name], None
    return None, script_for(program)


def check_inputs(manifest: Manifest, asked: Sequence[Setting] = ()) -> None:
    """Raise InterpError where an input of the run is not in the current folder as it was, and no option says another."""
    from interp.runs.differing import short
    from interp.runs.entries import file_hash

    for item in _still_read(manifest, asked):
        place = next(iter(_naming(manifest, item)), None)
        remedy = f"put it back, or give another with --set {place}=..." if place else "put it back"
        try:
            digest = file_hash(Path(item.path))[0]
        except OSError as error:
            raise InterpError(f"the {item.role.value} `{item.path}` of the run cannot be read: {error.strerror}; {remedy}") from None
        if digest != item.sha256:
            seen = f"SHA-256 {short(digest)}, {short(item.sha256)} was read"
            raise InterpError(f"the {item.role.value} `{item.path}` of the run has changed: {seen}; {remedy}")


def _still_read(manifest: Manifest, asked: Sequence[Setting]) -> list[InputEntry]:
    """The inputs with a path, without those that only options name which are set to something else now."""
    set_now = {setting.place for setting in asked}
    paths = [item for item in manifest.inputs if item.path]
    return [item for item in paths if not (naming := _naming(manifest, item)) or not set_now.issuperset(naming)]


def _naming(manifest: Manifest, item: InputEntry) -> list[str]:
    """The options that lead to the input."""
    from interp.cli.settings import leaves

    return [place for place, value in leaves(manifest.config) if _names(value, item)]


def _names(value: object, item: InputEntry) -> bool:
    """Whether the value of an option leads to the input: its path, a folder above it, or a function in it."""
    if isinstance(value, list):
        return any(_names(inner, item) for inner in value)
    if not isinstance(value, str) or not value:
        return False
    file = value.rpartition(":")[0] or value
    return any(item.path == Path(name).as_posix() or Path(name) in Path(item.path).parents for name in (value, file) if name != ".")


def _derived(options: Mapping[str, object], parent: str) -> dict[str, object]:
    """The options with ``parent`` in what says how the run is saved; Unsupported where nothing does."""
    from interp.runs.program import with_saving

    derived = with_saving(options, parent=parent)
    if derived is None:
        raise Unsupported(
            "the run has no options of saving (`saving: Saving`), so a new one cannot name it: start its script with --config"
        )
    return derived


def _made(words: Sequence[str]) -> int:
    """The exit code of the process that ``words`` start, on this terminal. What stops this process stops that one, once."""
    started: list[subprocess.Popen[bytes]] = []

    def end(number: int, frame: FrameType | None) -> None:
        for child in started:
            child.terminate()

    # Ctrl-C reaches both: the other process tells it and cleans up, and must not be told twice while it does.
    with _handling({signal.SIGINT: lambda number, frame: None, signal.SIGTERM: end}):
        started.append(subprocess.Popen(words))
        code = started[0].wait()
    if code < 0:
        raise InterpError(f"the run was ended by {signal.Signals(-code).name}; nothing was left half-written")
    return code


@contextlib.contextmanager
def _handling(handlers: Mapping[signal.Signals, Any]) -> Iterator[None]:
    """Signals go to ``handlers`` meanwhile; in a thread other than the main one, where they cannot, to whom they went."""
    before: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
