"""A server for the browser on this machine: it listens on the loopback interface only, and gives out what a table of addresses holds."""

from __future__ import annotations

import errno
import os
import socket
import socketserver
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from interp.errors import InterpError

HOST = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What the page may be called by. Another name in a request is that of a site that was made to lead here (DNS rebinding)."""
_MOST_PORT = 65535
_NEAR = 50
_PATIENCE = 60.0
"""Seconds after which a connection that says nothing is closed."""


@dataclass(frozen=True)
class Answer:
    """A body and its type; ``keeps``: its address stands for these bytes for ever, so that a browser need not ask again."""

    body: bytes
    kind: str
    keeps: bool = False


Table = Callable[[str], Answer | None]


class Server(ThreadingHTTPServer):
    """Serves on ``port`` (0: any that is free) from when it is made, each connection in a thread that ends with the process.

    ``table`` gives the answer at an address, None where there is none, as anywhere before it is set. ``policy`` is the
    Content-Security-Policy of all answers. Raises InterpError where the port cannot be had.
    """

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # elsewhere it would share the port with another server

    def __init__(self, port: int, policy: str, table: Table = lambda _: None) -> None:
        if not 0 <= port <= _MOST_PORT:
            raise InterpError(f"--port {port}: ports go from 1 to {_MOST_PORT}; give one of them, or 0 for any that is free")
        self.table, self.policy = table, policy
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise InterpError(_refused(port, error)) from None

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}/"

    def server_bind(self) -> None:
        """Without the look-up of this machine's name, which asks the network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.port

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle, or a connection that ends with the server, is no error; anything else is one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            _tell(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE
    server: Server

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # what follows is a body, and no request
        if not self._called_by_name():
            self._refuse(HTTPStatus.FORBIDDEN, f"this page is at {self.server.address} only")
            return
        try:
            answer = self.server.table(self.path)
        except InterpError as error:
            self._refuse(HTTPStatus.NOT_FOUND, str(error))
            return
        except Exception as error:  # the page is told, and asks again
            _tell(error)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "this could not be made; the terminal says why")
            return
        if answer is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing at this address")
            return
        self._send(HTTPStatus.OK, answer, with_body=with_body)

    def _called_by_name(self) -> bool:
        given = self.headers.get_all("Host") or []
        return len(given) == 1 and given[0].strip().lower() in [f"{name}:{self.server.port}" for name in NAMES]

    def _refuse(self, status: HTTPStatus, said: str) -> None:
        self._send(status, Answer(f"{said}\n".encode("utf-8", "replace"), "text/plain; charset=utf-8"), with_body=self.command != "HEAD")

    def _send(self, status: HTTPStatus, answer: Answer, *, with_body: bool, **more: str) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.body)),
            "Cache-Control": "private, max-age=31536000, immutable" if answer.keeps else "no-store",
            "Content-Security-Policy": self.server.policy,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            **more,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses by itself: a method that is none of ours above all."""
        self.close_connection = True
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        said = "only GET and HEAD: nothing here can be written" if status is HTTPStatus.METHOD_NOT_ALLOWED else status.phrase
        more = {"Allow": "GET, HEAD"} if status is HTTPStatus.METHOD_NOT_ALLOWED else {}
        body = Answer(f"{said}\n".encode(), "text/plain; charset=utf-8")
        self._send(status, body, with_body=self.command != "HEAD", Connection="close", **more)

    def version_string(self) -> str:
        return "interp"

    def log_message(self, format: str, *args: object) -> None:
        """The terminal is for what the user should know."""


def _tell(error: BaseException | None) -> None:
    sys.stderr.write(f"interp: a request failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}\n")


def _refused(port: int, error: OSError) -> str:
    free = _free_near(port)
    choose = f"choose another, such as --port {free}, or --port 0 for any that is free" if free else "give --port 0 for any that is free"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use, perhaps by another `interp live`: {choose}"
    return f"port {port} cannot be listened on ({error.strerror}): {choose}"


def _free_near(port: int) -> int | None:
    """The first port above that is free now, and needs no rights."""
    start = max(1024, port + 1)
    for near in range(start, min(start + _NEAR, _MOST_PORT + 1)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            try:
                trial.bind((HOST, near))
            except OSError:
                continue
            return near
    return None
