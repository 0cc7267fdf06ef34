"""The law of the middleware: what the server counts is what the app saw, whatever the line does, once, to the byte.

The same by a naive referee, for many lines, and by the real application with its catalog, journal and store.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.application import application_in
from support.clock import HandClock
from support.metered import FATES, LOST, RECEIPT, REFUSED, Line, Referee, reporter_on, run_until_sent
from support.server import running
from weighbridge.reporter import tally
from weighbridge.reporter.post import Answer, NoAnswerError, Post
from weighbridge.reporter.settings import Settings
from weighbridge.reporter.spool import Spool

if TYPE_CHECKING:
    from weighbridge.reporter.tally import Key, Passage
    from weighbridge.reporter.worker import Reporter

NOW_US = 1_765_728_000_000_000
KEYS: list[Key] = [("prod", consumer, method, path) for consumer in (None, "alice", "bob")
                   for method, path in ((None, None), ("GET", "/"), ("POST", "/items/{id}"))]
SIZES = st.integers(0, 3) | st.integers(0, 2**40)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.sampled_from(KEYS)),
        st.tuples(st.just("move"), st.integers(0, 20), SIZES, SIZES),
        st.tuples(st.just("identify"), st.integers(0, 20)),
        st.tuples(st.just("end"), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.sampled_from([1, 20, 59, 61, 400])),
        st.tuples(st.just("flush")),
    ),
    max_size=60,
)


@dataclass
class App:
    """Requests as they come and go, and a naive account of what they moved."""

    reporter: Reporter
    clock: HandClock
    open: list[Passage] = field(default_factory=list)
    saw: dict[Key, list[int]] = field(default_factory=dict)
    names: dict[int, Key] = field(default_factory=dict)

    def do(self, name: str, *arguments: Any) -> None:
        getattr(self, name)(*arguments)

    def begin(self, key: Key) -> None:
        passage = self.reporter.begin(lambda: key)
        self.open.append(passage)
        self.names[id(passage)] = key
        self.saw.setdefault(key, [0, 0, 0])[2] += 1

    def move(self, number: int, bytes_in: int, bytes_out: int) -> None:
        if self.open:
            passage = self.open[number % len(self.open)]
            passage.bytes_in += bytes_in
            passage.bytes_out += bytes_out
            row = self.saw[self.names[id(passage)]]
            row[0] += bytes_in
            row[1] += bytes_out

    def identify(self, number: int) -> None:
        if self.open:
            self.open[number % len(self.open)].identify()

    def end(self, number: int) -> None:
        if self.open:
            self.open.pop(number % len(self.open)).end()

    def wait(self, wait_s: int) -> None:
        self.clock.at_us += wait_s * 1_000_000
        self.reporter.step()

    def flush(self) -> None:
        self.reporter._flush_now()

    def run(self, steps: list[tuple[Any, ...]]) -> None:
        for step in steps:
            self.do(*step)
        while self.open:
            self.end(0)
        run_until_sent(self.reporter, self.clock)

    def account(self) -> dict[Key, tuple[int, ...]]:
        return {key: tuple(row) for key, row in self.saw.items()}


def check_ids(line: Line) -> None:
    """Whatever was sent more than once under one name was the same each time."""
    known: dict[tuple[str, str], Any] = {}
    for body in line.bodies:
        for event in json.loads(gzip.decompress(body)):
            assert known.setdefault((event["source"], event["id"]), event) == event


@settings(max_examples=300, deadline=None)
@given(STEPS, st.lists(st.sampled_from(FATES), max_size=40), st.integers(1, 6))
def test_the_sums_are_what_the_app_saw(steps, fates, batch_rows):
    referee, clock = Referee(), HandClock(NOW_US)
    line = Line(referee, fates)
    reporter = reporter_on(line, clock)
    reporter._spool = Spool("app/1", batch_rows=batch_rows)
    app = App(reporter, clock)
    app.run(steps)
    assert referee.sums() == app.account()
    check_ids(line)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    STEPS,
    st.lists(st.sampled_from(FATES), max_size=40),
    st.lists(st.sampled_from([None, None, "unknown_subject", "in_future", "too_many", "conflict"]), max_size=60),
    st.tuples(st.integers(1, 6), st.integers(5, 8)),
)
def test_refusals_and_full_rooms_change_whose_it_is_but_never_how_much(monkeypatch, steps, fates, codes, bounds):
    def refuse(event):
        """As the real server: places first, ids after; and a name that was taken once is not one too many later."""
        code = codes.pop() if codes else None
        is_known = (event["source"], event["id"]) in referee.known
        is_bare = not {"consumer", "path"} & set(event["data"])
        return None if (code in ("too_many", "conflict") and is_known) or (code == "too_many" and is_bare) else code

    monkeypatch.setattr(tally, "KEYS_AT_ONCE", 4)
    referee, clock = Referee(refuse=refuse), HandClock(NOW_US)
    line = Line(referee, fates)
    reporter = reporter_on(line, clock)
    reporter._spool = Spool("app/1", batch_rows=bounds[0], rows_waiting=bounds[1])
    app = App(reporter, clock)
    app.run(steps)
    saw = [sum(column) for column in zip([0, 0, 0], *app.saw.values(), strict=True)]
    assert list(referee.totals()) == saw
    check_ids(line)


EXAMPLES = 25
USAGE = {"from": "2025-12-14T00:00:00Z", "to": "2025-12-16T00:00:00Z", "window": "total", "group_by": "consumer"}


@dataclass
class Wire:
    """The real server behind a line that fails as it is told."""

    post: Post
    fates: list[str]

    def __call__(self, body: bytes, timeout_s: float) -> Answer:
        fate = self.fates.pop(0) if self.fates else RECEIPT
        if fate == REFUSED:
            raise NoAnswerError(fate)
        answer = self.post(body, timeout_s)
        if fate == LOST:
            raise NoAnswerError(fate)
        return answer


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """(application, client, its URL, numbers of apps that are not used yet)"""
    folder = tmp_path_factory.mktemp("site") / "data"
    catalog = {"organizations": [{"id": "org_a", "slug": "a", "name": "A",
                                  "apps": [{"id": n, "name": f"app-{n}"} for n in range(1, EXAMPLES + 1)]}]}
    clock = HandClock(NOW_US + 86_400_000_000)
    with application_in(folder, clock=clock) as application, running(application.app) as url:
        headers = {"Authorization": application.admin_key.secret}
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            client.put("/api/v1/catalog", json=catalog).raise_for_status()
            yield application, client, url, list(range(1, EXAMPLES + 1))


@settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.generate])
@given(STEPS, st.lists(st.sampled_from([RECEIPT, REFUSED, LOST]), max_size=20))
def test_the_real_server_counts_what_the_app_saw(site, steps, fates):
    application, client, url, numbers = site
    number, clock = numbers.pop(), HandClock(NOW_US)
    told = Settings(url, application.admin_key.secret, f"app/{number}", "prod", 60)
    app = App(reporter_on(Wire(Post(told), fates), clock, told), clock)
    app.run(steps)
    application.fold()
    rows = client.get("/api/v1/usage", params={**USAGE, "app": str(number)}).raise_for_status().json()["data"]
    listed = client.get("/api/v1/consumers", params={"limit": 1_000}).raise_for_status().json()["data"]
    names = {consumer["id"]: consumer["identifier"] for consumer in listed}
    found = {names.get(row["consumer"]): [row["bytes_in"], row["bytes_out"], row["requests"]] for row in rows}
    expected: dict[str | None, list[int]] = {}
    for key, amounts in app.saw.items():
        row = expected.setdefault(key[1], [0, 0, 0])
        row[:] = [a + b for a, b in zip(row, amounts, strict=True)]
    assert found == expected
