"""The WSGI middleware as PEP 3333 has it: every byte as handed on, close called as it must be, nothing of the app changed."""

from __future__ import annotations

import gc
import io
import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import httpx
import pytest

from support.clock import HandClock
from support.metered import Line, Referee, call_wsgi, wsgi_environ
from weighbridge.reporter.tally import UNREAD_BYTES
from weighbridge.wsgi import Meter

OPTIONS = {"url": "http://127.0.0.1:9", "key": "k"}
HEADERS = [("Content-Type", "text/plain")]


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


class Parts:
    """An iterable that remembers how it is treated."""

    def __init__(self, *parts):
        self.parts, self.closed, self.begun = list(parts), 0, 0

    def __iter__(self):
        self.begun += 1
        for part in self.parts:
            if isinstance(part, BaseException):
                raise part
            yield part

    def close(self):
        self.closed += 1


def answering(parts, status="200 OK"):
    def app(_environ, start_response):
        start_response(status, HEADERS)
        return parts() if callable(parts) else parts

    return app


@pytest.mark.parametrize("parts", [[b"123", b"45"], (b"12345",), lambda: iter([b"1", b"2345"]), lambda: Parts(b"12345")])
def test_iterables_of_every_kind(parts):
    metered = Metered(answering(parts))
    assert call_wsgi(metered.meter, wsgi_environ()) == (["200 OK", HEADERS, None], b"12345")
    assert metered.totals() == (0, 5, 1)


def test_a_generator_that_starts_late_and_is_closed_early():
    ended = []

    def app(_environ, start_response):
        try:
            start_response("200 OK", HEADERS)
            yield b"123"
            yield b"45"
        finally:
            ended.append(True)

    metered = Metered(app)
    assert call_wsgi(metered.meter, wsgi_environ())[1] == b"12345"
    parts = metered.meter(wsgi_environ(), lambda *_: None)
    assert next(iter(parts)) == b"123"
    assert len(ended) == 1
    parts.close()
    assert len(ended) == 2
    assert metered.totals() == (0, 8, 2)


def test_write_and_the_iterable_both_count():
    def app(_environ, start_response):
        write = start_response("200 OK", HEADERS)
        write(b"12")
        write(b"345")
        return [b"6"]

    metered = Metered(app)
    assert call_wsgi(metered.meter, wsgi_environ())[1] == b"123456"
    assert metered.totals() == (0, 6, 1)


def test_start_response_is_called_as_the_app_calls_it():
    boom = None

    def app(_environ, start_response):
        nonlocal boom
        start_response("200 OK", HEADERS)
        try:
            {}["late"]
        except KeyError:
            boom = sys.exc_info()
            start_response("500 Oh", HEADERS, boom)
        return [b"sorry"]

    metered = Metered(app)
    assert call_wsgi(metered.meter, wsgi_environ())[0] == ["500 Oh", HEADERS, boom]
    assert metered.totals() == (0, 5, 1)


def test_close_is_called_once_and_its_exception_comes_through():
    parts = Parts(b"123")
    metered = Metered(answering(parts))
    call_wsgi(metered.meter, wsgi_environ())
    assert (parts.begun, parts.closed) == (1, 1)
    parts.close = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        call_wsgi(metered.meter, wsgi_environ())
    assert metered.totals() == (0, 6, 2)


def test_an_answer_with_a_length_keeps_it_and_no_other_gets_one():
    one, several, unknown = Metered(answering([b"1"])), Metered(answering((b"1", b"2"))), Metered(answering(Parts(b"1")))
    assert len(one.meter(wsgi_environ(), lambda *_: None)) == 1
    assert len(several.meter(wsgi_environ(), lambda *_: None)) == 2
    assert not hasattr(unknown.meter(wsgi_environ(), lambda *_: None), "__len__")


@pytest.mark.parametrize("error", [KeyError("mine"), SystemExit(3)])
def test_exceptions_come_through_unchanged_and_what_went_before_counts(error):
    def app(environ, _start_response):
        environ["wsgi.input"].read(2)
        raise error

    metered = Metered(app)
    with pytest.raises(type(error)) as raised:
        call_wsgi(metered.meter, wsgi_environ("POST", b"12345"))
    assert raised.value is error
    parts = Parts(b"123", error)
    late = Metered(answering(parts))
    with pytest.raises(type(error)) as raised:
        call_wsgi(late.meter, wsgi_environ())
    assert raised.value is error
    assert parts.closed == 1
    assert metered.totals() == (2, 0, 1)
    assert late.totals() == (0, 3, 1)


def test_an_answer_that_a_server_forgets_to_close_is_counted():
    metered = Metered(answering(Parts(b"123", b"45")))
    parts = metered.meter(wsgi_environ(), lambda *_: None)
    next(iter(parts))
    del parts
    gc.collect()
    assert metered.totals() == (0, 3, 1)
    assert not metered.reporter._tally._living


def test_a_long_answer_is_in_the_sums_while_it_lasts():
    metered = Metered(answering(lambda: Parts(b"123", b"45", b"6")))
    parts = iter(metered.meter(wsgi_environ(), lambda *_: None))
    seen = []
    for _ in range(3):
        next(parts)
        seen.append(metered.totals())
    assert seen == [(0, 3, 1), (0, 5, 1), (0, 6, 1)]


def test_the_answer_to_head_has_no_body():
    metered = Metered(answering([b"12345"]))
    assert call_wsgi(metered.meter, wsgi_environ("HEAD"))[1] == b"12345"  # the server's to leave away
    assert metered.totals() == (0, 0, 1)


BODY = b"first line\nsecond\nlast"


@pytest.mark.parametrize(
    ("read", "size"),
    [
        (lambda stream: stream.read(), len(BODY)),
        (lambda stream: stream.read(5) + stream.read(3), 8),
        (lambda stream: stream.read(-1), len(BODY)),
        (lambda stream: stream.readline(), 11),
        (lambda stream: stream.readline(4), 4),
        (lambda stream: stream.readlines(), len(BODY)),
        (lambda stream: stream.readlines(1), 11),
        (list, len(BODY)),
        (lambda stream: next(iter(stream)), 11),
        (lambda stream: stream.read1(7), 7),
        (lambda stream: stream.readinto(bytearray(9)), 9),
        (lambda stream: stream.readinto1(bytearray(9)), 9),
        (lambda stream: stream.tell(), len(BODY)),  # not read at all: as announced
    ],
)
def test_a_body_is_counted_however_it_is_read(read, size):
    found = []

    def app(environ, start_response):
        found.append(read(environ["wsgi.input"]))
        start_response("204 No Content", [])
        return []

    metered = Metered(app)
    environ = wsgi_environ("POST", BODY)
    environ["wsgi.input"] = io.BufferedReader(io.BytesIO(BODY))
    call_wsgi(metered.meter, environ)
    assert found == [read(io.BufferedReader(io.BytesIO(BODY)))]
    assert metered.totals() == (size, 0, 1)


@pytest.mark.parametrize(
    ("length", "more", "bytes_in"),
    [
        ("7", {}, 7),
        ("7", {"HTTP_EXPECT": "100-continue"}, 0),
        (str(10**15), {}, UNREAD_BYTES),
        ("", {}, 0),
        ("-1", {}, 0),
        ("²", {}, 0),
        ("9" * 5_000, {}, UNREAD_BYTES),
    ],
)
def test_a_body_that_nobody_read_counts_as_announced_within_bounds(length, more, bytes_in):
    metered = Metered(answering([]))
    call_wsgi(metered.meter, wsgi_environ("POST", CONTENT_LENGTH=length, **more))
    assert metered.totals() == (bytes_in, 0, 1)


def test_whose_request_it_is_is_asked_while_the_apps_context_is_there():
    def app(environ, start_response):
        rule = SimpleNamespace(rule="/items/<id>")
        environ["werkzeug.request"] = SimpleNamespace(url_rule=rule)
        environ["user"] = "alice"
        start_response("200 OK", HEADERS)
        environ["werkzeug.request"] = None  # as Flask leaves its context
        del environ["user"]
        return [b"12"]

    metered = Metered(app, consumer=lambda environ: environ["user"])
    call_wsgi(metered.meter, wsgi_environ())
    assert metered.sums() == {("prod", "alice", "GET", "/items/<id>"): (0, 2, 1)}


def test_two_meters_of_one_app_count_once():
    inner = Metered(answering([b"123"]))
    outer = Metered(inner.meter)
    assert call_wsgi(outer.meter, wsgi_environ())[1] == b"123"
    assert (outer.totals(), inner.totals()) == ((0, 3, 1), (0, 0, 0))


def test_without_a_url_the_app_is_as_it_was(monkeypatch):
    monkeypatch.delenv("WEIGHBRIDGE_URL", raising=False)
    parts, environ = [b"1"], wsgi_environ()
    before = dict(environ)
    assert Meter(answering(parts))(environ, lambda *_: None) is parts
    assert environ == before


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def serving(app):
    """wsgiref's server over the app; a client of it."""
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as client:
                yield client
        finally:
            server.shutdown()
            thread.join()


CONTENT = bytes(range(256)) * 300


def files(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    received = environ["wsgi.input"].read(length) if length else b""
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/file":
        return environ["wsgi.file_wrapper"](io.BytesIO(CONTENT), 1_000)
    return [b"got %d" % len(received)]


def test_a_real_server_makes_of_the_answer_what_it_makes_of_the_apps():
    metered = Metered(files)
    with serving(metered.meter) as client:
        posted = client.post("/posted", content=b"x" * 5_000)
        assert (posted.text, posted.headers["content-length"]) == ("got 5000", "8")
        assert client.get("/file").content == CONTENT
    assert metered.totals() == (5_000, 8 + len(CONTENT), 2)


def test_the_validator_of_pep_3333_finds_nothing_on_either_side():
    metered = Metered(validator(files))

    def with_file_wrapper(environ, start_response):
        environ["wsgi.file_wrapper"] = FileWrapper
        return validator(metered.meter)(environ, start_response)

    with serving(with_file_wrapper) as client:
        assert client.post("/posted", content=b"x" * 5_000).text == "got 5000"
        assert client.get("/file").content == CONTENT
    assert metered.totals() == (5_000, 8 + len(CONTENT), 2)
