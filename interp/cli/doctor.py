"""``interp doctor``: what interp finds on this machine, and whether each mission works here; the text for a bug report."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from interp.cli.options import Flag

if TYPE_CHECKING:
    from rich.console import Console

_NAMES = 14


@dataclass(frozen=True)
class Doctor:
    """Tell versions, devices, folders and weights, and test each mission with one equation; the text for a bug report.

    The exit code is 1 where a test fails. No name of a user or a host is told; the home folder is ~.
    """

    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """What is tested: cpu, cuda, cuda:N, mps or auto."""
    text: Flag = False
    """Plain text without colours, as where the output is no terminal."""

    def run(self) -> None:
        from interp.cli.selftests import self_tests
        from interp.cli.surroundings import private, surroundings

        place = self.place()
        console = _console(self.text)
        for section in surroundings():
            _title(console, section.title)
            for name, value in section.rows:
                _row(console, name, value)
        _title(console, f"self-tests on {place}")
        failed = 0
        for outcome in self_tests(place):
            failed += not outcome.passed
            said = f"OK, {outcome.equation}" if outcome.passed else f"FAILS ({outcome.equation}): {private(outcome.reason)}"
            _row(console, outcome.name, f"{said} ({outcome.seconds:.1f} s)", "green" if outcome.passed else "bold red")
        console.print()
        console.print("all self-tests pass" if not failed else f"{failed} of the self-tests fail", style="bold")
        if failed:
            sys.exit(1)

    def place(self) -> str:
        """The device to test; raises UnknownName where there is none of that name. As typed where torch itself cannot be loaded."""
        try:
            from interp.zoo.device import device
        except (ImportError, OSError):
            return self.device
        return str(device(self.device))


def _console(text: bool) -> Console:
    from rich.console import Console

    return Console(no_color=text or None, force_terminal=False if text else None, highlight=False, markup=False, soft_wrap=True)


def _title(console: Console, title: str) -> None:
    console.print(f"\n{title}", style="bold")


def _row(console: Console, name: str, value: str, style: str = "") -> None:
    from rich.text import Text

    console.print(Text.assemble(f"  {name:<{_NAMES}} ", (value, style)))
