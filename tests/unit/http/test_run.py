"""The server on a real socket: hostile bytes, bounds, and a clean end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from support.kit import SENDER, app_of
from support.server import running
from weighbridge.dialects.native.errors import refuse
from weighbridge.dialects.native.routes import native_dialect
from weighbridge.http import run
from weighbridge.http.route import Answer, Call, Dialect, Documented, Route
from weighbridge.http.run import MAX_HEADER_BYTES, bind, url_of
from weighbridge.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator


def _length(call: Call) -> Answer:
    return Answer(200, str(len(call.body)).encode(), "text/plain")


POSTED = Route(
    "POST", "/posted", "posted", "Posted", _length, Scope.INGEST, body=Documented("Any"), body_limit=3_000_000
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running(app_of([native_dialect((POSTED,))])) as url:
        found = urlsplit(url).port
        assert found is not None
        yield found


def exchange(port: int, sent: bytes) -> bytes:
    """All that comes back until the server closes; a reset after an early answer counts as closing."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(sent)
            while part := connection.recv(65536):
                received += part
        except ConnectionError:
            pass
    return received


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /livez", b"200"),
        (b"GET //livez", b"200"),
        (b"GET ///livez", b"200"),
        (b"GET /livez?a=%ff%00", b"200 422"),
        (b"GET /livez?%zz", b"200"),
        (b"GET /livez#x", b"200"),
        (b"GET http://elsewhere/livez", b"200"),
        (b"GET /%00", b"404"),
        (b"GET /%ff%fe", b"404"),
        (b"GET /%zz", b"404"),
        (b"GET /livez%2F", b"404"),
        (b"OPTIONS *", b"404"),
        (b"HEAD /livez", b"200"),
        (b"GET /\xff\xfe", b"400 404"),
        (b"GET /livez?\xff", b"400 200"),
        (b"CONNECT a:1", b"400"),
        (b"BREW /livez", b"400 405"),
        (b"GET livez", b"400"),
        (b"\x16\x03\x01", b"400"),
        (b"TRACE /livez", b"405"),
        (b"GET /" + b"a" * MAX_HEADER_BYTES, b"400"),
    ],
)
def test_no_request_line_makes_a_500(port: int, line: bytes, status: bytes) -> None:
    answer = exchange(port, line + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.split(b" ", 2)[1] in status.split()


@pytest.mark.parametrize(
    "headers",
    [
        b"X: \xff\xfe\r\n",
        b"Authorization: \xff\r\n",
        b"Api-Key: \x80\r\n",
        b"X: \x01\r\n",
        b": a\r\n",
        b"X\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Upgrade: websocket\r\nConnection: upgrade\r\n",
        b"Authorization: " + b"a" * 60_000 + b"\r\n",
    ],
)
def test_no_header_makes_a_500(port: int, headers: bytes) -> None:
    answer = exchange(port, b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + headers + b"\r\n")
    assert answer.split(b" ", 2)[1] in {b"400", b"401"}


def test_too_many_headers_are_refused(port: int) -> None:
    answer = exchange(port, b"GET /livez HTTP/1.1\r\n" + b"X: 0123456789\r\n" * (MAX_HEADER_BYTES // 10))
    assert b"200 OK" not in answer


def test_after_any_of_it_the_server_is_well(port: int) -> None:
    assert httpx.get(f"http://127.0.0.1:{port}/livez").json() == {"status": "ok"}


@pytest.mark.parametrize("size", [0, 1, 65_536, 2_999_999, 3_000_000])
def test_bodies_arrive_whole_chunked_or_not(port: int, size: int) -> None:
    url = f"http://127.0.0.1:{port}/posted"
    body = bytes(size)
    assert httpx.post(url, content=body, headers={"Api-Key": SENDER}).text == str(size)
    parts = (body[at : at + 50_000] for at in range(0, size, 50_000))
    assert httpx.post(url, content=parts, headers={"Api-Key": SENDER}).text == str(size)


def test_a_body_over_the_limit_is_refused_and_the_connection_goes_on(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Api-Key": SENDER}) as client:
        assert client.post("/posted", content=bytes(3_000_001)).status_code == 413
        assert client.post("/posted", content=b"abc").text == "3"


def test_a_connection_that_breaks_off_in_the_middle_of_a_body_is_forgotten(port: int) -> None:
    head = f"POST /posted HTTP/1.1\r\nHost: a\r\nApi-Key: {SENDER}\r\nContent-Length: 10\r\n\r\nabc".encode()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head)
    assert httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /livez HTTP/1.1\r\nHost:",
        b"POST /posted HTTP/1.1\r\nApi-Key: sender-key\r\nContent-Length: 10\r\n\r\nabc",
        b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.1\r\n",
    ],
)
def test_silence_in_the_middle_of_a_request_ends_the_connection(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(run, "SILENCE_S", 0.05)
    with running(app_of([native_dialect((POSTED,))])) as url:
        answer = exchange(urlsplit(url).port or 0, sent)
    assert answer.count(b"HTTP/1.1") == sent.count(b"\r\n\r\nGET")


def test_silence_between_requests_and_slow_handlers_are_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SILENCE_S", 0.01)
    began, gate = threading.Event(), threading.Event()

    async def wait(_call: Call) -> Answer:
        began.set()
        await asyncio.get_running_loop().run_in_executor(None, gate.wait)
        return Answer(200, b"done")

    route = Route("GET", "/wait", "wait", "Wait", wait, None)
    with running(app_of([Dialect("native", ("/",), (route,), refuse)])) as url, httpx.Client(base_url=url) as client:
        threading.Timer(1.2, gate.set).start()  # the watch looks again after a second
        assert client.get("/wait").content == b"done"
        assert began.is_set()


def test_urls_of_both_families() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.listen()
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", listener.getsockname()[1])
    if socket.has_ipv6:
        with bind("::1", 0) as listener:
            assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_a_lifespan_that_fails_is_told() -> None:
    async def app(_scope: object, receive: object, send: object) -> None:
        assert callable(receive)
        assert callable(send)
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    with pytest.raises(RuntimeError, match="did not start"), running(app):
        pass


SERVER = """
import asyncio, sys
from support.kit import app_of
from weighbridge.dialects.native.errors import refuse
from weighbridge.http.route import Answer, Dialect, Route
from weighbridge.http.run import serve

async def slow(call):
    print("asked", flush=True)
    await asyncio.sleep(0.3)
    return Answer(200, b"finished")

route = Route("GET", "/slow", "slow", "Slow", slow, None)
app = app_of([Dialect("native", ("/",), (route,), refuse)])
serve(app, "127.0.0.1", 0, on_ready=lambda url: print(url, flush=True))
print("ended", flush=True)
"""


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_finish_and_ends_cleanly(signal_: signal.Signals) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        answers: list[bytes] = []
        asker = threading.Thread(target=lambda: answers.append(httpx.get(f"{url}/slow").content))
        asker.start()
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal_)
        asker.join()
        assert answers == [b"finished"]
        assert process.stdout.readline() == "ended\n"
        assert process.wait() == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/slow")
