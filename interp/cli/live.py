"""``interp live``: a page in the browser of this machine that follows a training while `interp.watch` records it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from interp.errors import BadFile

if TYPE_CHECKING:
    from interp.report.live.server import Server

PORT = 8765


@dataclass(frozen=True)
class Live:
    """Follow a recorded training on a local page: newest filters, activations, Grad-CAM, units and curves, and a slider into the past.

    It is served to this machine only, and only reads; Ctrl-C ends it. The folder need not be there yet.
    """

    recording: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RECORDING", help="the folder that interp.watch writes into")]
    port: int = PORT
    """Port on 127.0.0.1; 0 for any that is free."""

    def run(self) -> None:
        from interp.report.live.server import Server
        from interp.site.live import POLICY

        if self.recording.exists() and not self.recording.is_dir():
            raise BadFile(f"`{self.recording}` is a file: name the folder that interp.watch writes into")
        with Server(self.port, POLICY) as server:
            try:
                self._serve(server)
            except KeyboardInterrupt:  # which is how it ends
                sys.stderr.write("interp: stopped\n")

    def _serve(self, server: Server) -> None:
        # The port is ours by now, so that what is wrong with it was told before torch was loaded.
        from interp.report.live.answers import Answers
        from interp.report.live.following import Follower

        follower = Follower(self.recording)
        server.table = Answers(follower)
        follower.look()
        if follower.waiting:
            sys.stderr.write(f"interp: {follower.waiting}: the page waits for it\n")
        sys.stdout.write(f"{server.address}\n")
        sys.stdout.flush()
        server.serve_forever(poll_interval=0.2)
