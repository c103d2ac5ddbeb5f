"""The other files of runs side by side: tables, films, pages, the options."""

from __future__ import annotations

from interp.proof.blank import blanked
from interp.proof.gap import SAME, Gap
from interp.proof.pair import Pair, absent
from interp.proof.tables import table_gap
from interp.proof.verdict import Item, Verdict
from interp.runs.differing import NOTHING, differing, written_config
from interp.runs.manifest import ARRAYS, CONFIG, MANIFEST, METRICS
from interp.runs.tolerance import Tolerance

# Compared by what is in them.
_ELSEWHERE = (ARRAYS, METRICS, MANIFEST)
# It names commit and versions, and is made of the rest, which is compared.
_PAGE = "index.html"


def file_items(pair: Pair) -> list[Item]:
    """Of each file but those of figures, the arrays and the metrics."""
    names = {*pair.first.files, *pair.second.files} - {*_ELSEWHERE}
    return [_item(pair, name) for name in sorted(names) if not name.startswith("figures/")]


def _item(pair: Pair, name: str) -> Item:
    one, other = pair.first.files.get(name), pair.second.files.get(name)
    if one is None or other is None:
        return absent(name, None if one is None else f"a file of {one.bytes} bytes")
    if one == other or same_bytes(pair, name):
        return pair.item(name, SAME)
    words = f"other bytes ({other.bytes}, {one.bytes} were recorded)"
    if name == CONFIG:
        return _options(pair, words)
    if name == _PAGE and pair.telling:
        return Item(name, Verdict.WITHIN, None, f"not judged: derived, and made with {'; '.join(pair.telling)}")
    if not pair.why:
        return pair.item(name, Gap(False, None, words))
    if name.endswith(".csv"):
        return pair.judged(name, _table(pair, name), default=Tolerance.DERIVED)
    return Item(name, Verdict.WITHIN, None, f"not judged: derived, and made with {'; '.join(pair.why)}")


def _table(pair: Pair, name: str) -> Gap:
    try:
        first, second = ((folder / name).read_bytes().decode() for folder in (pair.recorded, pair.repeated))
    except (OSError, UnicodeDecodeError) as error:
        return Gap(False, None, f"cannot be read: {error}")
    return table_gap(first, second, pair.tolerance(name, Tolerance.DERIVED))


def _options(pair: Pair, words: str) -> Item:
    """Options that only the repeated run has were added since, with a default that does what was done without them."""
    first, second = written_config(pair.recorded), written_config(pair.repeated)
    if first is None or second is None:
        return Item(CONFIG, Verdict.DIFFERENT, None, f"other options: {words}")
    parted = list(differing(first, second, "config"))
    others = [f"`{name}` {one}, not {other}" for name, one, other in parted if one != NOTHING]
    unmeant = [text for text in others if text not in pair.options]
    if unmeant or not parted:
        return Item(CONFIG, Verdict.DIFFERENT, None, f"other options: {'; '.join(unmeant) or words}")
    added = [f"`{name}` {other} was added since" for name, one, other in parted if one == NOTHING]
    asked = [f"other options, as asked for: {'; '.join(others)}"] if others else []
    return Item(CONFIG, Verdict.WITHIN, None, "; ".join([*asked, *added]))


def same_bytes(pair: Pair, name: str, figure: str = "") -> bool:
    """Whether the file is the same in both runs but for what names its run and its commit; of a ``figure`` with its stamp."""
    try:
        first, second = (pair.recorded / name).read_bytes(), (pair.repeated / name).read_bytes()
    except OSError:
        return False
    return blanked(first, pair.first, figure) == blanked(second, pair.second, figure)
