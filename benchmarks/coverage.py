"""Which network can be looked into how? Every torchvision classifier and many timm families, by every mission at three depths.

With random weights (seed 0), each network in a process of its own, with a time limit, so that a crash or a want of memory
ends one row and not the table. What is found is appended to a JSON-lines file, and what stands there is not asked again:

    python benchmarks/coverage.py coverage.jsonl                                   # all; goes on where it was stopped
    python benchmarks/coverage.py coverage.jsonl --models 'timm/*vit*'             # some
    python benchmarks/coverage.py coverage.jsonl --models resnet18 --again         # anew, after a change
    python benchmarks/coverage.py coverage.jsonl --table docs/coverage.md          # writes the table, and asks nothing

``--parts alignment --again`` repeats the test of where maps lie alone. See `coverage_alignment` for what it is.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from coverage_alignment import tested
from coverage_missions import missions
from coverage_models import references
from coverage_table import write

from interp import zoo
from interp.core.model import Model
from interp.errors import InterpError

PARTS = ("missions", "alignment")
# Seconds for one network, after which its process is ended and it is said to be too slow.
LIMIT = 3600
Record = dict[str, Any]


def main() -> None:
    options = _options()
    path = Path(options.records)
    if options.table:
        write(list(records(path).values()), Path(options.table))
        return
    torch.set_num_threads(1)
    for reference in references(options.models):
        known = {} if options.again else records(path)
        wanted = [part for part in options.parts if (reference, part) not in known]
        for record in in_a_process(reference, wanted, options.limit) if wanted else ():
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            print(
                f"{reference:36s} {record['part']:10s} {record['seconds']:7.1f} s  {record['megabytes']:6d} MB  {summary(record)}",
                flush=True,
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("records", help="JSON-lines file")
    parser.add_argument("--models", nargs="+", default=["*"], help="globs over references; a file of references after @")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--again", action="store_true", help="ask even what is in the file; the latest record counts")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for each network")
    parser.add_argument("--table", help="Markdown file to write the table to")
    return parser.parse_args()


def records(path: Path) -> dict[tuple[str, str], Record]:
    """What is in the file, by (reference, part); of several the latest. A half-written last line is passed over."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[record["reference"], record["part"]] = record
    return found


def in_a_process(reference: str, parts: Sequence[str], limit: float) -> Iterator[Record]:
    """The records of one network, made by a child, which shares what is imported here."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender, reference, parts))
    left, start = list(parts), time.perf_counter()
    child.start()
    sender.close()
    why = ""
    while left and not why:
        try:
            if receiver.poll(max(0.0, start + limit - time.perf_counter())):
                record = receiver.recv()
                left.remove(record["part"])
                yield record
            else:
                why = f"not finished within {limit:.0f} s"
        except EOFError:
            child.join()
            why = f"the process ended by itself, exit code {child.exitcode}"
    child.kill()
    child.join()
    for part in left:
        yield {"reference": reference, "part": part, "failed": why, "megabytes": 0, "seconds": round(time.perf_counter() - start, 1)}


def _child(sender: Connection, reference: str, parts: Sequence[str]) -> None:
    torch.set_num_threads(1)
    model: Model | None = None
    for part in parts:
        start = time.perf_counter()
        if part == "missions":
            found, model = missions(reference)
        else:
            found = _alignment(reference, model)
        spent = {"seconds": round(time.perf_counter() - start, 1), "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
        sender.send({"reference": reference, "part": part, **found, **spent, "versions": _versions()})
    os._exit(0)


def _alignment(reference: str, model: Model | None) -> Record:
    try:
        return tested(model or zoo.load(reference, random_weights=True))
    except InterpError as error:
        return {"refused": str(error)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in ("torch", "torchvision", "timm")}}


def summary(record: Record) -> str:
    """One record in a line, for the log."""
    if "failed" in record or "refused" in record:
        return str(record.get("failed") or record.get("refused"))
    if record["part"] == "alignment":
        bad = ", ".join(f"{a['layer']} {a['layout']} {a['score']:.1f} {a['margin']:.2f}" for a in record["astray"][:4])
        return f"{record['aligned']} aligned, {record['silent'] or 'none'} silent, {len(record['astray'])} astray {bad}"
    cells = record["cells"].items()
    return "; ".join(f"{m} {c['worked']}/{c['asked']}" + "".join(f" DEFECT {d}" for d in c["defects"]) for m, c in cells)


if __name__ == "__main__":
    main()
