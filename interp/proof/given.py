"""What went into two runs: they are two makings of one only where that is the same."""

from __future__ import annotations

from interp.proof.gap import Gap
from interp.proof.pair import Pair
from interp.proof.verdict import Item, Verdict
from interp.runs.differing import short
from interp.runs.manifest import MANIFEST, Manifest
from interp.runs.tolerance import Tolerance


def given_items(pair: Pair) -> list[Item]:
    """Of seed, weights and inputs that are not the recorded ones, as ``manifest.json/WHAT``; options are in their own file.

    Weights that were trained within the run are its outcome: it declares them as such. Another text of the program is no other
    result, as another commit is none: it is said of the whole (see `interp.proof.proof`).
    """
    first, second = _given(pair.first), _given(pair.second)
    found = []
    for what in sorted(first.keys() | second.keys()):
        one, other = first.get(what, "nothing"), second.get(what, "nothing")
        name, words = f"{MANIFEST}/{what}", f"{other}, {one} was recorded"
        if one == other:
            continue
        if pair.tolerance(name) is Tolerance.TOLD:
            found.append(pair.judged(name, Gap(True, None, f"{words}; not judged")))
        else:
            found.append(Item(name, Verdict.DIFFERENT, None, words))
    return found


def _given(manifest: Manifest) -> dict[str, str]:
    found = {f"inputs/{item.path or item.name}": f"SHA-256 {short(item.sha256)}" for item in manifest.inputs}
    found |= {"experiment": manifest.experiment, "seed": str(manifest.seed)}
    if manifest.model is not None:
        found["weights"] = f"SHA-256 {short(manifest.model.weights_sha256)}"
    return found
