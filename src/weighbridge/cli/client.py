"""The server, as commands talk to it: where it is, with which key, and what its answers mean for an exit code."""

from __future__ import annotations

import ipaddress
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import click

from weighbridge.cli.failures import AuthError, CommandError, UnreachableError, WrongUsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

    F = TypeVar("F", bound=Callable[..., object])

DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_S = 60.0
"""A question over years of a large catalog takes seconds; beyond a minute something hangs."""
PAGE_ITEMS = 1000
"""Objects asked for at a time: the most that the server gives."""
MAX_PAGES = 10_000
"""A list of more than ten million objects is a list without an end."""
KEY_FILE_BYTES = 4096
"""Longest admin.key that is read."""


def client_options(function: F) -> F:
    """A decorator: the command has `--url`, `--key` and `--data`; it hands them to `connect`."""
    options = (
        click.option(
            "--url", metavar="URL", help=f"Server to talk to [default: {DEFAULT_URL}; variable: WEIGHBRIDGE_URL]"
        ),
        click.option(
            "--key",
            metavar="KEY",
            help="API key [default: DATA/admin.key if the server is on this machine; variable: WEIGHBRIDGE_KEY]",
        ),
        click.option(
            "--data",
            metavar="PATH",
            help="Data folder of a server on this machine, for its admin.key [default: as for `serve`]",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


class Client:
    """A connection to a server. Every failure is a CommandError with the right exit code."""

    def __init__(self, url: str, key: str | None) -> None:
        import httpx  # noqa: PLC0415  it takes longer to import than `--help` may take

        self.url = url.rstrip("/")
        self._httpx = httpx
        self.key_digest = sha256((key or "").encode("utf-8", "surrogateescape")).hexdigest()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._client = httpx.Client(
                base_url=self.url, headers=headers, timeout=TIMEOUT_S, trust_env=not _is_loopback(self.url)
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise WrongUsageError(f"{url!r} or the key cannot be sent: {error}") from error

    def close(self) -> None:
        """The connection is closed."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, path: str, query: Mapping[str, str | int | None] | None = None) -> dict[str, Any]:
        """The JSON object at `path`. Parameters that are None are left out."""
        return self.json("GET", path, query)

    def json(
        self, method: str, path: str, query: Mapping[str, str | int | None] | None = None, body: object = None
    ) -> dict[str, Any]:
        """The JSON object that a request with a JSON body (or none) is answered with."""
        answer = self.send(method, path, query, **({} if body is None else {"json": body}))
        if not answer.content:
            return {}
        try:
            found = answer.json()
        except ValueError as error:
            raise CommandError(f"{self.url}{path} answered no JSON; is that a Weighbridge server?") from error
        return found if isinstance(found, dict) else {"data": found}

    def items(self, path: str, query: Mapping[str, str | int | None] | None = None) -> Iterator[dict[str, Any]]:
        """Every object of a list, page by page."""
        token: str | None = None
        for _ in range(MAX_PAGES):
            page = self.get(path, {"limit": PAGE_ITEMS, "next_token": token, **(query or {})})
            yield from page.get("data", [])
            token = page.get("next_token")
            if not token:
                return
        raise CommandError(f"{self.url}{path} goes on without an end; report this")

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int | None] | None = None,
        **body: Any,  # noqa: ANN401
    ) -> httpx.Response:
        """A successful answer; anything else is raised as the error it is."""
        answer = self.try_once(method, path, query, **body)
        if not answer.is_success:
            raise failure_of(answer, self.url)
        return answer

    def try_once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int | None] | None = None,
        **body: Any,  # noqa: ANN401
    ) -> httpx.Response:
        """Whatever the server answers. UnreachableError if nothing does."""
        params = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            return self._client.request(method, path, params=params, **body)
        except self._httpx.TransportError as error:
            why = str(error) or type(error).__name__
            raise UnreachableError(
                f"no answer from {self.url} ({why}); start it with `weighbridge serve`, or name another with --url or "
                "WEIGHBRIDGE_URL"
            ) from error
        except (self._httpx.InvalidURL, UnicodeEncodeError) as error:
            raise WrongUsageError(f"{self.url}{path} cannot be asked for: {error}") from error


def connect(url: str | None, key: str | None, data: str | None) -> Client:
    """A client for what `client_options` collected."""
    where = url or os.environ.get("WEIGHBRIDGE_URL") or DEFAULT_URL
    if urlsplit(where).scheme not in ("http", "https") or not urlsplit(where).netloc:
        raise WrongUsageError(f"{where!r} is not the URL of a server; give one such as {DEFAULT_URL}")
    return Client(where, key or os.environ.get("WEIGHBRIDGE_KEY") or _key_of_folder(where, data))


def failure_of(answer: httpx.Response, url: str) -> CommandError:
    """What an answer that is no success means."""
    words = _words(answer)
    if answer.status_code == 401:  # noqa: PLR2004
        return AuthError(f"{url} wants a valid key ({words}); give one with --key or WEIGHBRIDGE_KEY")
    if answer.status_code == 403:  # noqa: PLR2004
        return AuthError(f"this key may not do that ({words}); `weighbridge keys create --scope …` makes one that may")
    if answer.status_code == 503:  # noqa: PLR2004
        return CommandError(f"{url} is busy ({words}); try again in a moment")
    return CommandError(f"{words} ({url} answered {answer.status_code})")


def _words(answer: httpx.Response) -> str:
    """The sentence of a problem (RFC 9457), with each fault where there are several."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return answer.reason_phrase or "no reason given"
    said = str(problem.get("detail") or problem.get("title") or problem.get("error") or answer.reason_phrase)
    where = problem.get("where")
    faults = [
        f"\n  {each.get('where') or each.get('path') or ''}: {each.get('detail')}"
        for each in problem.get("errors") or []
        if isinstance(each, dict)
    ]
    return (f"{where}: {said}" if where and str(where) not in said else said) + "".join(faults)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _key_of_folder(url: str, data: str | None) -> str | None:
    """The admin key of the data folder, if the server is on this machine and the file may be read."""
    if not _is_loopback(url):
        return None  # never send this machine's key elsewhere
    if data is None:
        from weighbridge.cli.settings_options import load_settings  # noqa: PLC0415  only where no key was given

        folder = load_settings({})[0].data
    else:
        folder = Path(data).expanduser()
    try:
        with (folder / "admin.key").open("rb") as file:
            text = file.read(KEY_FILE_BYTES).decode().strip()
    except (OSError, ValueError):
        return None
    return text or None
