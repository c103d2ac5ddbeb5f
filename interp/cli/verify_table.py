"""What was found of runs, as a table on the terminal; below it all that does not hold, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from interp.proof.verdict import Verdict
from interp.runs.words import time_taken, visible

if TYPE_CHECKING:
    from interp.proof.proof import Proof
    from interp.proof.verdict import Item

# Things named below the table, of each run at most.
MOST_ITEMS = 12


# Of files that were only hashed: nothing was made again that could be identical.
UNCHANGED = "files unchanged"


def told(verdict: Verdict, files_only: bool = False) -> str:
    """The word for a verdict; another where files were only hashed."""
    return UNCHANGED if files_only and verdict is Verdict.IDENTICAL else verdict.value


def verify_table(proofs: Sequence[Proof], files_only: bool = False) -> None:
    """Print the verdict on each run; then, of each that does not hold, what was changed or came out different."""
    # Nothing in a name is markup; elsewhere than on a terminal lines are not folded to one.
    console = Console(width=None if Console().is_terminal else 160, highlight=False, markup=False, emoji=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    widest = max(len(told(proof.verdict, files_only)) for proof in proofs)
    table.add_column("run", overflow="fold")
    table.add_column("verdict", no_wrap=True, min_width=widest)
    table.add_column("largest difference", overflow="fold")
    table.add_column("reason", overflow="fold")
    for proof in proofs:
        cells = (str(proof.run), told(proof.verdict, files_only), largest(proof), proof.reason)
        table.add_row(*map(visible, cells))
    console.print(table)
    for proof in proofs:
        bad = [] if proof.compared is None else [item for item in proof.compared.items if not item.verdict.holds]
        if bad:
            console.print(visible(f"{proof.run}"), soft_wrap=True)
            for item in bad[:MOST_ITEMS]:
                console.print(visible(f"    {_said(item)}"), soft_wrap=True)
            if len(bad) > MOST_ITEMS:
                console.print(f"    and {len(bad) - MOST_ITEMS} more", soft_wrap=True)
    console.print(_summary(proofs, files_only), soft_wrap=True)


def largest(proof: Proof) -> str:
    """The largest difference that was found, in words; a dash where nothing differs by a number."""
    item = None if proof.compared is None else proof.compared.largest
    return "\u2013" if item is None else _said(item)


def _said(item: Item) -> str:
    return f"{item.name}: {item.detail}" if item.detail else f"{item.name}: {item.verdict.value}"


def _summary(proofs: Sequence[Proof], files_only: bool) -> str:
    counts = {verdict: sum(proof.verdict is verdict for proof in proofs) for verdict in Verdict}
    parts = ", ".join(f"{count} {told(verdict, files_only)}" for verdict, count in counts.items() if count)
    seconds = sum(proof.seconds for proof in proofs)
    return f"{len(proofs)} {'run' if len(proofs) == 1 else 'runs'}: {parts}, in {time_taken(seconds)}"
