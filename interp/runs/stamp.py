"""What a figure says of itself: a short text inside the file, by which a lone copy finds back to its run."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, fields

from interp.errors import BadFile, InterpError
from interp.runs.entries import SHA256
from interp.runs.manifest import Manifest
from interp.runs.reading import JsonObject, read

VERSION = 1
MOST = 1 << 16
"""Characters of a stamp's text at most: no reader takes more."""
_LONGEST = 1000  # characters of the command line; the manifest has the whole


@dataclass(frozen=True)
class Stamp:
    """``identity`` names the run (see `Manifest.identity`), ``figure`` is the stem of its file; the rest is told without the run.

    ``weights`` is the SHA-256 of the model's, ``commit`` that of the source, "" where there is none. There is no time in it, so the
    same run gives the same stamp.
    """

    identity: str
    figure: str
    experiment: str
    command: str
    seed: int
    model: str = ""
    weights: str = ""
    commit: str = ""
    dirty: bool = False

    def __post_init__(self) -> None:
        if not SHA256.fullmatch(self.identity):
            raise InterpError(f"`identity` of a stamp is {self.identity[:80]!r}, not a SHA-256 in lower-case hex")
        for field in fields(self):
            value = getattr(self, field.name)
            # It is shown on terminals, and may come from anyone.
            if isinstance(value, str) and not value.isprintable():
                raise InterpError(f"`{field.name}` of a stamp holds characters that cannot be printed: {value[:80]!r}")

    @classmethod
    def of(cls, manifest: Manifest, figure: str, identity: str | None = None) -> Stamp:
        """That of one figure of the run that ``manifest`` tells of; ``identity`` is the run's, where it is known."""
        model, commit = manifest.model, manifest.commit
        return cls(
            identity or manifest.identity,
            _printable(figure),
            _printable(manifest.experiment),
            _printable(shlex.join(manifest.command)),
            manifest.seed,
            _printable(model.reference) if model else "",
            model.weights_sha256 if model else "",
            commit.hash if commit else "",
            commit.dirty if commit else False,
        )

    def to_text(self) -> str:
        """One line of ASCII JSON, its keys in the order of the alphabet."""
        return json.dumps(asdict(self) | {"interp": VERSION}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str, name: str) -> Stamp:
        """The inverse of `to_text`; a BadFile that begins with ``name`` where it is not sound."""
        if len(text) > MOST:
            raise BadFile(f"{name}: its stamp has {len(text)} characters, {MOST} at most are read")
        return read(text, name, _stamp)


def _stamp(top: JsonObject) -> Stamp:
    if "interp" not in top.rest:
        raise InterpError("it holds JSON, but not a stamp of interp")
    version = top.whole("interp")
    if version != VERSION:
        raise InterpError(f"its stamp is of version {version}; this interp reads version {VERSION}")
    texts = {name: top.text(name) for name in ("identity", "figure", "experiment", "command", "model", "weights", "commit")}
    return Stamp(**texts, seed=top.whole("seed", least=None), dirty=top.truth("dirty"))


def _printable(text: str) -> str:
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 4] + " ..."
    return "".join(letter if letter.isprintable() else " " for letter in cut)
