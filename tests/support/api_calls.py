"""A known set of requests, and what the client of the app that answered them says about each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CALL_S = 30


class Amount(NamedTuple):
    """Requests, bytes that the app received, bytes that it sent."""

    requests: int = 0
    received: int = 0
    sent: int = 0

    def plus(self, other: Amount) -> Amount:
        return Amount(*(mine + its for mine, its in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Habits:
    """What a client counts. All of them count bodies only, never headers, and the Content-Length of an answer to HEAD."""

    consumers: bool = True
    """It says who called."""
    unsized_requests: bool = False
    """Bodies of requests without Content-Length count; else they are 0 bytes."""
    unsized_answers: bool = True
    """Bodies of answers without Content-Length count; else they are 0 bytes."""
    crashes: bool = True
    """The answer to a request whose handler failed has a size; else it is 0 bytes."""
    options: bool = False
    """OPTIONS counts."""
    unrouted: frozenset[int] = frozenset()
    """Statuses of requests that found no handler and count all the same."""


HABITS = {
    "apitally0": Habits(crashes=False),
    "apitally_js": Habits(unsized_answers=False),
    "apitally1": Habits(unsized_requests=True, unrouted=frozenset({405})),
    "otel": Habits(consumers=False, unsized_answers=False, options=True, unrouted=frozenset({404, 405})),
}
HABITS["otel_delta"] = HABITS["otel_twins"] = HABITS["otel"]


@dataclass(frozen=True)
class Call:
    """One request. `body` is sent with its length, or in chunks without it."""

    method: str
    path: str
    body: bytes = b""
    chunked: bool = False

    def make(self, client: httpx.Client) -> httpx.Response:
        parts = (self.body[at:at + 300] for at in range(0, len(self.body), 300))
        return client.request(self.method, self.path, content=parts if self.chunked else self.body or None)

    def amount(self, habits: Habits, answer: httpx.Response) -> Amount | None:
        """What the client counts, by what was seen on the wire; None where it counts no request."""
        if answer.status_code in {404, 405} - habits.unrouted or (self.method == "OPTIONS" and not habits.options):
            return None
        sized = answer.headers.get("content-length")
        sent = int(sized) if sized is not None else len(answer.content) if habits.unsized_answers else 0
        if answer.status_code == 500 and not habits.crashes:
            sent = 0
        return Amount(1, len(self.body) if habits.unsized_requests or not self.chunked else 0, sent)


def known_set(size: int, *, streams: bool) -> list[Call]:
    """One of everything that an app can be asked; `size` makes the figures of a set its own.

    Without `streams` for OpenTelemetry's own instrumentation: it keeps the last Content-Length that it saw in one variable
    for all requests, so that what it says of a streamed answer is the size of another one.
    """
    streamed = [
        Call("GET", f"/stream?chunks=3&size={size}"),
        Call("GET", f"/stream?chunks=4&size={size}&length=1"),
    ]
    return [
        Call("GET", f"/items/1?size={1000 + size}"),
        Call("GET", "/items/2?size=0"),
        Call("HEAD", f"/items/3?size={size}"),
        Call("POST", "/upload", b"u" * (2000 + size)),
        Call("POST", "/upload", b"c" * (700 + size), chunked=True),
        *(streamed if streams else []),
        Call("GET", "/healthz"),
        Call("GET", "/nowhere"),
        Call("DELETE", "/items/4"),
        Call("OPTIONS", "/items/5"),
        Call("GET", "/broken"),
    ]


@dataclass(frozen=True)
class Caller:
    """Who calls: the identifier (None: nobody says), and the value of `X-Consumer`: identifier;name;group."""

    identifier: str | None = None
    header: str = ""
    name: str | None = None
    group: str | None = None


CALLERS = (
    Caller("alice", "alice;Alice A.;gold", "Alice A.", "gold"),
    Caller("bob", "bob;Bob", "Bob"),
    Caller(),
)

EXCLUDED = "/healthz"
"""The endpoint that the catalog excludes: called like the others, and in no answer."""

Counted = dict[tuple[str, str | None], Amount]
"""By environment and consumer."""


def call_all(url: str, calls: Iterable[Call], caller: Caller, habits: Habits) -> Iterator[Amount]:
    """Makes the calls, one after another, and gives what of each is to be in the answers."""
    headers = {"Connection": "close"}  # an app that crashed ends its connection too, and the next call would be lost with it
    if caller.header:
        headers["X-Consumer"] = caller.header
    with httpx.Client(base_url=url, headers=headers, timeout=CALL_S, trust_env=False) as client:
        for call in calls:
            answer = call.make(client)
            assert call.path != "/upload" or answer.text == str(len(call.body))
            amount = call.amount(habits, answer)
            if amount and call.path != EXCLUDED:
                yield amount


def make_known_calls(urls: Mapping[str, str], client: str, base: int = 0) -> Counted:
    """What must be in the answers after each caller has made a known set of requests in each environment (name: URL)."""
    habits = HABITS[client]
    counted: Counted = defaultdict(Amount)
    for place, (environment, url) in enumerate(urls.items()):
        for number, caller in enumerate(CALLERS):
            calls = known_set(base + 100 * place + 10 * number + 1, streams=not client.startswith("otel"))
            who = caller.identifier if habits.consumers else None
            for amount in call_all(url, calls * (number + 1), caller, habits):
                counted[environment, who] = counted[environment, who].plus(amount)
    return counted


def add(*parts: Counted) -> Counted:
    """All of them together."""
    whole: Counted = defaultdict(Amount)
    for part in parts:
        for key, amount in part.items():
            whole[key] = whole[key].plus(amount)
    return whole
