"""The other files of runs side by side: tables, films, pages, the options."""

from __future__ import annotations

from collections.abc import Mapping

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
    """Options that only the repeated run has were added since: at their defaults they do what was done without them."""
    first, second = written_config(pair.recorded), written_config(pair.repeated)
    if first is None or second is None:
        return Item(CONFIG, Verdict.DIFFERENT, None, f"other options: {words}")
    parted = list(differing(first, second, "config"))
    if not parted:
        return Item(CONFIG, Verdict.DIFFERENT, None, f"other options: {words}")
    others = [f"`{name}` {one}, not {other}" for name, one, other in parted if one != NOTHING]
    added = {name: other for name, one, other in parted if one == NOTHING}
    set_now = {} if pair.completed is None else _set(pair.completed, second, added)
    unmeant = [*(text for text in others if text not in pair.options), *set_now.values()]
    if unmeant:
        return Item(CONFIG, Verdict.DIFFERENT, None, f"other options: {'; '.join(unmeant)}")
    note = _added(added, "at their defaults" if pair.completed is not None else "not judged: their defaults are not known")
    if others:
        return Item(CONFIG, Verdict.WITHIN, None, "; ".join([f"other options, as asked for: {'; '.join(others)}", *note]))
    return Item(CONFIG, Verdict.WITHIN if pair.completed is None else Verdict.IDENTICAL, None, *note)


def _set(completed: Mapping[str, object], repeated: Mapping[str, object], added: Mapping[str, str]) -> dict[str, str]:
    """What is said of each of the ``added`` options that does not stand as it does in ``completed``, the recorded ones with defaults."""
    parted = {name: one for name, one, _ in differing(completed, repeated, "config")}
    return {
        name: f"`{name}` {value} was added since"
        + (f", with {parted[name]} as its default" if parted.get(name, NOTHING) != NOTHING else "")
        for name, value in added.items()
        if any(found == name or found.startswith((f"{name}.", f"{name}[")) for found in parted)
    }


def _added(added: Mapping[str, str], how: str) -> list[str]:
    """One note on all of them, or none."""
    if not added:
        return []
    name, value = next(iter(added.items()))
    more = f" and {len(added) - 1} more" if len(added) > 1 else ""
    return [f"options added since, {how}: `{name}` {value}{more}"]


def same_bytes(pair: Pair, name: str, figure: str = "") -> bool:
    """Whether the file is the same in both runs but for what names its run and its commit; of a ``figure`` with its stamp."""
    try:
        first, second = (pair.recorded / name).read_bytes(), (pair.repeated / name).read_bytes()
    except OSError:
        return False
    return blanked(first, pair.first, figure) == blanked(second, pair.second, figure)
