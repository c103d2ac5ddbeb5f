"""A gallery of runs as one HTML page: a card for each, by experiment; everything in it is from manifests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from interp.runs.words import size_of, time_taken
from interp.site.cards import Card, Proved, Shown
from interp.site.pages import Fact, Page, Picture, Section, manifest_facts, render
from interp.site.templating import fill

MARK = '<meta name="generator" content="interp gallery">'
"""Stands in every page of a gallery: what has it may be replaced by a newer one."""


@dataclass(frozen=True)
class Group:
    """The runs of one experiment; ``anchor`` is its place in the page."""

    experiment: str
    anchor: str
    cards: tuple[Card, ...]


def groups(cards: Sequence[Card]) -> tuple[Group, ...]:
    """``cards`` by experiment, in alphabetical order, within it by folder."""
    by_name = sorted(cards, key=lambda card: (card.manifest.experiment, card.folder))
    parted = [(name, tuple(group)) for name, group in groupby(by_name, key=lambda card: card.manifest.experiment)]
    return tuple(Group(name, f"experiment-{number}", own) for number, (name, own) in enumerate(parted, start=1))


def render_gallery(cards: Sequence[Card], left_out: Sequence[str] = ()) -> str:
    """The page; ``left_out`` says of each folder that is not on it why."""
    parts = groups(cards)
    return fill(
        "gallery.html",
        ("page.css", "gallery.css"),
        groups=parts,
        summary=summary(cards),
        left_out=tuple(left_out),
        time=time_taken,
        size=size_of,
    )


def render_run(card: Card, home: str) -> str:
    """The page of one run from its manifest alone, for a gallery that lies elsewhere: paths are relative to the run's folder.

    ``home`` is the way back to the gallery.
    """
    manifest = card.manifest
    pictures = tuple(Picture(_below(card, figure), figure.alt, figure.caption) for figure in card.figures)
    facts = (Fact("Verified", str(card.status)), Fact("Time", time_taken(manifest.seconds)), *manifest_facts(manifest))
    facts = (*facts, Fact("Identity", manifest.identity))
    lead = "\n\n".join(card.paragraphs)
    sections = (Section("Figures", "", pictures), Section("How this was made", "", (), facts))
    page = Page(card.question, lead, (), sections, (), "Made by interp gallery, from the run's manifest.")
    return render(page, home=home, generator="interp gallery")


def summary(cards: Sequence[Card]) -> str:
    """How many runs there are, how many are proved, and how large they are."""
    counts = [(sum(card.status.proved is proved for card in cards), proved.value) for proved in Proved]
    told = ", ".join(f"{count} {words}" for count, words in counts if count)
    runs = "1 run" if len(cards) == 1 else f"{len(cards)} runs"
    return f"{runs}: {told}. {size_of(sum(card.run.size for card in cards))} in all."


def _below(card: Card, figure: Shown) -> str:
    return figure.file.removeprefix(f"{card.folder}/")
