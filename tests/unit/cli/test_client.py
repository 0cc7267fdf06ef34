"""What the server's answers mean for a command, and how batches are sent."""

from __future__ import annotations

import gzip
import json
import socket
from pathlib import Path

import pytest

from support.answers import Asked, Reply, answering
from weighbridge.cli import sending
from weighbridge.cli.client import Client, connect
from weighbridge.cli.failures import AuthError, CommandError, UnreachableError, WrongUsageError
from weighbridge.cli.places import Place, folder_of
from weighbridge.cli.sending import ATTEMPTS, LONGEST_WAIT_S, Counts, send

RECEIPT = b'{"accepted":1,"duplicates":0,"rejected":[]}'


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("WEIGHBRIDGE_URL", "WEIGHBRIDGE_KEY", "WEIGHBRIDGE_DATA", "WEIGHBRIDGE_NO_HOST"):
        monkeypatch.delenv(name, raising=False)


def problem(detail: str, **more: object) -> bytes:
    return json.dumps({"type": "about:blank", "title": "T", "status": 400, "detail": detail, **more}).encode()


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(401, problem("no key")), AuthError, "no key"),
        (Reply(403, problem("lacks ingest")), AuthError, "lacks ingest"),
        (Reply(404, problem("no server 'x'")), CommandError, "no server 'x'"),
        (Reply(422, problem("is 5", where="p")), CommandError, "p: is 5"),
        (Reply(422, problem("two faults", errors=[{"where": "a.b", "detail": "bad"}])), CommandError, "a.b: bad"),
        (Reply(500, b"<html>"), CommandError, "500"),
        (Reply(503, problem("full")), CommandError, "busy"),
        (Reply(200, b"<html>"), CommandError, "no JSON"),
        (Reply(302, b"", {"location": "http://127.0.0.1:9/"}), CommandError, "302"),
    ],
)
def test_answers_that_end_a_command(reply: Reply, kind: type[CommandError], words: str) -> None:
    with answering(lambda _asked: reply) as url, Client(url, "k") as client, pytest.raises(CommandError) as caught:
        client.get("/x")
    assert type(caught.value) is kind
    assert words in caught.value.message


def test_nothing_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url, None) as client, pytest.raises(UnreachableError, match="weighbridge serve"):
            client.get("/x")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "http://", "", "http:///x"])
def test_urls_that_are_none(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_URL", "nonsense")
    with pytest.raises(WrongUsageError):
        connect(url, "k", None)


def key_sent(url: str, key: str | None, data: str | None, seen: list[Asked]) -> str | None:
    with connect(url, key, data) as client:
        client.get("/x")
    return seen[-1].headers.get("authorization")


def test_where_the_key_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Asked] = []

    def note(asked: Asked) -> Reply:
        seen.append(asked)
        return Reply()

    for folder in ("weighbridge-data", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "admin.key").write_text(f"{folder}-key\n")
    with answering(note) as url:
        assert key_sent(url, None, None, seen) == "Bearer weighbridge-data-key"
        assert key_sent(url, None, "other", seen) == "Bearer other-key"
        assert key_sent(url, None, "absent", seen) is None
        monkeypatch.setenv("WEIGHBRIDGE_KEY", "variable-key")
        assert key_sent(url, None, "other", seen) == "Bearer variable-key"
        assert key_sent(url, "flag-key", "other", seen) == "Bearer flag-key"


@pytest.mark.parametrize("url", ["http://192.0.2.1:8080", "https://meter.example.com"])
def test_the_key_of_this_machine_is_not_sent_elsewhere(url: str, tmp_path: Path) -> None:
    (tmp_path / "weighbridge-data").mkdir()
    (tmp_path / "weighbridge-data" / "admin.key").write_text("secret")
    with connect(url, None, None) as client:
        assert client.key_digest == Client(url, None).key_digest


def test_lists_are_read_page_by_page() -> None:
    def page(asked: Asked) -> Reply:
        token = "next_token=two" in asked.path
        return Reply(
            body=json.dumps({"data": [{"id": 2 if token else 1}], "next_token": None if token else "two"}).encode()
        )

    with answering(page) as url, Client(url, "k") as client:
        assert [item["id"] for item in client.items("/x", {"organization": None})] == [1, 2]


def test_batches_are_repeated_until_they_are_answered() -> None:
    replies = [
        Reply(503, headers={"retry-after": "7"}),
        None,
        Reply(429, headers={"retry-after": "9999"}),
        Reply(502),
        Reply(body=RECEIPT),
    ]
    bodies, waits = [], list[float]()

    def reply(asked: Asked) -> Reply | None:
        bodies.append(gzip.decompress(asked.body))
        assert asked.headers["content-type"] == "application/cloudevents-batch+json"
        return replies[len(bodies) - 1]

    with answering(reply) as url, Client(url, "k") as client:
        assert send(client, b'[{"id":"e-1"}]', sleep=waits.append) == json.loads(RECEIPT)
    assert bodies == [b'[{"id":"e-1"}]'] * 5
    assert waits == [7, 1.0, LONGEST_WAIT_S, 4.0]


def test_repeating_has_an_end() -> None:
    waits: list[float] = []
    with answering(lambda _asked: None) as url, Client(url, "k") as client, pytest.raises(UnreachableError):
        send(client, b"[]", sleep=waits.append)
    assert len(waits) == ATTEMPTS - 1
    assert max(waits) <= sending.LONGEST_WAIT_S
    assert waits == sorted(waits)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthError), (403, AuthError), (400, CommandError), (413, CommandError)]
)
def test_what_will_not_change_is_not_repeated(status: int, kind: type[CommandError]) -> None:
    asked: list[Asked] = []

    def reply(one: Asked) -> Reply:
        asked.append(one)
        return Reply(status)

    with answering(reply) as url, Client(url, "k") as client, pytest.raises(kind):
        send(client, b"[]", sleep=lambda _s: pytest.fail("it waited"))
    assert len(asked) == 1


def test_places(tmp_path: Path) -> None:
    place = Place(tmp_path / "deep" / "down", "url", "digest")
    assert place.read() is None
    place.write(Counts(5, 3, 1, 1))
    assert place.read() == Counts(5, 3, 1, 1)
    assert Place(tmp_path / "deep" / "down", "url", "other").read() is None
    assert Place(tmp_path / "deep" / "down", "url", "digest").read() == Counts(5, 3, 1, 1)
    place.path.write_text("{broken")
    assert place.read() is None
    place.forget()
    place.forget()
    assert list((tmp_path / "deep" / "down").iterdir()) == []


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_STATE_HOME": "/state"}, Path("/state/weighbridge/imports")),
        ({"XDG_STATE_HOME": ""}, Path.home() / ".local/state/weighbridge/imports"),
        ({}, Path.home() / ".local/state/weighbridge/imports"),
    ],
)
def test_where_places_are(environ: dict[str, str], expected: Path) -> None:
    assert folder_of(environ) == expected
