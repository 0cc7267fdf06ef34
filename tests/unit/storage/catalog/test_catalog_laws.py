"""Laws of the catalog, over made-up files one after the other: what a file says holds, again changes nothing, a dry run
tells what would be, the catalog as a file changes nothing, and what is on disk is what is in memory."""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from support.kit import NOW_S, HandClock
from weighbridge.domain.errors import InvalidDocumentError
from weighbridge.domain.timegrid import rfc3339
from weighbridge.http.route import Principal
from weighbridge.metering.attribution import stretches
from weighbridge.model import CatalogView, Kind, Scope, SeriesKey
from weighbridge.storage.catalog.store import FILE_NAME, SqlCatalog

ADMIN = Principal("key_test", None, None, frozenset({Scope.ADMIN}))
SLUGS = ("brazil", "chile")
UUIDS = tuple(f"d290f1ee-6c54-4b01-90e6-{number:012x}" for number in range(3))

names = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=8)
amounts = st.integers(0, 2**53 - 1)
maybe_amounts = st.none() | amounts
few = st.sampled_from


def some(of: st.SearchStrategy[dict[str, Any]], by: str = "id") -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(of, max_size=3, unique_by=lambda item: item[by])


allowances = st.fixed_dictionaries({}, optional={"granted": amounts, "additional": amounts})
quotas = st.fixed_dictionaries(
    {"region": few(SLUGS)}, optional={"price": maybe_amounts, "tb": allowances, "mbps": allowances})
endpoints = st.fixed_dictionaries({"method": few(["GET", "post"]), "path": names.map(lambda name: f"/{name}")})
ports = st.fixed_dictionaries(
    {"device": st.just("d"), "name": few(["1", "2"])}, optional={"facing": few(["server", "network"])})
dated: dict[str, st.SearchStrategy[Any]] = {
    "from": st.integers(-20, 20).map(lambda slots: rfc3339(NOW_S + slots * 100)),
    "addresses": st.lists(few(["192.0.2.10", "192.0.2.0/24", "::ffff:192.0.2.11", "2001:db8::/64"]), max_size=2),
    "macs": st.lists(few(["5254.0012.3456", "52:54:00:12:34:57"]), max_size=1),
    "vlans": st.lists(st.integers(1, 3), max_size=2),
    "interfaces": st.lists(ports, max_size=1),
    "metering": st.none() | few(["interfaces", "flows", "host"]),
    "exporter": st.none() | few(["edge-1", "edge-2"]),
}
peers = st.fixed_dictionaries(
    {"id": few(["alice", "bob"])}, optional={"public_key": st.none() | names, "common_name": st.none() | names, **dated})
exporters = st.fixed_dictionaries(
    {"id": few(["edge-1", "edge-2"])},
    optional={"sampling_rate": st.none() | st.integers(1, 2**31), "networks": dated["addresses"]})


def servers(number: int) -> st.SearchStrategy[dict[str, Any]]:
    ids = few([f"sv_{number}", f"sv_{number}x"])
    return st.fixed_dictionaries({"id": ids, "hostname": names, "region": few(SLUGS)}, optional=dated)


def projects(number: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"id": few([f"p{number}", f"p{number}x"]), "slug": few(["a", "b", "c"])},
        optional={"price": maybe_amounts, "billing_method": few(["Normal", "95th percentile"]),
                  "quotas": some(quotas, "region"), "servers": some(servers(number))})


def apps(number: int) -> st.SearchStrategy[dict[str, Any]]:
    environments = st.fixed_dictionaries({"name": few(["prod", "dev", "qa"])}, optional={"id": few([1, 2, 1_000_000])})
    consumers = st.fixed_dictionaries(
        {"identifier": few(["x", "y"])}, optional={"name": st.none() | names, "group": st.none() | names})
    return st.fixed_dictionaries(
        {"id": st.just(number), "name": names},
        optional={"client_id": st.none() | few(UUIDS), "excluded_endpoints": st.lists(endpoints, max_size=3),
                  "environments": some(environments, "name"), "consumers": some(consumers, "identifier")})


def organizations(number: int) -> st.SearchStrategy[dict[str, Any]]:
    vpns = st.fixed_dictionaries(
        {"id": st.just(UUIDS[number]), "name": names},
        optional={"region": st.none() | few(SLUGS), "primary_server": st.none() | st.just(f"sv_{number}"),
                  "peers": some(peers), **dated})
    spaces = st.fixed_dictionaries({"id": few([number, number + 10]), "name": names})
    return st.fixed_dictionaries(
        {"id": st.just(f"org_{number}"), "slug": few(["a", "b", "c"]), "name": names},
        optional={"time_zone": few(["UTC", "Asia/Kathmandu"]), "billing_day": st.integers(1, 31),
                  "monthly_traffic_limit": maybe_amounts, "traffic_limit_unit": few(["requests", "bytes"]),
                  "projects": some(projects(number)), "vpn_instances": some(vpns), "apps": some(apps(number)),
                  "spaces": some(spaces)})


regions = st.tuples(names, names).map(lambda pair: [
    {"id": f"reg_{slug}", "slug": slug, "name": name} for slug, name in zip(SLUGS, pair, strict=True)])


def addressed(exporter: dict[str, Any]) -> dict[str, Any]:
    return {**exporter, "address": f"198.51.100.{exporter['id'][-1]}"}


documents = st.fixed_dictionaries(
    {"organizations": some(st.one_of(organizations(1), organizations(2)))},
    optional={"regions": regions, "exporters": some(exporters.map(addressed))})
steps = st.lists(st.tuples(documents, st.booleans(), st.integers(0, 900)), min_size=1, max_size=3)


def copied(view: CatalogView) -> dict[str, Any]:
    return {
        name: dict(value) if isinstance(value := getattr(view, name), dict) else value
        for name in CatalogView.__dataclass_fields__ if name != "version"
    }


def says_nothing(plan: Any) -> bool:
    return not (plan.create or plan.change or plan.delete)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=regions, story=steps)
def test_files_one_after_the_other(migrated: Path, first: list[dict[str, Any]], story: list[Any]) -> None:
    clock = HandClock()
    with TemporaryDirectory() as folder:
        shutil.copy(migrated, Path(folder) / FILE_NAME)
        catalog = SqlCatalog(folder, clock)
        catalog.apply({"regions": first})
        for document, prune, wait_s in story:
            clock.advance(wait_s)
            take(catalog, document, prune=prune)
            catalog.enter_series([SeriesKey(Kind.SERVER, server) for server in catalog.view().servers])
            for app in catalog.view().apps:
                catalog.enter_environment(app, "dev")
            exported = catalog.export(ADMIN)
            assert says_nothing(catalog.apply(exported))
            assert says_nothing(catalog.apply(exported, prune=True))
        before = copied(catalog.view())
        catalog.close()
        again = SqlCatalog(folder, clock)
        assert copied(again.view()) == before
        assert again.export(ADMIN) == exported
        again.close()
        check_elsewhere(Path(folder) / "elsewhere", exported)


def check_elsewhere(folder: Path, exported: dict[str, Any]) -> None:
    """The file makes the same catalog elsewhere, attributions included."""
    folder.mkdir()
    catalog = SqlCatalog(folder, HandClock())
    catalog.apply(exported)
    assert catalog.export(ADMIN) == exported
    catalog.close()


def take(catalog: SqlCatalog, document: dict[str, Any], *, prune: bool) -> None:
    """One file: all of it holds afterwards, or nothing has changed."""
    before = copied(catalog.view())
    try:
        dry = catalog.apply(document, prune=prune, dry_run=True)
    except InvalidDocumentError:
        event("refused")
        assert copied(catalog.view()) == before
        return
    event("taken")
    assert copied(catalog.view()) == before
    assert catalog.apply(document, prune=prune) == dry
    assert says_nothing(catalog.apply(document, prune=prune))
    check_references(catalog.view())


def check_references(view: CatalogView) -> None:
    """Indexes hold what they should, and places are in order."""
    for server in view.servers.values():
        assert server.placements[0].from_s == 0
        assert [place.from_s for place in server.placements] == sorted({place.from_s for place in server.placements})
        assert (server.placements[-1].project, server.placements[-1].region) == (server.project, server.region)
        for place in server.placements:
            assert server.id in view.servers_of[place.project]
    for project, ids in view.servers_of.items():
        assert list(ids) == sorted(set(ids))
        for server in ids:
            assert project in {place.project for place in view.servers[server].placements}
    for app, by_name in view.environments_of.items():
        assert {view.environments[number].name: number for number in by_name.values()} == by_name
        assert {view.environments[number].app for number in by_name.values()} == {app}
    check_claims(view)
    living = [org.slug for org in view.organizations.values() if org.deleted_at_s is None]
    assert len(living) == len(set(living))


def check_claims(view: CatalogView) -> None:
    """By looking at every pair: what is claimed at one time by two is told apart by exporters."""
    for one, two in combinations(list(stretches(view)), 2):
        if (one.kind, one.object) == (two.kind, two.object):
            assert one.until_s <= two.from_s
        if one.from_s >= two.until_s or two.from_s >= one.until_s or (one.kind, one.object) == (two.kind, two.object):
            continue
        mine, theirs = one.attribution, two.attribution
        assert not {(port.device, port.name) for port in mine.interfaces} & {
            (port.device, port.name) for port in theirs.interfaces}
        if mine.exporter == theirs.exporter or None in (mine.exporter, theirs.exporter):
            assert not set(mine.addresses) & set(theirs.addresses)
            assert not set(mine.macs) & set(theirs.macs)
            assert not set(mine.vlans) & set(theirs.vlans)
    for thing in (*view.servers.values(), *view.vpns.values(), *view.peers.values()):
        if thing.deleted_at_s is None and thing.attributions and thing.attributions[-1].exporter is not None:
            assert view.exporters[thing.attributions[-1].exporter].deleted_at_s is None
