"""A recorded run and the same made again: what they are, and why they may differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from interp.proof.gap import SAME, Gap
from interp.proof.verdict import Item, Verdict
from interp.runs.machine import differences
from interp.runs.manifest import Manifest
from interp.runs.tolerance import DEFAULT, Tolerance, stricter, tolerance_of
from interp.runs.words import commit_name

# What draws: other versions of these draw other pixels from the same spec.
_DRAWING = ("matplotlib", "pillow")
_SHOULD = "within the tolerance of another machine, but this one should repeat it"


@dataclass(frozen=True)
class Pair:
    """Folders and manifests of both; what a manifest says of its files is taken at its word (`runs.verify` checks it).

    ``completed`` are the recorded options with the defaults of those that the program has got since; None where these are not known.
    """

    recorded: Path
    repeated: Path
    first: Manifest
    second: Manifest
    options: tuple[str, ...] = ()
    completed: Mapping[str, object] | None = None

    @classmethod
    def of(cls, recorded: Path, repeated: Path, options: tuple[str, ...] = (), completed: Mapping[str, object] | None = None) -> Pair:
        return cls(recorded, repeated, Manifest.read(recorded), Manifest.read(repeated), options, completed)

    @property
    def why(self) -> tuple[str, ...]:
        """Why bits of arrays may differ; () where they must not."""
        return (*differences(self.first.machine, self.second.machine, self.first.versions, self.second.versions), *self.options)

    @property
    def drawing(self) -> tuple[str, ...]:
        """Why the same spec may be drawn differently."""
        return self._versions(_DRAWING)

    @property
    def commit(self) -> str:
        """``commit 1234567, not 89abcde``, the recorded one first; "" where both are the same."""
        one, other = self.first.commit, self.second.commit
        return "" if one == other else f"commit {commit_name(one)}, not {commit_name(other)}"

    @property
    def telling(self) -> tuple[str, ...]:
        """Why what tells of a run, such as its page, may differ."""
        names = sorted({*self.first.versions, *self.second.versions})
        return tuple(dict.fromkeys((*self.why, *self._versions(names), *([self.commit] if self.commit else []))))

    def tolerance(self, name: str, default: Tolerance = DEFAULT) -> Tolerance:
        """The stricter of what both declare: no run is judged by its own word alone, and the repeated one's is of the code of now."""
        return stricter(*self._declared(name, default))

    def judged(self, name: str, gap: Gap, excuse: tuple[str, ...] = (), default: Tolerance = DEFAULT) -> Item:
        """As `item`; where the two declare other tolerances of ``name``, it is said."""
        one, other = self._declared(name, default)
        if gap is SAME or one is other:
            return self.item(name, gap, excuse)
        words = f"{one.value} was declared, {other.value} is now: the stricter holds"
        return self.item(name, replace(gap, detail=f"{gap.detail}; {words}"), excuse)

    def item(self, name: str, gap: Gap, excuse: tuple[str, ...] = ()) -> Item:
        """What is said of ``name``: where neither the machine nor ``excuse`` is a reason, every difference is one."""
        if gap is SAME:
            return Item(name, Verdict.IDENTICAL)
        if self.why or excuse:
            return Item(name, Verdict.WITHIN if gap.holds else Verdict.DIFFERENT, gap.share, gap.detail)
        said = [gap.detail, *([_SHOULD] if gap.holds else []), *([self.commit] if self.commit else [])]
        return Item(name, Verdict.DIFFERENT, gap.share, "; ".join(said))

    def _declared(self, name: str, default: Tolerance) -> tuple[Tolerance, Tolerance]:
        return tolerance_of(name, self.first.tolerances, default), tolerance_of(name, self.second.tolerances, default)

    def _versions(self, names: tuple[str, ...] | list[str]) -> tuple[str, ...]:
        one, other = self.first.versions, self.second.versions
        return tuple(f"{k} {one.get(k, 'absent')}, not {other.get(k, 'absent')}" for k in names if one.get(k) != other.get(k))


def absent(name: str, recorded: str | None) -> Item:
    """Of what is in one run only: ``recorded`` says what it was, None where it is new."""
    return Item(name, Verdict.DIFFERENT, None, "new: it was not recorded" if recorded is None else f"missing: {recorded} was recorded")
