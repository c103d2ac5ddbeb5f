"""The command line: parse, call, save; progress bars live here. Torch is loaded only once there is work to do."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from interp.errors import InterpError

Config = TypeVar("Config")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``interp``. Ends the process with 0, or with 2 and one line on stderr for what cannot be done."""
    _stop_when_terminated()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """As ``main``, but returns the exit code: 0, 2 for bad input, 130 where interrupted."""
    return _guarded(lambda: _parse(arguments).run())


def experiment(config: type[Config], work: Callable[[Config], None]) -> None:
    """Entry point of a script: its frozen ``config`` becomes its command line, and errors are told as ``main`` tells them."""
    import tyro

    _stop_when_terminated()
    sys.exit(_guarded(lambda: work(tyro.cli(config, description=sys.modules[config.__module__].__doc__))))


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


def _parse(arguments: Sequence[str]):  # type: ignore[no-untyped-def]
    import tyro

    import interp
    from interp.cli.commands import COMMANDS

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.extras.subcommand_cli_from_dict(
                COMMANDS, args=list(arguments) or ["--help"], prog="interp", description=interp.__doc__
            )
    except SystemExit as leaving:
        if leaving.code in (0, None):
            raise
        raise InterpError(_one_line(said.getvalue())) from None


def _one_line(text: str) -> str:
    """tyro's boxed message as one sentence: what it says, and the options it found nearest."""
    lines = [re.sub(r"[\u2500-\u257f]+", " ", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("For full helptext")]
    body = lines[1:] if len(lines) > 1 else lines
    said = list(itertools.takewhile(lambda line: not line.startswith(("Perhaps you meant", "Similar arguments")), body))
    near = [line.split()[0] for line in body[len(said) :] if line.startswith("--")]
    message = " ".join(said)
    if near:
        message += f": did you mean {' or '.join(dict.fromkeys(near[:3]))}?"
    return f"{message}; `interp --help` lists the commands, `interp COMMAND --help` their options"


def _complain(message: str) -> None:
    line = " ".join(message.split())
    sys.stderr.write(f"interp: {line}\n")
