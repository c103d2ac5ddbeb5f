"""A gallery of runs as one Markdown file, for reading on a code host: the same manifests give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from interp.runs.words import size_of, time_taken
from interp.site.cards import Card
from interp.site.gallery import groups, summary
from interp.site.markdown import block, code, text

MARK = "<!-- Written by `interp gallery --readme` from the manifests below this folder: do not edit. -->"
"""The first line: what begins with it may be replaced by a newer one."""

# Figures that are listed below the main one.
_MOST = 8


def render_readme(cards: Sequence[Card], folder: str, left_out: Sequence[str] = ()) -> str:
    """The file; ``folder`` is how it is called from where commands are typed, ``left_out`` says of what is not in it why."""
    ordered = [card for group in groups(cards) for card in group.cards]
    anchors = _anchors(ordered)
    parts = [MARK, "# Results", _intro(ordered, folder), _contents(ordered, anchors)]
    parts += [_run(card, anchor, _heading(card, ordered)) for card, anchor in zip(ordered, anchors, strict=True)]
    if left_out:
        parts.append("## Left out\n\n" + "\n".join(f"- {text(line)}" for line in left_out))
    return "\n\n".join(parts) + "\n"


def _intro(cards: Sequence[Card], folder: str) -> str:
    return "\n\n".join(
        [
            "Each run answers one question. Its folder holds figures, the arrays behind them, a page (`index.html`) and a manifest that "
            "names all that went in and the SHA-256 of all that came out. One command makes every run again from its manifest and "
            "compares:",
            block(f"uv run interp verify {folder}", "console"),
            "*Identical*: every array, number and file came out the same, bit for bit. *Within tolerance*: on another machine, no further "
            "off than the run declares. `interp whence FIGURE` finds the run of a lone figure.",
            text(summary(cards)),
        ]
    )


def _contents(cards: Sequence[Card], anchors: Sequence[str]) -> str:
    rows = ["| run | question | time | verified |", "|---|---|--:|---|"]
    for card, anchor in zip(cards, anchors, strict=True):
        time = time_taken(card.manifest.seconds)
        rows.append(f"| [{text(card.folder)}](#{anchor}) | {text(card.question)} | {time} | {text(card.status.proved.value)} |")
    return "\n".join(rows)


def _run(card: Card, anchor: str, heading: str) -> str:
    parts = [f'<a id="{anchor}"></a>', f"## {heading}"]
    if card.title:
        parts.append(f"**{text(card.title)}**")
    if card.figures:
        main = card.figures[0]
        parts += [f"![{text(main.alt)}]({main.href})", text(main.caption)]
    parts += [text(paragraph) for paragraph in card.paragraphs]
    others = [f"- [{text(figure.stem)}]({figure.href}): {text(figure.caption or figure.alt)}" for figure in card.figures[1 : _MOST + 1]]
    more = len(card.figures) - 1 - len(others)
    parts.append("\n".join(others + ([f"- and {more} more figures"] if more > 0 else [])))
    parts.append(block(_command(card), "console"))
    parts.append(_facts(card))
    return "\n\n".join(part for part in parts if part)


def _facts(card: Card) -> str:
    manifest = card.manifest
    files = f"{size_of(card.run.size)} in {len(manifest.files)} files: {code(card.folder)}"
    facts = [
        ("verified", text(str(card.status))),
        ("model", code(card.model)),
        ("time", f"{time_taken(manifest.seconds)} on {text(card.machine)}"),
    ]
    facts += [("files", files), ("identity", code(manifest.identity))]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts if value)])


def _command(card: Card) -> str:
    return f"uv run {card.command}" if card.manifest.command[:1] in (("interp",), ("python",)) else card.command


def _heading(card: Card, cards: Sequence[Card]) -> str:
    """The question; with the folder's name where several runs ask it."""
    alone = sum(other.question == card.question for other in cards) == 1
    return text(card.question) if alone else f"{text(card.question)} ({text(card.folder)})"


def _anchors(cards: Sequence[Card]) -> list[str]:
    """A name of each run's place in the file, of letters that need no quoting."""
    found: list[str] = []
    for card in cards:
        name = re.sub(r"[^a-z0-9_]+", "-", card.folder.lower()).strip("-") or "run"
        known = {taken for taken in found if taken == name or re.fullmatch(rf"{re.escape(name)}-\d+", taken)}
        found.append(f"{name}-{len(known) + 1}" if known else name)
    return found
