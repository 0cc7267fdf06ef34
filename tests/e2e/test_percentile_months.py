"""Months of 28 to 31 days in 30-minute slots: the bill is the slot of rank n - n//20 of the sums, in both APIs."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import httpx
import pytest

from support.application import application_in
from support.clock import HandClock
from support.server import running

SLOT_S = 1800
MONTHS = [("2025-02-01", 28, 1277), ("2024-02-01", 29, 1323), ("2025-04-01", 30, 1368), ("2025-05-01", 31, 1414)]
SERVERS = {"sv_a": ("p1", "brazil"), "sv_b": ("p1", "chile"), "sv_c": ("p2", "brazil"), "sv_d": ("p2", "chile")}
NOW_S = int(datetime(2025, 7, 1, 12, 7, tzinfo=UTC).timestamp())
CATALOG = {
    "regions": [{"id": f"reg_{slug}", "slug": slug, "name": slug} for slug in ("brazil", "chile")],
    "organizations": [{"id": "org", "slug": "org", "name": "Org", "projects": [
        {"id": project, "slug": f"slug-{project}", "servers": [
            {"id": server, "hostname": server, "region": region}
            for server, (owner, region) in SERVERS.items() if owner == project]}
        for project in ("p1", "p2")]}],
}
SCOPES = [({}, list(SERVERS)), ({"region": "brazil"}, ["sv_a", "sv_c"]), ({"region": "chile"}, ["sv_b", "sv_d"]),
          ({"project": "p1"}, ["sv_a", "sv_b"]), ({"project": "p2"}, ["sv_c", "sv_d"]), ({"server": "sv_c"}, ["sv_c"])]


def start_of(month):
    return int(datetime.fromisoformat(month).replace(tzinfo=UTC).timestamp())


def stamp(at_s):
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def slots_of(month, days):
    """{server: [(in, out)]}: quiet traffic, and bursts at other times for each server, near the 5 % that are free."""
    found = {}
    for server in SERVERS:
        rng = Random(f"{month} {server}")
        count = days * 48
        values = [(rng.randrange(10**9), rng.choice([0, rng.randrange(5 * 10**9)])) for _ in range(count)]
        for place in rng.sample(range(count), count // 25):
            values[place] = (rng.randrange(10**12), rng.randrange(10**12))
        found[server] = values
    return found


def events_of(month, traffic):
    for server, values in traffic.items():
        for place, (bytes_in, bytes_out) in enumerate(values):
            at_s = start_of(month) + place * SLOT_S
            whole = {"bytes_in": bytes_in, "bytes_out": bytes_out, "duration_s": SLOT_S}
            parts = [(at_s, whole)]
            if place % 7 == 0:  # some of it in two pieces that do not fill the slot
                parts = [(at_s, {"bytes_in": bytes_in}), (at_s + SLOT_S - 1, {"bytes_out": bytes_out})]
            for number, (time_s, data) in enumerate(parts):
                yield {"specversion": "1.0", "id": f"{server}-{at_s}-{number}", "source": "s", "type": "weighbridge.usage",
                       "subject": f"server/{server}", "time": stamp(time_s), "data": data}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("months") / "data"
    with application_in(folder, clock=HandClock(NOW_S * 1_000_000)) as application, running(application.app) as url:
        headers = {"Authorization": application.admin_key.secret}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
            for month, days, _ in MONTHS:
                events = list(events_of(month, slots_of(month, days)))
                assert client.post("/api/v1/events", json=events).json()["accepted"] == len(events)
            application.fold()
            yield client


def sums_of(traffic, servers, way):
    return [sum(values[way] for values in slot) for slot in zip(*(traffic[server] for server in servers), strict=True)]


def mbps_of(bytes_):
    return (bytes_ * 8 * 100 * 2 + SLOT_S * 10**6) // (2 * SLOT_S * 10**6) / 100


def ask(client, path, **query):
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(("filters", "servers"), SCOPES, ids=str)
@pytest.mark.parametrize(("month", "days", "rank"), MONTHS)
def test_native_receipt(client, month, days, rank, *, filters, servers):
    traffic = slots_of(month, days)
    start_s = start_of(month)
    span = {"from": stamp(start_s), "to": stamp(start_s + days * 86_400)}
    body = ask(client, "/api/v1/percentile", **span, **filters)
    for way, name in enumerate(("in", "out")):
        sums = sums_of(traffic, servers, way)
        billed = sorted(sums)[rank - 1]
        receipt = body[name]
        assert receipt == {
            "bits_per_second": (billed * 16 + SLOT_S) // (2 * SLOT_S), "mbps": mbps_of(billed), "rank": rank,
            "slots": days * 48, "discarded": days * 48 - rank, "coverage": 1.0,
            "slot_start": stamp(start_s + sums.index(billed) * SLOT_S),
        }
        # The slot that the receipt names has that rate when one asks for it.
        slot_s = int(datetime.fromisoformat(receipt["slot_start"]).timestamp())
        span = {"from": receipt["slot_start"], "to": stamp(slot_s + SLOT_S), "window": "30m"}
        [row] = ask(client, "/api/v1/usage", **span, **filters)["data"]
        moved = row[f"bytes_{name}"]
        assert (row["start"], moved) == (receipt["slot_start"], billed)
        assert (moved * 16 + SLOT_S) // (2 * SLOT_S) == receipt["bits_per_second"]


@pytest.mark.parametrize(("filters", "servers"), [scope for scope in SCOPES if "region" not in scope[0]], ids=str)
@pytest.mark.parametrize(("month", "days", "rank"), MONTHS)
def test_latitude_bills_what_the_receipt_says(client, month, days, rank, *, filters, servers):
    traffic = slots_of(month, days)
    span = (stamp(start_of(month)), stamp(start_of(month) + days * 86_400))
    query = {f"filter[{name}]": value for name, value in filters.items()}
    answer = ask(client, "/traffic", **{"filter[date][gte]": span[0], "filter[date][lte]": span[1]}, **query)
    attributes = answer["data"]["attributes"]
    regions = {region["region_slug"]: region for region in attributes["regions"]}
    assert sorted(regions) == sorted({SERVERS[server][1] for server in servers})
    for slug, block in [(None, attributes), *regions.items()]:
        mine = [server for server in servers if slug in (None, SERVERS[server][1])]
        named = filters if slug is None else {**filters, "region": slug}
        receipt = ask(client, "/api/v1/percentile", **{"from": span[0], "to": span[1]}, **named)
        for way, name in enumerate(("in", "out")):
            billed = mbps_of(sorted(sums_of(traffic, mine, way))[rank - 1])
            assert block[f"total_{name}bound_95th_percentile_mbps"] == billed == receipt[name]["mbps"]


@pytest.mark.parametrize(("month", "days", "rank"), MONTHS)
def test_the_top_level_is_no_sum_mean_or_maximum_of_regions(client, month, days, rank):
    """Law 2, on traffic where it makes a difference."""
    query = {"filter[date][gte]": stamp(start_of(month)), "filter[date][lte]": stamp(start_of(month) + days * 86_400)}
    attributes = ask(client, "/traffic", **query)["data"]["attributes"]
    for name in ("in", "out"):
        field = f"total_{name}bound_95th_percentile_mbps"
        parts = [region[field] for region in attributes["regions"]]
        wrong = (sum(parts), sum(parts) / len(parts), max(parts))
        assert all(abs(attributes[field] - mistake) > 1 for mistake in wrong)
