"""Does anything grow while reports are made for hours? Memory, open files, threads, hooks, processes and files left, after each round.

One process makes small reports of four networks again and again: by the command line, which loads each network anew and
writes a run, and by the library on networks that are kept. Each round is one line of the log, written at once, so that it can be
stopped at any moment. Run: python benchmarks/soak.py --minutes 60 --log soak.jsonl; a log is judged again by --judge soak.jsonl
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OWN = """
from torch import nn

classes = ["one", "two", "three"]
preprocess = {"size": (64, 64), "resize": 64}


def net():
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))
"""
NETWORKS = ("embedded", "resnet18", "timm/test_vit", "net.py:net")
SMALL = ("--steps", "2", "--dpi", "40", "--formats", "png")
# The first rounds fill caches: of torch, of matplotlib, of the allocator.
WARM_SHARE, WARM_LEAST = 0.2, 3
# Growth of resident memory, from the first third of the rounds that count to the last, that is taken for noise.
NOISE = 0.02


@dataclass(frozen=True)
class Round:
    """What was there after one round; None where the system does not tell. ``resident`` in MiB, ``minutes`` since the start."""

    number: int
    minutes: float
    resident: float | None
    files: int | None
    threads: int | None
    children: int | None
    hooks: int
    modules: int
    left: int

    def row(self) -> str:
        values = [f"{v:.1f}" if isinstance(v, float) else "-" if v is None else str(v) for v in asdict(self).values()]
        return " ".join(value.rjust(max(len(name), 8)) for name, value in zip(asdict(self), values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--log", type=Path, default=Path("soak.jsonl"))
    parser.add_argument("--judge", type=Path, metavar="LOG", help="make nothing; judge a log")
    asked = parser.parse_args()
    if asked.judge is None:
        soak(asked.minutes, asked.log)
    rounds = [Round(**json.loads(line)) for line in (asked.judge or asked.log).read_text(encoding="utf-8").splitlines()]
    print("\n".join(verdict(rounds)))


def soak(minutes: float, log: Path) -> None:
    """Rounds until ``minutes`` are over or Ctrl-C; each is appended to ``log``, which must not exist yet."""
    print(" ".join(name.rjust(max(len(name), 8)) for name in Round.__dataclass_fields__), flush=True)
    started = time.monotonic()
    with log.open("x", encoding="utf-8") as file, _temporary() as folder, contextlib.suppress(KeyboardInterrupt):
        kept = _kept(folder)
        for number in range(1, 1_000_000):
            _round(folder, kept)
            found = _measured(number, (time.monotonic() - started) / 60, kept, folder)
            file.write(json.dumps(asdict(found)) + "\n")
            file.flush()
            print(found.row(), flush=True)
            if found.minutes >= minutes:
                break


@contextlib.contextmanager
def _temporary() -> Any:
    """A folder in which all temporary files of this process lie meanwhile, so that those left can be counted."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        (folder / "temporary").mkdir()
        (folder / "net.py").write_text(OWN, encoding="utf-8")
        before, tempfile.tempdir = tempfile.tempdir, str(folder / "temporary")
        os.environ["TMPDIR"] = tempfile.tempdir
        try:
            yield folder
        finally:
            tempfile.tempdir = before


def _named(folder: Path) -> list[str]:
    return [str(folder / name) if name.startswith("net.py") else name for name in NETWORKS]


def _kept(folder: Path) -> list[Any]:
    """The networks on which the library works, loaded once."""
    import interp

    return [interp.load(name, random_weights=name != "embedded") for name in _named(folder)]


def _round(folder: Path, kept: Sequence[Any]) -> None:
    """A report of each network by the command line, and one by the library."""
    from interp.cli import run
    from interp.featurevis import AscentConfig
    from interp.images import load
    from interp.report.features import FLOAT32
    from interp.report.whole import Settings, report

    for name in _named(folder):
        untrained = [] if name == "embedded" else ["--random-weights"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            code = run(["report", name, "cat", *SMALL, *untrained, "--out", str(folder / "run")])
        if code:
            raise SystemExit(f"the report of {name} ended with {code}: {said.getvalue()}")
        shutil.rmtree(folder / "run")
    for model in kept:
        size = (64, 64) if min(model.preprocess.size) == 64 else model.preprocess.size
        ascent = AscentConfig(steps=2, size=size, precision=FLOAT32)
        report(model, load(["cat"]), Settings(ascent=ascent, depth=3, per_layer=1))


def _measured(number: int, minutes: float, kept: Sequence[Any], folder: Path) -> Round:
    from torch import nn

    gc.collect()
    # Not isinstance: that would ask objects that answer with a warning.
    modules = sum(issubclass(type(thing), nn.Module) for thing in gc.get_objects())
    left = sum(1 for _ in folder.rglob("*")) - len(("temporary", "net.py"))
    return Round(
        number,
        minutes,
        _told(lambda: int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20),
        _told(lambda: len(os.listdir("/proc/self/fd"))),
        _told(lambda: len(os.listdir("/proc/self/task"))) or threading.active_count(),
        _told(lambda: sum(len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children"))),
        sum(hooks_of(model.module) for model in kept) + _global_hooks(),
        modules,
        left,
    )


def hooks_of(module: Any) -> int:
    """Hooks of every kind on a module and all inside it."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")
    return sum(len(getattr(m, kind, ())) for m in module.modules() for kind in kinds)


def _global_hooks() -> int:
    from torch.nn.modules import module

    return sum(len(value) for name, value in vars(module).items() if name.startswith("_global_") and name.endswith("hooks"))


def _told(ask: Callable[[], Any]) -> Any:
    """What the system tells; None where it does not."""
    try:
        return ask()
    except (OSError, ValueError, AttributeError):
        return None


def verdict(rounds: Sequence[Round]) -> list[str]:
    """One line for each thing counted, over the rounds behind the warm-up: flat, or how much it grew."""
    counted = rounds[max(WARM_LEAST, int(WARM_SHARE * len(rounds))) :]
    if len(counted) < 6:
        return [f"{len(rounds)} rounds are too few to judge: {WARM_LEAST} warm up, and at least 6 must follow"]
    lines = [f"{len(rounds)} rounds in {rounds[-1].minutes:.0f} minutes, judged from round {counted[0].number} on"]
    told: Mapping[str, list[float]] = {
        name: [float(v) for r in counted if (v := getattr(r, name)) is not None]
        for name in ("resident", "files", "threads", "children", "hooks", "modules", "left")
    }
    return lines + [f"{name}: {_judged(name, values)}" for name, values in told.items()]


def _judged(name: str, values: Sequence[float]) -> str:
    if not values:
        return "the system does not tell"
    third = max(1, len(values) // 3)
    first, last = statistics.median(values[:third]), statistics.median(values[-third:])
    slope = statistics.linear_regression(range(len(values)), values).slope
    flat = last <= first * (1 + NOISE) if name == "resident" else last <= first
    medians = f"{first:.1f} to {last:.1f} (medians of the first and last third)"
    what = f"{medians}, {min(values):.1f} to {max(values):.1f} in all, {slope:+.3f} a round"
    return f"{'flat' if flat else 'GROWS'}: {what}"


if __name__ == "__main__":
    sys.exit(main())
