"""The other files of runs side by side: tables, films, pages, the options."""

from __future__ import annotations

from interp.proof.gap import SAME, Gap
from interp.proof.pair import Pair, absent
from interp.proof.verdict import Item, Verdict
from interp.runs.manifest import ARRAYS, CONFIG, MANIFEST, METRICS, Manifest

# Compared by what is in them.
_ELSEWHERE = (ARRAYS, METRICS, MANIFEST)


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
    if name == CONFIG and pair.options:
        return Item(name, Verdict.WITHIN, None, f"other options, as asked for: {'; '.join(pair.options)}")
    if name == CONFIG:
        return Item(name, Verdict.DIFFERENT, None, f"other options: {words}")
    if pair.telling:
        return Item(name, Verdict.WITHIN, None, f"not judged: derived, and made with {'; '.join(pair.telling)}")
    return pair.item(name, Gap(False, None, words))


def same_bytes(pair: Pair, name: str) -> bool:
    """Whether the file is the same in both runs but for the hashes that name its run and its commit, which it may hold."""
    try:
        first, second = (pair.recorded / name).read_bytes(), (pair.repeated / name).read_bytes()
    except OSError:
        return False
    return _blanked(first, pair.first) == _blanked(second, pair.second)


def _blanked(data: bytes, manifest: Manifest) -> bytes:
    data = data.replace(manifest.identity.encode("ascii"), b"identity")
    return data if manifest.commit is None else data.replace(manifest.commit.hash.encode("ascii"), b"commit")
