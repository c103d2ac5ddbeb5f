"""Does any input make a parser do something else than read it or refuse it in one line? Valid inputs with changes, and chance.

Every parser of interp that reads what a user types, or a file that may come from anyone. An input fails where it ends in anything but a
value or an InterpError, warns, takes more than the limit of processor time, exceeds the memory, kills the process, or touches a file
outside of its folder, starts a program, or opens a connection. A failing input can be made again: it depends on parser, seed and
number alone. On Linux. Run: python benchmarks/fuzz.py --parser units --count 100000 --seed 0
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

import torch
from fuzzing.seeds import folder_of, generator
from fuzzing.targets import TARGETS
from fuzzing.watch import Limits, Tally, fuzz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parser", nargs="+", choices=[*TARGETS, "all"], default=["all"])
    parser.add_argument("--count", type=int, default=100_000, help="inputs to each parser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0, help="of processor time for one input")
    parser.add_argument("--memory", type=float, default=2.0, help="GiB above what a process begins with")
    parser.add_argument("--show", type=int, help="write the input of this number to stdout, and read it, without limits")
    given = parser.parse_args()
    torch.set_num_threads(1)
    names = list(TARGETS) if "all" in given.parser else given.parser
    if given.show is not None:
        show(names[0], given.seed, given.show)
        return
    failed = 0
    for name in names:
        started = time.monotonic()
        folder = folder_of(name)
        try:
            tally = fuzz(name, given.count, given.seed, folder, Limits(given.seconds, given.memory))
        finally:
            shutil.rmtree(folder)
        failed += tell(name, tally, time.monotonic() - started)
    sys.exit(1 if failed else 0)


def tell(name: str, tally: Tally, seconds: float) -> int:
    """One line, and one for each kind of failure; gives how many inputs failed."""
    outcomes = ", ".join(f"{count} {kind}" for kind, count in tally.outcomes.most_common())
    slowest = f"slowest {tally.slowest * 1000:.0f} ms (input {tally.slowest_input}), grew by {tally.grown} MiB"
    print(f"{name}: {tally.outcomes.total()} inputs in {seconds:.0f} s: {outcomes}; {slowest}", flush=True)
    for kind, (number, words) in tally.failures.items():
        print(f"    first at {number}: {kind} {words}".rstrip(), flush=True)
    return tally.outcomes["failed"]


def show(name: str, seed: int, number: int) -> None:
    target, folder = TARGETS[name](), folder_of(name)
    data = target.make(generator(seed, name, number))
    sys.stdout.buffer.write(data[:2000] + b"\n")
    try:
        target.parse(data, Path(folder))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
