"""Apps with the vendors' own clients send to a Weighbridge, and 5.3 answers exactly the requests that were made of them.

The five clients do everything at the same time: a client of the hub syncs every 10 s, and one of 1.x exports every 15 s.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from support.answers import Asked, Reply
from support.api_calls import CALLERS, HABITS
from support.api_clients import CLIENTS, OTEL_TWINS
from support.api_scene import Scene, Seen
from support.recorder import Heard, Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

SYNC_S = 25
"""One sync of 10 s or export of 16.5 s, and a machine that does other things too."""
RETURN_S = 45
"""Longest time after an outage until everything is there: two syncs or exports."""
REFUSED_S = 25
"""Longest time until every client was refused once."""


@dataclass
class Outcome:
    """What was to be answered of each client, what was answered, and what was answered after the apps had ended."""

    expected: dict[str, Seen] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    at_last: dict[str, Seen] = field(default_factory=dict)
    consumers: dict[str, dict[str, tuple[str | None, str | None]]] = field(default_factory=dict)


def outcome_of(scene: Scene) -> Outcome:
    """What the server answers now, and once more when no app runs any longer: whatever came late would be too much."""
    found = Outcome()
    for client in scene.clients:
        found.expected[client] = scene.expected(client)
        found.seen[client] = scene.seen(client)
        found.consumers[client] = scene.consumers(client)
    scene.stop()
    for client in scene.clients:
        found.at_last[client] = scene.seen(client)
    return found


def finish(calls: list) -> None:
    for each in calls:
        each.result()


def stop_those_that_flush(scene: Scene) -> None:
    scene.stop([app for app in scene.running if app.client.flushes])


@pytest.fixture(scope="module")
def two_environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """One process in each of two environments, and what they still hold comes when they are stopped."""
    with Scene(tmp_path_factory.mktemp("two"), CLIENTS) as scene:
        scene.start("prod", "staging")
        finish(scene.call())
        stop_those_that_flush(scene)
        scene.settle(SYNC_S)
        yield outcome_of(scene)


@pytest.mark.parametrize("client", CLIENTS)
def test_two_environments_and_three_consumers(two_environments: Outcome, client: str) -> None:
    assert two_environments.seen[client] == two_environments.expected[client]
    assert two_environments.at_last[client] == two_environments.expected[client]


@pytest.mark.parametrize("client", [name for name in CLIENTS if HABITS[name].consumers])
def test_consumers_have_the_names_and_groups_that_the_client_says(two_environments: Outcome, client: str) -> None:
    named = {caller.identifier: (caller.name, caller.group) for caller in CALLERS if caller.identifier}
    assert two_environments.consumers[client] == named


PROCESSES = {**CLIENTS, OTEL_TWINS.name: OTEL_TWINS}


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Two processes of every app at once, asked twice; then both have ended, and one of them starts anew and is asked."""
    with Scene(tmp_path_factory.mktemp("processes"), PROCESSES) as scene:
        scene.start("prod", "prod")
        finish(scene.call(10))
        scene.settle(SYNC_S)
        finish(scene.call(20))
        stop_those_that_flush(scene)
        scene.settle(SYNC_S)
        scene.stop()
        scene.start("prod")
        finish(scene.call(30))
        stop_those_that_flush(scene)
        scene.settle(SYNC_S)
        yield outcome_of(scene)


@pytest.mark.parametrize("client", PROCESSES)
def test_two_processes_at_once_and_one_that_starts_anew(two_processes: Outcome, client: str) -> None:
    assert two_processes.seen[client] == two_processes.expected[client]
    assert two_processes.at_last[client] == two_processes.expected[client]


class Away:
    """Nobody is there: every client is refused, by turns with 503 and by a connection that ends without an answer.

    Where a 503 says when to come again, OpenTelemetry's exporter does so then, at most six times in all; else it doubles
    its waits. A client of 1.x takes its next interval from the answer, of whatever status.
    """

    ANSWER = Reply(503, headers={"retry-after": "8", "apitally-export-interval": "5"})

    def __init__(self, scene: Scene) -> None:
        self._names = {secret: name for name, secret in scene.credentials.items()}
        self._refused: Counter[str] = Counter()

    def client_of(self, asked: Asked) -> str:
        return self._names[asked.path.split("/")[2] if asked.path.startswith("/v2/") else asked.headers["authorization"][7:]]

    def __call__(self, asked: Asked) -> Reply | None:
        client = self.client_of(asked)
        self._refused[client] += 1
        return self.ANSWER if self._refused[client] % 2 or client.startswith("otel") else None

    def all_were_refused(self, heard: list[Heard]) -> bool:
        """Every client has come in vain with something that counts; 1.x goes no further when its traces are refused."""
        came = [each.asked for each in heard]
        counting = [asked for asked in came if asked.path.startswith("/v1/") or b'"request_count"' in asked.body]
        return {self.client_of(asked) for asked in counting} == set(self._names.values())


@pytest.fixture(scope="module")
def server_was_away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """The server is stopped while requests are made, and starts again on the same port and folder when all were refused."""
    with Scene(tmp_path_factory.mktemp("away"), CLIENTS) as scene:
        scene.start("prod")
        calls = scene.call()
        assert scene.server.stop() == 0
        finish(calls)
        away = Away(scene)
        with Recorder(away, scene.server.port) as nobody:
            finish(scene.call(50))
            nobody.wait(away.all_were_refused, REFUSED_S)
        scene.server.start()
        scene.settle(RETURN_S)
        yield outcome_of(scene)


@pytest.mark.parametrize("client", CLIENTS)
def test_after_the_server_was_away(server_was_away: Outcome, client: str) -> None:
    assert server_was_away.seen[client] == server_was_away.expected[client]
    assert server_was_away.at_last[client] == server_was_away.expected[client]
