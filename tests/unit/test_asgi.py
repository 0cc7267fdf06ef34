"""The ASGI middleware with the protocol driven by hand: every byte as sent, and nothing of the app is changed."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from types import SimpleNamespace

import pytest

from support.clock import HandClock
from support.metered import Line, Referee, asgi_scope, call_asgi
from weighbridge.asgi import Meter
from weighbridge.reporter.post import NoAnswerError
from weighbridge.reporter.tally import UNREAD_BYTES
from weighbridge.reporter.worker import EXIT_S

OPTIONS = {"url": "http://127.0.0.1:9", "key": "k"}
START = {"type": "http.response.start", "status": 200, "headers": []}
ROUTE = SimpleNamespace(path="/items/{id}", endpoint=print, param_convertors={})


class Metered:
    """A Meter over an app, whose reporter is stepped by hand."""

    def __init__(self, app, **options):
        self.referee = Referee()
        self.clock = HandClock(1_765_728_000_000_000)
        self.meter = Meter(app, **OPTIONS, **options)
        self.reporter = self.meter._metering.reporter
        self.reporter._post, self.reporter._now_us, self.reporter._is_threaded = Line(self.referee), self.clock.now_us, False

    def sums(self):
        self.clock.at_us += 60_000_000
        self.reporter._flush_now()
        return self.referee.sums()

    def totals(self):
        self.sums()
        return self.referee.totals()


def body(content=b"", *, more=False):
    return {"type": "http.response.body", "body": content, "more_body": more}


def request(content=b"", *, more=False):
    return {"type": "http.request", "body": content, "more_body": more}


def sending(*messages, reads=0):
    """An app that receives so many messages, then sends these."""

    async def app(_scope, receive, send):
        for _ in range(reads):
            await receive()
        for message in messages:
            await send(message)

    return app


def test_a_request_and_its_answer():
    async def app(scope, receive, send):
        scope["route"] = ROUTE
        await receive()
        await receive()
        await send(START)
        await send(body(b"12345", more=True))
        await send(body())

    metered = Metered(app, consumer=lambda scope: scope["user"])
    sent = call_asgi(metered.meter, asgi_scope("POST", user="alice"), request(b"abc", more=True), request(b"de"))
    assert sent == [START, body(b"12345", more=True), body()]
    assert metered.sums() == {("prod", "alice", "POST", "/items/{id}"): (5, 5, 1)}


def test_pieces_of_every_kind_of_bytes():
    pieces = [b"123", bytearray(b"4567"), memoryview(b"89"), memoryview(bytes(8)).cast("I")]
    metered = Metered(sending(START, *(body(piece, more=True) for piece in pieces), {"type": "http.response.body"}))
    call_asgi(metered.meter, asgi_scope())
    assert metered.totals() == (0, 3 + 4 + 2 + 8, 1)


def test_the_answer_to_head_has_no_body():
    metered = Metered(sending(START, body(b"12345")))
    assert call_asgi(metered.meter, asgi_scope("HEAD")) == [START, body(b"12345")]
    assert metered.totals() == (0, 0, 1)


@pytest.mark.parametrize(
    ("headers", "bytes_in"),
    [
        ([], 0),
        ([(b"content-length", b"7")], 7),
        ([(b"content-length", b"7"), (b"expect", b"100-continue")], 0),
        ([(b"content-length", b"%d" % 10**15)], UNREAD_BYTES),
        ([(b"content-length", b"9" * 400)], 0),
        ([(b"content-length", b"-1")], 0),
        ([(b"content-length", b"x")], 0),
        ([(b"content-length", "²".encode("latin-1"))], 0),
    ],
)
def test_a_body_that_nobody_read_counts_as_announced_within_bounds(headers, bytes_in):
    metered = Metered(sending(START, body()))
    call_asgi(metered.meter, asgi_scope("POST", *headers), request(b"1234567"))
    assert metered.totals() == (bytes_in, 0, 1)


def test_a_body_that_was_read_counts_as_it_came():
    metered = Metered(sending(START, body(), reads=1))
    call_asgi(metered.meter, asgi_scope("POST", (b"content-length", b"9")), request(b"12345", more=True))
    assert metered.totals() == (5, 0, 1)


def test_what_is_sent_after_the_client_has_left_reaches_nobody():
    async def app(_scope, receive, send):
        await send(START)
        await send(body(b"123", more=True))
        assert (await receive())["type"] == "http.disconnect"
        await send(body(b"456789"))

    metered = Metered(app)
    call_asgi(metered.meter, asgi_scope())
    assert metered.totals() == (0, 3, 1)


def test_an_exception_comes_through_and_counts_what_went_before():
    boom = KeyError("mine")

    async def app(_scope, receive, send):
        await receive()
        await send(START)
        await send(body(b"123", more=True))
        raise boom

    metered = Metered(app)
    with pytest.raises(KeyError) as raised:
        call_asgi(metered.meter, asgi_scope("POST"), request(b"12"))
    assert raised.value is boom
    assert metered.sums() == {("prod", None, None, None): (2, 3, 1)}


def test_what_could_not_be_sent_does_not_count():
    metered = Metered(sending(START, body(b"123", more=True), body(b"4567", more=True)))
    sent = []

    async def send(message):
        if message.get("body") == b"4567":
            raise OSError("gone")
        sent.append(message)

    with pytest.raises(OSError, match="gone"):
        asyncio.run(metered.meter(asgi_scope(), None, send))
    assert metered.totals() == (0, 3, 1)


def test_a_request_that_is_cancelled_counts():
    async def app(_scope, _receive, send):
        await send(START)
        await send(body(b"123", more=True))
        await asyncio.sleep(60)

    async def run(meter):
        async def send(_message):
            pass

        task = asyncio.create_task(meter(asgi_scope(), None, send))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    metered = Metered(app)
    asyncio.run(run(metered.meter))
    assert metered.totals() == (0, 3, 1)


def test_files_come_by_since_the_server_is_not_offered_to_the_app_for_sending_them():
    seen = []

    async def app(scope, _receive, send):
        seen.append(scope["extensions"])
        await send(START)
        await send(body(b"whole file"))

    offered = {"http.response.pathsend": {}, "http.response.zerocopysend": {}, "tls": {"a": 1}}
    metered = Metered(app)
    call_asgi(metered.meter, asgi_scope(extensions=offered))
    call_asgi(metered.meter, asgi_scope(extensions=None))
    assert seen == [{"tls": {"a": 1}}, None]
    assert len(offered) == 3  # the server's own stays as it was
    assert metered.totals() == (0, 20, 2)


def websocket_scope(**more):
    return {"type": "websocket", "path": "/ws", "headers": [], **more}


def test_a_websocket_counts_messages_both_ways_and_one_request():
    async def app(scope, receive, send):
        scope["route"] = SimpleNamespace(path="/ws/{room}", endpoint=print, param_convertors={})
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(4):
            await receive()
        await send({"type": "websocket.send", "text": "žluť"})
        await send({"type": "websocket.send", "text": None, "bytes": b"123"})
        await send({"type": "websocket.send", "bytes": b"4"})
        await send({"type": "websocket.close"})

    metered = Metered(app, consumer=lambda _scope: "bob")
    call_asgi(
        metered.meter,
        websocket_scope(),
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "hello", "bytes": None},
        {"type": "websocket.receive", "text": "🚲"},
        {"type": "websocket.receive", "bytes": b"12"},
        {"type": "websocket.receive", "text": ""},
    )
    assert metered.sums() == {("prod", "bob", "GET", "/ws/{room}"): (5 + 4 + 2, 6 + 3 + 1, 1)}


def test_a_websocket_that_is_refused_is_a_request_and_its_answer_counts():
    app = sending(
        {"type": "websocket.http.response.start", "status": 403, "headers": []},
        {"type": "websocket.http.response.body", "body": b"no entry"},
        reads=1,
    )
    metered = Metered(app)
    call_asgi(metered.meter, websocket_scope(), {"type": "websocket.connect"})
    assert metered.totals() == (0, 8, 1)
    closed = Metered(sending({"type": "websocket.close"}, reads=1))
    call_asgi(closed.meter, websocket_scope(headers=[(b"content-length", b"9")]), {"type": "websocket.connect"})
    assert closed.totals() == (0, 0, 1)


def test_a_long_connection_is_in_the_sums_while_it_lasts():
    seen = []

    async def app(_scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(3):
            await send({"type": "websocket.send", "text": "12345"})
            seen.append(metered.totals())
        await receive()
        await send({"type": "websocket.send", "text": "to nobody"})

    metered = Metered(app)
    call_asgi(metered.meter, websocket_scope(), {"type": "websocket.connect"}, {"type": "websocket.disconnect"})
    assert seen == [(0, 5, 1), (0, 10, 1), (0, 15, 1)]
    assert metered.totals() == (0, 15, 1)
    assert len({event["time"] for event in metered.referee.events()}) == 3


def test_two_meters_of_one_app_count_once_and_of_two_apps_each():
    inner = Metered(sending(START, body(b"123")))
    outer = Metered(inner.meter)
    call_asgi(outer.meter, asgi_scope())
    assert (outer.totals(), inner.totals()) == ((0, 3, 1), (0, 0, 0))
    inner = Metered(sending(START, body(b"123")), app_id=2)
    outer = Metered(inner.meter, app_id=1)
    call_asgi(outer.meter, asgi_scope())
    assert (outer.totals(), inner.totals()) == ((0, 3, 1), (0, 3, 1))


def test_without_a_url_the_app_is_as_it_was(monkeypatch):
    monkeypatch.delenv("WEIGHBRIDGE_URL", raising=False)
    heard = []

    async def app(*arguments):
        heard.append(arguments)

    scope, receive, send = asgi_scope(), object(), object()
    asyncio.run(Meter(app)(scope, receive, send))
    assert heard == [(scope, receive, send)]
    assert scope == asgi_scope()


def test_wrong_settings_are_told_at_the_start(monkeypatch):
    monkeypatch.setenv("WEIGHBRIDGE_APP", "shop")
    with pytest.raises(ValueError, match="WEIGHBRIDGE_APP"):
        Meter(sending(), **OPTIONS)


def test_other_kinds_of_scopes_go_through():
    heard = []

    async def app(scope, receive, send):
        heard.append((scope["type"], receive, send))

    receive, send = object(), object()
    metered = Metered(app)
    asyncio.run(metered.meter({"type": "telegraph"}, receive, send))
    assert heard == [("telegraph", receive, send)]
    assert metered.totals() == (0, 0, 0)


def lifespan_of(meter, *, starts=True):
    """What a server hears of a lifespan; None instead of messages if it is raised that there is none."""
    heard = []
    asked = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive():
        return asked.pop(0)

    async def send(message):
        heard.append(message["type"])

    asyncio.run(meter({"type": "lifespan", "state": {}}, receive, send))
    assert not starts or not asked
    return heard


COMPLETE = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def with_lifespan(scope, receive, send):
    if scope["type"] == "lifespan":
        for answer in COMPLETE:
            await receive()
            await send({"type": answer})
    else:
        await send(START)
        await send(body(b"123"))


async def without_lifespan(scope, _receive, send):
    assert scope["type"] == "http"
    await send(START)
    await send(body(b"123"))


async def deaf(scope, _receive, send):
    if scope["type"] == "http":
        await send(START)
        await send(body(b"123"))


@pytest.mark.parametrize("app", [with_lifespan, without_lifespan, deaf])
def test_a_shutdown_is_complete_when_everything_is_sent(app):
    referee = Referee()
    meter = Meter(app, **OPTIONS)
    meter._metering.reporter._post = Line(referee)
    call_asgi(meter, asgi_scope())
    assert lifespan_of(meter) == COMPLETE
    assert referee.totals() == (0, 3, 1)


def hang(_body, timeout_s):
    time.sleep(5 * timeout_s)
    raise NoAnswerError("hung")


def test_a_shutdown_is_not_held_up_by_a_server_that_is_away():
    meter = Meter(with_lifespan, **OPTIONS)
    meter._metering.reporter._post = hang
    call_asgi(meter, asgi_scope())
    began_s = time.monotonic()
    assert lifespan_of(meter) == COMPLETE
    assert EXIT_S <= time.monotonic() - began_s < EXIT_S + 5


def test_a_lifespan_that_fails_fails():
    async def app(_scope, receive, _send):
        await receive()
        raise KeyError("no database")

    with pytest.raises(KeyError):
        lifespan_of(Meter(app, **OPTIONS), starts=False)

    async def telling(_scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    assert lifespan_of(Meter(telling, **OPTIONS), starts=False) == ["lifespan.startup.failed"]


def test_several_event_loops_share_a_reporter():
    metered = Metered(sending(START, body(b"12")))
    for _ in range(5):
        call_asgi(metered.meter, asgi_scope())
    assert metered.totals() == (0, 10, 5)


def test_a_consumer_that_raises_is_told_and_the_request_goes_on(caplog):
    caplog.set_level(logging.WARNING)
    metered = Metered(sending(START, body(b"12")), consumer=lambda scope: scope["nobody"])
    assert call_asgi(metered.meter, asgi_scope()) == [START, body(b"12")]
    assert metered.totals() == (0, 2, 1)
    assert "KeyError" in caplog.text


def test_nothing_waits_for_a_server_that_is_away():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        meter = Meter(sending(START, body(b"12")), url=f"http://127.0.0.1:{silent.getsockname()[1]}", key="k")
        reporter = meter._metering.reporter
        slowest_s = 0.0
        for _ in range(201):
            began_s = time.monotonic()
            call_asgi(meter, asgi_scope())
            slowest_s = max(slowest_s, time.monotonic() - began_s)
            reporter.ask_flush()
        assert slowest_s < EXIT_S  # as long as the thread waits each time
        reporter._post = Line(referee := Referee())
    while not referee.events():
        reporter.await_flush(reporter.ask_flush())
    assert referee.totals() == (0, 402, 201)
