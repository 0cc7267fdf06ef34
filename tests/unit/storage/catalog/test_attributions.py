"""By what things are known: dated, replaced, ended by a deletion; who may say so, and what contradicts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.kit import NOW_S
from weighbridge.domain.errors import (
    ConflictError,
    InvalidDocumentError,
    NotPermittedError,
    NotVisibleError,
)
from weighbridge.domain.timegrid import rfc3339
from weighbridge.metering.attribution import stretches_of
from weighbridge.model import END_S, Attribution, Kind, Metering, Port
from weighbridge.storage.catalog import attributions, claims
from weighbridge.storage.catalog.store import SqlCatalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.kit import HandClock
    from weighbridge.http.route import Principal

VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"
NOW = NOW_S // 300 * 300
A, B = "192.0.2.10", "192.0.2.11"
THINGS = [("server", "sv_1", None, Kind.SERVER), ("vpn_instance", VPN, None, Kind.VPN), ("peer", "alice", VPN, Kind.PEER)]
EXPORTERS = {"exporters": [{"id": "edge-1", "address": "198.51.100.1"}, {"id": "edge-2", "address": "198.51.100.2"}]}


class Thing:
    """One thing of the catalog, changed by an admin."""

    def __init__(self, catalog: SqlCatalog, who: Principal, which: tuple[str, str, str | None, Kind] = THINGS[0]) -> None:
        self.catalog, self.who = catalog, who
        self.kind, self.name, self.parent, self.series = which

    def get(self) -> Any:
        return self.catalog.get_object(self.kind, self.name, self.who, parent=self.parent)

    def declare(self, from_s: int | None = None, **fields: Any) -> Any:
        given = fields if from_s is None else {**fields, "from": rfc3339(from_s)}
        return self.catalog.change_object(self.kind, self.name, given, self.who, parent=self.parent).attributions

    def delete(self) -> None:
        self.catalog.delete_object(self.kind, self.name, self.who, parent=self.parent)

    def restore(self, from_s: int | None = None, **fields: Any) -> Any:
        given = {"id": self.name, **fields, **({} if from_s is None else {"from": rfc3339(from_s)})}
        given |= {"server": {"hostname": "w", "region": "brazil", "project": "proj_1"},
                  "vpn_instance": {"name": "hq", "organization": "org_acme"}}.get(self.kind, {})
        return self.catalog.create_object(self.kind, given, self.who, parent=self.parent).attributions


@pytest.fixture
def thing(catalog: SqlCatalog, who: Callable[..., Principal]) -> Thing:
    return Thing(catalog, who())


@pytest.fixture(params=THINGS, ids=[kind for kind, *_ in THINGS])
def each(catalog: SqlCatalog, who: Callable[..., Principal], request: pytest.FixtureRequest) -> Thing:
    return Thing(catalog, who(), request.param)


def at(from_s: int, *addresses: str, **fields: Any) -> Attribution:
    return Attribution(from_s, tuple(f"{address}/32" for address in addresses), **fields)


def test_a_first_attribution_begins_now_on_its_slot(each: Thing, clock: HandClock) -> None:
    clock.advance(299)
    assert each.declare(addresses=[A]) == (at(NOW, A),)
    (stretch,) = stretches_of(each.series, each.get())
    assert (stretch.from_s, stretch.until_s, stretch.attribution.billed) == (NOW, END_S, Metering.FLOWS)
    assert stretch.object == (f"{each.parent}/{each.name}" if each.parent else each.name)


def test_everything_that_can_be_declared_is_kept(
    catalog: SqlCatalog, thing: Thing, tmp_path: Path, clock: HandClock, who: Callable[..., Principal]
) -> None:
    catalog.apply(EXPORTERS)
    whole = {
        "addresses": ["2001:db8::/64", "::ffff:192.0.2.10", "192.0.2.16/28"], "macs": ["52-54-00-12-34-56"],
        "vlans": [7, 5], "interfaces": [{"device": "tor-1", "name": "ge-0/0/1", "facing": "server"}],
        "metering": "interfaces", "exporter": "edge-1",
    }
    kept = Attribution(
        NOW, ("192.0.2.10/32", "192.0.2.16/28", "2001:db8::/64"), ("52:54:00:12:34:56",), (5, 7),
        (Port("tor-1", "ge-0/0/1", "server"),), Metering.INTERFACES, "edge-1")
    assert thing.declare(**whole) == (kept,)
    assert thing.declare(**whole, from_s=NOW) == (kept,)
    catalog.close()
    again = SqlCatalog(tmp_path, clock)
    assert again.get_object("server", "sv_1", who()).attributions == (kept,)
    again.close()


@pytest.mark.parametrize("fields", [{"addresses": [], "metering": None}, {"from": "2025-12-01"}, {"hostname": "w"}])
def test_what_declares_nothing_makes_no_attribution(thing: Thing, fields: dict[str, Any]) -> None:
    assert thing.declare(**fields) == ()


Step = tuple[int | None, dict[str, Any]]
DECLARED: list[tuple[str, list[Step], list[Attribution]]] = [
    ("one after the other", [(NOW, {"addresses": [A]}), (NOW + 600, {"addresses": [B]})], [at(NOW, A), at(NOW + 600, B)]),
    ("rounded down", [(NOW + 299, {"addresses": [A]})], [at(NOW, A)]),
    ("absent fields stay", [(NOW, {"addresses": [A]}), (NOW + 300, {"vlans": [5]}), (NOW + 600, {"addresses": []})],
     [at(NOW, A), at(NOW + 300, A, vlans=(5,)), at(NOW + 600, vlans=(5,))]),
    ("the same again", [(NOW, {"addresses": [A]}), (NOW, {"addresses": [A]}), (None, {"addresses": [A]})], [at(NOW, A)]),
    ("the same later", [(NOW, {"addresses": [A]}), (NOW + 900, {"addresses": [A]})], [at(NOW, A)]),
    ("another order", [(NOW, {"addresses": [A, B]}), (NOW + 900, {"addresses": [B, A, A]})], [at(NOW, A, B)]),
    ("the same slot replaces", [(NOW, {"addresses": [A]}), (NOW + 200, {"addresses": [B]})], [at(NOW, B)]),
    ("back on the same slot leaves no trace",
     [(NOW, {"addresses": [A]}), (NOW + 300, {"addresses": [B]}), (NOW + 300, {"addresses": [A]})], [at(NOW, A)]),
    ("nothing on the first slot leaves no trace", [(NOW, {"addresses": [A]}), (NOW, {"addresses": []})], []),
    ("nothing later ends it", [(NOW, {"addresses": [A]}), (NOW + 300, {"addresses": []})], [at(NOW, A), at(NOW + 300)]),
    ("what is on record changes nothing",
     [(NOW, {"addresses": [A]}), (NOW + 300, {"vlans": [5]}), (NOW + 600, {"addresses": [B]}), (NOW, {"addresses": [A]})],
     [at(NOW, A), at(NOW + 300, A, vlans=(5,)), at(NOW + 600, B, vlans=(5,))]),
    ("the same from earlier on is dated back", [(NOW, {"addresses": [A]}), (NOW - 900, {"addresses": [A]})],
     [at(NOW - 900, A)]),
    ("but not beyond the one before",
     [(NOW, {"addresses": [A]}), (NOW + 900, {"addresses": [B]}), (NOW + 300, {"addresses": [B]})],
     [at(NOW, A), at(NOW + 300, B)]),
    ("an end is dated back too",
     [(NOW, {"addresses": [A]}), (NOW + 900, {"addresses": []}), (NOW + 300, {"addresses": []})],
     [at(NOW, A), at(NOW + 300)]),
    ("ahead of the clock", [(NOW, {"addresses": [A]}), (NOW + 86_400, {"addresses": [B]})],
     [at(NOW, A), at(NOW + 86_400, B)]),
    ("long ago", [(94_694_400, {"addresses": [A]})], [at(94_694_400, A)]),
]


@pytest.mark.parametrize(("steps", "expected"), [pytest.param(*case[1:], id=case[0]) for case in DECLARED])
def test_dated(thing: Thing, steps: list[Step], expected: list[Attribution]) -> None:
    for from_s, fields in steps:
        once = thing.declare(from_s, **fields)
        version = thing.catalog.view().version
        assert thing.declare(from_s, **fields) == once
        assert thing.catalog.view().version == version
    assert list(once) == expected


CONTRADICTIONS: list[tuple[str, int, dict[str, Any]]] = [
    ("something else before the last", NOW + 300, {"addresses": ["192.0.2.12"]}),
    ("what was before, from another instant", NOW + 300, {"addresses": [A]}),
    ("the last, from before the one before", NOW - 300, {"addresses": [B]}),
    ("the last, on the slot of the one before", NOW, {"addresses": [B]}),
    ("more than is on record", NOW, {"addresses": [A], "vlans": [5]}),
    ("now, where the last one is yet to come", NOW_S, {"vlans": [5]}),
]


@pytest.mark.parametrize(("from_s", "fields"), [pytest.param(*case[1:], id=case[0]) for case in CONTRADICTIONS])
def test_what_contradicts_the_record_is_refused(thing: Thing, from_s: int, fields: dict[str, Any]) -> None:
    thing.declare(NOW, addresses=[A])
    known = thing.declare(NOW + 600, addresses=[B])
    with pytest.raises(ConflictError, match="cannot be dated before that") as error:
        thing.declare(from_s, **fields)
    assert error.value.where == "from"
    assert rfc3339(NOW + 600) in str(error.value)
    assert rfc3339(from_s // 300 * 300) in str(error.value)
    assert thing.catalog.view().servers["sv_1"].attributions == known


def test_one_date_is_of_the_move_and_of_what_the_server_is_known_by(thing: Thing) -> None:
    thing.declare(NOW - 600, project="proj_2", addresses=[A])
    server = thing.catalog.view().servers["sv_1"]
    assert [(place.from_s, place.project) for place in server.placements] == [(0, "proj_1"), (NOW - 600, "proj_2")]
    assert server.attributions == (at(NOW - 600, A),)


def test_a_server_takes_what_it_is_known_by_along(catalog: SqlCatalog, thing: Thing, sample: dict[str, Any]) -> None:
    thing.declare(addresses=[A])
    first, second = sample["organizations"][0]["projects"]
    second["servers"] = [{**first.pop("servers")[0], "from": rfc3339(NOW - 3600)}]
    (change,) = catalog.apply(sample).change
    assert change.fields == {"project": ("proj_1", "proj_2")}
    assert catalog.view().servers["sv_1"].attributions == (at(NOW, A),)


def test_a_plan_tells_what_changes_by_field(catalog: SqlCatalog) -> None:
    def plan(**fields: Any) -> Any:
        return [(each.kind, each.id, each.fields) for each in catalog.apply({"organizations": [{"id": "org_acme", "projects": [
            {"id": "proj_1", "servers": [{"id": "sv_1", **fields}]}]}]}).change]

    assert plan(addresses=[A, "192.0.2.16/28"], metering="flows") == [
        ("server", "sv_1", {"addresses": ([], [A, "192.0.2.16/28"]), "metering": (None, "flows")})]
    assert plan(addresses=[A, "192.0.2.16/28"]) == []
    assert plan(addresses=[A, "192.0.2.16/28"], **{"from": rfc3339(NOW - 300)}) == [
        ("server", "sv_1", {"from": (rfc3339(NOW), rfc3339(NOW - 300))})]


GONE = NOW + 1000
"""When things are deleted below: within the slot that begins at NOW + 900."""
BACK = NOW + 2000
RESTORED: list[tuple[str, list[Step], Step, list[Attribution]]] = [
    ("as it was, from now on", [(NOW, {"addresses": [A]})], (None, {"addresses": [A]}),
     [at(NOW, A), at(NOW + 900), at(NOW + 1800, A)]),
    ("known by nothing", [(NOW, {"addresses": [A]})], (None, {}), [at(NOW, A), at(NOW + 900)]),
    ("the absent fields are not as they were", [(NOW, {"addresses": [A], "vlans": [5]})], (None, {"addresses": [A]}),
     [at(NOW, A, vlans=(5,)), at(NOW + 900), at(NOW + 1800, A)]),
    ("with a date in between", [(NOW, {"addresses": [A]})], (NOW + 1200, {"addresses": [B]}),
     [at(NOW, A), at(NOW + 900), at(NOW + 1200, B)]),
    ("from the slot of its deletion on", [(NOW, {"addresses": [A]})], (NOW + 900, {"addresses": [B]}),
     [at(NOW, A), at(NOW + 900, B)]),
    ("as it was, from the slot of its deletion on", [(NOW, {"addresses": [A]})], (NOW + 900, {"addresses": [A]}),
     [at(NOW, A)]),
    ("as on record, as if it had not been deleted", [(NOW, {"addresses": [A]})], (NOW, {"addresses": [A]}), [at(NOW, A)]),
    ("otherwise from before its deletion on", [(NOW, {"addresses": [A]})], (NOW + 600, {"addresses": [B]}),
     [at(NOW, A), at(NOW + 600, B)]),
    ("with a date, known by nothing", [(NOW, {"addresses": [A]})], (NOW, {}), [at(NOW, A), at(NOW + 900)]),
    ("what was yet to come never came", [(NOW, {"addresses": [A]}), (NOW + 1500, {"addresses": [B]})], (None, {}),
     [at(NOW, A), at(NOW + 900)]),
    ("deleted on the slot on which it began", [(NOW + 900, {"addresses": [A]})], (None, {"vlans": [5]}),
     [at(NOW + 1800, vlans=(5,))]),
    ("never known by anything", [], (None, {"addresses": [A]}), [at(NOW + 1800, A)]),
    ("ended before its deletion", [(NOW, {"addresses": [A]}), (NOW + 300, {"addresses": []})], (None, {"vlans": [5]}),
     [at(NOW, A), at(NOW + 300), at(NOW + 1800, vlans=(5,))]),
]


@pytest.mark.parametrize(("steps", "back", "expected"), [pytest.param(*case[1:], id=case[0]) for case in RESTORED])
def test_restored(each: Thing, clock: HandClock, steps: list[Step], back: Step, expected: list[Attribution]) -> None:
    for from_s, fields in steps:
        each.declare(from_s, **fields)
    clock.advance(GONE - NOW_S)
    each.delete()
    clock.advance(BACK - GONE)
    assert list(each.restore(back[0], **back[1])) == expected
    found = list(stretches_of(each.series, each.get()))
    assert [stretch.attribution for stretch in found] == expected
    assert [stretch.until_s for stretch in found] == [one.from_s for one in expected[1:]] + [END_S] * bool(expected)


def test_a_restored_thing_that_contradicts_its_record_is_refused(thing: Thing, clock: HandClock) -> None:
    thing.declare(NOW, addresses=[A])
    thing.declare(NOW + 300, addresses=[B])
    clock.advance(900)
    thing.delete()
    with pytest.raises(ConflictError, match="cannot be dated before that"):
        thing.restore(NOW, addresses=["192.0.2.12"])


def test_a_file_brings_back_what_was_pruned_as_it_says(catalog: SqlCatalog, sample: dict[str, Any], clock: HandClock) -> None:
    servers = sample["organizations"][0]["projects"][0]["servers"]
    servers[0] |= {"addresses": [A], "from": rfc3339(NOW)}
    catalog.apply(sample)
    before = catalog.view().servers["sv_1"]
    for _ in range(2):
        clock.advance(3600)
        catalog.apply({"organizations": []}, prune=True)
        clock.advance(3600)
        catalog.apply(sample)
        assert catalog.view().servers["sv_1"] == before


def test_a_thing_has_a_bound_of_attributions(thing: Thing, monkeypatch: pytest.MonkeyPatch) -> None:
    assert attributions.MAX_ATTRIBUTIONS == 10_000
    monkeypatch.setattr(claims, "MAX_ATTRIBUTIONS", 2)
    for number in range(2):
        thing.declare(NOW + 300 * number, vlans=[number + 1])
    with pytest.raises(ConflictError, match="at most 2 attributions"):
        thing.declare(NOW + 900, vlans=[9])


# What contradicts what others are known by.

def two(catalog: SqlCatalog, who: Principal) -> tuple[Thing, Thing]:
    catalog.apply(EXPORTERS)
    return Thing(catalog, who), Thing(catalog, who, ("peer", "bob", VPN.replace("d290", "e290"), Kind.PEER))


PORT = {"device": "d", "name": "1"}
CLAIMS: list[tuple[str, dict[str, Any], dict[str, Any], str | None]] = [
    ("an address", {"addresses": [A]}, {"addresses": ["::ffff:192.0.2.10"]}, "addresses"),
    ("a prefix", {"addresses": ["192.0.2.0/28"]}, {"addresses": [A, "192.0.2.0/28"]}, "addresses"),
    ("a longer prefix", {"addresses": ["192.0.2.0/24"]}, {"addresses": ["192.0.2.16/28", A]}, None),
    ("a MAC", {"macs": ["52:54:00:12:34:56"]}, {"macs": ["5254.0012.3456"]}, "macs"),
    ("a VLAN", {"vlans": [5]}, {"vlans": [5]}, "vlans"),
    ("a VLAN as a number among MACs", {"vlans": [5]}, {"macs": ["52:54:00:12:34:56"]}, None),
    ("one exporter", {"vlans": [5], "exporter": "edge-1"}, {"vlans": [5], "exporter": "edge-1"}, "vlans"),
    ("any exporter", {"vlans": [5], "exporter": "edge-1"}, {"vlans": [5]}, "vlans"),
    ("two exporters", {"vlans": [5], "exporter": "edge-1"}, {"vlans": [5], "exporter": "edge-2"}, None),
    ("a port", {"interfaces": [PORT]}, {"interfaces": [{**PORT, "facing": "server"}]}, "interfaces"),
    ("a port at two exporters", {"interfaces": [PORT], "exporter": "edge-1"}, {"interfaces": [PORT], "exporter": "edge-2"},
     "interfaces"),
    ("two ports", {"interfaces": [PORT]}, {"interfaces": [{**PORT, "name": "2"}]}, None),
    ("a port of another device", {"interfaces": [PORT]}, {"interfaces": [{**PORT, "device": "e"}]}, None),
]


@pytest.mark.parametrize(("mine", "theirs", "where"), [pytest.param(*case[1:], id=case[0]) for case in CLAIMS])
def test_no_two_are_known_by_the_same(
    catalog: SqlCatalog, who: Callable[..., Principal], mine: dict[str, Any], theirs: dict[str, Any], where: str | None
) -> None:
    first, second = two(catalog, who())
    first.declare(**mine)
    if where is None:
        assert second.declare(**theirs)
        return
    with pytest.raises(ConflictError, match="the server 'sv_1' is known by from 2025-12-14T16:00:00Z on") as error:
        second.declare(**theirs)
    assert error.value.where == where
    assert catalog.view().peers[second.parent or "", "bob"].attributions == ()


@pytest.mark.parametrize(("fields", "where"), [({"addresses": [A]}, "addresses"), ({"exporter": "edge-9"}, "exporter")])
def test_a_new_thing_is_compared_too(
    catalog: SqlCatalog, who: Callable[..., Principal], fields: dict[str, Any], where: str
) -> None:
    first, _ = two(catalog, who())
    first.declare(addresses=[A])
    with pytest.raises((ConflictError, InvalidDocumentError)) as error:
        catalog.create_object("server", {"hostname": "n", "region": "brazil", "project": "proj_2", **fields}, who())
    assert error.value.where == where
    assert set(catalog.view().servers) == {"sv_1", "sv_b"}


ENDED: list[Step] = [(NOW, {"addresses": [A]}), (NOW + 600, {"addresses": []})]
TIMES: list[tuple[str, list[Step], Step, bool]] = [
    ("after the other's end", ENDED, (NOW + 600, {"addresses": [A]}), True),
    ("before the other's end", ENDED, (NOW + 300, {"addresses": [A]}), False),
    ("before the other begins, for good", [(NOW + 600, {"addresses": [A]})], (NOW, {"addresses": [A]}), False),
    ("an address that the other has yet to leave", [(NOW, {"addresses": [A]}), (NOW + 600, {"addresses": [B]})],
     (NOW + 600, {"addresses": [A]}), True),
]


@pytest.mark.parametrize(("mine", "theirs", "fits"), [pytest.param(*case[1:], id=case[0]) for case in TIMES])
def test_times_decide(
    catalog: SqlCatalog, who: Callable[..., Principal], mine: list[Step], theirs: Step, fits: bool
) -> None:
    first, second = two(catalog, who())
    for from_s, fields in mine:
        first.declare(from_s, **fields)
    if fits:
        assert second.declare(theirs[0], **theirs[1])
        return
    with pytest.raises(ConflictError, match="end that first"):
        second.declare(theirs[0], **theirs[1])


def test_what_was_deleted_keeps_what_it_had_until_then(
    catalog: SqlCatalog, who: Callable[..., Principal], clock: HandClock
) -> None:
    first, second = two(catalog, who())
    first.declare(NOW, addresses=[A])
    clock.advance(700)
    first.delete()
    with pytest.raises(ConflictError, match=f"from {rfc3339(NOW)} until {rfc3339(NOW + 600)}"):
        second.declare(NOW + 300, addresses=[A])
    assert second.declare(addresses=[A]) == (at(NOW + 600, A),)
    with pytest.raises(ConflictError, match="the peer 'e290"):
        first.restore(NOW, addresses=[A])
    assert first.restore(vlans=[5]) == (at(NOW, A), at(NOW + 600, vlans=(5,)))


def test_two_trade_addresses_in_one_file(catalog: SqlCatalog, sample: dict[str, Any], clock: HandClock) -> None:
    project = sample["organizations"][0]["projects"][0]
    project["servers"] = [
        {"id": "sv_1", "hostname": "a", "region": "brazil", "addresses": [A]},
        {"id": "sv_2", "hostname": "b", "region": "brazil", "addresses": [B]}]
    catalog.apply(sample)
    clock.advance(600)
    project["servers"][0]["addresses"], project["servers"][1]["addresses"] = [B], [A]
    catalog.apply(sample)
    assert catalog.view().servers["sv_1"].attributions == (at(NOW, A), at(NOW + 600, B))
    project["servers"][0]["addresses"] = [A]
    with pytest.raises(InvalidDocumentError) as error:
        catalog.apply(sample)
    (fault,) = error.value.errors
    assert fault[0] == "organizations[0].projects[0].servers[0].addresses"
    assert fault[1].startswith("192.0.2.10 is what the server 'sv_2' is known by")


def test_a_file_that_gives_one_address_to_two_is_told_once(catalog: SqlCatalog, sample: dict[str, Any]) -> None:
    sample["organizations"][0]["projects"][0]["servers"][0]["addresses"] = [A, B]
    sample["organizations"][1]["projects"][0]["servers"][0]["addresses"] = [A]
    with pytest.raises(InvalidDocumentError) as error:
        catalog.apply(sample)
    assert len(error.value.errors) == 1


# Exporters.

def test_an_exporter_that_is_not_there_is_told_with_the_nearest(catalog: SqlCatalog, each: Thing) -> None:
    catalog.apply(EXPORTERS)
    with pytest.raises(InvalidDocumentError, match=r"no exporter has the id 'edge1'; did you mean 'edge-1'\?") as error:
        each.declare(exporter="edge1")
    assert error.value.where == "exporter"
    assert each.declare(exporter="edge-1") == (Attribution(NOW, exporter="edge-1"),)


def test_an_exporter_in_use_stays(catalog: SqlCatalog, thing: Thing, who: Callable[..., Principal], clock: HandClock) -> None:
    catalog.apply(EXPORTERS)
    thing.declare(exporter="edge-1")
    for _ in range(2):
        with pytest.raises(ConflictError, match="the exporter 'edge-1' is in use: server sv_1"):
            catalog.delete_object("exporter", "edge-1", who())
        assert [each.id for each in catalog.apply({"exporters": []}, prune=True, dry_run=True).delete] == ["edge-2"]
        thing.declare(NOW + 600, exporter=None)  # still in use until then
    clock.advance(600)
    catalog.delete_object("exporter", "edge-1", who())
    assert "198.51.100.1" not in catalog.view().exporters_by_address
    with pytest.raises(InvalidDocumentError, match="no exporter has the id 'edge-1'"):
        thing.declare(exporter="edge-1")


def test_exporters_are_found_by_address(catalog: SqlCatalog, tmp_path: Path, clock: HandClock) -> None:
    catalog.apply({"exporters": [
        {"id": "edge-1", "address": "::ffff:198.51.100.1", "sampling_rate": 1000, "networks": ["192.0.2.1", "192.0.2.0/24"]},
        {"id": "edge-2", "address": "2001:DB8::0:1"}]})
    view = catalog.view()
    assert {address: found.id for address, found in view.exporters_by_address.items()} == {
        "198.51.100.1": "edge-1", "2001:db8::1": "edge-2"}
    assert view.exporters["edge-1"].networks == ("192.0.2.0/24", "192.0.2.1/32")
    catalog.apply({"exporters": [
        {"id": "edge-1", "address": "2001:db8::1"}, {"id": "edge-2", "address": "198.51.100.1", "networks": []}]})
    assert view.exporters_by_address["198.51.100.1"].id == "edge-2"
    with pytest.raises(InvalidDocumentError, match=r"the address '198.51.100.1' is taken by 'edge-2'"):
        catalog.apply({"exporters": [{"id": "edge-3", "address": "198.51.100.1"}]})
    catalog.close()
    again = SqlCatalog(tmp_path, clock)
    assert again.view().exporters == view.exporters
    assert again.view().exporters_by_address == view.exporters_by_address
    again.close()


@pytest.mark.parametrize(("fields", "where"), [
    ({"address": "192.0.2.1", "sampling_rate": 0}, "sampling_rate"),
    ({"address": "192.0.2.1", "sampling_rate": 2**31 + 1}, "sampling_rate"),
    ({"address": "192.0.2.1", "sampling_rate": "1000"}, "sampling_rate"),
    ({"address": "edge.example.com"}, "address"), ({"address": "192.0.2.0/24"}, "address"), ({}, "address"),
    ({"address": "192.0.2.1", "networks": ["192.0.2.1/24"]}, "networks[0]"),
])
def test_exporters_that_cannot_be(
    catalog: SqlCatalog, who: Callable[..., Principal], fields: dict[str, Any], where: str
) -> None:
    with pytest.raises(InvalidDocumentError) as error:
        catalog.create_object("exporter", fields, who())
    assert error.value.where == where


# Who may say so.

ATTRIBUTING: list[dict[str, Any]] = [
    {"addresses": [A]}, {"macs": []}, {"vlans": [5]}, {"interfaces": []}, {"metering": "host"}, {"exporter": None}]


@pytest.mark.parametrize("fields", ATTRIBUTING)
def test_whose_traffic_is_whose_takes_an_admin(each: Thing, who: Callable[..., Principal], fields: dict[str, Any]) -> None:
    catalog, kind = each.catalog, each.kind
    new = {"server": {"hostname": "n", "region": "brazil", "project": "proj_1"}, "vpn_instance": {"name": "n"},
           "peer": {"id": "n"}}[kind]
    version = catalog.view().version
    for mine in [who("org_acme")] + [who("org_acme", "proj_1")] * (kind == "server"):
        with pytest.raises(NotPermittedError, match=f"admin for {next(iter(fields))}"):
            catalog.change_object(kind, each.name, fields, mine, parent=each.parent)
        with pytest.raises(NotPermittedError, match="admin for"):
            catalog.create_object(kind, {**new, **fields}, mine, parent=each.parent)
    assert catalog.view().version == version
    with pytest.raises(NotVisibleError):  # not even whether it is there
        catalog.change_object(kind, each.name, fields, who("org_bolt"), parent=each.parent)


def test_keys_and_names_of_peers_are_the_organizations_own(catalog: SqlCatalog, who: Callable[..., Principal]) -> None:
    fields = {"public_key": "p", "common_name": "c", "from": "2025-12-01"}
    changed = catalog.change_object("peer", "alice", fields, who("org_acme"), parent=VPN)
    assert (changed.public_key, changed.common_name, changed.attributions) == ("p", "c", ())


@pytest.mark.parametrize("field", ["public_key", "common_name"])
def test_keys_and_names_of_peers_are_unique_within_their_instance(
    catalog: SqlCatalog, who: Callable[..., Principal], field: str
) -> None:
    catalog.create_object("peer", {"id": "one", field: "x"}, who("org_acme"), parent=VPN)
    with pytest.raises(ConflictError, match=f"the {field} 'x' is taken by '{VPN}/one'") as error:
        catalog.create_object("peer", {"id": "two", field: "x"}, who("org_acme"), parent=VPN)
    assert error.value.where == field
    catalog.create_object("peer", {"id": "two", field: "x"}, who("org_bolt"), parent=VPN.replace("d290", "e290"))
    catalog.delete_object("peer", "one", who("org_acme"), parent=VPN)
    catalog.create_object("peer", {"id": "two", field: "x"}, who("org_acme"), parent=VPN)


def test_an_organization_that_restores_its_server_gets_no_addresses(
    catalog: SqlCatalog, thing: Thing, who: Callable[..., Principal], clock: HandClock
) -> None:
    thing.declare(addresses=[A])
    clock.advance(600)
    thing.who = who("org_acme")
    thing.delete()
    assert thing.restore() == (at(NOW, A), at(NOW + 600))
