"""``Answers``: the table of all addresses that there are. No part of an address ever names a file."""

from __future__ import annotations

import re
import secrets
import threading

from interp.errors import InterpError
from interp.figures import Kind, Scale
from interp.films.recorded import picture
from interp.report.live import drawing, telling
from interp.report.live.following import Follower
from interp.report.live.scales import Step
from interp.report.live.server import Answer
from interp.site.live import documents

_PICTURE = re.compile(
    r"/picture/(?P<identity>[0-9a-f]{12})/(?P<view>\d{1,4})/(?P<record>\d{6,20}(?:-\d{1,6})?)/(?P<scale>[sp]-?\d{1,3})\.png", re.ASCII
)
_PROBE = re.compile(r"/probe/(?P<identity>[0-9a-f]{12})/(?P<probe>\d{1,4})\.png", re.ASCII)
_JSON, _PNG = "application/json", "image/png"


class Answers:
    """What is served: the page, and what it asks for of the recording that is followed."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._instance = secrets.token_hex(4)
        self._drawing = threading.Lock()
        bars = {"signed": Scale(-1, 1, Kind.DIVERGING), "positive": Scale(0, 1, Kind.POSITIVE)}
        self._fixed = {f"/scale/{name}.png": Answer(drawing.png(drawing.bar(scale)), _PNG, keeps=True) for name, scale in bars.items()}
        self._fixed |= {address: Answer(one.text.encode(), one.kind) for address, one in documents().items()}

    def __call__(self, address: str) -> Answer | None:
        """The answer at an address; None where there is none. BadFile where a record that is asked for is damaged."""
        if address in self._fixed:
            return self._fixed[address]
        if address == "/state.json":
            return Answer(telling.state(self._follower, self._instance).encode(), _JSON)
        if address == "/records.json":
            return Answer(telling.records(self._follower.seen, self._instance).encode(), _JSON)
        if address == "/numbers.json":
            return Answer(telling.numbers(self._follower).encode(), _JSON)
        if match := _PICTURE.fullmatch(address):
            return self._picture(match["identity"], int(match["view"]), match["record"], match["scale"])
        if match := _PROBE.fullmatch(address):
            return self._probe(match["identity"], int(match["probe"]))
        return None

    def _picture(self, identity: str, number: int, stem: str, token: str) -> Answer | None:
        seen = self._follower.seen
        try:
            step = Step.parse(token)
        except InterpError:
            return None
        arrays = self._follower.arrays(identity, stem)
        if arrays is None or identity != seen.identity or number >= len(seen.views) or seen.views[number].array not in arrays:
            return None
        view = seen.views[number]
        # One at a time: the cores belong to the training.
        with self._drawing:
            return Answer(drawing.png(view.draw(arrays[view.array], step.scale)), _PNG, keeps=True)

    def _probe(self, identity: str, number: int) -> Answer | None:
        seen = self._follower.seen
        if identity != seen.identity or seen.photos is None or number >= len(seen.photos):
            return None
        return Answer(drawing.png(drawing.photograph(picture(seen.photos[number]))), _PNG, keeps=True)
