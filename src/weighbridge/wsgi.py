"""Meters a WSGI app (Flask, Django) and sends what it moved to a Weighbridge, by two lines.

    from weighbridge.wsgi import Meter
    app.wsgi_app = Meter(app.wsgi_app, url="https://meter.example", key="…", app_id=1)   # Django: application = Meter(…)

Counted are bodies as the app reads them and hands them to the server (docs/middleware.md). The standard library is all
it needs. Source: PEP 3333.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from weighbridge.reporter.metering import prepare
from weighbridge.reporter.settings import DEFAULT_INTERVAL_S
from weighbridge.reporter.tally import UNREAD_BYTES, size
from weighbridge.reporter.templates import wsgi_template

if TYPE_CHECKING:
    from collections.abc import Sized

    from weighbridge.reporter.tally import Passage

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
App: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]

_READS = frozenset(("read1", "readall"))
_READS_INTO = frozenset(("readinto", "readinto1"))


class Meter:
    """The app, metered. Without a URL it is the app as it was; with wrong settings ValueError at the start.

    `consumer` is given the environ when the answer begins, and says whose request it is: a text, or None.
    """

    def __init__(
        self,
        app: App,
        *,
        url: str | None = None,
        key: str | None = None,
        app_id: int | None = None,
        environment: str | None = None,
        consumer: Callable[[Environ], str | None] | None = None,
        interval_s: int = DEFAULT_INTERVAL_S,
    ) -> None:
        self.app = app
        self._metering = prepare(
            app, consumer, url=url, key=key, app_id=app_id, environment=environment, interval_s=interval_s
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The app's answer; whatever it raises comes through unchanged, and what went before counts."""
        metering = self._metering
        if metering is None or metering.mark in environ:  # a Meter further out counts it for the same app already
            return self.app(environ, start_response)
        environ[metering.mark] = True
        method: str = environ.get("REQUEST_METHOD", "GET")
        script_name: str = environ.get("SCRIPT_NAME", "")
        passage = metering.reporter.begin(
            lambda: metering.dimensions.key(environ, method, lambda: wsgi_template(environ, script_name))
        )
        if "wsgi.input" in environ:
            environ["wsgi.input"] = _Input(environ["wsgi.input"], passage)
        count = _count_nothing if method == "HEAD" else _count_sent

        def start_counted(*arguments: Any, **named: Any) -> Callable[[bytes], None]:  # noqa: ANN401  the server's own
            write = start_response(*arguments, **named)
            passage.identify()  # now, while the app's context is there

            def write_counted(part: bytes) -> None:
                write(part)
                count(passage, part)

            return write_counted

        try:
            parts = self.app(environ, start_counted)
        except BaseException:
            _end(passage, environ)
            raise
        kind = _SizedAnswer if hasattr(parts, "__len__") else _Answer
        return kind(parts, passage, environ, count)


class _Answer:
    """The app's answer on its way to the server: an iterable that counts what it hands on."""

    def __init__(
        self, parts: Iterable[bytes], passage: Passage, environ: Environ, count: Callable[[Passage, bytes], None]
    ) -> None:
        self._parts = parts
        self._passage = passage
        self._environ = environ
        self._count = count
        self._iterator: Iterator[bytes] = iter(())

    def __iter__(self) -> Iterator[bytes]:
        self._iterator = iter(self._parts)
        return self

    def __next__(self) -> bytes:
        try:
            part = next(self._iterator)
        except BaseException:  # StopIteration too
            _end(self._passage, self._environ)
            raise
        self._count(self._passage, part)
        return part

    def close(self) -> None:
        """The app's own close was called, if it has one, and everything is counted."""
        try:
            close = getattr(self._parts, "close", None)
            if close is not None:
                close()
        finally:
            _end(self._passage, self._environ)

    def __del__(self) -> None:
        _end(self._passage, self._environ)  # a server that forgets to close


class _SizedAnswer(_Answer):
    """An answer whose parts can be counted stays one: servers make a Content-Length of a single part."""

    def __len__(self) -> int:
        return len(cast("Sized", self._parts))


class _Input:
    """The body as the app reads it."""

    def __init__(self, stream: Any, passage: Passage) -> None:  # noqa: ANN401  any server's file-like object
        self._stream = stream
        self._passage = passage

    def read(self, *sizes: int) -> bytes:
        """As the stream's."""
        return self._took(self._stream.read(*sizes))

    def readline(self, *sizes: int) -> bytes:
        """As the stream's."""
        return self._took(self._stream.readline(*sizes))

    def readlines(self, *hints: int) -> list[bytes]:
        """As the stream's."""
        lines: list[bytes] = self._stream.readlines(*hints)
        self._took(b"".join(lines))
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return map(self._took, iter(self._stream))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever more this server's stream can do
        found = getattr(self._stream, name)
        if name in _READS:
            return lambda *sizes: self._took(found(*sizes))
        if name in _READS_INTO:
            return lambda room: self._filled(found(room))
        return found

    def _took(self, part: bytes) -> bytes:
        self._passage.is_read = True
        self._passage.bytes_in += len(part)
        return part

    def _filled(self, count: int) -> int:
        self._passage.is_read = True
        self._passage.bytes_in += count
        return count


def _count_sent(passage: Passage, part: bytes) -> None:
    passage.bytes_out += size(part)


def _count_nothing(_passage: Passage, _part: bytes) -> None:
    """The answer to a HEAD has no body, whatever the app hands on (RFC 9110 9.3.2)."""


def _end(passage: Passage, environ: Environ) -> None:
    if not passage.is_over:
        if not passage.is_read:
            passage.bytes_in += _unread_size(environ)
        passage.end()


def _unread_size(environ: Environ) -> int:
    """What was announced and not read: it was sent, unless the client waits to be asked (RFC 9110 10.1.1)."""
    text = str(environ.get("CONTENT_LENGTH") or "")
    if not text.isascii() or not text.isdigit() or "HTTP_EXPECT" in environ:
        return 0
    return min(int(text[:20]), UNREAD_BYTES)
