"""`interp live` as a command: what it listens to, what it refuses, and the page in a real browser while a training runs."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interp import cli
from interp.cli.live import Live
from interp.errors import InterpError
from interp.report.live.answers import Answers
from interp.report.live.following import Follower
from interp.report.live.server import HOST, Server
from interp.site.live import POLICY

RECORDINGS = Path(__file__).parent.parent / "report" / "live" / "recordings.py"
PATIENCE = 60_000
"""Milliseconds that a browser is waited for, at most."""


def recordings() -> Any:
    spec = importlib.util.spec_from_file_location("live_recordings", RECORDINGS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live") / "closed"
    recordings().recorded(folder)
    return folder


class Mortal(Server):
    """Its connections end with it, as those of a process that is killed do."""

    def server_activate(self) -> None:
        self.open: list[socket.socket] = []
        super().server_activate()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.append(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Serving:
    """A server in a thread of this process, which can be ended and begun again on its port."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.begin(port)

    def begin(self, port: int) -> None:
        self.server = Mortal(port, POLICY)
        self.server.table = Answers(Follower(self.folder))
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def end(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def ask(self, method: str, address: str, headers: dict[str, str] | None = None, body: str | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(HOST, self.server.port, timeout=10)
        connection.request(method, address, body, headers or {})
        reply = connection.getresponse()
        reply.text = reply.read()  # type: ignore[attr-defined]
        connection.close()
        return reply


@pytest.fixture(scope="module")
def serving(made: Path) -> Iterator[Serving]:
    found = Serving(made)
    yield found
    found.end()


# Without a browser.


def test_every_answer_says_what_may_be_loaded(serving: Serving) -> None:
    kinds = {"/": "text/html", "/live.css": "text/css", "/live.js": "text/javascript", "/state.json": "application/json"}
    for address, kind in kinds.items():
        reply = serving.ask("GET", address)
        assert (reply.status, reply.headers.get_content_type()) == (200, kind)
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        policy = reply.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy
    page = serving.ask("GET", "/").text.decode()  # type: ignore[attr-defined]
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["/scale/signed.png", "/live.css", "/live-charts.js", "/live.js"]
    assert serving.ask("GET", "/scale/signed.png").headers["Cache-Control"].endswith("immutable")


def test_a_head_is_the_same_without_its_body(serving: Serving) -> None:
    whole, head = serving.ask("GET", "/live.css"), serving.ask("HEAD", "/live.css")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"] == str(len(whole.text))  # type: ignore[attr-defined]
    assert head.text == b""  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FROB"])
def test_nothing_can_be_written(serving: Serving, method: str) -> None:
    reply = serving.ask(method, "/state.json", body="GET /records.json HTTP/1.1\r\n\r\n")
    assert (reply.status, reply.headers["Allow"], reply.headers["Connection"]) == (405, "GET, HEAD", "close")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""])
def test_another_name_is_refused(serving: Serving, host: str) -> None:
    reply = serving.ask("GET", "/state.json", {"Host": host.format(port=serving.server.port)})
    assert reply.status == 403
    assert b"folder" not in reply.text  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LocalHost"])
def test_the_names_of_this_machine_are_answered(serving: Serving, name: str) -> None:
    assert serving.ask("GET", "/state.json", {"Host": f"{name}:{serving.server.port}"}).status == 200


def test_no_host_and_two_hosts_are_refused(serving: Serving) -> None:
    name = f"Host: {HOST}:{serving.server.port}\r\n"
    for headers in ("", name + "Host: evil.example\r\n"):
        with socket.create_connection((HOST, serving.server.port), timeout=10) as raw:
            raw.sendall(f"GET /state.json HTTP/1.1\r\n{headers}\r\n".encode())
            assert raw.recv(100).startswith(b"HTTP/1.1 403")


NOWHERE = [
    "/nothing",
    "/../watch.json",
    "/..%2fwatch.json",
    "/%2e%2e/watch.json",
    "//etc/passwd",
    "/state.json?x=1",
    "/records/000010.json",
]


@pytest.mark.parametrize("address", NOWHERE)
def test_other_addresses_lead_nowhere(serving: Serving, address: str) -> None:
    assert serving.ask("GET", address).status == 404


def test_it_listens_to_this_machine_only(serving: Serving) -> None:
    assert serving.server.socket.getsockname()[0] == "127.0.0.1"
    others = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in sorted(str(one) for one in others if not str(one).startswith("127.")):
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((address, serving.server.port), timeout=2)


def test_a_port_in_use_is_one_line(serving: Serving, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = serving.server.port
    assert cli.run(["live", str(made), "--port", str(port)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    wanted = rf"interp: port {port} is in use, perhaps by another `interp live`: choose another, such as --port (\d+), or .*\n"
    match = re.fullmatch(wanted, said.err)
    assert match is not None
    with socket.socket() as trial:
        trial.bind((HOST, int(match[1])))


@pytest.mark.parametrize("port", [-1, 65536])
def test_what_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(InterpError, match=r"ports go from 1 to 65535; give one of them, or 0"):
        Server(port, POLICY)


def test_a_file_is_no_folder(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["live", str(made / "watch.json")]) == 2
    assert "watch.json` is a file: name the folder" in capsys.readouterr().err


def test_it_makes_no_run() -> None:
    assert not cli.makes_run(Live)


def test_interrupted_it_ends_well_and_lets_go_of_its_port(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "interp", "live", str(tmp_path / "later"), "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline().rsplit(":", 1)[1].strip("/\n"))
    with socket.create_connection((HOST, port), timeout=10) as open_all_the_while:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0
        assert said.splitlines() == [f"interp: there is no folder `{tmp_path / 'later'}` yet: the page waits for it", "interp: stopped"]
        open_all_the_while.close()
    Server(port, POLICY).server_close()


# In a browser.


class Tab:
    """The page, with what the console said and what was asked of other hosts."""

    def __init__(self, browser: Any, port: int, width: int = 1280) -> None:
        from playwright.sync_api import expect

        self.context = browser.new_context(viewport={"width": width, "height": 900})
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url, port))
        self.page.goto(f"http://{HOST}:{port}/")
        self.expect: Callable[[str], Any] = lambda selector: expect(self.page.locator(selector))

    def _asked(self, url: str, port: int) -> None:
        if not url.startswith(f"http://{HOST}:{port}/"):
            self.said.append(f"elsewhere: {url}")

    def shows(self, record: str) -> None:
        """Waits until the pictures are those of a record."""
        self.expect("body").to_have_attribute("data-shown", record, timeout=PATIENCE)
        sources = self.page.eval_on_selector_all(".track:not([hidden]) .shown img", "all => all.map(one => one.getAttribute('src'))")
        assert len(sources) > 4
        assert {source.split("/")[4] for source in sources if source.startswith("/picture/")} == {record}

    def closed(self, refused: bool = False) -> None:
        self.context.close()
        expected = re.compile(r"net::ERR_CONNECTION_(REFUSED|RESET)") if refused else re.compile(r"(?!)")
        assert [line for line in self.said if not expected.search(line)] == []


def test_the_page_follows_and_the_slider_stays_where_it_was_put(browser: Any, tmp_path: Path) -> None:
    serving = Serving(tmp_path / "run")
    try:
        tab = Tab(browser, serving.server.port)
        tab.expect("#state").to_contain_text("Waits for a recording: there is no folder", timeout=PATIENCE)
        made = recordings()
        network = made.tiny()
        recorder = made.begun(tmp_path / "run", network)
        made.train(network, recorder, 20)
        tab.shows("000020")
        tab.expect("#state").to_have_attribute("data-state", "running")
        tab.page.focus("#moment")
        tab.page.keyboard.press("ArrowLeft")
        tab.shows("000010")
        tab.expect("#said").to_have_text("step 10 · 2 of 3")
        made.train(network, recorder, 40)
        tab.expect("#said").to_have_text("step 10 · 2 of 5", timeout=PATIENCE)
        tab.shows("000010")
        tab.page.click('[data-go="newest"]')
        tab.shows("000040")
        made.train(network, recorder, 50)
        tab.shows("000050")
        tab.expect("#numbers figcaption").to_contain_text("Step 50:")
        tab.page.select_option("#probe", "1")
        tab.expect("#photo h3").to_have_text("image 1")
        tab.expect("#activations .track:visible").to_have_count(1)
        recorder.close()
        tab.expect("#state").to_have_text("Closed at step 50.", timeout=PATIENCE)
        tab.closed()
    finally:
        serving.end()


def test_the_page_goes_on_when_the_server_is_back(browser: Any, made: Path) -> None:
    serving = Serving(made)
    port = serving.server.port
    tab = Tab(browser, port)
    tab.shows("000030")
    tab.page.click('[data-go="before"]')
    tab.shows("000020")
    serving.end()
    tab.expect("#gone").to_contain_text("has not answered since", timeout=PATIENCE)
    tab.expect("#state").to_have_text("Not known at the moment.")
    tab.expect("#said").to_have_text("step 20 · 3 of 4")
    serving.begin(port)
    try:
        tab.expect("#gone").to_be_hidden(timeout=PATIENCE)
        tab.expect("#state").to_have_text("Closed at step 30.")
        tab.shows("000020")
        tab.closed(refused=True)
    finally:
        serving.end()


def test_a_training_that_is_killed_and_resumed_goes_on_on_the_page(browser: Any, tmp_path: Path) -> None:
    folder, made = tmp_path / "run", recordings()
    serving = Serving(folder)
    process = made.in_a_process(folder, 10_000, 0.02)
    try:
        tab = Tab(browser, serving.server.port)
        tab.expect("#moment").to_have_attribute("max", re.compile(r"[3-9]|\d\d"), timeout=PATIENCE)
        process.send_signal(signal.SIGKILL)
        process.wait()
        tab.page.focus("#moment")
        tab.page.keyboard.press("Home")
        tab.shows("000000")
        tab.page.keyboard.press("End")
        process = made.in_a_process(folder, 25, 0.0, start=15)
        tab.expect("#state").to_have_text("Closed at step 25.", timeout=PATIENCE)
        assert process.wait() == 0
        tab.shows("000025-2")
        tab.expect("#said").to_have_text("step 25 · 4 of 4")
        tab.expect('[data-go="newest"]').to_have_attribute("aria-pressed", "true")
        tab.expect("#facts").to_contain_text("2, the last from step 15")
        tab.closed()
    finally:
        process.kill()
        process.wait()
        serving.end()


def test_what_is_damaged_is_one_line_on_the_page(browser: Any, made: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "copy"))
    serving = Serving(folder)
    try:
        tab = Tab(browser, serving.server.port, width=390)
        tab.shows("000030")
        (folder / "records" / "000025.json").write_text("{")
        (folder / "records" / "000025.safetensors").write_bytes(b"")
        tab.expect("#problem").to_contain_text("000025.json` is damaged", timeout=PATIENCE)
        for kind in ("json", "safetensors"):
            (folder / "records" / f"000025.{kind}").unlink()
        tab.expect("#problem").to_be_hidden(timeout=PATIENCE)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
        tab.closed()
    finally:
        serving.end()


def test_a_hidden_page_asks_nothing(browser: Any, made: Path) -> None:
    serving = Serving(made)
    try:
        tab = Tab(browser, serving.server.port)
        tab.shows("000030")
        asked: list[str] = []
        tab.page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
        time.sleep(0.3)
        tab.page.on("request", lambda request: asked.append(request.url))
        time.sleep(2.0)
        tab.page.evaluate("0")
        assert len(asked) <= 1  # one that was on its way
        tab.page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
        with tab.page.expect_request("**/state.json", timeout=PATIENCE):
            tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        tab.closed()
    finally:
        serving.end()
