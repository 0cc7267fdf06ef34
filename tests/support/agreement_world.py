"""Random companies and what their traffic looks like on the wire, made of random numbers (hypothesis has them).

A company is a catalog document and the moves that come after it; its deliveries are bodies for POST /api/v1/events in
any order, size, content type and encoding, with retries, mistakes, folds and restarts in between.
"""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from random import Random

REGIONS = ("brazil", "chile", "dallas")
VPNS = ("d290f1ee-6c54-4b01-90e6-d701748f0851", "0fa85f64-5717-4562-b3fc-2c963f66afa6")
ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Sao_Paulo")
ORGANIZATIONS = ("org_acme", "org_bolt")
ENDPOINTS = (("GET", "/healthz"), ("POST", "/orders"), ("GET", "/orders/{id}"))
ASSETS = (("/f/1/logo.svg", "image/svg+xml"), ("/f/1/film.mp4", "video/mp4"), ("/f/1/readme", None))
"""Paths of a space's assets, with what their suffix stands for."""
ANCHORS = ("2024-02-27", "2025-03-06", "2025-04-03", "2025-10-02", "2025-10-30", "2025-12-29")
"""First days: leap day, clocks set forward and back in both hemispheres, the turn of the year."""
SPAN_S = 6 * 86_400
MAX_AMOUNT = 2**53 - 1


@dataclass
class Move:
    """A server goes to another project and region. `from_s` None: at the moment when it is told."""

    server: str
    project: str
    region: str
    from_s: int | None


@dataclass
class Delivery:
    """One request with events, and what happens after it: fold, flush, compact, restart or nothing."""

    events: list[dict[str, Any]]
    content_type: str
    encoding: str
    then: str

    def body(self) -> bytes:
        """The body, as the content type and the encoding want it."""
        if self.content_type == "application/x-ndjson":
            text = "\n".join(json.dumps(event) for event in self.events) + "\n"
        elif self.content_type == "application/cloudevents+json":
            text = json.dumps(self.events[0])
        else:
            text = json.dumps(self.events)
        raw = text.encode()
        return {"gzip": gzip.compress, "zstd": zstd.compress}.get(self.encoding, bytes)(raw)


@dataclass
class Company:
    """Two organizations with all they have. `moves` are told in order, before or between the deliveries."""

    start_s: int
    now_us: int
    document: dict[str, Any]
    moves: list[Move] = field(default_factory=list)
    deliveries: list[Delivery | Move] = field(default_factory=list)

    def of(self, section: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """(organization, object) of every object of a section."""
        return [(owner, item) for owner in self.document["organizations"] for item in owner.get(section, ())]

    @property
    def servers(self) -> list[str]:
        return [server["id"] for _, project in self.of("projects") for server in project["servers"]]


def company_of(rng: Random) -> Company:
    """A company with its deliveries."""
    start_s = int(datetime.fromisoformat(rng.choice(ANCHORS)).replace(tzinfo=UTC).timestamp())
    now_us = (start_s + SPAN_S + rng.randint(0, 20 * 86_400)) * 1_000_000 + rng.choice([0, 1, 999_999])
    document = {
        "regions": [{"id": f"reg_{slug}", "slug": slug, "name": slug.title()} for slug in REGIONS],
        "organizations": [_organization(rng, number) for number in range(2)],
    }
    company = Company(start_s, now_us, document)
    _name_primary_servers(rng, company)
    company.moves = _moves(rng, company)
    early = rng.randint(0, len(company.moves))
    events = _events(rng, company)
    company.deliveries = [*company.moves[:early], *_deliveries(rng, events)]
    for move in company.moves[early:]:
        later = [i for i, item in enumerate(company.deliveries) if isinstance(item, Move)]
        company.deliveries.insert(rng.randint(later[-1] + 1 if later else 0, len(company.deliveries)), move)
    return company


def _organization(rng: Random, number: int) -> dict[str, Any]:
    name = ORGANIZATIONS[number]
    found: dict[str, Any] = {
        "id": name, "slug": name[4:], "name": name.title(), "time_zone": rng.choice(ZONES),
        "billing_day": rng.choice([1, 2, 15, 29, 30, 31]), "traffic_limit_unit": rng.choice(["requests", "bytes"]),
        "projects": [_project(rng, number, index) for index in range(2)],
        "vpn_instances": [{
            "id": VPNS[number], "name": "hq",
            "peers": [{"id": peer, "public_key": f"{peer}="} for peer in ("alice", "bob")[: rng.randint(0, 2)]],
        }],
        "apps": [_app(rng, number * 10 + 1)],
        "spaces": [{"id": number * 100 + index + 1, "name": f"Space {index}"} for index in range(rng.choice([1, 3, 12]))],
    }
    if rng.random() < 0.7:
        found["monthly_traffic_limit"] = rng.choice([0, 10_000_000])
    if rng.random() < 0.5:
        found["vpn_instances"][0]["region"] = rng.choice(REGIONS)
    return found


def _project(rng: Random, number: int, index: int) -> dict[str, Any]:
    name = f"{'ab'[number]}{index}"
    quotas = []
    for region in REGIONS[: rng.randint(0, 3)]:
        quota: dict[str, Any] = {"region": region, "price": rng.choice([None, 0, 500])}
        for block in ("tb", "mbps"):
            if rng.random() < 0.7:
                quota[block] = {"granted": rng.choice([0, 20]), "additional": rng.choice([0, 7])}
        quotas.append(quota)
    rng.shuffle(quotas)
    servers = [{"id": f"sv_{name}{n}", "hostname": f"web-{n}", "region": rng.choice(REGIONS)}
               for n in range(rng.choice([1, 1, 2]))]
    return {"id": f"proj_{name}", "slug": f"slug-{name}", "billing_method": rng.choice(["Normal", "95th percentile"]),
            "price": rng.choice([None, 500]), "quotas": quotas, "servers": servers}


def _app(rng: Random, number: int) -> dict[str, Any]:
    return {
        "id": number, "name": f"app {number}",
        "environments": [{"id": number * 10, "name": "prod"}],
        "consumers": [{"id": number * 10 + 7, "identifier": "alice", "name": "Alice"}],
        "excluded_endpoints": [{"method": method, "path": path} for method, path in ENDPOINTS[: rng.randint(0, 2)]],
    }


def _name_primary_servers(rng: Random, company: Company) -> None:
    for organization, vpn in company.of("vpn_instances"):
        if rng.random() < 0.5:
            vpn["primary_server"] = organization["projects"][0]["servers"][0]["id"]


def _moves(rng: Random, company: Company) -> list[Move]:
    """Dated moves of some servers, each later than the one before; primary servers stay in their organization."""
    primary = {vpn.get("primary_server") for _, vpn in company.of("vpn_instances")}
    moves = []
    for server in company.servers:
        at_s = company.start_s - 3 * 86_400
        for _ in range(rng.choice([0, 0, 1, 2, 3])):
            at_s += rng.choice([300, 1500, 7 * 3600 + 17, 40 * 3600])
            own = server[3]
            projects = [f"proj_{name}{index}" for name in (own if server in primary else "ab") for index in range(2)]
            moves.append(Move(server, rng.choice(projects), rng.choice(REGIONS), at_s))
        if rng.random() < 0.2:
            moves.append(Move(server, f"proj_{server[3]}0", rng.choice(REGIONS), None))
    return moves


def stamp(at_us: int, rng: Random | None = None) -> str:
    """The instant as RFC 3339, in one of the spellings there are."""
    instant = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at_us)
    spelling = rng.randrange(3) if rng else 0
    if spelling == 0:
        return instant.isoformat().replace("+00:00", "Z")
    zone = timezone(timedelta(hours=(-5, 9)[spelling - 1]))
    return instant.astimezone(zone).isoformat()


def _instant_us(rng: Random, company: Company) -> int:
    if rng.random() < 0.4:
        return (company.start_s + 300 * rng.randrange(SPAN_S // 300)) * 1_000_000
    return company.start_s * 1_000_000 + rng.randrange(SPAN_S * 1_000_000)


def _amount(rng: Random) -> int:
    return rng.choice([0, 1, rng.randint(0, 10**6), rng.randint(0, 10**12), rng.randint(0, MAX_AMOUNT), MAX_AMOUNT])


def _events(rng: Random, company: Company) -> list[dict[str, Any]]:
    """What senders want to say: usage of everything, readings of counters, and some mistakes."""
    events = [_usage(rng, company, number) for number in range(rng.randint(1, 30))]
    for number in range(rng.randint(0, 3)):
        events += _readings(rng, company, number)
    return events + [_mistake(rng, company, rng.choice(events), number) for number in range(rng.randint(0, 3))]


def _subjects(company: Company) -> list[str]:
    found = [f"server/{server}" for server in company.servers]
    for _, vpn in company.of("vpn_instances"):
        found += [f"vpn/{vpn['id']}", *(f"vpn/{vpn['id']}/peer/{peer['id']}" for peer in vpn["peers"])]
    found += [f"app/{app['id']}" for _, app in company.of("apps")] * 3
    return found + [f"space/{space['id']}" for _, space in company.of("spaces")]


def _usage(rng: Random, company: Company, number: int) -> dict[str, Any]:
    data: dict[str, Any] = {name: _amount(rng) for name in ("bytes_in", "bytes_out", "requests") if rng.random() < 0.8}
    kind = rng.random()
    if kind < 0.7:
        data["duration_s"] = rng.choice([0, 1, 300, 299, 1800, 5000, 86_400, rng.randint(0, 3 * 86_400)])
    subject = rng.choice(_subjects(company))
    if subject.startswith("app/"):
        for name, values in (("environment", ("prod", "test")), ("consumer", ("alice", "bob"))):
            if rng.random() < 0.7:
                data[name] = rng.choice(values)
        if rng.random() < 0.7:
            data["method"], data["path"] = rng.choice(ENDPOINTS)
            data["method"] = rng.choice([data["method"], data["method"].lower()])
    if subject.startswith("space/") and rng.random() < 0.6:
        data["path"] = rng.choice(ASSETS)[0]
    return _event(rng, f"u{number}", subject, _instant_us(rng, company), data)


def _event(rng: Random, name: str, subject: str, at_us: int, data: dict[str, Any]) -> dict[str, Any]:
    kind = "weighbridge.reading" if "counter_bits" in data else "weighbridge.usage"
    return {"specversion": "1.0", "id": name, "source": rng.choice(["edge", "mill"]), "type": kind, "subject": subject,
            "time": stamp(at_us, rng), "data": data}


def _readings(rng: Random, company: Company, number: int) -> list[dict[str, Any]]:
    """A counter simulated: it grows, wraps (32 bits), is reset with or without a word, and is read now and then."""
    bits = rng.choice([32, 64])
    subject = rng.choice([name for name in _subjects(company) if not name.startswith(("app", "space"))])
    names = rng.choice([["bytes_in_total", "bytes_out_total"], ["bytes_in_total"], ["bytes_out_total"]])
    totals = {name: rng.choice([0, 2**bits - 2**20, rng.randrange(2**bits)]) for name in names}
    at_us = _instant_us(rng, company)
    events, source = [], rng.choice(["edge", "mill"])
    for step in range(rng.randint(1, 6)):
        data: dict[str, Any] = {"counter_bits": bits, "counter": f"eth{number}", **totals}
        if bits == 32 and rng.random() < 0.7:
            data["line_rate_bps"] = 100_000_000
        event = _event(rng, f"r{number}-{step}", subject, at_us, data)
        event["source"] = source
        events.append(event)
        passed_us = rng.choice([300_000_000, 60_000_000, rng.randint(1_000_001, 7_200_000_000), 86_400_000_000])
        if rng.random() < 0.2:
            totals = {name: rng.randint(0, 10**6) for name in names}
        else:
            totals = {name: (total + rng.choice([0, rng.randint(0, 2**22), rng.randrange(2**bits // 2)])) % 2**bits
                      for name, total in totals.items()}
        if rng.random() < 0.25:
            data["since"] = stamp(at_us - rng.choice([1_000_000, 30_000_000, 400_000_000]))
        at_us += passed_us
    return events


def _mistake(rng: Random, company: Company, event: dict[str, Any], number: int) -> dict[str, Any]:
    """An event that is refused: nobody's, in the future, contradicting one that was sent, or malformed."""
    wrong = {**event, "data": dict(event["data"])}
    kind = rng.randrange(5)
    if kind == 0:
        nobody = {"subject": "server/sv_nobody", "data": {"bytes_in": 1}, "type": "weighbridge.usage"}
        return wrong | nobody | {"id": f"x{number}"}
    if kind == 1:
        return wrong | {"id": f"x{number}", "time": stamp(company.now_us + 600_000_000)}
    if kind == 2:
        return wrong | {"time": stamp(_instant_us(rng, company))}
    if kind == 3:
        wrong["data"] |= {"counter": "other"} if "counter" in wrong["data"] else {"bytes_in": 77}
        return wrong
    wrong["data"]["bytes_out"] = -1
    return wrong | {"id": f"x{number}"}


def _deliveries(rng: Random, events: list[dict[str, Any]]) -> list[Delivery]:
    """The same events as a network brings them: in any order, several times, cut into batches."""
    order = events + [rng.choice(events) for _ in range(rng.randint(0, 12))]
    if rng.random() < 0.7:
        rng.shuffle(order)
    else:
        order.sort(key=lambda event: datetime.fromisoformat(event["time"]))
    found = []
    while order:
        size = rng.choice([1, 2, 7, 25])
        batch, order = order[:size], order[size:]
        types = ["application/json", "application/cloudevents-batch+json", "application/x-ndjson"]
        content_type = rng.choice([*types, "application/cloudevents+json"] if len(batch) == 1 else types)
        then = rng.choice(["", "", "", "fold", "flush", "compact", "restart"])
        found.append(Delivery(batch, content_type, rng.choice(["", "gzip", "zstd"]), then))
    return found
