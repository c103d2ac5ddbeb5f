"""The command line: parse, call, save; progress bars live here. Torch is loaded only once there is work to do."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from interp.errors import InterpError, UnknownName, nearest

Config = TypeVar("Config")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``interp``. Ends the process with 0, or with 2 and one line on stderr for what cannot be done."""
    _stop_when_terminated()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """As ``main``, but returns the exit code: 0, 2 for bad input, 130 where interrupted."""
    return _guarded(lambda: _parse(arguments).run())


def experiment(config: type[Config], work: Callable[[Config], None], arguments: Sequence[str] | None = None) -> None:
    """Entry point of a script: its frozen ``config`` becomes its command line, and errors are told as ``main`` tells them.

    With ``--config FILE`` the options are those of a file, over which goes what is typed.
    """
    from interp.cli.configured import Given, parse

    module = sys.modules[config.__module__]
    script = Path(getattr(module, "__file__", None) or sys.argv[0]).name
    given = Given(f"python {script}", "script", script)
    typed = sys.argv[1:] if arguments is None else arguments
    _stop_when_terminated()
    hint = f"`{given.called} --help` lists the options"
    sys.exit(_guarded(lambda: work(parse(config, typed, given, module.__doc__, hint))))


def _stop_when_terminated() -> None:
    """What asks the process to end (a job scheduler, ``timeout``) is taken as Ctrl-C is, so that nothing half-written is left."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # in a thread other than the main one
        signal.signal(signal.SIGTERM, stop)


def _guarded(work: Callable[[], None]) -> int:
    try:
        work()
    except InterpError as error:
        _complain(str(error))
        return 2
    except (MemoryError, RuntimeError) as error:
        # torch says that memory ran out in a RuntimeError, and in words only.
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        _complain("out of memory: choose a smaller --size, fewer units or pictures, or another --device")
        return 2
    except KeyboardInterrupt as stop:
        _complain(str(stop) or "interrupted; nothing was left half-written")
        return 130
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    return 0


def _parse(arguments: Sequence[str]) -> Any:
    """What the words ask for: a command with its options, still to be run."""
    from interp.cli.commands import COMMANDS
    from interp.cli.configured import Given, parse, refuse, refuse_repeated, told

    name = arguments[0] if arguments else ""
    kind = COMMANDS.get(name)
    hint = "`interp --help` lists the commands, `interp COMMAND --help` their options"
    if makes_run(kind):
        return parse(kind, arguments[1:], Given(f"interp {name}", "command", name), kind.__doc__, hint)
    if kind is None and name and not name.startswith("-"):
        near = nearest(name, COMMANDS) or f"there are {', '.join(COMMANDS)}"
        raise UnknownName(f"no command '{name}': {near}; {hint}")
    refuse_repeated(arguments, several=("--set", "--config"))
    if kind is not None or name.startswith("-"):
        refuse(arguments, [name for name, kind in COMMANDS.items() if makes_run(kind)])
    return told(lambda: _choose(arguments), hint)


def makes_run(command: object) -> TypeGuard[type[Any]]:
    """Whether a command is one whose options say how a run is saved."""
    return "saving" in getattr(command, "__dataclass_fields__", ())


def _choose(arguments: Sequence[str]) -> Any:
    import tyro

    import interp
    from interp.cli.commands import COMMANDS
    from interp.cli.runs import spelled

    words = spelled(list(arguments)) or ["--help"]
    return tyro.extras.subcommand_cli_from_dict(COMMANDS, args=words, prog="interp", description=interp.__doc__)


def _complain(message: str) -> None:
    # What a file says may be in it, and a terminal would obey control characters.
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(message.split()))
    sys.stderr.write(f"interp: {line}\n")
