"""The whole application over HTTP against a naive referee: whatever was sent how, every answer is the referee's."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.agreement import Referee
from support.agreement_asking import REFUSED, Question
from support.agreement_lists import Lists
from support.agreement_native import Native
from support.agreement_vendors import Vendors
from support.agreement_world import Delivery, Move, company_of, stamp
from support.application import application_in
from support.clock import HandClock
from support.server import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from support.agreement_world import Company

SCOPES = ["ingest", "traffic:read", "vpn:view"]
QUESTIONS = 3
"""Of each kind, for each company."""


class Site:
    """The application over one folder, to be asked, told and restarted."""

    def __init__(self, folder: Path, company: Company) -> None:
        self.folder, self.company = folder, company
        self.clock = HandClock(company.now_us)
        self.running = ExitStack()
        self.keys: dict[str | None, str] = {}

    def __enter__(self) -> Self:
        self.start()
        self.send("PUT", "/api/v1/catalog", json=self.company.document)
        for organization in self.company.document["organizations"]:
            wanted = {"organization": organization["id"], "name": "k", "scopes": SCOPES}
            self.keys[organization["id"]] = self.send("POST", "/api/v1/keys", json=wanted).json()["key"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.running.close()

    def start(self) -> None:
        self.running.close()
        self.application = self.running.enter_context(application_in(self.folder, clock=self.clock))
        url = self.running.enter_context(running(self.application.app))
        self.client = self.running.enter_context(httpx.Client(base_url=url, timeout=60))
        self.keys[None] = self.application.admin_key.secret

    def send(self, method: str, path: str, **body: Any) -> httpx.Response:
        answer = self.client.request(method, path, headers={"Authorization": self.keys[None]}, **body)
        assert answer.status_code in (200, 201), answer.text
        return answer

    def deliver(self, delivery: Delivery) -> dict[str, Any]:
        headers = {"Authorization": self.keys[None], "Content-Type": delivery.content_type}
        if delivery.encoding:
            headers["Content-Encoding"] = delivery.encoding
        answer = self.client.post("/api/v1/events", content=delivery.body(), headers=headers)
        assert answer.status_code == 200, answer.text
        receipt = answer.json()
        receipt["rejected"] = [(item["index"], item["id"], item["code"]) for item in receipt["rejected"]]
        return receipt

    def move(self, move: Move) -> None:
        owner = next(owner["id"] for owner, project in self.company.of("projects") if project["id"] == move.project)
        server = {"id": move.server, "region": move.region}
        if move.from_s is not None:
            server["from"] = stamp(move.from_s * 1_000_000)
        document = {"organizations": [{"id": owner, "projects": [{"id": move.project, "servers": [server]}]}]}
        self.send("PUT", "/api/v1/catalog", json=document)

    def do(self, step: str) -> None:
        if step == "fold":
            self.application.fold()
        elif step == "flush":
            self.application.fold()
            self.application._store.flush()
            self.application._journal.trim(self.application._store.mark().position)
        elif step == "compact":
            self.application._store.flush()
            self.application._store.compact(self.clock.now_us() // 10**6)
        elif step == "restart":
            self.start()

    def ask(self, question: Question) -> tuple[int, Any]:
        """Status and body; the pages of a list as one list."""
        headers = {"Authorization": self.keys[question.organization], **question.headers}
        if question.path.startswith("/v1/apps"):
            headers["Api-Key"] = headers.pop("Authorization")
        query = dict(question.query)
        pages: list[Any] = []
        while True:
            answer = self.client.get(question.path, params=query, headers=headers)
            body = answer.json()
            if "limit" not in query or answer.status_code != 200:
                return answer.status_code, body
            assert body["has_more"] == (body["next_token"] is not None)
            assert len(body["data"]) == int(query["limit"]) or not body["has_more"]
            pages += body["data"]
            if not body["has_more"]:
                return answer.status_code, pages
            query["next_token"] = body["next_token"]


def tell(site: Site, referee: Referee) -> None:
    """Everything that happens, to both; every receipt is the referee's."""
    for item in site.company.deliveries:
        if isinstance(item, Move):
            site.move(item)
            referee.hear_move(item, site.company.now_us // 10**6)
            continue
        verdicts = referee.hear(item.events, site.company.now_us)
        said = {"accepted": verdicts.accepted, "duplicates": verdicts.duplicates, "rejected": verdicts.rejected}
        assert site.deliver(item) == said
        site.do(item.then)
    site.application.fold()


def learn_names(site: Site, referee: Referee) -> None:
    """The ids of the environments and consumers that were made on first sight."""
    for organization in site.send("GET", "/api/v1/catalog").json()["organizations"]:
        for app in organization.get("apps", ()):
            for item in app.get("environments", ()):
                referee.names["environment"][app["id"], item["name"]] = item["id"]
            for item in app.get("consumers", ()):
                referee.names["consumer"][app["id"], item["identifier"]] = item["id"]


def questions(rng: Random, referee: Referee) -> Iterator[Question]:
    """Some of each kind."""
    vendors, lists, native = Vendors(rng, referee), Lists(rng, referee), Native(rng, referee)
    kinds = (vendors.traffic, vendors.quota, vendors.app_traffic, vendors.all_traffic, vendors.bandwidth,
             lists.team, lists.apps, lists.consumers, lists.endpoints, lists.assets, native.usage, native.percentile)
    for _ in range(QUESTIONS):
        for ask in kinds:
            yield ask()


def without_ids(body: Any) -> Any:
    """The body without the ids of its rows, which are whole numbers above zero."""
    if isinstance(body, dict):
        assert isinstance(body.get("id", 1), int)
        assert body.get("id", 1) > 0
        return {name: without_ids(value) for name, value in body.items() if name != "id"}
    return [without_ids(each) for each in body] if isinstance(body, list) else body


def agree(rng: Random, folder: Path) -> None:
    """A company is made, tells all it has to tell, and every answer is the referee's."""
    company = company_of(rng)
    referee = Referee(company)
    with Site(folder / "data", company) as site:
        tell(site, referee)
        learn_names(site, referee)
        for question in questions(rng, referee):
            status, body = site.ask(question)
            assert status == question.status, (question, body)
            if question.body is not REFUSED:
                assert (without_ids(body) if question.is_numbered else body) == question.body, question


@settings(max_examples=20, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate),
          suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_every_answer_is_the_referees(rng):
    with tempfile.TemporaryDirectory() as folder:
        agree(rng, Path(folder))


@pytest.mark.parametrize("dimension", ["environment", "consumer"])
@pytest.mark.parametrize("by", ["region", "project", "server", "vpn", "space", "key"])
def test_what_apps_do_not_have_rules_their_dimensions_out(tmp_path, by, dimension):
    """Not even with zeros: a key of a project would learn from them what it may not see."""
    company = company_of(Random(1))
    owner = company.document["organizations"][0]
    project = owner["projects"][0]
    filters = {"region": "brazil", "project": project["id"], "server": project["servers"][0]["id"],
               "vpn": owner["vpn_instances"][0]["id"], "space": str(owner["spaces"][0]["id"])}
    with Site(tmp_path / "data", company) as site:
        wanted = {"organization": owner["id"], "name": "k", "scopes": ["traffic:read"], "project": project["id"]}
        site.keys["project"] = site.send("POST", "/api/v1/keys", json=wanted).json()["key"]
        query = {"from": "2025-01-01", "to": "2025-01-02", "group_by": dimension}
        asked = query | ({} if by == "key" else {by: filters[by]})
        status, body = site.ask(Question("/api/v1/usage", asked, 200, None, "project" if by == "key" else owner["id"]))
        assert (status, body["data"]) == (200, [])
        status, body = site.ask(Question("/api/v1/usage", query, 200, None, owner["id"]))
        assert [row[dimension] for row in body["data"]] == [{"environment": 10, "consumer": 17}[dimension]]
