"""What those who collect flows keep apart: all that is attributed now or later, as far as they reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.catalog import MemoryCatalog
from support.clock import HandClock
from weighbridge.metering.flows.interest import Interest
from weighbridge.metering.flows.interest_wire import UnreadableError, read_interest, write_interest
from weighbridge.metering.flows.interests import LINGER_S, RENEW_S, Interests, interest_of
from weighbridge.metering.subjects import Sender
from weighbridge.model import (
    Attribution,
    CatalogView,
    Exporter,
    Organization,
    Peer,
    Placement,
    Project,
    Server,
    VpnInstance,
)

NOW_S = 1_764_000_000
OLD_S = NOW_S - LINGER_S - 300
VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"


def server(name: str, *attributions: Attribution, projects: tuple[tuple[int, str], ...] = ((0, "p1"),), **more) -> Server:
    placements = tuple(Placement(from_s, project, "r") for from_s, project in projects)
    return Server(name, name, projects[-1][1], "r", placements, attributions, **more)


def view_of(*servers: Server, **more) -> CatalogView:
    view = CatalogView(
        version=1,
        organizations={name: Organization(name, name, name) for name in ("o1", "o2")},
        projects={f"p{n}": Project(f"p{n}", f"p{n}", "o1" if n < 3 else "o2") for n in (1, 2, 3)},
        servers={each.id: each for each in servers},
    )
    for name, value in more.items():
        setattr(view, name, value)
    return view


def by_address(from_s: int, *addresses: str, **more) -> Attribution:
    return Attribution(from_s, addresses, **more)


def test_everything_that_is_or_will_be_attributed_is_of_interest():
    view = view_of(
        server("a", by_address(0, "192.0.2.1/32", macs=("02:00:00:00:00:0a",), vlans=(7,))),
        server("b", by_address(OLD_S - 600, "192.0.2.2/32"), by_address(OLD_S, "192.0.2.3/32")),
        server("c", by_address(NOW_S - 600, "192.0.2.4/32"), by_address(NOW_S - 300, "192.0.2.5/32")),
        server("d", by_address(NOW_S + 86400, "192.0.2.6/32")),
        server("e", by_address(0, "192.0.2.7/32"), deleted_at_s=OLD_S),
        exporters={
            "x": Exporter("x", "198.51.100.1", networks=("203.0.113.0/24",)),
            "y": Exporter("y", "198.51.100.2", networks=("203.0.114.0/24",), deleted_at_s=5),
        },
        vpns={VPN: VpnInstance(VPN, "o1", "v", attributions=(by_address(0, "2001:db8::/64"),))},
        peers={(VPN, "q"): Peer(VPN, "q", attributions=(by_address(0, "10.0.0.0/24", vlans=(9,)),))},
    )
    found = interest_of(view, NOW_S)
    assert set(found.prefixes) == {
        "192.0.2.1/32", "192.0.2.3/32", "192.0.2.4/32", "192.0.2.5/32", "192.0.2.6/32", "2001:db8::/64", "10.0.0.0/24"}
    assert (found.macs, found.vlans, found.networks) == ((0x02000000000A,), (7, 9), ("203.0.113.0/24",))


MOVED = by_address(0, "192.0.2.9/32")


@pytest.mark.parametrize(("projects", "sees"), [
    (((0, "p1"),), {"o1", "p1"}),
    (((0, "p3"),), {"o2"}),
    (((0, "p1"), (OLD_S, "p3")), {"o2"}),
    (((0, "p1"), (NOW_S - 600, "p3")), {"o1", "p1", "o2"}),
    (((0, "p1"), (NOW_S + 600, "p3")), {"o1", "p1", "o2"}),
    (((0, "p2"), (NOW_S + 600, "p1")), {"o1", "p1"}),
])
def test_a_key_sees_what_is_its_own_at_some_moment_from_now_on(projects, sees):
    exporters = {"x": Exporter("x", "198.51.100.1", networks=("203.0.113.0/24",))}
    view = view_of(server("a", MOVED, projects=projects), exporters=exporters)
    senders = {"o1": Sender("o1"), "p1": Sender("o1", "p1"), "o2": Sender("o2")}
    found = {name: interest_of(view, NOW_S, sender) for name, sender in senders.items()}
    assert {name for name, interest in found.items() if interest.prefixes} == sees
    assert all(interest.networks == () for interest in found.values())


def test_a_key_of_a_project_reaches_no_tunnels():
    view = view_of(vpns={VPN: VpnInstance(VPN, "o1", "v", attributions=(by_address(0, "2001:db8::/64"),))})
    assert interest_of(view, NOW_S, Sender("o1")).prefixes == ("2001:db8::/64",)
    assert interest_of(view, NOW_S, Sender("o1", "p1")) == Interest()


def test_it_is_kept_until_the_catalog_changes_or_time_has_passed():
    view = view_of(server("a", by_address(0, "192.0.2.1/32")))
    clock = HandClock(NOW_S * 1_000_000)
    known = Interests(MemoryCatalog(view), clock)
    first = known.of()
    assert known.of() is first
    view.servers["b"] = server("b", by_address(0, "192.0.2.2/32"))
    assert known.of() is first  # nobody said that it changed
    view.version += 1
    assert set(known.of().prefixes) == {"192.0.2.1/32", "192.0.2.2/32"}
    view.servers["a"] = server("a", by_address(0, "192.0.2.1/32"), deleted_at_s=NOW_S - LINGER_S + 300)
    view.version += 1
    assert len(known.of().prefixes) == 2
    clock.at_us += RENEW_S * 1_000_000
    assert known.of().prefixes == ("192.0.2.2/32",)


PREFIXES = st.lists(st.ip_addresses().map(lambda address: f"{address}/{address.max_prefixlen}"), max_size=5).map(tuple)
INTERESTS = st.builds(
    Interest, PREFIXES, st.lists(st.integers(0, 2**48 - 1), max_size=5).map(tuple),
    st.lists(st.integers(0, 2**16 - 1), max_size=5).map(tuple), PREFIXES,
)


@given(INTERESTS)
def test_what_is_answered_is_what_is_read(interest):
    assert read_interest(write_interest(interest)) == interest


@pytest.mark.parametrize("body", [
    b"", b"[]", b"{}", b'{"version":1,"prefixes":["x"],"macs":[],"vlans":[],"networks":[]}', b"<html>",
    b'{"version":1,"prefixes":[],"macs":["02-00"],"vlans":[],"networks":[]}',
])
def test_other_answers_are_none(body):
    with pytest.raises(UnreadableError):
        read_interest(body)


def test_what_a_newer_server_adds_is_passed_over():
    body = b'{"version":2,"prefixes":[],"macs":[],"vlans":[7],"networks":[],"ports":[1]}'
    assert read_interest(body) == Interest(vlans=(7,))
