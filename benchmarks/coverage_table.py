"""The records of the matrix as a page: one row for each network, one column for each mission, sentences as numbered notes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coverage_models import references

Record = dict[str, Any]
COLUMNS = ("kernels", "activations", "visualize", "gradcam", "attention")
HEAD = """# Which network can be looked into how

Made by `python benchmarks/coverage.py coverage.jsonl` and `python benchmarks/coverage.py coverage.jsonl --table docs/coverage.md`:
{which} networks of the matrix, which are every torchvision classifier and a small member of each of many timm families
({families} here), with random weights (seed 0), each in a process of its own with one thread, on a shared
x86-64 machine of two slow cores without a GPU. Seconds are elapsed ones while other work ran on the machine: they say
which network costs more, not how much. Python {python}, torch {torch}, torchvision {torchvision},
timm {timm}.

- *layers*: how many fire, and of how many the output is seen as maps, tokens with places, or a vector. Why others have none
  stands below.
- *kernels*, *activations*, *visualize* (2 steps), *gradcam*: at three depths, the first, middle and last of
  `interp.core.depth.spread`, one photograph, the predicted class. `3` is all three; `2 [n]` two, and the sentence n for another.
- *attention*: at up to three layers; `-` where there is no attention. Sentences are those of layers that cannot be followed.
- *places*: layers with maps of 2 x 2 places and more, for which the answer to a bright patch at eight known places was strongest
  at that place, and no symmetry of the picture fits as well (`benchmarks/coverage_alignment.py` says how). *silent*: layers that did
  not answer to the patch at all, of which nothing can be told. *astray*: layers that failed. Pictures are square; resnet18,
  squeezenet1_1, mobilenet_v3_small, shufflenet_v2_x0_5, efficientnet_b0, vgg11_bn and timm's convnext_atto, regnety_002,
  poolformer_s12 and mobileone_s0 were asked on 160 x 256 px too, by `coverage_alignment.of(model, (160, 256))`: all 2682 layers aligned.
- *s*, *MB*: seconds of the missions, and the largest memory of the process.

No exception but interp's own, no number that is not finite and no zero map that does not say so is passed over: they would
stand as **defect**.
"""

KNOWN = """Of GC ViT (`timm/gcvit_xxtiny`) the queries of each second attention are tokens of the whole picture, the same for each window.
What it gives (`ls1`) is therefore in no order of rows and columns, but where one window is the whole map. Older versions of timm (1.0.15)
hand the queries of one image to windows of the others of its batch: there the same layers are refused as not keeping the images apart.
"""


def write(records: Sequence[Record], path: Path) -> None:
    """The page of ``records``; the latest of each network and part."""
    rows: dict[str, dict[str, Record]] = {}
    for record in records:
        rows.setdefault(record["reference"], {})[record["part"]] = record
    notes = Notes()
    ordered = sorted(rows, key=lambda name: (name.startswith("timm/"), name))
    lines = [line(name, rows[name], notes) for name in ordered]
    unknown = dict.fromkeys(("python", "torch", "torchvision", "timm"), "(not recorded)")
    versions = next((r["versions"] for r in reversed(records) if "versions" in r), unknown)
    families = sum(name.startswith("timm/") for name in rows)
    whole = len(references())
    which = f"all {whole}" if len(rows) == whole else f"{len(rows)} of the {whole}"
    head = HEAD.format(which=which, families=families, **versions)
    title = ["| network | layers | " + " | ".join(COLUMNS) + " | places | s | MB |", "|---|---|" + "---|" * (len(COLUMNS) + 3)]
    parts = [head, totals(rows), "", *title, *lines, "", "## What is said where something does not work", "", *notes.lines()]
    parts += ["", "## Why layers have no maps", "", *problems(rows), "", KNOWN]
    path.write_text("\n".join(parts), encoding="utf-8")
    print(totals(rows))


class Notes:
    """Sentences by number, in the order in which they come up."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, sentences: Sequence[str]) -> str:
        """The numbers of sentences, without what differs from network to network: names and shapes."""
        said = dict.fromkeys(general(sentence) for sentence in sentences)
        return " ".join(f"[{self._numbers.setdefault(text, len(self._numbers) + 1)}]" for text in said)

    def lines(self) -> list[str]:
        return [f"{number}. {text}" for text, number in self._numbers.items()] or ["Nothing."]


def general(sentence: str) -> str:
    """A sentence without the names and numbers of one network."""
    sentence = re.sub(r"'[^']*'", "'...'", sentence)
    return re.sub(r"\d+", "N", re.sub(r"\([\d, ]+\)", "(...)", sentence)).replace("|", "\\|")


def line(name: str, parts: dict[str, Record], notes: Notes) -> str:
    """One row."""
    missions, alignment = parts.get("missions", {}), parts.get("alignment", {})
    if "cells" not in missions:
        first = missions.get("failed", "not asked")
        cells = [first, *[""] * len(COLUMNS)]
    else:
        loaded, counts = missions["cells"]["layers"], missions.get("counts")
        cells = [f"{counts['layers']}, {counts['mapped']} seen" if counts else cell(loaded, notes)]
        cells += [cell(missions["cells"][mission], notes) for mission in COLUMNS]
    spent = [str(round(missions.get("seconds", 0))), str(max(missions.get("megabytes", 0), alignment.get("megabytes", 0)))]
    return f"| {name} | " + " | ".join([*cells, where(alignment, notes), *spent]) + " |"


def cell(found: Record, notes: Notes) -> str:
    """One mission: how many layers worked, and the sentences of the others."""
    if not found["asked"]:
        return "-"
    words = [str(found["worked"])]
    if found["refused"]:
        words.append(notes.mark(found["refused"]))
    if found["marks"]:
        words.append(f"({', '.join(found['marks'])})")
    if found["defects"]:
        words.append(f"**defect** {'; '.join(found['defects'])}".replace("|", "\\|"))
    return " ".join(words)


def where(alignment: Record, notes: Notes) -> str:
    """How many layers' maps are where they say."""
    if "aligned" not in alignment:
        said = alignment.get("failed") or alignment.get("refused")
        return "not asked" if said is None else notes.mark([said])
    words = [str(alignment["aligned"])]
    if alignment["silent"]:
        words.append(f"{sum(alignment['silent'].values())} silent")
    if alignment["astray"]:
        words.append(f"**{len(alignment['astray'])} astray**")
    return ", ".join(words)


def totals(rows: dict[str, dict[str, Record]]) -> str:
    """The sums over all networks, in sentences."""
    missions = [parts["missions"] for parts in rows.values() if "cells" in parts.get("missions", {})]
    alignments = [parts["alignment"] for parts in rows.values() if "aligned" in parts.get("alignment", {})]
    words = []
    for mission in ("layers", *COLUMNS):
        cells = [record["cells"][mission] for record in missions]
        worked, asked = sum(c["worked"] for c in cells), sum(c["asked"] for c in cells)
        words.append(f"{mission} {worked} of {asked}")
    defects = sum(len(c["defects"]) for record in missions for c in record["cells"].values())
    aligned, silent = sum(a["aligned"] for a in alignments), sum(sum(a["silent"].values()) for a in alignments)
    astray = sum(len(a["astray"]) for a in alignments)
    unfinished = len(rows) - len(missions)
    return (
        f"Of {len(missions)} networks asked ({unfinished} not finished): {', '.join(words)}; {defects} defects. "
        f"Places, in {len(alignments)} networks: {aligned} layers aligned, {silent} silent, {astray} astray."
    )


def problems(rows: dict[str, dict[str, Record]]) -> list[str]:
    """The reasons why outputs are not seen as maps, with the numbers of layers and networks."""
    layers: Counter[str] = Counter()
    networks: Counter[str] = Counter()
    for parts in rows.values():
        found = {general(text): count for text, count in parts.get("missions", {}).get("problems", {}).items()}
        layers.update(found)
        networks.update(found.keys())
    return [f"- {text}: {count} layers of {networks[text]} networks" for text, count in layers.most_common()] or ["- none"]
