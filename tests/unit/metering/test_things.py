"""Whose a thing is, from when to when, by the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from support.catalog import VPN, MemoryCatalog, acme
from weighbridge.collected import Thing, ThingKind
from weighbridge.metering import things as things_module
from weighbridge.metering.subjects import Sender
from weighbridge.metering.things import Feed, Things, name_of, owner_of
from weighbridge.model import END_S, Attribution, Exporter, Kind, Peer, Placement, Port, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.model import CatalogView

PORT = Thing(ThingKind.INTERFACE, "tor-1", "ge-0/0/1")
ALL = Sender(None)
HOUR = 3600


def with_port(from_s: int, facing: str = "network", **more: object) -> Attribution:
    return Attribution(from_s, interfaces=(Port("tor-1", "ge-0/0/1", facing),), **more)


def change(view: CatalogView, server: str, **fields: object) -> None:
    view.servers[server] = msgspec.structs.replace(view.servers[server], **fields)
    view.version += 1


def told(feeds: Sequence[Feed]) -> list[tuple[str, int, int, bool]]:
    return [(feed.key.object, feed.from_s, feed.until_s, feed.is_swapped) for feed in feeds]


@pytest.mark.parametrize(("attributions", "deleted_at_s", "expected"), [
    ((), None, []),
    ((with_port(0),), None, [("sv_0", 0, END_S, False)]),
    ((with_port(300),), None, [("sv_0", 300, END_S, False)]),
    ((with_port(300),), 1_000, [("sv_0", 300, 900, False)]),
    ((with_port(300),), 400, []),
    ((with_port(300), Attribution(900)), None, [("sv_0", 300, 900, False)]),
    ((with_port(300), with_port(900, exporter="edge-1"), Attribution(1_500)), None, [("sv_0", 300, 1_500, False)]),
    ((with_port(300), with_port(900, "server")), None, [("sv_0", 300, 900, False), ("sv_0", 900, END_S, True)]),
    ((with_port(0), Attribution(600), with_port(1_200)), None, [("sv_0", 0, 600, False), ("sv_0", 1_200, END_S, False)]),
])
def test_a_port_feeds_what_the_catalog_says_by_date(
    attributions: tuple[Attribution, ...], deleted_at_s: int | None, expected: list[tuple[str, int, int, bool]]
) -> None:
    view = acme()
    change(view, "sv_0", attributions=attributions, deleted_at_s=deleted_at_s)
    feeds = Things(MemoryCatalog(view)).feeds(PORT, ALL)
    assert told(feeds) == expected
    assert {feed.key for feed in feeds} <= {SeriesKey(Kind.SERVER, "sv_0", via="interfaces")}


def test_of_several_with_one_port_the_first_by_id_has_it() -> None:
    view = acme()
    change(view, "sv_2", attributions=(with_port(0),))
    change(view, "sv_1", attributions=(with_port(600), Attribution(1_200)))
    change(view, "sv_other", attributions=(with_port(300, "server"),))
    things = Things(MemoryCatalog(view))
    assert told(things.feeds(PORT, ALL)) == [
        ("sv_2", 0, 600, False), ("sv_1", 600, 1_200, False), ("sv_2", 1_200, END_S, False)]
    assert things.feeds(Thing(ThingKind.INTERFACE, "tor-1", "ge-0/0/2"), ALL) == ()
    assert things.feeds(Thing(ThingKind.INTERFACE, "tor-2", "ge-0/0/1"), ALL) == ()


def test_a_device_that_is_known_by_its_address_is_its_exporter() -> None:
    view = acme()
    by_address = Thing(ThingKind.INTERFACE, "192.0.2.1", "ge-0/0/1")
    change(view, "sv_0", attributions=(with_port(300), Attribution(900)))
    change(view, "sv_1", attributions=(Attribution(600, interfaces=(Port("192.0.2.1", "ge-0/0/1"),)),))
    things = Things(MemoryCatalog(view))
    assert told(things.feeds(by_address, ALL)) == [("sv_1", 600, END_S, False)]
    view.exporters_by_address["192.0.2.1"] = Exporter("tor-1", "192.0.2.1")
    view.version += 1
    assert told(things.feeds(by_address, ALL)) == [("sv_0", 300, 900, False), ("sv_1", 900, END_S, False)]
    assert told(things.feeds(PORT, ALL)) == [("sv_0", 300, 900, False)]
    assert things.known_as(Thing(ThingKind.HOST, "192.0.2.1")) == (Thing(ThingKind.HOST, "192.0.2.1"),)


def test_ports_of_instances_and_peers_feed_them() -> None:
    view = acme()
    view.vpns[VPN] = msgspec.structs.replace(view.vpns[VPN], attributions=(with_port(0), Attribution(300)))
    view.peers[VPN, "alice"] = Peer(VPN, "alice", attributions=(with_port(300),))
    assert [feed.key for feed in Things(MemoryCatalog(view)).feeds(PORT, ALL)] == [
        SeriesKey(Kind.VPN, VPN, via="interfaces"), SeriesKey(Kind.PEER, f"{VPN}/alice", via="interfaces")]


def test_a_machine_feeds_its_server_until_that_is_deleted() -> None:
    view = acme()
    host = Thing(ThingKind.HOST, "sv_0")
    assert Things(MemoryCatalog(view)).feeds(host, ALL) == (Feed(SeriesKey(Kind.SERVER, "sv_0", via="host"), 0, END_S),)
    change(view, "sv_0", deleted_at_s=1_000, attributions=(with_port(300),))
    assert told(Things(MemoryCatalog(view)).feeds(host, ALL)) == [("sv_0", 0, 900, False)]
    assert Things(MemoryCatalog(view)).feeds(Thing(ThingKind.HOST, "sv_9"), ALL) == ()


@pytest.mark.parametrize(("peers", "vpn_gone_s", "expected"), [
    ((), None, [("", 0, END_S)]),
    ((), 1_000, [("", 0, 900)]),
    ((Peer(VPN, "bob", public_key="K"),), None, [("bob", 0, END_S)]),
    ((Peer(VPN, "bob", common_name="K"),), None, [("bob", 0, END_S)]),
    ((Peer(VPN, "bob", public_key="K", common_name="K"),), None, [("bob", 0, END_S)]),
    ((Peer(VPN, "bob", public_key="L"),), None, [("", 0, END_S)]),
    ((Peer(VPN, "bob", public_key="K", deleted_at_s=700),), None, [("bob", 0, 600), ("", 600, END_S)]),
    ((Peer(VPN, "bob", public_key="K", deleted_at_s=700),), 1_000, [("bob", 0, 600), ("", 600, 900)]),
    ((Peer(VPN, "bob", public_key="K"),), 1_000, [("bob", 0, 900)]),
    ((Peer(VPN, "bob", public_key="K"), Peer(VPN, "ann", common_name="K")), None, [("ann", 0, END_S)]),
    ((Peer(VPN, "ann", public_key="K"), Peer(VPN, "bob", public_key="K", deleted_at_s=700)), None,
     [("bob", 0, 600), ("ann", 600, END_S)]),  # who has the key now has it since the one before was deleted
])
def test_a_tunnel_feeds_the_peer_of_that_key_or_name_else_the_instance(
    peers: tuple[Peer, ...], vpn_gone_s: int | None, expected: list[tuple[str, int, int]]
) -> None:
    view = acme()
    view.peers.update({(peer.vpn, peer.id): peer for peer in peers})
    view.vpns[VPN] = msgspec.structs.replace(view.vpns[VPN], deleted_at_s=vpn_gone_s)
    for device in (VPN, VPN.upper()):
        feeds = Things(MemoryCatalog(view)).feeds(Thing(ThingKind.TUNNEL, device, "K"), ALL)
        assert [(feed.key.object.partition("/")[2], feed.from_s, feed.until_s) for feed in feeds] == expected
        assert {feed.key.via for feed in feeds} == {"host"}


def test_an_empty_name_is_the_instance_itself_and_an_unknown_instance_nobody() -> None:
    view = acme()
    view.peers[VPN, "alice"] = Peer(VPN, "alice", public_key="", common_name="")
    things = Things(MemoryCatalog(view))
    assert told(things.feeds(Thing(ThingKind.TUNNEL, VPN), ALL)) == [(VPN, 0, END_S, False)]
    assert things.feeds(Thing(ThingKind.TUNNEL, VPN.replace("d", "e"), "K"), ALL) == ()


@pytest.mark.parametrize(("sender", "expected"), [
    (Sender(None), [("sv_0", 300, END_S, False)]),
    (Sender("org_acme"), [("sv_0", 300, 900, False), ("sv_0", 1_500, END_S, False)]),
    (Sender("org_other"), [("sv_0", 900, 1_500, False)]),
    (Sender("org_acme", "proj_a"), [("sv_0", 300, 900, False), ("sv_0", 1_500, END_S, False)]),
    (Sender("org_acme", "proj_b"), []),
    (Sender(None, "proj_o"), [("sv_0", 900, 1_500, False)]),
    (Sender("org_third"), []),
])
def test_a_sender_speaks_for_a_server_while_it_was_its_own(
    sender: Sender, expected: list[tuple[str, int, int, bool]]
) -> None:
    view = acme()
    placements = (Placement(0, "proj_a", "brazil"), Placement(900, "proj_o", "brazil"), Placement(1_500, "proj_a", "miami"))
    change(view, "sv_0", attributions=(with_port(300),), placements=placements)
    assert told(Things(MemoryCatalog(view)).feeds(PORT, sender)) == expected


def test_a_sender_of_a_project_speaks_for_no_tunnel() -> None:
    things = Things(MemoryCatalog(acme()))
    tunnel = Thing(ThingKind.TUNNEL, VPN)
    assert [len(things.feeds(tunnel, sender)) for sender in (
        Sender("org_acme"), Sender("org_other"), Sender("org_acme", "proj_a"))] == [1, 0, 0]


def test_what_is_remembered_is_learned_anew_when_the_catalog_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = MemoryCatalog(acme())
    things = Things(catalog)
    assert things.feeds(PORT, ALL) == ()
    change(catalog.view(), "sv_0", attributions=(with_port(0),))
    assert told(things.feeds(PORT, ALL)) == [("sv_0", 0, END_S, False)]
    monkeypatch.setattr(things_module, "FEEDS_KEPT", 2)
    for number in range(5):
        assert things.feeds(Thing(ThingKind.INTERFACE, "tor-1", f"ge-0/0/{number + 2}"), ALL) == ()
        assert len(things._known) <= 2
    assert told(things.feeds(PORT, ALL)) == [("sv_0", 0, END_S, False)]


def test_no_two_things_have_one_name() -> None:
    ports = [Thing(ThingKind.INTERFACE, *words) for words in (("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("a",), ("A",))]
    others = [Thing(ThingKind.HOST, "a"), Thing(ThingKind.TUNNEL, "a")]
    assert len({name_of(thing) for thing in (*ports, *others)}) == len(ports) + len(others)
    assert name_of(PORT) == "interface/tor-1/ge-0/0/1"
    assert name_of(Thing(ThingKind.TUNNEL, "AB", "Key")) == name_of(Thing(ThingKind.TUNNEL, "ab", "Key"))
    senders = [Sender(None), Sender("a"), Sender("a", "b"), Sender("ab"), Sender(None, "b")]
    assert len({owner_of(sender) for sender in senders}) == len(senders)


def test_each_owner_may_add_so_many_counters_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(things_module, "NEW_COUNTERS_A_DAY", 2)
    things = Things(MemoryCatalog(acme()))
    day_us = 86_400 * 1_000_000
    assert [things.admit_new("a", day_us - 1) for _ in range(3)] == [True, True, False]
    assert things.admit_new("b", day_us - 1)
    assert [things.admit_new("a", day_us) for _ in range(3)] == [True, True, False]
