"""What the clients put on the wire, without a Weighbridge: the figures of known requests, and the same bytes again."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.answers import Asked, Reply
from support.api_calls import make_known_calls
from support.api_clients import CLIENTS, OTEL_TWINS, RunningApp
from support.api_sent import counted_of
from support.recorder import TAKEN, Heard, Recorder

if TYPE_CHECKING:
    from pathlib import Path

CLIENT_ID = "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9"
WRITE_TOKEN = "apt_" + "aB3d" * 6
SENT_S = 40
"""A client of 1.x waits up to 16.5 s for its second export, and 5.5 s more after a refusal; hub clients sync every 10 s."""


def counting(asked: Asked) -> bool:
    """Whether traffic is counted from it. Logs, traces and what an app is made of are not refused here."""
    return asked.path.endswith("/sync") or asked.path == "/v1/metrics"


class RefusingOnce:
    """Refuses every body when it comes first, by turns with 503 and by closing the connection; then takes it."""

    def __init__(self) -> None:
        self.seen: Counter[bytes] = Counter()
        self.willing = threading.Event()

    def __call__(self, asked: Asked) -> Reply | None:
        if not counting(asked):
            return TAKEN
        self.seen[asked.body] += 1
        if self.willing.is_set() or self.seen[asked.body] > 1:
            return TAKEN
        return Reply(503, headers={"apitally-export-interval": "5"}) if len(self.seen) % 2 else None


def taken(heard: list[Heard]) -> list[Asked]:
    return [each.asked for each in heard if each.taken]


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_refused_comes_again_and_the_figures_are_those_of_the_requests(client: str, tmp_path: Path) -> None:
    kind = CLIENTS[client]
    refusing = RefusingOnce()
    with Recorder(refusing) as hub:
        app = RunningApp(kind, tmp_path, "prod", CLIENT_ID if kind.is_hub else WRITE_TOKEN, hub.url)
        with app:
            expected = make_known_calls({"prod": app.url}, client)
            if client == "apitally1":  # what is refused while it ends is lost
                hub.wait(lambda heard: any(counting(asked) for asked in taken(heard)), SENT_S)
                refusing.willing.set()
            if kind.flushes:
                app.stop()
            else:
                hub.wait(lambda heard: counted_of(taken(heard)) == expected, SENT_S)
    assert counted_of(taken(hub.heard)) == expected
    again = [body for body, times in refusing.seen.items() if times > 1]
    assert again, "nothing that was refused came again"


def instances(heard: list[Heard]) -> list[str]:
    """The instance of every startup, in their order."""
    return [json.loads(each.asked.body)["instance_uuid"] for each in heard if each.asked.path.endswith("/startup")]


@pytest.mark.parametrize("client", [name for name, kind in CLIENTS.items() if kind.is_hub])
def test_an_instance_keeps_its_name_and_two_have_two(client: str, tmp_path: Path) -> None:
    with Recorder() as hub:
        first, second = (RunningApp(CLIENTS[client], tmp_path, "prod", CLIENT_ID, hub.url) for _ in range(2))
        with first:
            hub.wait(lambda heard: len(instances(heard)) == 1, SENT_S)
        with first:
            hub.wait(lambda heard: len(instances(heard)) == 2, SENT_S)
        with first, second:
            hub.wait(lambda heard: len(instances(heard)) == 4, SENT_S)
    before, again, *both = instances(hub.heard)
    assert before == again
    assert before in both
    assert len(set(both)) == 2


def test_processes_that_call_themselves_the_same_differ_by_their_start(tmp_path: Path) -> None:
    """Two processes of one app whose points differ in nothing but their start are two series, not one."""
    with Recorder() as collector:
        apps = [RunningApp(OTEL_TWINS, tmp_path, "prod", WRITE_TOKEN, collector.url) for _ in range(2)]
        with apps[0], apps[1]:
            expected = [make_known_calls({"prod": app.url}, "otel", 5 * number) for number, app in enumerate(apps)]
            for app in apps:
                app.stop()
    whole = {key: expected[0][key].plus(expected[1][key]) for key in expected[0]}
    assert counted_of(taken(collector.heard)) == whole
