"""The end of a build: every file hashed, and the manifest that says how the site came about, written last."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from interp.activations import stream
from interp.core.machine import machine
from interp.core.model import Model
from interp.datasets import DataSet
from interp.errors import BadFile
from interp.runs import About as Told
from interp.runs import InputEntry, Manifest, ModelEntry
from interp.runs.configfile import to_yaml
from interp.runs.entries import FileEntry, Program, file_hash, reference
from interp.runs.manifest import CONFIG, MANIFEST
from interp.runs.origin import source_commit, versions
from interp.runs.partial import write_whole
from interp.runs.plain import config_entry, portable
from interp.runs.verify import walk

EXPERIMENT = "microscope"
# Files of data that the manifest lists one by one; of more the table of images has the hashes, and the manifest that of the table.
_LISTED = 2000


@dataclass(frozen=True)
class About:
    """What was asked for: the ``program``, its frozen ``config``, the ``command`` line that gives it, the ``seed``."""

    program: Program
    config: object
    command: tuple[str, ...]
    seed: int

    def provenance(self, model: Model, data: DataSet, scan: stream.Scan) -> tuple[tuple[str, str], ...]:
        """Lines for the pages; nothing in them changes from one making to the next."""
        skipped = f", {len(scan.skipped)} skipped" if scan.skipped else ""
        lines = {
            "Command": " ".join(map(portable, self.command)),
            "Network": f"{model.spec.reference} ({model.spec.weights})" if model.spec.weights else model.spec.reference,
            **dict(model.spec.notes),
            "Data": f"{data.title}, {len(scan.sources)} pictures{skipped}",
            "Pass": scan.key,
            "Seed": str(self.seed),
        }
        return tuple((name, text) for name, text in lines.items() if text)


def finish(site: Path, about: About, model: Model, scan: stream.Scan, data: DataSet, seconds: float) -> tuple[int, int]:
    """Write ``config.yaml`` and, last, ``manifest.json``; gives the number of files, and their bytes in all."""
    config = config_entry(about.config)
    write_whole(site / CONFIG, to_yaml(EXPERIMENT, config))
    names = sorted(name for name in walk(site) if name != MANIFEST)
    with ThreadPoolExecutor(4) as pool:
        files = {name: FileEntry(*found) for name, found in zip(names, pool.map(lambda name: file_hash(site / name), names), strict=True)}
    told = Told(f"The units of {model.spec.reference}", "What does every unit of the network look for?", _lead(model, scan))
    manifest = Manifest(
        experiment=EXPERIMENT,
        program=about.program,
        command=tuple(portable(word) for word in about.command),
        config=config,
        seed=about.seed,
        model=_model(model),
        inputs=tuple(dict.fromkeys((*model.spec.files, *_pictures(data, scan)))),
        versions=versions(),
        machine=machine(model.device),
        commit=source_commit(),
        parent=None,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        tolerances={},
        arrays={},
        figures={},
        files=files,
        about=told,
    )
    text = manifest.to_json().encode("ascii")
    write_whole(site / MANIFEST, text)
    return len(files) + 1, sum(entry.bytes for entry in files.values()) + len(text)


def _lead(model: Model, scan: stream.Scan) -> str:
    return f"Every unit of {len(scan.layers)} layers of {model.spec.reference}, over {len(scan.sources)} pictures."


def _model(model: Model) -> ModelEntry:
    count = sum(p.numel() for p in model.module.parameters())
    return ModelEntry(portable(model.spec.reference), portable(model.spec.weights), model.spec.sha256, count)


def _pictures(data: DataSet, scan: stream.Scan) -> Sequence[InputEntry]:
    """The files of the data; () where there are too many, or none."""
    files = data.files()
    if len(files) > _LISTED:
        return ()
    known = {source.name: source.sha256 for source in scan.sources}
    entries = []
    for path, below in files:
        try:
            digest = known.get(below)
            size = path.stat().st_size
            entries.append(InputEntry.of(path) if digest is None else InputEntry(path.name, digest, size, reference(path)))
        except (OSError, BadFile):
            continue
    return entries
