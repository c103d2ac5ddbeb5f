"""In which order checkpoints follow one another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from interp.errors import InterpError
from interp.films.timeline import MOST_MOMENTS


class Order(Enum):
    """How checkpoints follow one another: by the number in their names where that is all that tells them apart, else as given."""

    AUTO = "auto"
    GIVEN = "given"
    NUMBER = "number"


@dataclass(frozen=True)
class Row:
    """Checkpoints in order: their ``steps``, which are the numbers in their names where ``numbered``, else 0, 1, 2, ..."""

    paths: tuple[Path, ...]
    steps: tuple[int, ...]
    numbered: bool


def row(paths: Sequence[Path], order: Order = Order.AUTO) -> Row:
    """The checkpoints in order.

    Raises InterpError where there are fewer than two, more than `MOST_MOMENTS`, one twice, or no number tells them apart though one is to.
    """
    if len(paths) < 2:
        raise InterpError(f"{len(paths) or 'no'} checkpoint{'s' * (len(paths) != 1)}: give two or more, in the order of the training")
    if len(paths) > MOST_MOMENTS:
        raise InterpError(f"{len(paths)} checkpoints are too many to look at side by side: give {MOST_MOMENTS} at most")
    twice = next((path for path in paths if list(paths).count(path) > 1), None)
    if twice is not None:
        raise InterpError(f"the checkpoint `{twice}` is given twice: give each once")
    numbers = _numbers([path.stem for path in paths])
    if order is Order.NUMBER and numbers is None:
        raise InterpError(
            f"--order number: one number alone must tell the names of the checkpoints apart, as in net_10.pt and net_20.pt, "
            f"and `{paths[0].name}` and `{paths[1].name}` are not so; --order given takes them as they are given"
        )
    if order is Order.GIVEN or numbers is None:
        return Row(tuple(paths), tuple(range(len(paths))), numbered=False)
    pairs = sorted(zip(numbers, paths, strict=True))
    return Row(tuple(path for _, path in pairs), tuple(number for number, _ in pairs), numbered=True)


def _numbers(stems: Sequence[str]) -> list[int] | None:
    """The one number by which the names differ; None where there is none such, or one occurs twice."""
    parts = [re.split(r"(\d+)", stem) for stem in stems]
    if len({len(part) for part in parts}) > 1:
        return None
    differing = [place for place in range(len(parts[0])) if len({part[place] for part in parts}) > 1]
    if len(differing) != 1 or differing[0] % 2 == 0:
        return None
    found = [int(part[differing[0]]) for part in parts]
    return found if len(set(found)) == len(found) else None
